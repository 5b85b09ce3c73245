"""Reads a table of clips (CSV, TSV) and renames its columns to ours.

Columns are found by their usual names (`COLUMNS`), in any case and order; the separator is a comma, semicolon or tab.
"""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from mugkit.data.schema import SPLIT_NAMES, SplitName, split_name
from mugkit.data.validate import number
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
_SEPARATORS = ",;\t"


def recognises(path: Path) -> bool:
    """Whether a file is a table: by its suffix, or because its first line names a column of labels or texts."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return True
    with path.open("rb") as stream:
        header = stream.readline(10_000).decode("utf-8-sig", "replace").rstrip("\r\n")
    return not {*COLUMNS["y"], *COLUMNS["text"]}.isdisjoint(_plain(header.split(_separator(header))))


@dataclass(frozen=True)
class Table:
    """A table with our column names; only the clips of version 1 if a column marks these.

    Attributes:
        frame: our columns, each cell as stripped text; the index counts the file's lines.
        columns: our name → the file's name, of each column that was found.
        all_columns: the file's names of all columns.
    """

    path: Path
    frame: pd.DataFrame
    columns: Mapping[str, str]
    all_columns: Sequence[str]

    @classmethod
    def read(cls, path: Path, encoding: str | None = None) -> Table:
        """Reads a table.

        Args:
            encoding: Python's name of the text encoding; by default UTF-8, or UTF-16 if the file starts with its mark.

        Raises:
            UserError: if the file is not a table, or a single letter as the name of a column is ambiguous.
        """
        whole = _cells(path, encoding)
        names = [str(column) for column in whole]
        found = _found(names, path)
        frame = whole[list(found.values())].set_axis(list(found), axis=1).apply(lambda cells: cells.str.strip())
        if "version 1" in found:
            frame = frame[frame["version 1"].str.lower().isin(("true", "1"))]
        return cls(path, frame, found, names)

    def splits(self) -> list[SplitName]:
        """The split of each clip; raises a UserError that names a cell if it is not a split."""
        if "split" not in self.columns:
            fix = f"name a column {' or '.join(COLUMNS['split'])} (train, valid, test), or pass one file per split"
            raise UserError("has no column for the split", file=self.path, fix=fix)
        for line, cell in self.frame["split"].items():
            if split_name(cell) is None:
                place = f"{self.columns['split']}, line {line}"
                fix = f"the splits are {', '.join(SPLIT_NAMES)}"
                raise UserError(f"'{cell}' is not a split", file=self.path, field=place, fix=fix)
        return [str(split_name(cell)) for cell in self.frame["split"]]

    def ids(self) -> list[str]:
        """Clip names: `VIDEO$_$CLIP`, as in MMSA, if both are known; else the id or the video."""
        frame = self.frame
        if {"video", "clip"} <= self.columns.keys():
            return [f"{video}$_${clip}" for video, clip in zip(frame["video"], frame["clip"], strict=True)]
        for column in ("id", "video"):
            if column in frame:
                return frame[column].tolist()
        fix = "name it id, or have video_id and clip_id"
        raise UserError("has no column that names the clips", file=self.path, fix=fix)

    def numbers(self, ours: str) -> Float32[np.ndarray, " clips"]:
        """A column as numbers; raises a UserError that names a cell if it is not a number."""
        place = f"{self.columns[ours]}, line"
        cells = self.frame[ours].items()
        return np.array([number(cell, self.path, f"{place} {line}") for line, cell in cells], np.float32)


def _separator(header: str) -> str:
    return max(_SEPARATORS, key=header.count)


def _plain(columns: Sequence[str]) -> list[str]:
    return [str(column).strip().strip('"').lower() for column in columns]


def _cells(path: Path, encoding: str | None) -> pd.DataFrame:
    """The original table, every cell as text; rows have the file's line numbers, unless a cell spans several lines."""
    encoding = encoding or _encoding(path)
    try:
        with path.open(encoding=encoding) as stream:
            separator = _separator(stream.readline())
        options: dict[str, Any] = {"dtype": str, "index_col": False, "keep_default_na": False, "encoding": encoding}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # else longer lines than the first are cut
            table = pd.read_csv(path, sep=separator, **options)
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
        start = stream.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _undecodable(path: Path, encoding: str) -> UserError:
    """The error for other encodings; shows the first non-ASCII line as two common encodings would read it."""
    if encoding not in ("utf-8-sig", "utf-16"):
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
    whole = {"a", "v"} <= letters and letters & {"t", "l"} and letters <= set("mytlav")
    taken = [(ours, name) for ours, name in found.items() if name.strip().lower() in letters - {"y"}]
    if taken and not whole and not letters <= {"m", "y"}:
        ours, name = taken[0]
        others = ", ".join(sorted(theirs[letter] for letter in letters if theirs[letter] != name)) or "no other letter"
        problem = f"may be {_MEANINGS[ours]} of each clip or something else (beside it: {others})"
        fix = f"rename it: {COLUMNS[ours][0]} if it is that, any longer name if not"
        raise UserError(problem, file=path, field=f"column {name}", fix=fix)
    return found
