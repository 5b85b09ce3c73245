"""Reads what students handed in and recognises by content the assignment and which cell answers which exercise.

Files may be renamed, lie in other folders, have other encodings or format versions, be full of plots, or come from
editors that drop metadata. Whatever can be recognised is graded and noted; else an instructor gets a reason to act on.

The whole file is untrusted, including its structure. `assemble` copies the text of answers and of added cells into the
release version. Nothing else in the file has an effect: not its metadata, points, cell types or outputs, and not tests
that were changed, copied or deleted.
"""

from __future__ import annotations

import copy
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell, new_markdown_cell

from mugkit.course.assignment import EXPLORE, grade_id, kind, names
from mugkit.errors import UserError
from mugkit.reproduction.notebook_files import LARGEST, MOST_CELLS, parse

_LARGEST_FILE = 256 * 1024**2  # bytes including outputs, which are removed before `LARGEST` applies
_MOST_FILES = 500  # files examined in one student's folder
_PLAIN_NAME = re.compile(r"\w[\w.@ -]{0,79}")
_MARKER = re.compile(r"(BEGIN|END) (HIDDEN TESTS)")
_SAVE = "open it in JupyterLab, clear the outputs and save it again"


@dataclass(frozen=True)
class Student:
    """One entry of the folder of submissions.

    Attributes:
        name: the folder's name in printable form.
        id: the name in gradebook and feedback: the folder's name if nbgrader can handle it.
    """

    folder: Path
    name: str
    id: str


@dataclass(frozen=True)
class HandedIn:
    """A notebook's cells, with notes for the instructor about where it was found."""

    cells: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


def students(submissions: Path) -> list[Student]:
    """All students with an entry, sorted by name: folders, and links or notebook and zip files instead of a folder.

    Raises:
        UserError: if there is no such folder, or no student in it.
    """
    if not submissions.is_dir():
        raise UserError("no such folder", file=submissions, fix="name a folder that holds one folder per student")
    entries = [path for path in submissions.iterdir() if not path.name.startswith(".")]
    found = sorted(path for path in entries if path.is_dir() or path.is_symlink() or path.suffix in (".ipynb", ".zip"))
    if not found:
        fix = "put each student's notebooks into a folder of its own: SUBMISSIONS/NAME/ASSIGNMENT.ipynb"
        raise UserError("no student's folder in it", file=submissions, fix=fix)
    return [Student(path, printable(path.name), _identifier(path.name)) for path in found]


def printable(name: str) -> str:
    """A file's name on one line, in UTF-8; other bytes and control characters as escapes."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _identifier(name: str) -> str:
    """A name safe for nbgrader, which treats names as glob patterns: brackets and stars match others or none."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:10]
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', name)[:40]}-{digest}"


def find(folder: Path, name: str, releases: Mapping[str, Any]) -> HandedIn | None:
    """A student's notebook for an assignment; None if nothing was handed in.

    Args:
        releases: assignment name → release version.

    Raises:
        UserError: if what may be the notebook cannot be read, is a link, or exists more than once.
    """
    if folder.is_symlink() or not folder.is_dir():
        what = "a link" if folder.is_symlink() else "a file"
        fix = "put the student's notebooks into a folder"
        raise UserError(f"{what} in place of a folder", file=printable(folder.name), fix=fix)
    usual = (folder / f"{name}.ipynb", folder / name / f"{name}.ipynb")
    of_this: list[tuple[Path, list[dict[str, Any]]]] = []
    unreadable: list[UserError] = []
    for path in _notebooks(folder):
        try:
            cells = read(path)
        except UserError as error:
            unreadable += [error] if path in usual or path.stem not in releases else []
            continue
        recognised = recognise(cells, releases)
        if recognised == name or (recognised is None and path in usual):
            of_this.append((path, cells))
    best = [(path, cells) for path, cells in of_this if path in usual] or of_this
    if not best and unreadable:
        raise unreadable[0]
    if not best:
        return None
    shown = ", ".join(printable(str(path.relative_to(folder))) for path, _ in best)
    if len(best) > 1:
        raise UserError(f"handed in {len(best)} times: {shown[:300]}", fix="keep the one that counts")
    path, cells = best[0]
    return HandedIn(cells, () if path in usual else (f"found as {shown}",))


