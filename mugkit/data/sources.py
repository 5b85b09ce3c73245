"""Whatever files a user holds, handed to the reader that knows them: told by what they hold, not by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mugkit.data import csd, csv_files, misa, mmsa
from mugkit.data.pickles import load_pickle
from mugkit.data.schema import Dataset
from mugkit.errors import UserError

SUFFIXES = (".pkl", ".pickle", ".csd", ".csv", ".tsv", ".json")  # of the files that are taken from a folder
_FIX = (
    "MMSA pickles ({train, valid, test} with text, audio, vision), MISA or MAG-BERT pickles, the CMU SDK's .csd, and "
    "tables (.csv, .tsv) with labels are read"
)


def expand(name: str, sources: Sequence[Path]) -> list[Path]:
    """The files meant by `sources`: themselves, or those in a folder whose names end as data sets' files do.

    Raises:
        UserError: none are given, or one does not exist.
    """
    if not sources:
        raise UserError(f"{name} needs files", field="source", fix=f"mugkit prepare {name} --source PATH")
    paths: list[Path] = []
    for source in sources:
        if not source.exists():
            raise UserError("no such file", file=source, fix="check the path given as --source")
        found = _inside(source) if source.is_dir() else [source]
        if not found:
            raise UserError(f"the folder has no file that ends in {', '.join(SUFFIXES)}", file=source, fix=_FIX)
        paths += found
    return paths


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def _kinds(paths: Sequence[Path], align: bool) -> dict[str, list[Path]]:
    """The files by kind, told from their content: pickle, csd, table, or folds (JSON)."""
    kinds: dict[str, list[Path]] = {}
    for path in paths:
        kinds.setdefault(_kind(path), []).append(path)
    if "csd" in kinds and "table" in kinds:
        kinds["folds"] = kinds.pop("table") + kinds.get("folds", [])
    if len(kinds) > 1 and set(kinds) != {"csd", "folds"}:
        found = "; ".join(f"{kind}: {', '.join(path.name for path in group)}" for kind, group in kinds.items())
        fix = "pass the files of one kind, each with --source"
        raise UserError(f"files of several kinds ({found})", file=paths[0].parent, field="source", fix=fix)
    if align and "csd" not in kinds:
        fix = "leave out --align: only the CMU SDK's .csd have the times of words"
        raise UserError("frames cannot be aligned to words", file=place(paths), fix=fix)
    return kinds


def _kind(path: Path) -> str:
    try:
        if csd.recognises(path):
            return "csd"
        if path.suffix.lower() == ".json":
            return "folds"
        return "table" if csv_files.recognises(path) else "pickle"
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path, fix="check the path") from error


def read(family: str, paths: Sequence[Path], align: bool = False) -> Dataset:
    """The data set in files of one kind.

    Args:
        family: mosi, mosei or sims.
        paths: what `expand` returned.
        align: of `.csd`: average frames over words.

    Raises:
        UserError: no reader knows them, several kinds, too many or too few, or what the readers refuse.
    """
    kinds = _kinds(paths, align)
    if "csd" in kinds:
        folds = [csv_files.read_folds(path) for path in _few("table of folds", kinds.get("folds", []), (0, 1))]
        return csd.read(kinds["csd"], family, folds[0] if folds else None, align=align)
    if "table" in kinds:
        return csv_files.read(_few("table", kinds["table"], (1, 3)), family)
    if "folds" in kinds:
        raise UserError("folds alone are no data set", file=kinds["folds"][0], fix="add the .csd that they belong to")
    return _read_pickles(family, _few("pickle", kinds["pickle"], (1, 3)))


def _few(what: str, paths: Sequence[Path], numbers: tuple[int, int]) -> Sequence[Path]:
    if len(paths) in numbers:
        return paths
    found = ", ".join(path.name for path in paths)
    problem = f"one {what} or three are needed" if 3 in numbers else f"one {what} at most is needed"
    fix = "pass the one file to use, or three named after their splits (train, dev, test), each with --source"
    raise UserError(f"{problem}; found {found}", file=place(paths), field="source", fix=fix)


def _read_pickles(family: str, paths: Sequence[Path]) -> Dataset:
    contents = [load_pickle(path) for path in paths]
    content = contents[0] if len(paths) == 1 else _join(paths, contents)
    for reader in (mmsa, misa):
        if reader.recognises(content):
            return reader.read(content, family, place(paths))
    raise UserError(f"holds {_outline(content)}, which no reader knows", file=paths[0], fix=_FIX)


def place(paths: Sequence[Path]) -> Path:
    """Where to look for an error: the file, or the folder of several."""
    return paths[0] if len(paths) == 1 else paths[0].parent


def _join(paths: Sequence[Path], contents: Sequence[Any]) -> dict[str, Any]:
    """MISA's three files as one dict; a file's split is told from its name."""
    parts = {csv_files.split_of(path): content for path, content in zip(paths, contents, strict=True)}
    if len(parts) < len(paths):
        raise UserError("two files of one split", file=place(paths), fix="pass one file each of train, dev and test")
    return parts


def _outline(content: Any) -> str:
    """What an unpickled object is, briefly."""
    if isinstance(content, Mapping):
        keys = [str(key)[:30] for key in content]
        return f"a dict of {len(keys)} keys ({', '.join(keys[:6])}{', …' if len(keys) > 6 else ''})"
    kind = type(content).__name__
    return f"a {kind} of {len(content)}" if isinstance(content, list | tuple) else f"a {kind}"
