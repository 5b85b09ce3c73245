"""Reads what students handed in and recognises by content the assignment and which cell answers which exercise.

Files may be renamed, lie in other folders, have other encodings, be full of plots, or come from editors that drop
metadata. Whatever can be recognised is graded and noted; else an instructor gets a reason to act on.

The whole file is untrusted. `assemble` copies the text of answers and of added cells into the release version. Nothing
else has an effect: not its metadata, points, cell types or outputs, and not tests that were changed or deleted.
"""

import copy
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nbformat.v4 import new_code_cell, new_markdown_cell

from mugkit.course.assignment import EXPLORE, grade_id, kind, names
from mugkit.errors import UserError
from mugkit.reproduction.notebook_files import LARGEST, MOST_CELLS, parse

_LARGEST_FILE = 256 * 1024**2  # bytes including outputs, which are removed before `LARGEST` applies
_MOST_FILES = 500  # files examined in one student's folder
_NOTEBOOK = (".ipynb", ".ipynb.txt", ".ipynb.json")  # how the names of notebooks end
_PLAIN_NAME = re.compile(r"\w[\w.@ -]{0,79}")
_MARKER = re.compile(r"(BEGIN|END) (HIDDEN TESTS)")
_SAVE = "open it in JupyterLab, clear the outputs and save it again"

Cells = Sequence[dict[str, Any]]  # each with cell_type, source and metadata of any form


class Student(NamedTuple):
    """An entry of the folder of submissions, its name in printable form, and its name in gradebook and feedback."""

    folder: Path
    name: str
    id: str


class HandedIn(NamedTuple):
    """A notebook's cells, and a note for the instructor about its place or about copies beside it, or ''."""

    cells: Cells
    note: str


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
        UserError: if what may be the notebook cannot be read, is a link, is packed or exported, or is there twice.
    """
    if folder.is_symlink() or not folder.is_dir():
        what = "a link" if folder.is_symlink() else "a file"
        fix = "put the student's notebooks into a folder"
        raise UserError(f"{what} in place of a folder", file=printable(folder.name), fix=fix)
    usual = (folder / f"{name}.ipynb", folder / name / f"{name}.ipynb")
    of_this: dict[Path, Cells] = {}
    unreadable: list[UserError] = []
    for path in _files(folder):
        if not path.name.lower().endswith(_NOTEBOOK):
            if path.stem == name or (path.suffix.lower() == ".zip" and path.stem not in releases):
                fix = "hand in the notebook itself, neither packed nor exported"
                unreadable.append(UserError(f"{printable(path.name)} is no notebook", fix=fix))
            continue
        try:
            cells = read(path)
        except UserError as error:
            unreadable += [error] if path in usual or path.stem not in releases else []
            continue
        recognised = recognise(cells, releases)
        if recognised == name or (recognised is None and path in usual):
            of_this[path] = cells
    best = [path for path in of_this if path in usual] or list(of_this)
    if not best and unreadable:
        raise unreadable[0]
    if not best:
        return None
    if len(best) > 1:
        raise UserError(f"handed in {len(best)} times: {_shown(best, folder)}", fix="keep the one that counts")
    copies = [path for path in of_this if path not in best]
    note = f"left out: {_shown(copies, folder)}" if copies else ""
    return HandedIn(of_this[best[0]], note if best[0] in usual else f"found as {_shown(best, folder)}")


def _shown(paths: Sequence[Path], folder: Path) -> str:
    return ", ".join(printable(str(path.relative_to(folder))) for path in paths)[:300]


def _files(folder: Path) -> Iterator[Path]:
    """Every file in a folder, except the hidden copies that editors keep."""
    looked_at = 0
    for at, below, files in os.walk(folder, onerror=_refuse):
        below[:] = sorted(name for name in below if not name.startswith("."))
        looked_at += len(files)
        if looked_at > _MOST_FILES:
            raise UserError(f"more than {_MOST_FILES} files", fix="keep the notebooks alone")
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(at, name)


def _refuse(error: OSError) -> None:
    name = printable(Path(error.filename).name)
    raise UserError(f"{name} cannot be read: {error.strerror}", fix="check who may read it") from error


def read(path: Path) -> Cells:
    """A notebook's cells with only type, text and metadata, in any usual encoding.

    Raises:
        UserError: if the file is a link, too large, not JSON, or not a notebook.
    """
    name = printable(path.name)
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        raise UserError(f"{name} is a link in place of a file", file=name, fix="hand in the notebook itself")
    try:
        found = _field(parse(path, _LARGEST_FILE), "cells", list)
    except UserError as error:
        raise UserError(f"{name} {error.problem}", file=name, fix=error.fix) from error
    cells = [
        {"cell_type": cell.get("cell_type"), "source": _text(cell), "metadata": _field(cell, "metadata", dict)}
        for cell in found
        if isinstance(cell, dict)
    ]
    if not cells or len(cells) > MOST_CELLS:
        raise UserError(f"{name} is no notebook: it has {len(cells):,} cells", file=name, fix=_SAVE)
    if sum(len(cell["source"]) for cell in cells) > LARGEST:
        raise UserError(f"{name} holds more than {LARGEST // 1024**2} MB of text", file=name, fix=_SAVE)
    return cells


def _text(cell: Mapping[str, Any]) -> str:
    """A cell's text; drops lines that are not text and replaces lone surrogates, which no editor writes.

    Defuses nbgrader's markers of hidden tests, which would abort its feedback: they have a meaning only in sources.
    """
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    text = "".join(line for line in lines if isinstance(line, str)).encode(errors="replace").decode()
    return _MARKER.sub(r"\1: \2", text)


def _field(outer: Any, name: str, form: type) -> Any:
    """A field of untrusted JSON; empty if it does not have that form."""
    found = outer.get(name) if isinstance(outer, dict) else None
    return found if isinstance(found, form) else form()


def recognise(cells: Cells, releases: Mapping[str, Any]) -> str | None:
    """The assignment that has the most exercises and tests among these cells; None if there are none, or at a tie."""
    scores = {}
    for name, release in releases.items():
        own = {grade_id(cell) for cell in release.cells if kind(cell) in ("answer", "test", "essay")}
        scores[name] = len(own & set(identify(cells, release)))
    best = [name for name, score in scores.items() if score and score == max(scores.values())]
    return best[0] if len(best) == 1 else None


def identify(cells: Cells, release: Any) -> list[str]:
    """For each cell, the grade_id of the release's cell that it matches, or '': by id, else by text, names or place."""
    known = {grade_id(cell): cell for cell in release.cells if grade_id(cell)}
    found = [name if name in known else "" for name in map(_mark, cells)]
    texts = {cell.source.strip(): name for name, cell in known.items() if kind(cell) in ("test", "given", "text")}
    for position, cell in enumerate(cells):
        name = texts.get(cell["source"].strip(), "")
        if not found[position] and name not in found:
            found[position] = name
    order = [*known, ""]
    for before, name, after in zip(order, order[1:], order[2:], strict=False):
        own = known[name]
        if kind(own) in ("answer", "essay") and name not in found:
            places = [i for i, cell in enumerate(cells) if not found[i] and cell["cell_type"] == own.cell_type]
            if wanted := names(own.source) if kind(own) == "answer" else []:
                places = [i for i in places if _defines(cells[i], wanted)]
            else:  # between the cells that are its neighbours in the release
                places = [i for i in places if before in found[:i] and (not after or after in found[i:])]
            if places:
                found[places[0]] = name
    return found


