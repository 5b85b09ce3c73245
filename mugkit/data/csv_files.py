"""Reads tables of clips (CSV, TSV): ids, transcripts and labels, as published next to a data set's features.

Columns are found by their usual names (`COLUMNS`), in any case and order; the separator is a comma, semicolon or tab.
There is either one table with a column for the split, or one table per split. A table has no frames, so a data set read
from it has language at most. A table or a JSON file may also give the split of each video of a CMU SDK data set.
"""

import codecs
import dataclasses
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from mugkit import files
from mugkit.data.schema import SPLIT_NAMES, SPLITS, Dataset, Split, SplitName, split_name
from mugkit.data.validate import described, number
from mugkit.errors import UserError

# Possible names of each column, in lower case; the first name found is used.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "video": ("video_id", "video", "vid"),
    "clip": ("clip_id", "segment_id", "segment", "clip", "cid"),
    "id": ("id", "name"),
    "split": ("split", "mode", "fold", "set"),
    "text": ("text", "transcript", "raw_text", "words", "sentence"),
    "start": ("start", "start_time", "begin"),
    "stop": ("stop", "end", "end_time"),
    "y": ("label", "label_m", "sentiment", "y", "m"),
    "y_l": ("label_t", "label_l", "y_l", "y_t", "t"),
    "y_a": ("label_a", "y_a", "a"),
    "y_v": ("label_v", "y_v", "v"),
    "version 1": ("is_v1",),  # marks the clips of CH-SIMS's first version, which the paper uses
}
_MEANINGS = {"y": "the label", "y_l": "the language label", "y_a": "the acoustic label", "y_v": "the visual label"}
_MARKS = {"true": True, "1": True, "false": False, "0": False, "": False}  # cells of the column of version 1
_UNREAD = ("start", "stop")  # columns that are used only to join transcripts


