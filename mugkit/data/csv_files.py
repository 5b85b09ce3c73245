"""Reads tables of clips (CSV, TSV): ids, transcripts and labels, as they are published beside a data set's features.

Either one table with a column that names each clip's split, or one table a split. Columns are found by the names in use
(`COLUMNS`), in any case and order; the separator is a comma, semicolon or tab. A table has no frames, so a data set
read from it has language at most. A table, or a JSON file, may also say the split of each video of a CMU SDK data set.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32

from mugkit import files
from mugkit.data.schema import SPLIT_NAMES, SPLITS, Dataset, Split, SplitName, split_name
from mugkit.data.validate import features, number
from mugkit.errors import UserError

# What a column may be called, lower-case; the first one found counts.
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
    "version 1": ("is_v1",),  # marks the clips of CH-SIMS's first version, the paper's
}
_LETTERS = {"t", "l", "a", "v"}  # of modalities; CREMA-D's `A`, for one, counts votes for anger
_SEPARATORS = ",;\t"
_LINE = "line"  # index of a table: lines of its file, for errors


def recognises(path: Path) -> bool:
    """Whether a file is a table by its name, or starts with a line of names, of labels or texts for one."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return True
    with path.open("rb") as stream:
        header = stream.readline(10_000).decode("utf-8-sig", "replace")
    return any(
        name in COLUMNS["y"] + COLUMNS["text"] for name in _names(header.rstrip("\r\n").split(_separator(header)))
    )


def read(paths: Sequence[Path], family: str, encoding: str | None = None) -> Dataset:
    """The data set in one table with a column for the split, or in three tables named after their splits.

    Where a column `is_v1` exists, only the clips of version 1 are taken. `about` lists the columns that were taken.

    Args:
        paths: one file, or three.
        family: mosi, mosei or sims.
        encoding: of the text, as Python calls it; by default UTF-8, or UTF-16 where the file says so.

    Raises:
        UserError: not a table, a column missing or of unclear meaning, a split or label that is none, named by its
            column and line. What `validate` checks is not checked.
    """
    tables = _by_split([_Table.read(path, encoding) for path in paths])
    splits = {name: _split(name, tables[name]) for name in SPLITS}
    taken = {ours: theirs for table in tables.values() for ours, theirs in table.columns.items() if ours in _READ}
    about = {"reader": "csv", **features(family, (None, None), language="text" in taken), "columns": taken}
    if "version 1" in taken:
        about["caption"] += ", version 1"
        about["caveats"].append("of the table's clips, those of version 1 are taken (column is_v1)")
    if unused := sorted({name for table in tables.values() for name in table.unused()}):
        about["caveats"].append(f"columns that are not used: {', '.join(unused)}")
    return Dataset(family, family, splits, about=about)


@dataclass(frozen=True)
class Spoken:
    """A clip's start and stop in seconds, its text, and its label where the table has one."""

    start: float
    stop: float
    text: str
    label: float | None


@dataclass(frozen=True)
class Rows:
    """Transcripts of a table, to be joined to clips that have none.

    Attributes:
        texts: by split ("" where the table has no splits) and id.
        labels: y, the same way; empty where the table has none.
        times: by split and video: what is said when.
    """

    texts: Mapping[tuple[str, str], str]
    labels: Mapping[tuple[str, str], float]
    times: Mapping[tuple[str, str], Sequence[Spoken]]


def read_rows(paths: Sequence[Path], encoding: str | None = None) -> Rows:
    """Ids and transcripts of tables, whatever else is in them.

    Raises:
        UserError: as `read`, or one has no column of text, or one id has several texts.
    """
    rows = Rows({}, {}, {})
    for path in paths:
        table = _Table.read(path, encoding)
        if "text" not in table.columns:
            raise UserError("has no column of transcripts", file=path, fix=f"name it {' or '.join(COLUMNS['text'])}")
        _add_rows(rows, table, table.splits() if "split" in table.columns else [_mentioned(path)] * len(table.frame))
    return rows


def _mentioned(path: Path) -> str:
    with contextlib.suppress(UserError):
        return split_of(path)
    return ""


def _add_rows(rows: Any, table: _Table, splits: Sequence[str]) -> None:
    labels = table.numbers("y") if "y" in table.columns else [None] * len(table.frame)
    frame = table.frame
    timed = {"video", "start", "stop"} <= set(frame)
    named = not timed or not {"id", "clip"}.isdisjoint(frame)  # a video and its times name a clip as well
    keys = list(zip(splits, table.ids(), strict=True)) if named else []
    for line, key, text, label in zip(frame.index, keys, frame["text"].str.strip(), labels, strict=named):
        if rows.texts.setdefault(key, text) != text:
            fix = "give each clip one row"
            raise UserError(f"'{key[1]}' has another text above", file=table.path, field=f"line {line}", fix=fix)
        if label is not None:
            rows.labels[key] = float(label)
    if timed:
        spans = zip(frame["video"].str.strip(), table.numbers("start"), table.numbers("stop"), strict=True)
        for split, (video, start, stop), text, label in zip(splits, spans, frame["text"], labels, strict=True):
            known = None if label is None else float(label)
            rows.times.setdefault((split, video), []).append(Spoken(float(start), float(stop), text.strip(), known))


