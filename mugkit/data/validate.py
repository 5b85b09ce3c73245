"""Checks that a data set is valid, and whether it is the data set that the paper used.

Invalid data (a NaN frame, a label off the scale, a clip in two splits) is rejected, and the error names the row. Valid
data that differs from the paper's (other features, other sizes) is accepted. The difference goes into its caption and
caveats, which every table made from it shows.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float, Float32

from mugkit.data import disk
from mugkit.data.schema import INPUTS, LABEL_SCALE, MODALITY_NAMES, PAPER_SPLITS, SPLITS, Dataset, Split, as_text
from mugkit.errors import UserError

# Frame dims (d′_a, d′_v) of the paper's data sets; Table 6's parameter counts confirm MOSEI's.
PAPER_DIMS: Mapping[str, tuple[int, int]] = {
    "reviews": (74, 47),
    "mosi": (74, 47),
    "mosei": (74, 35),
    "sims": (33, 709),
}
# Known feature sets by their dims.
KNOWN_DIMS: Mapping[tuple[int, int], str] = {
    (74, 47): "74/47",  # MISA's and MAG-BERT's MOSI: COVAREP and Facet
    (74, 35): "74/35",  # MOSEI: COVAREP and Facet
    (5, 20): "5/20",  # MMSA's MOSI
    (33, 709): "33/709",  # MMSA's CH-SIMS: librosa and OpenFace
    (73, 5): "custom 73/5",  # one acoustic vector per clip, and word timing instead of vision
}
_BLOCK_BYTES = 8 * 2**20
_ROUNDING = 1e-4  # labels stored as float32, or averaged over raters, may overshoot the scale by this much


def features(
    family: str, dims: tuple[int | None, int | None], *, aligned: bool = False, language: bool = True
) -> dict[str, Any]:
    """Describes the features: `variant`, the `caption` of tables, and `caveats` if they are not the paper's.

    Args:
        family: mosi, mosei, sims or reviews.
        dims: d′_a and d′_v; None for a modality that is missing.
        aligned: whether acoustic and visual frames were averaged over words, so that both have one frame per word.
        language: whether there are transcripts.
    """
    missing = [what for what, there in zip(INPUTS.values(), (language, *dims), strict=True) if not there]
    variant = _variant(dims, aligned, language)
    caption = f"{family.upper()} ({variant})"
    if dims == (73, 5):
        caption = f"{family.upper()} text + acoustics + timing"
    caveats = []
    if missing:
        caveats.append(f"not the paper's data: no {', no '.join(missing)}")
    elif dims != PAPER_DIMS[family]:
        ours, theirs = ("/".join(map(str, pair)) for pair in (dims, PAPER_DIMS[family]))
        caveats.append(f"not the paper's features: acoustic/visual dims {ours} instead of {theirs}")
    return {"variant": variant, "caption": caption, "caveats": caveats}


def _variant(dims: tuple[int | None, int | None], aligned: bool, language: bool) -> str:
    acoustic, visual = dims
    if language and acoustic and visual:
        known = KNOWN_DIMS.get((acoustic, visual), f"other {acoustic}/{visual}")
        return f"{known}, {'aligned' if aligned else 'unaligned'}"
    parts = ["text"] * language + [f"acoustic {acoustic}"] * bool(acoustic) + [f"visual {visual}"] * bool(visual)
    return f"{' + '.join(parts) or 'labels'} only"


def finite(
    frames: Float[np.ndarray, "frames dim"], modality: str, notes: Counter[str]
) -> Float32[np.ndarray, "frames dim"]:
    """Frames as float32, with 0 for values that are not finite; every reader uses it, as published features have them.

    −∞ in acoustic frames is the logarithm of silence; frames with any other such value are counted in `notes`.
    """
    frames = np.array(frames, dtype=np.float32)
    if modality == "a":
        frames[np.isneginf(frames)] = 0
    if wrong := int((~np.isfinite(frames)).any(axis=1).sum()):
        notes[f"{INPUTS[modality]} with NaN or infinite values; these are set to 0"] += wrong
    return np.nan_to_num(frames, copy=False, nan=0, posinf=0, neginf=0)


def number(cell: Any, source: Path, place: str) -> float:
    """Parses a label that a file stores as a number or as text.

    Args:
        place: the location of the cell, including its row, for errors.

    Raises:
        UserError: if it is not a finite number.
    """
    said = as_text(cell).strip() if isinstance(cell, str | bytes) else str(cell)
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        point = said.replace(",", ".")
        fix = f"write it with a point: {point}" if re.fullmatch(r"[+-]?\d*\.\d+", point) else "write a number there"
        raise UserError(f"'{said}' is not a number", file=source, field=place, fix=fix)
    return value


def counted(notes: Counter[str]) -> list[str]:
    """The counts in `notes` as caveats."""
    return [f"{count} {what}" for what, count in notes.items()]


def split_note(family: str, sizes: tuple[int, int, int]) -> str:
    """The numbers of clips in train/valid/test, compared with the paper's (section 4.1) if it uses these data."""
    ours, theirs = ("/".join(map(str, counts)) for counts in (sizes, PAPER_SPLITS[family]))
    if family == "reviews":
        return f"{ours} clips"
    return f"{ours} clips, as in the paper" if ours == theirs else f"{ours} clips; the paper has {theirs}"


