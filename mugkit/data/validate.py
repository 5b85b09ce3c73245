"""Checks that a data set is valid, and describes how it differs from the data set that the paper used.

Invalid data (a NaN frame, a label off the scale, a clip in two splits) is rejected, and the error names the row. Valid
data that differs from the paper's (other features, other sizes) is accepted. The difference goes into its caption and
caveats, which every table made from it shows.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from mugkit.data import disk
from mugkit.data.schema import (
    FRAME_MODALITIES,
    INPUTS,
    LABEL_SCALE,
    MODALITY_NAMES,
    PAPER_SPLITS,
    SPLITS,
    Dataset,
    Split,
    SplitName,
    as_text,
)
from mugkit.errors import UserError

Fault = tuple[str, str, str]  # field, problem and fix

# Frame dims (d′_a, d′_v) of the paper's data sets; Table 6's parameter counts confirm MOSEI's.
PAPER_DIMS: Mapping[str, tuple[int, int]] = {
    "reviews": (74, 47),
    "mosi": (74, 47),  # COVAREP and Facet
    "mosei": (74, 35),
    "sims": (33, 709),  # librosa and OpenFace
}
# One acoustic vector per clip, and word timing instead of vision (data_prep/README.md).
WORD_TIMING = (73, 5)
_NAMED = {*PAPER_DIMS.values(), (5, 20)}  # (5, 20): MMSA's MOSI
_BLOCK_BYTES = 8 * 2**20
_ROUNDING = 1e-4  # labels stored as float32, or averaged over raters, may overshoot the scale by this much


def described(
    reader: str, family: str, splits: Mapping[SplitName, Split], notes: Mapping[str, int], *, aligned: bool = False
) -> Dataset:
    """A data set as a reader found it, with the description of its features in `about`; `notes` become caveats."""
    train = splits["train"]
    acoustic, visual = (train.sequences[m].dim if m in train.sequences else None for m in FRAME_MODALITIES)
    about = features(family, (acoustic, visual), aligned=aligned, language="l" in train.modalities)
    largest, scale = max(np.abs(split.labels).max(initial=0) for split in splits.values()), LABEL_SCALE[family]
    if largest < scale / 2:
        about["caveats"].append(f"no label is beyond ±{largest:.3g} on a scale of ±{scale:g}: other data, or rescaled")
    about["caveats"] += [f"{count} {what}" for what, count in notes.items() if count]
    return Dataset(family, family, splits, about={"reader": reader, **about})


def with_caveats(dataset: Dataset, *more: str) -> Dataset:
    return replace(dataset, about={**dataset.about, "caveats": [*dataset.about["caveats"], *more]})


def features(
    family: str, dims: tuple[int | None, int | None], *, aligned: bool = False, language: bool = True
) -> dict[str, Any]:
    """Describes the features: `variant`, the `caption` of tables, and `caveats` if they are not the paper's.

    Args:
        dims: d′_a and d′_v; None for a modality that is missing.
        aligned: whether acoustic and visual frames were averaged over words, so that both have one frame per word.
        language: whether there are transcripts.
    """
    caveats = []
    if missing := [what for what, there in zip(INPUTS.values(), (language, *dims), strict=True) if not there]:
        frames = [f"{MODALITY_NAMES[m]} {dim}" for m, dim in zip(FRAME_MODALITIES, dims, strict=True) if dim]
        variant = f"{' + '.join(['text'] * language + frames) or 'labels'} only"
        caveats.append(f"not the paper's data: no {', no '.join(missing)}")
    else:
        ours, theirs = ("/".join(map(str, pair)) for pair in (dims, PAPER_DIMS.get(family, dims)))
        kind = "" if dims in _NAMED else "custom " if dims == WORD_TIMING else "other "
        variant = f"{kind}{ours}, {'aligned' if aligned else 'unaligned'}"
        if ours != theirs:
            caveats.append(f"not the paper's features: acoustic/visual dims {ours} instead of {theirs}")
    what = "text + acoustics + timing" if dims == WORD_TIMING and language else f"({variant})"
    return {"variant": variant, "caption": f"{family.upper()} {what}", "caveats": caveats}


def finite(
    frames: Float[np.ndarray, "frames dim"], modality: str, notes: Counter[str]
) -> Float32[np.ndarray, "frames dim"]:
    """Frames as float32, with 0 for values that are not finite; every reader uses it, as published features have them.

    −∞ in acoustic frames is the logarithm of silence; frames with any other such value are counted in `notes`.
    """
    frames = np.array(frames, dtype=np.float32)
    if modality == "a":
        frames[np.isneginf(frames)] = 0
    wrong = int((~np.isfinite(frames)).any(axis=1).sum())
    notes[f"{INPUTS[modality]} with NaN or infinite values; these are set to 0"] += wrong
    return np.nan_to_num(frames, copy=False, nan=0, posinf=0, neginf=0)


def number(cell: Any, source: Path, place: str) -> float:
    """Parses a label that a file stores as a number or as text.

    Args:
        place: the location of the cell, including its row, for errors.

    Raises:
        UserError: if it is not a finite number.
    """
    said = as_text(cell).strip()
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        point = said.replace(",", ".")
        fix = f"write it with a point: {point}" if re.fullmatch(r"[+-]?\d*\.\d+", point) else "write a number there"
        raise UserError(f"'{said}' is not a number", file=source, field=place, fix=fix)
    return value


def split_note(dataset: Dataset) -> str:
    """The numbers of clips in train/valid/test, compared with the paper's (section 4.1) if it uses these data."""
    sizes = [len(dataset.splits[name]) for name in SPLITS]
    ours, theirs = ("/".join(map(str, counts)) for counts in (sizes, paper_sizes(dataset.family)))
    if not theirs:
        return f"{ours} clips"
    return f"{ours} clips, as in the paper" if ours == theirs else f"{ours} clips; the paper has {theirs}"