def recognises(path: Path) -> bool:
    """Whether a file is a table: by its suffix, or because its first line names a column of labels or texts."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return True
    with path.open("rb") as stream:
        header = stream.readline(10_000).decode("utf-8-sig", "replace").rstrip("\r\n")
    return not {*COLUMNS["y"], *COLUMNS["text"]}.isdisjoint(_plain(header.split(_separator(header))))


def read(paths: Sequence[Path], family: str, encoding: str | None = None) -> Dataset:
    """Reads a data set from one table with a column for the split, or from three tables named after their splits.

    If a column `is_v1` exists, only the clips of version 1 are used. `about` lists the columns that were used.

    Raises:
        UserError: if a file is not a table, a column is missing or ambiguous, or a cell is not a split or not a label
            (the error names its column and line). Does not check what `validate` checks.
    """
    tables = _by_split([Table.read(path, encoding) for path in paths])
    dataset = described("csv", family, {name: _split(name, tables[name]) for name in SPLITS}, {})
    taken = {ours: theirs for t in tables.values() for ours, theirs in t.columns.items() if ours not in _UNREAD}
    caption, caveats = dataset.about["caption"], list(dataset.about["caveats"])
    if "version 1" in taken:
        caption += ", version 1"
        caveats.append("of the table's clips, those of version 1 are taken (column is_v1)")
    if unused := sorted({name for table in tables.values() for name in table.all_columns} - {*taken.values()}):
        caveats.append(f"columns that are not used: {', '.join(unused)}")
    about = {**dataset.about, "caption": caption, "caveats": caveats, "columns": taken}
    return dataclasses.replace(dataset, about=about)


def _by_split(tables: "Sequence[Table]") -> "dict[SplitName, Table]":
    if len(tables) == 1:
        (table,) = tables
        splits = np.array(table.splits(), dtype=str)
        return {name: dataclasses.replace(table, frame=table.frame[splits == name]) for name in SPLITS}
    named = {split_of(table.path): table for table in tables}
    if named.keys() != set(SPLITS):
        found = ", ".join(table.path.name for table in tables)
        raise UserError(f"not one table per split: {found}", file=tables[0].path.parent, fix="pass train, valid, test")
    return named


def _split(name: SplitName, table: "Table") -> Split:
    if "y" not in table.columns:
        raise table.lacks("y", "for the label")
    text = table.frame["text"].tolist() if "text" in table.columns else [""] * len(table.frame)
    true_labels = {m: table.numbers(f"y_{m}") for m in "lav" if f"y_{m}" in table.columns}
    return Split(name, table.ids(), text, table.numbers("y"), {}, true_labels)


# --- folds, and names of files ----------------------------------------------------------------------


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
    names = {SPLIT_NAMES[word] for word in re.findall("[a-z]+", stem) if word in SPLIT_NAMES}
    if not names:  # only now parts of words, because "evaluation" contains "val"
        names = {split for key, split in SPLIT_NAMES.items() if key in stem}
    if len(names) != 1:
        fix = "name the three files after their splits, such as train, dev, test"
        raise UserError("the file's name does not say which split it is", file=path, fix=fix)
    return names.pop()


# --- one table --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with our column names; only the clips of version 1 if a column marks these."""

    path: Path
    frame: pd.DataFrame  # our columns, each cell as stripped text; the index counts the file's lines
    columns: Mapping[str, str]  # our name → the file's name, of each column that was found
    all_columns: Sequence[str]  # the file's names

    @classmethod
    def read(cls, path: Path, encoding: str | None = None) -> "Table":
        """Reads a table.

        Args:
            encoding: Python's name of the text encoding; by default UTF-8, or UTF-16 if the file starts with its mark.

        Raises:
            UserError: if the file is not a table, a single letter as the name of a column is ambiguous, or a cell of
                `is_v1` is neither true nor false.
        """
        whole = _cells(path, encoding or _encoding(path))
        names = [str(column) for column in whole]
        found = _found(names, path)
        frame = whole[list(found.values())].set_axis(list(found), axis=1).apply(lambda cells: cells.str.strip())
        if "version 1" in found:
            marks = frame["version 1"].str.lower().map(_MARKS)
            if (unknown := marks.isna()).any():
                line, column = unknown.idxmax(), found["version 1"]
                problem, fix = f"'{frame.at[line, 'version 1']}' is not a truth value", "write True or False"
                raise UserError(problem, file=path, field=f"{column}, line {line}", fix=fix)
            frame = frame[marks.astype(bool)]
        return cls(path, frame, found, names)

    def lacks(self, column: str, what: str, fix: str = "") -> UserError:
        fix = f"name it {' or '.join(COLUMNS[column])}{fix}"
        return UserError(f"has no column {what}", file=self.path, fix=fix)

    def splits(self) -> list[SplitName]:
        """The split of each clip; raises a UserError that names a cell if it is not a split."""
        if "split" not in self.columns:
            raise self.lacks("split", "for the split", " (train, valid, test), or pass one file per split")
        for line, cell in self.frame["split"].items():
            if split_name(cell) is None:
                place, fix = f"{self.columns['split']}, line {line}", f"the splits are {', '.join(SPLIT_NAMES)}"
                raise UserError(f"'{cell}' is not a split", file=self.path, field=place, fix=fix)
        return [str(split_name(cell)) for cell in self.frame["split"]]

    def ids(self) -> list[str]:
        """Clip names: `VIDEO$_$CLIP`, as in MMSA, if both are known; else the id or the video."""
        frame = self.frame
        if {"video", "clip"} <= self.columns.keys():
            return [f"{video}$_${clip}" for video, clip in zip(frame["video"], frame["clip"], strict=True)]
        if column := next((column for column in ("id", "video") if column in frame), None):
            return frame[column].tolist()
        fix = "name it id, or have video_id and clip_id"
        raise UserError("has no column that names the clips", file=self.path, fix=fix)

    def numbers(self, ours: str) -> Float32[np.ndarray, " clips"]:
        """A column as numbers; raises a UserError that names a cell if it is not a number."""
        place, cells = f"{self.columns[ours]}, line", self.frame[ours].items()
        return np.array([number(cell, self.path, f"{place} {line}") for line, cell in cells], np.float32)


