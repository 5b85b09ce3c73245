"""Reads tables of clips (CSV, TSV): ids, transcripts and labels, as they are published beside a data set's features.

Either one table with a column that names each clip's split, or one table a split. Columns are found by the names in use
(`COLUMNS`), in any case and order; the separator is a comma, semicolon or tab. A table has no frames, so a data set
read from it has language at most. A table, or a JSON file, may also say the split of each video of a CMU SDK data set.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from mugkit import files
from mugkit.data.schema import SPLIT_NAMES, SPLITS, Dataset, Split, SplitName
from mugkit.data.validate import features
from mugkit.errors import UserError

# What a column may be called, lower-case; the first one found counts.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "video": ("video_id", "video", "vid"),
    "clip": ("clip_id", "segment_id", "segment", "clip", "cid"),
    "id": ("id", "name"),
    "split": ("split", "mode", "fold", "set"),
    "text": ("text", "transcript", "raw_text", "words", "sentence"),
    "y": ("label", "label_m", "sentiment", "y", "m"),
    "y_l": ("label_t", "label_l", "y_l", "y_t", "t"),
    "y_a": ("label_a", "y_a", "a"),
    "y_v": ("label_v", "y_v", "v"),
    "version 1": ("is_v1",),  # marks the clips of CH-SIMS's first version, the paper's
}
_SEPARATORS = ",;\t"
_LINE = "line"  # index of a table: lines of its file, for errors


def recognises(path: Path) -> bool:
    """Whether a file is a table by its name, or starts with a line of column names of which one is a label's."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return True
    with path.open("rb") as stream:
        header = stream.readline(10_000).decode("utf-8-sig", "replace")
    return any(name in COLUMNS["y"] for name in _names(header.rstrip("\r\n").split(_separator(header))))


def read(paths: Sequence[Path], family: str) -> Dataset:
    """The data set in one table with a column for the split, or in three tables named after their splits.

    Where a column `is_v1` exists, only the clips of version 1 are taken.

    Args:
        paths: one file, or three.
        family: mosi, mosei or sims.

    Raises:
        UserError: not a table, a column missing, a split or label that is none, named by its line.
            What `validate` checks is not checked.
    """
    tables = _by_split(paths)
    splits = {name: _split(name, *tables[name]) for name in SPLITS}
    columns = {column for table, _ in tables.values() for column in table}
    about = {"reader": "csv", **features(family, (None, None), language="text" in columns)}
    if "version 1" in columns:
        about["caption"] += ", version 1"
        about["caveats"].append("of the table's clips, those of version 1 are taken (column is_v1)")
    if unused := sorted({name for path in paths for name in _unused(path)}):
        about["caveats"].append(f"columns that are not used: {', '.join(unused)}")
    return Dataset(family, family, splits, about=about)


def read_folds(path: Path) -> dict[str, SplitName]:
    """The split of each video (`VIDEO`) or clip (`VIDEO$_$CLIP`), as a CMU SDK data set needs it.

    Args:
        path: a table with a column for the split, or JSON: `{"train": [VIDEO, …], "valid": […], "test": […]}`.

    Raises:
        UserError: neither of the two, or a name in two splits.
    """
    if path.suffix.lower() == ".json":
        pairs = _json_folds(path)
    else:
        table = _table(path)
        pairs = list(zip(_ids(table, path), _split_column(table, path), strict=True))
    folds: dict[str, SplitName] = {}
    for name, split in pairs:
        if folds.setdefault(name, split) != split:
            problem = f"is both in {folds[name]} and in {split}"
            raise UserError(problem, file=path, field=name, fix="a video belongs to one split")
    return folds


def split_of(path: Path) -> SplitName:
    """The split that a file's name mentions.

    Raises:
        UserError: it mentions none, or several.
    """
    names = {split for key, split in SPLIT_NAMES.items() if key in path.stem.lower()}
    if len(names) != 1:
        fix = "name the three files after their splits, such as train, dev, test"
        raise UserError("the file's name does not say which split it is", file=path, fix=fix)
    return names.pop()


# --- the file ---------------------------------------------------------------------------------------


def _separator(header: str) -> str:
    return max(_SEPARATORS, key=header.count)


def _names(columns: Sequence[str]) -> list[str]:
    return [str(column).strip().strip('"').lower() for column in columns]


