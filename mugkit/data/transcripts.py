"""Adds transcripts from a table to clips whose own file has only word vectors, word ids, or frames.

A clip is found by its id, by other spellings of `VIDEO` and its number N, or, if ids are made of a video and times, by
these. If the table also has labels, they must match those of the clips: files number clips from 0 or from 1, and an
offset of 1 would give every clip its neighbour's words.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mugkit.data.csv_files import Table, split_of
from mugkit.data.schema import SPLITS, Dataset, Split
from mugkit.data.validate import described
from mugkit.errors import UserError

_SECONDS = 0.06  # largest difference of starts and stops: tables and pickles round differently
_NEAR = 0.051  # largest difference of labels
_NUMBERED = (
    (re.compile(r"(.+)\[(\d+)\]"), 1),  # the SDK's names, counted from 0
    (re.compile(r"(.+)\$_\$(\d+)"), 0),
    (re.compile(r"(.+)_(\d+)"), 0),
)
TIMED = re.compile(r"(.+)\$_\$([\d.]+)\$_\$([\d.]+)(#\d+)?")  # video, start, stop; #2 if two clips share these


def names(clip: str) -> Iterator[str]:
    """A clip's id and its other spellings: `VIDEO$_$3`, `VIDEO_3` and `VIDEO[2]`."""
    yield clip
    for pattern, before in _NUMBERED:
        if found := pattern.fullmatch(clip):
            video, number = found[1], int(found[2]) + before
            yield from (f"{video}$_${number}", f"{video}_{number}", f"{video}[{number - 1}]")


def join(dataset: Dataset, paths: Sequence[Path], encoding: str | None = None) -> Dataset:
    """Adds the transcripts of tables to a data set that has none.

    Args:
        paths: tables with columns of ids and text; columns of splits, times and labels are used if present.

    Raises:
        UserError: if a clip has no transcript in the tables or several, or the labels in the tables differ.
    """
    rows = _Rows()
    for path in paths:
        rows.add(Table.read(path, encoding))
    splits = {name: _joined(split, rows, paths[0]) for name, split in dataset.splits.items()}
    lengths = [sequences.lengths for sequences in dataset.train.sequences.values()]
    aligned = len(lengths) == 2 and np.array_equal(lengths[0], lengths[1])
    # The rest of the caption and other caveats stay, for example a note about a made-up split.
    about, reader = dataset.about, dataset.about["reader"]
    before, after = (
        described(reader, dataset.family, parts, {}, aligned=aligned).about for parts in (dataset.splits, splits)
    )
    told = [caveat for caveat in about["caveats"] if caveat not in before["caveats"]]
    caption = about["caption"].replace(before["caption"], after["caption"])
    caveats = [*after["caveats"], *told, f"transcripts are joined from {', '.join(path.name for path in paths)}"]
    return replace(dataset, splits=splits, about={**about, **after, "caption": caption, "caveats": caveats})


@dataclass(frozen=True)
class _Row:
    """A transcript, its label if the table has labels, and start and stop in seconds if the table has times."""

    text: str
    label: float | None
    start: float
    stop: float


@dataclass(frozen=True)
class _Rows:
    """The rows of all tables by split ("" if a table has none) and id; rows with times by split and video."""

    named: dict[tuple[str, str], _Row] = field(default_factory=dict)
    timed: dict[tuple[str, str], list[_Row]] = field(default_factory=dict)

    def add(self, table: Table) -> None:
        columns, count = table.columns.keys(), len(table.frame)
        if "text" not in columns:
            raise table.lacks("text", "of transcripts")
        mentioned = ""
        with contextlib.suppress(UserError):
            mentioned = split_of(table.path)
        splits = table.splits() if "split" in columns else [mentioned] * count
        labels = table.numbers("y").tolist() if "y" in columns else [None] * count
        has_times = {"video", "start", "stop"} <= columns
        starts, stops = (table.numbers(name).tolist() if has_times else [0.0] * count for name in ("start", "stop"))
        found = list(map(_Row, table.frame["text"], labels, starts, stops))
        if has_times:
            for split, video, row in zip(splits, table.frame["video"], found, strict=True):
                self.timed.setdefault((split, video), []).append(row)
        if not has_times or columns & {"id", "clip"}:  # else video and times identify a clip
            for line, split, clip, row in zip(table.frame.index, splits, table.ids(), found, strict=True):
                if self.named.setdefault((split, clip), row).text != row.text:
                    problem, fix = f"'{clip}' has another text above", "give each clip one row"
                    raise UserError(problem, file=table.path, field=f"line {line}", fix=fix)


def _joined(split: Split, rows: _Rows, path: Path) -> Split:
    named = [_named(split.name, clip, rows.named) for clip in split.ids]
    clips = zip(named, split.ids, split.labels, strict=True)
    texts = [row.text if row else _timed(split.name, clip, float(label), rows) for row, clip, label in clips]
    if lost := [clip for clip, text in zip(split.ids, texts, strict=True) if not text]:
        known = ", ".join(repr(name) for _, name in list(rows.named or rows.timed)[:3])
        problem = f"has no transcript for {len(lost)} of {len(texts)} clips of {split.name}, {lost[0]!r} for one"
        raise UserError(problem, file=path, field="text", fix=f"add rows with these ids; the table names {known}, …")
    _check_labels(split, named, path)
    return replace(split, text=texts)


def _named(split: str, clip: str, rows: Mapping[tuple[str, str], _Row]) -> _Row | None:
    """The row of a clip: from its own split, else from a table without splits, else the only row of that name."""
    short = clip.removeprefix(f"{split}$_$")  # numbered within its split
    found = [rows[part, name] for part in (split, "") for name in (*names(clip), short) if (part, name) in rows]
    if found:
        return found[0]
    others = {(part, name) for part in SPLITS for name in names(clip) if (part, name) in rows}
    return rows[others.pop()] if len(others) == 1 else None


def _timed(split: str, clip: str, label: float, rows: _Rows) -> str:
    """The text at a clip's times; if several rows match, a row with the clip's label is preferred."""
    if not (found := TIMED.fullmatch(clip)):
        return ""
    start, stop = float(found[2]), float(found[3])
    spoken = [row for part in (split, "") for row in rows.timed.get((part, found[1]), ())]
    near = [row for row in spoken if abs(row.start - start) < _SECONDS and abs(row.stop - stop) < _SECONDS]
    near.sort(key=lambda row: row.label is not None and abs(row.label - label) > _NEAR)
    return near[0].text if near else ""


def _check_labels(split: Split, rows: Sequence[_Row | None], path: Path) -> None:
    """Rejects a table whose labels differ in more than 5 % of the clips: its rows belong to other clips."""
    pairs = [(y, row.label) for y, row in zip(split.labels, rows, strict=True) if row and row.label is not None]
    wrong = sum(abs(ours - theirs) > _NEAR for ours, theirs in pairs)
    if wrong > 0.05 * len(pairs):
        problem = f"of {len(pairs)} clips of {split.name}, {wrong} have another label here: rows belong to other clips"
        fix = "check how both files number clips (from 0, from 1); or leave the labels out of the table"
        raise UserError(problem, file=path, field="label", fix=fix)