def _mark(cell: Mapping[str, Any]) -> str:
    """The grade_id that a student's cell claims."""
    return str(_field(cell["metadata"], "nbgrader", dict).get("grade_id", ""))


def _defines(cell: Mapping[str, Any], wanted: Sequence[str]) -> bool:
    """Whether a cell defines all these functions and classes."""
    patterns = [rf"^[ \t]*(?:def|class)[ \t]+{name}\b" for name in wanted]
    return all(re.search(pattern, cell["source"], re.MULTILINE) for pattern in patterns)


def doubts(cells: Cells, release: Any) -> Iterator[str]:
    """Notes for the instructor about how cells were recognised."""
    found = identify(cells, release)
    if any(name and name != _mark(cell) for name, cell in zip(found, cells, strict=True)):
        yield "cells without metadata, recognised by their text"
    if lacking := [grade_id(own) for own in release.cells if kind(own) == "answer" and grade_id(own) not in found]:
        yield f"no cell answers {', '.join(lacking)}"


def assemble(cells: Cells, release: Any) -> Any:
    """The release version with a student's answers, and with the cells that were added before the same cells."""
    answers: dict[str, str] = {}
    added: dict[str, list[Any]] = {}
    pending: list[Any] = []
    for name, given in zip(identify(cells, release), cells, strict=True):
        if not name:
            pending.append(_added(given))
        elif name not in answers:  # a copy of a cell does not count twice
            answers[name] = given["source"]
            added[name], pending = pending, []
    assembled = copy.deepcopy(release)
    assembled.cells = []
    for cell in copy.deepcopy([own for own in release.cells if grade_id(own)]):
        name = grade_id(cell)
        if kind(cell) in ("answer", "essay") and name in answers:
            cell.source = answers[name] if cell.cell_type == "code" else _harmless(answers[name])
        assembled.cells += [*added.get(name, []), cell]
    assembled.cells += pending
    return assembled


def _harmless(text: str) -> str:
    """Markdown with HTML escaped, because the grader's browser shows it."""
    return text.replace("<", "&lt;")


def _added(cell: Mapping[str, Any]) -> Any:
    """A cell that the student added, with only its text and the `EXPLORE` tag if it has one."""
    if cell["cell_type"] != "code":
        return new_markdown_cell(_harmless(cell["source"]))
    explores = EXPLORE in _field(cell["metadata"], "tags", list)
    return new_code_cell(cell["source"], metadata={"tags": [EXPLORE]} if explores else {})