def _raw(path: Path) -> pd.DataFrame:
    """The table as it is, every cell as text, lines numbered as in the file unless a cell spans several."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            separator = _separator(stream.readline())
        options: dict[str, Any] = {"dtype": str, "index_col": False, "keep_default_na": False, "encoding": "utf-8-sig"}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # lines longer than the first would be cut
            table = pd.read_csv(path, sep=separator, **options)
    except UnicodeDecodeError as error:
        fix = "store it as UTF-8 (in a spreadsheet program: 'CSV UTF-8')"
        raise UserError("is not UTF-8 text", file=path, fix=fix) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        fix = "the first line names the columns, each other line has as many cells"
        raise UserError(f"is not a table ({error})", file=path, fix=fix) from error
    return table.set_axis(pd.RangeIndex(2, len(table) + 2, name=_LINE))


def _found(columns: Sequence[str]) -> dict[str, str]:
    """Where each column of ours is: our name by theirs."""
    theirs = dict(zip(reversed(_names(columns)), reversed(columns), strict=True))
    first = {ours: next((theirs[name] for name in names if name in theirs), None) for ours, names in COLUMNS.items()}
    return {name: ours for ours, name in first.items() if name is not None}


def _unused(path: Path) -> list[str]:
    columns = [str(column) for column in _raw(path)]
    return [column for column in columns if column not in _found(columns)]


def _table(path: Path) -> pd.DataFrame:
    """The table with columns under our names, those of version 1 alone where it tells."""
    table = _raw(path)
    found = _found([str(column) for column in table])
    table = table[list(found)].rename(columns=found)
    return table[table["version 1"].str.strip().str.lower().isin(("true", "1"))] if "version 1" in table else table


def _json_folds(path: Path) -> list[tuple[str, SplitName]]:
    try:
        content = files.read_json(path)
        return [(str(name), SPLIT_NAMES[key]) for key, names in content.items() for name in names]
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        fix = 'write {"train": ["VIDEO", …], "valid": […], "test": […]}'
        raise UserError("does not list videos by split", file=path, fix=fix) from error


# --- columns ----------------------------------------------------------------------------------------


def _by_split(paths: Sequence[Path]) -> dict[SplitName, tuple[pd.DataFrame, Path]]:
    if len(paths) == 1:
        table = _table(paths[0])
        split = pd.Series(_split_column(table, paths[0]), index=table.index)
        return {name: (table[split == name], paths[0]) for name in SPLITS}
    tables = {split_of(path): (_table(path), path) for path in paths}
    if tables.keys() != set(SPLITS):
        found = ", ".join(path.name for path in paths)
        raise UserError(f"not one table a split: {found}", file=paths[0].parent, fix="pass train, valid and test")
    return tables


def _split_column(table: pd.DataFrame, path: Path) -> list[SplitName]:
    if "split" not in table:
        fix = f"name a column {' or '.join(COLUMNS['split'])} (train, valid, test), or pass a file a split"
        raise UserError("has no column for the split", file=path, fix=fix)
    names = table["split"].str.strip().str.lower()
    if len(wrong := names[~names.isin(SPLIT_NAMES)]):
        fix = f"the splits are {', '.join(SPLIT_NAMES)}"
        raise UserError(f"'{wrong.iloc[0]}' is no split", file=path, field=f"split, line {wrong.index[0]}", fix=fix)
    return [SPLIT_NAMES[name] for name in names]


def _split(name: SplitName, table: pd.DataFrame, path: Path) -> Split:
    if "y" not in table:
        fix = f"name it {' or '.join(COLUMNS['y'])}"
        raise UserError("has no column for the label", file=path, fix=fix)
    return Split(
        name=name,
        ids=_ids(table, path),
        text=[text.strip() for text in table["text"]] if "text" in table else [""] * len(table),
        labels=_numbers(table["y"], path),
        sequences={},
        true_labels={m: _numbers(table[f"y_{m}"], path) for m in "lav" if f"y_{m}" in table},
    )


def _ids(table: pd.DataFrame, path: Path) -> list[str]:
    """`VIDEO$_$CLIP`, as MMSA names clips, where both are known; else the id, or the video."""
    if {"video", "clip"} <= set(table):
        return [f"{video.strip()}$_${clip.strip()}" for video, clip in zip(table["video"], table["clip"], strict=True)]
    for column in ("id", "video"):
        if column in table:
            return [value.strip() for value in table[column]]
    fix = "name it id, or have video_id and clip_id"
    raise UserError("has no column that names the clips", file=path, fix=fix)


def _numbers(column: pd.Series, path: Path) -> Float32[np.ndarray, " clips"]:
    numbers = pd.to_numeric(column, errors="coerce")
    if len(wrong := column[~np.isfinite(numbers)]):
        place = f"{column.name}, line {wrong.index[0]}"
        raise UserError(f"'{wrong.iloc[0]}' is not a number", file=path, field=place, fix="every clip needs a label")
    return numbers.to_numpy(np.float32)