def _separator(header: str) -> str:
    return max(",;\t", key=header.count)


def _plain(columns: Sequence[str]) -> list[str]:
    return [column.strip().strip('"').lower() for column in columns]


def _cells(path: Path, encoding: str) -> pd.DataFrame:
    """The original table, every cell as text; rows have the file's line numbers, unless a cell spans several lines."""
    try:
        with path.open(encoding=encoding) as stream, warnings.catch_warnings():
            separator = _separator(stream.readline())
            warnings.simplefilter("error", pd.errors.ParserWarning)  # else longer lines than the first are cut
            table = pd.read_csv(
                path, sep=separator, dtype=str, index_col=False, keep_default_na=False, encoding=encoding
            )
    except LookupError as error:
        fix = "use Python's name of it, such as gb18030, big5, cp1252 or utf-8"
        raise UserError(f"unknown encoding '{encoding}'", field="encoding", fix=fix) from error
    except UnicodeError as error:
        raise _undecodable(path, encoding) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        fix = "the first line names the columns, each other line has as many cells"
        raise UserError(f"is not a table ({error})", file=path, fix=fix) from error
    return table.set_axis(pd.RangeIndex(2, len(table) + 2))


def _encoding(path: Path) -> str:
    """UTF-16 if the file starts with its byte order mark (Excel's "Unicode text"), else UTF-8."""
    with path.open("rb") as stream:
        return "utf-16" if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _undecodable(path: Path, encoding: str) -> UserError:
    """The error for other encodings; if none was named, shows the first non-ASCII line as two common ones read it."""
    if encoding != _encoding(path):
        fix = "name another --encoding, or store it as UTF-8"
        return UserError(f"is not text in {encoding}", file=path, field="encoding", fix=fix)
    with path.open("rb") as stream:
        line = next((line for line in stream if not line.isascii()), b"")
    read = {name: line.decode(name, "replace").strip() for name in ("gb18030", "cp1252")}
    shown = "; ".join(f"--encoding {name} reads {text[:60]!r}" for name, text in read.items() if "\ufffd" not in text)
    fix = f"{shown or 'name its --encoding'}; or store it as UTF-8 (in a spreadsheet program: 'CSV UTF-8')"
    return UserError("is not UTF-8 text", file=path, fix=fix)


def _found(columns: Sequence[str], path: Path) -> dict[str, str]:
    """Our name → the file's name, of each of our columns that the file has.

    Raises:
        UserError: if a single letter may name a modality's labels or may not: CREMA-D's `A` counts votes for anger.
    """
    theirs = dict(zip(reversed(_plain(columns)), reversed(columns), strict=True))  # the first of equal names
    first = {ours: next((theirs[name] for name in names if name in theirs), None) for ours, names in COLUMNS.items()}
    found = {ours: name for ours, name in first.items() if name is not None}
    letters = {name for name in theirs if len(name) == 1 and name.isalpha()}
    # M, T, A, V together are SIMS's labels; one such letter alone, or among other letters, can mean anything.
    clear = letters <= {"m", "y"} or ({"a", "v"} <= letters <= set("mytlav") and letters & {"t", "l"})
    for ours, name in found.items():
        if not clear and name.strip().lower() in letters - {"y"}:
            others = ", ".join(sorted(theirs[letter] for letter in letters if theirs[letter] != name))
            problem = f"may be {_MEANINGS[ours]} of each clip or something else"
            problem += f" (beside it: {others or 'no other letter'})"
            fix = f"rename it: {COLUMNS[ours][0]} if it is that, any longer name if not"
            raise UserError(problem, file=path, field=f"column {name}", fix=fix)
    return found