def _notebooks(folder: Path) -> Iterator[Path]:
    """Every notebook in a folder, except the hidden copies that editors keep."""
    looked_at = 0
    for at, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(files):
            looked_at += 1
            if looked_at > _MOST_FILES:
                raise UserError(f"more than {_MOST_FILES} files", fix="keep the notebooks alone")
            if name.lower().endswith((".ipynb", ".ipynb.txt", ".ipynb.json")) and not name.startswith("."):
                yield Path(at, name)


def read(path: Path) -> list[dict[str, Any]]:
    """A notebook's cells with only type, text and metadata; reads formats 3 and 4 in any usual encoding.

    Raises:
        UserError: if the file is a link, too large, not JSON, or not a notebook.
    """
    name = printable(path.name)
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        raise UserError(f"{name} is a link in place of a file", file=name, fix="hand in the notebook itself")
    try:
        cells = [_cell(cell) for cell in _cells(parse(path, _LARGEST_FILE)) if isinstance(cell, dict)]
    except UserError as error:
        raise UserError(f"{name} {error.problem}", file=name, fix=_SAVE) from error
    if not cells or len(cells) > MOST_CELLS:
        raise UserError(f"{name} is no notebook: it has {len(cells):,} cells", file=name, fix=_SAVE)
    if sum(len(_text(cell)) for cell in cells) > LARGEST:
        raise UserError(f"{name} holds more than {LARGEST // 1024**2} MB of text", file=name, fix=_SAVE)
    return cells


def _cells(found: Any) -> list[Any]:
    """The cells of a notebook; format 3 stores them on worksheets."""
    outer = found if isinstance(found, dict) else {}
    sheets = outer.get("worksheets")
    parts = [outer, *(sheet for sheet in (sheets if isinstance(sheets, list) else []) if isinstance(sheet, dict))]
    return [cell for part in parts if isinstance(part.get("cells"), list) for cell in part["cells"]]


def _cell(found: dict[str, Any]) -> dict[str, Any]:
    """A cell's type, text and metadata; format 3 calls a code cell's text its input."""
    source = found.get("source", found.get("input", ""))
    return {"cell_type": found.get("cell_type"), "source": source, "metadata": _object(found, "metadata")}


def recognise(cells: Sequence[dict[str, Any]], releases: Mapping[str, Any]) -> str | None:
    """The assignment that has the most exercises and tests among these cells; None if there are none, or at a tie."""
    scores = {}
    for name, release in releases.items():
        own = {grade_id(cell) for cell in release.cells if kind(cell) in ("answer", "test", "essay")}
        scores[name] = len(own & set(identify(cells, release)))
    best = [name for name, score in scores.items() if score and score == max(scores.values())]
    return best[0] if len(best) == 1 else None


def identify(cells: Sequence[dict[str, Any]], release: Any) -> list[str]:
    """For each cell, the grade_id of the release's cell that it matches, or '': by id, else by text, names or place."""
    known = {grade_id(cell): cell for cell in release.cells if grade_id(cell)}
    found = [name if name in known else "" for name in map(_mark, cells)]
    texts = {cell.source.strip(): name for name, cell in known.items() if kind(cell) in ("test", "given", "text")}
    for position, cell in enumerate(cells):
        name = texts.get(_text(cell).strip(), "")
        if not found[position] and name not in found:
            found[position] = name
    for name, cell in known.items():
        if kind(cell) in ("answer", "essay") and name not in found:
            place = _defines(cells, found, cell)
            place = _in_place(cells, found, name, list(known), cell) if place is None else place
            if place is not None:
                found[place] = name
    return found