def has_texts(path: Path, encoding: str | None = None) -> bool:
    """Whether a table has a column of transcripts."""
    return "text" in _Table.read(path, encoding).columns


def has_splits(path: Path, encoding: str | None = None) -> bool:
    """Whether a table has a column of splits."""
    return "split" in _Table.read(path, encoding).columns


def read_folds(path: Path, encoding: str | None = None) -> dict[str, SplitName]:
    """The split of each video (`VIDEO`) or clip (`VIDEO$_$CLIP`), as a CMU SDK data set needs it.

    Args:
        path: a table with a column for the split, or JSON: `{"train": [VIDEO, …], "valid": […], "test": […]}`.

    Raises:
        UserError: neither of the two, or a name in two splits.
    """
    if path.suffix.lower() == ".json":
        pairs = _json_folds(path)
    else:
        table = _Table.read(path, encoding)
        pairs = list(zip(table.ids(), table.splits(), strict=True))
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
    stem = path.stem.lower()
    # Words first: "val" is in "evaluation" too.
    names = {SPLIT_NAMES[word] for word in re.findall("[a-z]+", stem) if word in SPLIT_NAMES} or {
        split for key, split in SPLIT_NAMES.items() if key in stem
    }
    if len(names) != 1:
        fix = "name the three files after their splits, such as train, dev, test"
        raise UserError("the file's name does not say which split it is", file=path, fix=fix)
    return names.pop()


# --- the file ---------------------------------------------------------------------------------------


def _separator(header: str) -> str:
    return max(_SEPARATORS, key=header.count)


def _names(columns: Sequence[str]) -> list[str]:
    return [str(column).strip().strip('"').lower() for column in columns]


def _raw(path: Path, encoding: str | None = None) -> pd.DataFrame:
    """The table as it is, every cell as text, lines numbered as in the file unless a cell spans several."""
    encoding = encoding or _encoding(path)
    try:
        with path.open(encoding=encoding) as stream:
            separator = _separator(stream.readline())
        options: dict[str, Any] = {"dtype": str, "index_col": False, "keep_default_na": False, "encoding": encoding}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # lines longer than the first would be cut
            table = pd.read_csv(path, sep=separator, **options)
    except LookupError as error:
        fix = "use Python's name of it, such as gb18030, big5, cp1252 or utf-8"
        raise UserError(f"unknown encoding '{encoding}'", field="encoding", fix=fix) from error
    except UnicodeError as error:
        raise _undecodable(path, encoding) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        fix = "the first line names the columns, each other line has as many cells"
        raise UserError(f"is not a table ({error})", file=path, fix=fix) from error
    return table.set_axis(pd.RangeIndex(2, len(table) + 2, name=_LINE))


def _encoding(path: Path) -> str:
    """UTF-8, but UTF-16 where the file starts with its mark (Excel's "Unicode text")."""
    with path.open("rb") as stream:
        start = stream.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _undecodable(path: Path, encoding: str) -> UserError:
    """The error for other encodings, with what the first such line would say in those that people's programs write."""
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
    """Where each column of ours is: theirs by our name.

    Raises:
        UserError: letters alone that may be the labels of modalities, or may not.
    """
    theirs = dict(zip(reversed(_names(columns)), reversed(columns), strict=True))
    first = {ours: next((theirs[name] for name in names if name in theirs), None) for ours, names in COLUMNS.items()}
    found = {ours: name for ours, name in first.items() if name is not None}
    _refuse_letters(theirs, found, path)
    return found


def _refuse_letters(theirs: Mapping[str, str], found: Mapping[str, str], path: Path) -> None:
    """M, T, A, V together are SIMS's labels; one of them alone, or among other letters, can mean anything."""
    letters = {name for name in theirs if len(name) == 1 and name.isalpha()}
    taken = {ours: name for ours, name in found.items() if name.strip().lower() in letters - {"y"}}
    whole = {"a", "v"} <= letters and letters & {"t", "l"} and letters <= _LETTERS | {"m", "y"}
    if whole or letters <= {"m", "y"} or not taken:
        return
    ours, name = next(iter(taken.items()))
    meaning = {"y": "the label", "y_l": "the language label", "y_a": "the acoustic label", "y_v": "the visual label"}
    others = ", ".join(sorted(theirs[letter] for letter in letters if theirs[letter] != name)) or "no other letter"
    problem = f"may be {meaning[ours]} of each clip or something else (beside it: {others})"
    fix = f"rename it: {COLUMNS[ours][0]} if it is that, any longer name if not"
    raise UserError(problem, file=path, field=f"column {name}", fix=fix)