def validate(dataset: Dataset, source: Path | str) -> None:
    """Rejects a data set that training cannot use, or that would make its scores wrong.

    Args:
        dataset: the data set as read, before it is stored.
        source: the file it was read from, for the error.

    Raises:
        UserError: if there is an empty split, fields of different lengths, a modality that some splits lack, a repeated
            id, an empty transcript although others are not empty, a clip without frames, a frame that is not finite,
            dims that differ between splits, or a label that is missing or off the scale.
    """
    spoken = any(text.strip() for split in dataset.splits.values() for text in split.text)
    for name in SPLITS:
        split = dataset.splits[name]
        if not len(split):
            raise UserError("has no clips", file=source, field=name, fix="every split needs at least one clip")
        _check_counts(split, source)
        _check_modalities(split, dataset.train, source)
        _check_text(split, spoken, source)
        _check_labels(split, LABEL_SCALE[dataset.family], source)
        _check_frames(split, dataset.dims, source)
    _check_ids(dataset, source)


def _refuse(split: Split, field: str, row: int, problem: str, fix: str, source: Path | str) -> NoReturn:
    place = f"{split.name}.{field}[{row}] (clip {split.ids[row]!r})"
    raise UserError(problem, file=source, field=place, fix=fix)


def _first(wrong: np.ndarray) -> int | None:
    """The first row in which a boolean array is true; None if there is none."""
    return int(wrong.argmax()) if wrong.any() else None


def _check_counts(split: Split, source: Path | str) -> None:
    counts = {"text": len(split.text), "labels": len(split.labels)}
    counts |= {f"labels of {MODALITY_NAMES[m]}": len(values) for m, values in split.true_labels.items()}
    counts |= {f"{MODALITY_NAMES[m]} frames": len(values) for m, values in split.sequences.items()}
    for field, count in counts.items():
        if count != len(split):
            problem = f"{count} rows, but there are {len(split)} ids"
            raise UserError(problem, file=source, field=f"{split.name}.{field}", fix="all fields need the same rows")


def _check_ids(dataset: Dataset, source: Path | str) -> None:
    seen: dict[str, str] = {}
    for split in dataset.splits.values():
        for row, clip in enumerate(split.ids):
            if not clip or clip in seen:
                problem = f"is also in {seen[clip]}" if clip else "is empty"
                fix = "give each clip a unique id, and keep each clip in one split"
                _refuse(split, "id", row, problem, fix, source)
            seen[clip] = split.name


def _check_modalities(split: Split, train: Split, source: Path | str) -> None:
    if different := sorted(split.sequences.keys() ^ train.sequences.keys()):
        frames = " and ".join(INPUTS[m] for m in different)
        problem = f"of train and {split.name}, only one has {frames}"
        raise UserError(problem, file=source, field=split.name, fix="all splits need the same modalities")


def _check_text(split: Split, spoken: bool, source: Path | str) -> None:
    for row, text in enumerate(split.text):
        if spoken and not text.strip():
            _refuse(split, "text", row, "the transcript is empty", "transcribe the clip or leave it out", source)
        if any("\ud800" <= letter <= "\udfff" for letter in text + split.ids[row]):
            _refuse(split, "text", row, "is not valid text", "decode it with the right encoding", source)


def _check_labels(split: Split, scale: float, source: Path | str) -> None:
    for name, labels in {"labels": split.labels, **{f"labels of {m}": y for m, y in split.true_labels.items()}}.items():
        # NaN compares false with everything; the negation makes it count as wrong.
        if (row := _first(~(np.abs(labels) <= scale + _ROUNDING))) is not None:
            fix = f"labels lie in [−{scale:g}, {scale:g}]; is this the right data set's file?"
            _refuse(split, name, row, f"the label {labels[row]:g} is off the scale", fix, source)


def _check_frames(split: Split, dims: Mapping[str, int], source: Path | str) -> None:
    for m, sequences in split.sequences.items():
        field = f"{MODALITY_NAMES[m]} frames"
        if sequences.dim != dims[m]:
            problem = f"have {sequences.dim} dims, but {dims[m]} in train"
            raise UserError(
                problem, file=source, field=f"{split.name}.{field}", fix="all splits need the same features"
            )
        if (row := _first(sequences.lengths < 1)) is not None:
            _refuse(split, field, row, "the clip has no frames", "give it at least one frame, of zeros", source)
        if (frame := _first_not_finite(sequences.frames)) is not None:
            row = int(np.searchsorted(sequences.offsets, frame, side="right")) - 1
            fix = "replace NaN and infinite values (by 0, say), or leave the clip out"
            _refuse(split, field, row, f"frame {frame - sequences.offsets[row]} is not finite", fix, source)


def _first_not_finite(frames: Float32[np.ndarray, "frames dim"]) -> int | None:
    """The first frame with a NaN or infinite value; reads a few MB at a time, because frames may take gigabytes."""
    start = 0
    for block in disk.blocks(frames, _BLOCK_BYTES):
        if (row := _first(~np.isfinite(block).all(axis=1))) is not None:
            return start + row
        start += len(block)
    return None