def _mark(cell: Mapping[str, Any]) -> str:
    """The grade_id that a student's cell claims."""
    return str(_object(cell["metadata"], "nbgrader").get("grade_id", ""))


def _defines(cells: Sequence[dict[str, Any]], found: Sequence[str], answer: Any) -> int | None:
    """The first unrecognised cell that defines all names of an answer's stub."""
    wanted = names(answer.source) if answer.cell_type == "code" else []
    patterns = [re.compile(rf"^[ \t]*(?:def|class)[ \t]+{name}\b", re.MULTILINE) for name in wanted]
    for position, cell in enumerate(cells):
        is_free = not found[position] and cell["cell_type"] == "code"
        if is_free and patterns and all(pattern.search(_text(cell)) for pattern in patterns):
            return position
    return None


def _in_place(
    cells: Sequence[dict[str, Any]], found: Sequence[str], name: str, order: Sequence[str], answer: Any
) -> int | None:
    """The unrecognised cell of the answer's type between the answer's neighbours in the release."""
    at = order.index(name)
    before = order[at - 1] if at else ""
    after = order[at + 1] if at + 1 < len(order) else ""
    if before not in found or (after and after not in found):
        return None
    start, end = found.index(before) + 1, found.index(after) if after else len(cells)
    between = [i for i in range(start, end) if not found[i] and cells[i]["cell_type"] == answer.cell_type]
    if not between:
        return None
    return between[-1] if answer.cell_type == "code" else between[0]


def doubts(cells: Sequence[dict[str, Any]], release: Any) -> Iterator[str]:
    """Notes for the instructor about how cells were recognised."""
    found = identify(cells, release)
    if any(name and name != _mark(cell) for name, cell in zip(found, cells, strict=True)):
        yield "cells without metadata, recognised by their text"
    if lacking := [grade_id(own) for own in release.cells if kind(own) == "answer" and grade_id(own) not in found]:
        yield f"no cell answers {', '.join(lacking)}"


def assemble(cells: Sequence[dict[str, Any]], release: Any) -> Any:
    """The release version with a student's answers and added cells in it."""
    known = {grade_id(cell): cell for cell in release.cells if grade_id(cell)}
    answers: dict[str, str] = {}
    added: dict[str, list[Any]] = {"": []}
    pending: list[Any] = []
    for name, given in zip(identify(cells, release), cells, strict=True):
        if not name:
            pending.append(_added(given))
        elif name not in answers:  # a copy of a cell does not count twice
            answers[name] = _text(given)
            added[name], pending = pending, []
    assembled = copy.deepcopy(release)
    assembled.cells = []
    for name, own in known.items():
        cell = copy.deepcopy(own)
        if kind(cell) in ("answer", "essay") and name in answers:
            cell.source = answers[name] if cell.cell_type == "code" else _harmless(answers[name])
        assembled.cells += [*added.get(name, []), cell]
    assembled.cells += pending
    return assembled


def _object(outer: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A field that should be an object; {} if it is not."""
    found = outer.get(name)
    return found if isinstance(found, dict) else {}


def _text(cell: Mapping[str, Any]) -> str:
    """A cell's text; drops lines that are not text and replaces lone surrogates, which no editor writes.

    Defuses nbgrader's markers of hidden tests, which would abort its feedback: they have a meaning only in sources.
    """
    source = cell.get("source", "")
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str)).encode(errors="replace").decode()
    return _MARKER.sub(r"\1: \2", text)


def _harmless(text: str) -> str:
    """Markdown with HTML escaped, because the grader's browser shows it."""
    return text.replace("<", "&lt;")


def _added(cell: Mapping[str, Any]) -> Any:
    """A cell that the student added, with only its text and the `EXPLORE` tag if it has one."""
    if cell.get("cell_type") != "code":
        return new_markdown_cell(_harmless(_text(cell)))
    tags = _object(cell, "metadata").get("tags")
    explores = isinstance(tags, list) and EXPLORE in tags
    return new_code_cell(_text(cell), metadata={"tags": [EXPLORE]} if explores else {})