def paper_sizes(family: str) -> tuple[int, ...]:
    """The numbers of clips in train/valid/test in the paper; () if the paper does not use such data."""
    return () if family == "reviews" else PAPER_SPLITS.get(family, ())


def validate(dataset: Dataset, source: Path | str) -> None:
    """Rejects a data set that training cannot use, or that would make its scores wrong.

    Args:
        source: the file it was read from, for the error.

    Raises:
        UserError: if there is an empty split, fields of different lengths, a modality that some splits lack, a repeated
            id, an empty transcript although others are not empty, a clip without frames, a frame that is not finite,
            dims that differ between splits, or a label that is missing or off the scale.
    """
    for field, problem, fix in _faults(dataset):
        raise UserError(problem, file=source, field=field, fix=fix)


def _faults(dataset: Dataset) -> Iterator[Fault]:
    spoken = any(text.strip() for split in dataset.splits.values() for text in split.text)
    for name in SPLITS:
        split = dataset.splits[name]
        if not len(split):
            yield name, "has no clips", "every split needs at least one clip"
        yield from _faults_of_shape(split, dataset.train)
        yield from _faults_of_text(split, spoken)
        yield from _faults_of_labels(split, dataset.label_scale)
        yield from _faults_of_frames(split)
    seen: dict[str, str] = {}
    for split in dataset.splits.values():
        for row, clip in enumerate(split.ids):
            if not clip or clip in seen:
                problem = f"is also in {seen[clip]}" if clip else "is empty"
                yield _place(split, "id", row), problem, "give each clip a unique id, and keep each clip in one split"
            seen[clip] = split.name


def _place(split: Split, field: str, row: int) -> str:
    return f"{split.name}.{field}[{row}] (clip {split.ids[row]!r})"


def _first(wrong: np.ndarray) -> int | None:
    """The first row in which a boolean array is true; None if there is none."""
    return int(wrong.argmax()) if wrong.any() else None


def _faults_of_shape(split: Split, train: Split) -> Iterator[Fault]:
    counts = {"text": len(split.text), "labels": len(split.labels)}
    counts |= {f"labels of {MODALITY_NAMES[m]}": len(values) for m, values in split.true_labels.items()}
    counts |= {f"{MODALITY_NAMES[m]} frames": len(values) for m, values in split.sequences.items()}
    for field, count in counts.items():
        if count != len(split):
            problem = f"{count} rows, but there are {len(split)} ids"
            yield f"{split.name}.{field}", problem, "all fields need the same rows"
    if different := sorted(split.sequences.keys() ^ train.sequences.keys()):
        frames = " and ".join(INPUTS[m] for m in different)
        yield split.name, f"of train and {split.name}, only one has {frames}", "all splits need the same modalities"
    for m, sequences in split.sequences.items():
        if sequences.dim != (dim := train.sequences[m].dim):
            field, problem = (
                f"{split.name}.{MODALITY_NAMES[m]} frames",
                f"have {sequences.dim} dims, but {dim} in train",
            )
            yield field, problem, "all splits need the same features"


def _faults_of_text(split: Split, spoken: bool) -> Iterator[Fault]:
    for row, text in enumerate(split.text):
        if spoken and not text.strip():
            yield _place(split, "text", row), "the transcript is empty", "transcribe the clip or leave it out"
        if any("\ud800" <= letter <= "\udfff" for letter in text + split.ids[row]):
            yield _place(split, "text", row), "is not valid text", "decode it with the right encoding"


def _faults_of_labels(split: Split, scale: float) -> Iterator[Fault]:
    for name, labels in {"labels": split.labels, **{f"labels of {m}": y for m, y in split.true_labels.items()}}.items():
        # NaN compares false with everything; the negation makes it count as wrong.
        if (row := _first(~(np.abs(labels) <= scale + _ROUNDING))) is not None:
            fix = f"labels lie in [−{scale:g}, {scale:g}]; is this the right data set's file?"
            yield _place(split, name, row), f"the label {labels[row]:g} is off the scale", fix


def _faults_of_frames(split: Split) -> Iterator[Fault]:
    for m, sequences in split.sequences.items():
        field = f"{MODALITY_NAMES[m]} frames"
        if (row := _first(sequences.lengths < 1)) is not None:
            fix = "give it at least one frame, of zeros"
            yield _place(split, field, row), "the clip has no frames", fix
        # A few MB at a time, because frames may take gigabytes.
        sound = [np.isfinite(block).all(axis=1) for block in disk.blocks(sequences.frames, _BLOCK_BYTES)]
        if (frame := _first(~np.concatenate(sound))) is not None:
            row = int(np.searchsorted(sequences.offsets, frame, side="right")) - 1
            fix = "replace NaN and infinite values (by 0, say), or leave the clip out"
            yield _place(split, field, row), f"frame {frame - sequences.offsets[row]} is not finite", fix
