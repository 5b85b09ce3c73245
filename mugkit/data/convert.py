"""Converts COVAREP's 74 and Facet's 47 columns to the 5 and 20 of MMSA's MOSI, to compare with published 5/20 results.

The old processed MOSI of the CMU Multimodal SDK, which MulT, MMSA and others redistribute, holds a selection of
columns. The SDK's author published it, counted from 0 (discussion "Question about the mosi word-aligned data" of
A2Zadeh/CMU-MultimodalSDK, 2019). The acoustic list refers to COVAREP's columns: VUV, QOQ, MDQ, MCEP 14 and HMPDM 24.
The visual list was published with 48 names of Facet 4.1, of which the first is the frame's time. The 47 columns in
circulation have no frame time, so we count from their first column, the face's position. Counted from the frame time,
each number would mean the previous column, and one of the 20 columns would not exist. Nothing published settles this
beyond doubt: the data set says so in its caveats, and the list can be replaced.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from mugkit import files
from mugkit.data import disk, store
from mugkit.data.prepare import checked_name, store_once
from mugkit.data.schema import MODALITY_NAMES, Dataset, RaggedFrames
from mugkit.data.validate import PAPER_DIMS, features
from mugkit.errors import UserError, unknown_name

TARGET, DIMS = "5/20", PAPER_DIMS["mosi"]  # d′_a and d′_v before the selection: COVAREP 74 and Facet 47
COVAREP_5 = (1, 3, 6, 25, 60)
FACET_20 = (0, 2, 5, 10, 11, 12, 14, 17, 20, 21, 22, 24, 25, 29, 30, 31, 32, 36, 37, 40)


def convert(
    name: str, to: str, store_as: str, *, visual_columns: Sequence[int] | None = None, force: bool = False
) -> Path:
    """Stores a prepared data set again with a selection of its columns; returns the new folder.

    Args:
        name: a prepared data set with COVAREP 74 and Facet 47.
        to: "5/20".
        visual_columns: visual columns to use instead of FACET_20, counted from 0.
        force: replace the data stored under the new name.

    Raises:
        UserError: if the data set is not prepared, not MOSI or of other dims, the target is unknown, a column does not
            exist, other data is stored under the new name, or the disk has no room.
    """
    if to != TARGET:
        raise unknown_name("target", to, [TARGET])
    dataset = store.load(name)
    columns = {"a": COVAREP_5, "v": tuple(visual_columns or FACET_20)}
    if dataset.family != "mosi":
        fix = "convert a data set of MOSI's: the columns were published for its features"
        raise UserError(f"'{dataset.name}' is {dataset.family}, not mosi", field="family", fix=fix)
    if tuple(dataset.dims.values()) != DIMS:
        theirs = ", ".join(f"{MODALITY_NAMES[m]} {dim}" for m, dim in dataset.dims.items()) or "no frames"
        fix = f"convert MOSI with COVAREP (acoustic {DIMS[0]}) and Facet 4.1 (visual {DIMS[1]})"
        raise UserError(f"'{dataset.name}' is {dataset.family} with {theirs}", field="dims", fix=fix)
    if wrong := [column for column in columns["v"] if not 0 <= column < DIMS[1]]:
        fix = f"columns are counted from 0 to {DIMS[1] - 1}"
        raise UserError(f"there is no visual column {wrong[0]}", field="visual_columns", fix=fix)
    origin = {"converted": dataset.fingerprint, "columns": {m: list(picked) for m, picked in columns.items()}}
    return store_once(checked_name(store_as, dataset.family), origin, lambda: _select(dataset, columns), name, force)


def _select(dataset: Dataset, columns: Mapping[str, Sequence[int]]) -> Dataset:
    frames = sum(len(s.frames) for split in dataset.splits.values() for s in split.sequences.values())
    splits = dict(dataset.splits)
    with disk.room(files.home(), 8 * frames * max(map(len, columns.values()))):  # scratch files, and storing them
        for name, split in splits.items():
            picked = {m: _pick(sequences, columns[m]) for m, sequences in split.sequences.items()}
            splits[name] = dataclasses.replace(split, sequences=picked)
    variant = str(dataset.about.get("variant"))
    dims = (len(columns["a"]), len(columns["v"]))
    about = features(dataset.family, dims, aligned=variant.endswith(", aligned"))
    # The rest of the caption stays, for example a note about a made-up split.
    about["caption"] = str(dataset.about.get("caption", "")).replace(variant, about["variant"])
    # Caveats about dims change, others stay.
    about["caveats"] += [old for old in dataset.about.get("caveats", ()) if "not the paper's features" not in old]
    made = f"columns selected from {dataset.name}, fingerprint {dataset.fingerprint[:12]}"
    if columns["v"] == FACET_20:
        unsure = "whether the published list of visual columns counts the frame's time, is not known for certain"
        about["caveats"] += [made, unsure]
    else:
        about["caveats"].append(f"{made}: visual {', '.join(map(str, columns['v']))}")
    return dataclasses.replace(dataset, splits=splits, about={**dataset.about, **about})


def _pick(sequences: RaggedFrames, columns: Sequence[int]) -> RaggedFrames:
    blocks = ([block[:, list(columns)]] for block in disk.blocks(sequences.frames))
    return RaggedFrames(disk.flatten(blocks, len(columns)).frames, sequences.offsets)