def _json_folds(path: Path) -> list[tuple[str, SplitName]]:
    try:
        content = files.read_json(path)
        named = [(split_name(key), names) for key, names in content.items()]
        if not all(split and isinstance(names, list) for split, names in named):
            raise ValueError("keys that are no splits")
        return [(str(name), str(split)) for split, names in named for name in names]
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        fix = 'write {"train": ["VIDEO", …], "valid": […], "test": […]}'
        raise UserError("does not list videos by split", file=path, fix=fix) from error


# --- columns ----------------------------------------------------------------------------------------

_READ = ("id", "video", "clip", "split", "text", "y", "y_l", "y_a", "y_v", "version 1")


@dataclass(frozen=True)
class _Table:
    """A table with columns under our names, those of version 1 alone where it tells.

    Attributes:
        frame: our columns, each cell as text.
        columns: their name of each of ours.
        all_columns: theirs.
    """

    path: Path
    frame: pd.DataFrame
    columns: Mapping[str, str]
    all_columns: Sequence[str]

    @classmethod
    def read(cls, path: Path, encoding: str | None = None) -> _Table:
        table = _raw(path, encoding)
        columns = [str(column) for column in table]
        found = _found(columns, path)
        frame = table[list(found.values())].set_axis(list(found), axis=1)
        if "version 1" in found:
            frame = frame[frame["version 1"].str.strip().str.lower().isin(("true", "1"))]
        return cls(path, frame, found, columns)

    def where(self, mask: Iterable[bool]) -> _Table:
        """The rows of a mask."""
        return _Table(self.path, self.frame[np.fromiter(mask, dtype=bool)], self.columns, self.all_columns)

    def unused(self) -> list[str]:
        used = {self.columns[ours] for ours in _READ if ours in self.columns}
        return [column for column in self.all_columns if column not in used]

    def splits(self) -> list[SplitName]:
        if "split" not in self.columns:
            fix = f"name a column {' or '.join(COLUMNS['split'])} (train, valid, test), or pass a file a split"
            raise UserError("has no column for the split", file=self.path, fix=fix)
        for line, cell in self.frame["split"].items():
            if split_name(cell) is None:
                place = f"{self.columns['split']}, line {line}"
                fix = f"the splits are {', '.join(SPLIT_NAMES)}"
                raise UserError(f"'{cell}' is no split", file=self.path, field=place, fix=fix)
        return [str(split_name(cell)) for cell in self.frame["split"]]

    def ids(self) -> list[str]:
        """`VIDEO$_$CLIP`, as MMSA names clips, where both are known; else the id, or the video."""
        frame = self.frame
        if {"video", "clip"} <= set(frame):
            pairs = zip(frame["video"], frame["clip"], strict=True)
            return [f"{video.strip()}$_${clip.strip()}" for video, clip in pairs]
        for column in ("id", "video"):
            if column in frame:
                return [value.strip() for value in frame[column]]
        fix = "name it id, or have video_id and clip_id"
        raise UserError("has no column that names the clips", file=self.path, fix=fix)

    def numbers(self, ours: str) -> Float32[np.ndarray, " clips"]:
        cells = self.frame[ours].items()
        return np.array(
            [number(cell, self.path, f"{self.columns[ours]}, line {line}") for line, cell in cells], np.float32
        )


def _by_split(tables: Sequence[_Table]) -> dict[SplitName, _Table]:
    if len(tables) == 1:
        splits = tables[0].splits()
        return {name: tables[0].where(split == name for split in splits) for name in SPLITS}
    named = {split_of(table.path): table for table in tables}
    if named.keys() != set(SPLITS):
        found = ", ".join(table.path.name for table in tables)
        raise UserError(f"not one table a split: {found}", file=tables[0].path.parent, fix="pass train, valid and test")
    return named


def _split(name: SplitName, table: _Table) -> Split:
    if "y" not in table.columns:
        fix = f"name it {' or '.join(COLUMNS['y'])}"
        raise UserError("has no column for the label", file=table.path, fix=fix)
    frame = table.frame
    return Split(
        name=name,
        ids=table.ids(),
        text=[text.strip() for text in frame["text"]] if "text" in frame else [""] * len(frame),
        labels=table.numbers("y"),
        sequences={},
        true_labels={m: table.numbers(f"y_{m}") for m in "lav" if f"y_{m}" in frame},
    )
