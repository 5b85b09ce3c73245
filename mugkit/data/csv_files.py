"""Reads tables of clips (CSV, TSV): ids, transcripts and labels, as published next to a data set's features.

There is either one table with a column for the split, or one table per split. A table has no frames, so a data set read
from it has language at most. A table or a JSON file may also give the split of each video of a CMU SDK data set.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mugkit import files
from mugkit.data.schema import SPLIT_NAMES, SPLITS, Dataset, Split, SplitName, split_name
from mugkit.data.table import COLUMNS, Table
from mugkit.data.validate import features
from mugkit.errors import UserError

_UNREAD = ("start", "stop")  # columns that are used only to join transcripts


def read(paths: Sequence[Path], family: str, encoding: str | None = None) -> Dataset:
    """Reads a data set from one table with a column for the split, or from three tables named after their splits.

    If a column `is_v1` exists, only the clips of version 1 are used. `about` lists the columns that were used.

    Args:
        paths: one file, or three.
        family: mosi, mosei or sims.
        encoding: see `Table.read`.

    Raises:
        UserError: if a file is not a table, a column is missing or ambiguous, or a cell is not a split or not a label
            (the error names its column and line). Does not check what `validate` checks.
    """
    tables = _by_split([Table.read(path, encoding) for path in paths])
    splits = {name: _split(name, tables[name]) for name in SPLITS}
    taken = {ours: theirs for t in tables.values() for ours, theirs in t.columns.items() if ours not in _UNREAD}
    about = {"reader": "csv", **features(family, (None, None), language="text" in taken), "columns": taken}
    if "version 1" in taken:
        about["caption"] += ", version 1"
        about["caveats"].append("of the table's clips, those of version 1 are taken (column is_v1)")
    if unused := sorted({name for table in tables.values() for name in _unused(table)}):
        about["caveats"].append(f"columns that are not used: {', '.join(unused)}")
    return Dataset(family, family, splits, about=about)


def _unused(table: Table) -> set[str]:
    return set(table.all_columns) - {theirs for ours, theirs in table.columns.items() if ours not in _UNREAD}


def _by_split(tables: Sequence[Table]) -> dict[SplitName, Table]:
    if len(tables) == 1:
        (table,) = tables
        splits = np.array(table.splits(), dtype=str)
        return {name: dataclasses.replace(table, frame=table.frame[splits == name]) for name in SPLITS}
    named = {split_of(table.path): table for table in tables}
    if named.keys() != set(SPLITS):
        found = ", ".join(table.path.name for table in tables)
        raise UserError(f"not one table per split: {found}", file=tables[0].path.parent, fix="pass train, valid, test")
    return named


def _split(name: SplitName, table: Table) -> Split:
    if "y" not in table.columns:
        fix = f"name it {' or '.join(COLUMNS['y'])}"
        raise UserError("has no column for the label", file=table.path, fix=fix)
    return Split(
        name=name,
        ids=table.ids(),
        text=table.frame["text"].tolist() if "text" in table.columns else [""] * len(table.frame),
        labels=table.numbers("y"),
        sequences={},
        true_labels={m: table.numbers(f"y_{m}") for m in "lav" if f"y_{m}" in table.columns},
    )


def read_folds(path: Path, encoding: str | None = None) -> dict[str, SplitName]:
    """Reads the split of each video (`VIDEO`) or clip (`VIDEO$_$CLIP`), which a CMU SDK data set needs.

    Args:
        path: a table with a column for the split, or JSON: `{"train": [VIDEO, …], "valid": […], "test": […]}`.

    Raises:
        UserError: if the file is neither, or a name is in two splits.
    """
    if path.suffix.lower() == ".json":
        pairs = _json_folds(path)
    else:
        table = Table.read(path, encoding)
        pairs = list(zip(table.ids(), table.splits(), strict=True))
    folds: dict[str, SplitName] = {}
    for name, split in pairs:
        if folds.setdefault(name, split) != split:
            problem = f"is both in {folds[name]} and in {split}"
            raise UserError(problem, file=path, field=name, fix="a video belongs to one split")
    return folds


def _json_folds(path: Path) -> list[tuple[str, SplitName]]:
    try:
        named = [(split_name(key), names) for key, names in files.read_json(path).items()]
        if not all(split and isinstance(names, list) for split, names in named):
            raise ValueError("keys that are no splits")
        return [(str(name), str(split)) for split, names in named for name in names]
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        fix = 'write {"train": ["VIDEO", …], "valid": […], "test": […]}'
        raise UserError("does not list videos by split", file=path, fix=fix) from error


def split_of(path: Path) -> SplitName:
    """The split that a file's name mentions.

    Raises:
        UserError: if it mentions none, or several.
    """
    stem = path.stem.lower()
    # Whole words first, because "evaluation" contains "val".
    names = {SPLIT_NAMES[word] for word in re.findall("[a-z]+", stem) if word in SPLIT_NAMES} or {
        split for key, split in SPLIT_NAMES.items() if key in stem
    }
    if len(names) != 1:
        fix = "name the three files after their splits, such as train, dev, test"
        raise UserError("the file's name does not say which split it is", file=path, fix=fix)
    return names.pop()
