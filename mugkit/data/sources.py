"""Finds the reader for a user's files, mostly by their content, and reads the files."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mugkit.data import csd, csd_file, csv_files, file_kinds, misa_pickles, mmsa, transcripts
from mugkit.data.pickles import load_pickle
from mugkit.data.schema import Dataset, split_name
from mugkit.data.validate import with_caveats
from mugkit.errors import UserError

SUFFIXES = (".pkl", ".pickle", ".csd", ".csv", ".tsv", ".json")  # of the files that are read from a folder
_FRAMES = (".pkl", ".pickle", ".csd")
_FIX = (
    "MMSA or MulT pickles ({train, valid, test} with text, audio, vision), MISA or MAG-BERT pickles, the CMU SDK's "
    ".csd, and tables (.csv, .tsv) with labels are read"
)


def expand(name: str, sources: Sequence[Path]) -> list[Path]:
    """The files that `sources` mean: files themselves, and in a folder the files with one of SUFFIXES.

    Raises:
        UserError: if no source is given, one does not exist, or subfolders hold the frames or all files.
    """
    if not sources:
        raise UserError(f"{name} needs files", field="source", fix=f"mugkit prepare {name} --source PATH")
    paths: list[Path] = []
    for source in sources:
        if not source.exists():
            raise UserError("no such file", file=source, fix="check the path given as --source")
        paths += _inside(source) if source.is_dir() else [source]
    return paths


def _inside(folder: Path) -> list[Path]:
    """The data files of a folder; raises a UserError to ask for a choice if subfolders hold the frames or all files."""
    found = _with_suffix(folder.iterdir(), SUFFIXES)
    if _with_suffix(found, _FRAMES):
        return found
    deeper = _with_suffix([*folder.glob("[!.]*/*"), *folder.glob("[!.]*/*/*")], _FRAMES if found else SUFFIXES)
    if not found and not deeper:
        raise UserError(f"the folder has no file that ends in {', '.join(SUFFIXES)}", file=folder, fix=_FIX)
    if deeper:
        names = ", ".join(str(path.relative_to(folder)) for path in deeper[:4]) + (", …" if len(deeper) > 4 else "")
        here = f"holds {', '.join(path.name for path in found[:4])}" if found else "has no data files of its own"
        choice = deeper[0].parent if _suffix(deeper[0]) == ".csd" else deeper[0]
        fix = f"choose: --source {choice}" + (f", or --source {found[0]} for that file alone" if found else "")
        raise UserError(f"the folder {here}, and folders in it hold {names}", file=folder, fix=fix)
    return found


def _with_suffix(paths: Iterable[Path], suffixes: Sequence[str]) -> list[Path]:
    return [path for path in sorted(paths) if _suffix(path) in suffixes and path.is_file()]


def _suffix(path: Path) -> str:
    """The suffix, ignoring that of a compressed file."""
    name = path.name.lower()
    return Path(next((name.removesuffix(end) for end in file_kinds.COMPRESSED if name.endswith(end)), name)).suffix


def place(paths: Sequence[Path]) -> Path:
    """The location to name in errors: the file, or the folder of several files."""
    return paths[0] if len(paths) == 1 else paths[0].parent


def _kinds(paths: Sequence[Path], align: bool) -> dict[str, list[Path]]:
    """The files by kind: pickle, csd, table, or folds (JSON)."""
    kinds: dict[str, list[Path]] = {}
    for path in paths:
        kinds.setdefault(_kind(path), []).append(path)
    if len(kinds) > 1 and not (kinds.keys() <= {"csd", "folds", "table"} or kinds.keys() == {"pickle", "table"}):
        found = "; ".join(f"{kind}: {', '.join(path.name for path in group)}" for kind, group in kinds.items())
        fix = "pass the files of one kind, each with --source"
        raise UserError(f"files of several kinds ({found})", file=paths[0].parent, field="source", fix=fix)
    if align and "csd" not in kinds:
        fix = "leave out --align: only the CMU SDK's .csd have word times"
        raise UserError("frames cannot be aligned to words", file=place(paths), fix=fix)
    return kinds


def _kind(path: Path) -> str:
    try:
        file_kinds.refuse_foreign(path)
        if csd_file.recognises(path):
            return "csd"
        if path.suffix.lower() == ".json":
            return "folds"
        return "table" if csv_files.recognises(path) else "pickle"
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path, fix="check the path") from error


def read(family: str, paths: Sequence[Path], align: bool = False, encoding: str | None = None) -> Dataset:
    """Reads a data set from files of one kind, or from a pickle or `.csd` and tables that add what is missing.

    Args:
        align: for `.csd`: average frames over words.
        encoding: encoding of tables.

    Raises:
        UserError: if no reader knows the files, a reader rejects them, they are of several kinds, or too many or few.
    """
    with contextlib.ExitStack() as stack:
        given = {stack.enter_context(file_kinds.unpacked(path)): path for path in paths}
        try:
            return _read(family, list(given), align, encoding)
        except UserError as error:
            if error.file not in given:
                raise
            # The unpacked file is deleted by now; the user knows the compressed file.
            raise UserError(error.problem, file=given[Path(error.file)], field=error.field, fix=error.fix) from error


def _read(family: str, paths: Sequence[Path], align: bool, encoding: str | None) -> Dataset:
    kinds = _kinds(paths, align)
    tables = kinds.get("table", [])
    if "csd" in kinds:
        return _read_csd(family, kinds, align, encoding)
    if "pickle" in kinds:
        dataset = _read_pickles(family, _few("pickle", kinds["pickle"], (1, 3)))
        if tables and "l" in dataset.modalities:
            fix = "leave the table out, or pass it alone"
            raise UserError("the pickle has transcripts of its own", file=tables[0], field="source", fix=fix)
        return transcripts.join(dataset, tables, encoding) if tables else dataset
    if tables:
        return csv_files.read(_few("table", tables, (1, 3)), family, encoding)
    raise UserError("folds alone are no data set", file=kinds["folds"][0], fix="add the .csd that they belong to")


def _read_csd(family: str, kinds: Mapping[str, Sequence[Path]], align: bool, encoding: str | None) -> Dataset:
    """Reads `.csd` files with their folds and, if they have no words, with transcripts from a table."""
    columns = {path: csv_files.Table.read(path, encoding).columns.keys() for path in kinds.get("table", [])}
    spoken = [path for path, names in columns.items() if "text" in names]
    lists = [path for path, names in columns.items() if "split" in names or path not in spoken]
    chosen = _few("table of folds", [*kinds.get("folds", []), *lists], (0, 1))
    folds = csv_files.read_folds(chosen[0], encoding) if chosen else None
    dataset = csd.read(kinds["csd"], family, folds, align=align)
    if not spoken:
        return dataset
    if "l" not in dataset.modalities:
        return transcripts.join(dataset, spoken, encoding)
    names = ", ".join(path.name for path in spoken)
    return with_caveats(dataset, f"transcripts of {names} are not used: the .csd have words")


def _few(what: str, paths: Sequence[Path], numbers: tuple[int, int]) -> Sequence[Path]:
    if len(paths) in numbers:
        return paths
    found = ", ".join(path.name for path in paths)
    problem = f"one {what} or three are needed" if 3 in numbers else f"one {what} at most is needed"
    fix = "pass the one file to use, or three named after their splits (train, dev, test), each with --source"
    raise UserError(f"{problem}; found {found}", file=place(paths), field="source", fix=fix)


def _read_pickles(family: str, paths: Sequence[Path]) -> Dataset:
    if len(paths) == 1:
        content = load_pickle(paths[0])
    else:  # MISA's three files; a file's name gives its split
        content = {csv_files.split_of(path): load_pickle(path) for path in paths}
        if len(content) < len(paths):
            fix = "pass one file each of train, dev and test"
            raise UserError("two files of one split", file=place(paths), fix=fix)
    keys = [key for key in content if split_name(key)] if isinstance(content, Mapping) else []
    names = [split_name(key) for key in keys]
    if twice := [str(key) for key in keys if names.count(split_name(key)) > 1]:
        raise UserError(f"has one split twice: {', '.join(twice)}", file=place(paths), fix="keep one of them")
    for reader in (mmsa, misa_pickles):
        if reader.recognises(content):
            return reader.read(content, family, place(paths))
    raise UserError(f"holds {_outline(content)}, which no reader knows", file=paths[0], fix=_FIX)


def _outline(content: Any) -> str:
    if isinstance(content, Mapping):
        keys = [str(key)[:30] for key in content]
        return f"a dict of {len(keys)} keys ({', '.join(keys[:6])}{', …' if len(keys) > 6 else ''})"
    kind = type(content).__name__
    return f"a {kind} of {len(content)}" if isinstance(content, list | tuple) else f"a {kind}"
