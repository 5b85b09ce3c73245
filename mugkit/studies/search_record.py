"""The record of a search, to be committed: every trial's configuration and validation error, and the choice.

`mugkit search` also records the trials' results on the test split, clip by clip (`Tested`): the study of tuning on the
test set needs nothing else. `mugkit tune` records no test score at all.
"""

import base64
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import torch

from mugkit import files
from mugkit.data.schema import Dataset, SplitName
from mugkit.errors import UserError
from mugkit.evaluation.comparison import predictions
from mugkit.evaluation.tables import markdown, records, write_text
from mugkit.experiments import search
from mugkit.experiments.run_store import code_fingerprint
from mugkit.studies.selection import Hits, sign_hits

FOLDER = Path("figures") / "search"  # in the repository; it is committed
_SPLITS: tuple[SplitName, ...] = ("valid", "test")


@dataclass(frozen=True)
class Tested:
    """The results of finished trials on the test split: for reports, never for a choice.

    Attributes:
        errors: test MAE of each finished trial.
        valid, test: whether the sign is right on each clip that is not neutral, one row per finished trial.
    """

    errors: list[float]
    valid: Hits
    test: Hits


@dataclass(frozen=True)
class Record:
    """A recorded search, and what its numbers depend on."""

    search: search.Search
    tested: Tested | None  # None if the test split was not evaluated
    data: str  # fingerprint of the data set
    made_with: Mapping[str, str]  # processor, torch, and our code


def made_with() -> dict[str, str]:
    """What a training's last digits depend on besides its configuration and data."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(errors="replace").splitlines() if about.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    processor = f"{name}, {torch.backends.cpu.get_cpu_capability()}"  # the model and the vector instructions in use
    return {"processor": processor, "torch": str(torch.__version__), "code": code_fingerprint()[:20]}


def record(found: search.Search, dataset: Dataset, with_test: bool) -> Record:
    """The record of a search that ran here; the test split is evaluated if `with_test`."""
    return Record(found, _tested(found, dataset) if with_test else None, dataset.fingerprint, made_with())


def _tested(found: search.Search, dataset: Dataset) -> Tested:
    runs = [trial.run for trial in found.finished if trial.run]
    folders, splits = [run.folder for run in runs], dataset.splits
    valid, test = (sign_hits(predictions(folders, dataset, name), splits[name].labels) for name in _SPLITS)
    return Tested([search.error(run.metrics) for run in runs], valid, test)


def write(recorded: Record, folder: Path) -> list[Path]:
    """Writes `SYSTEM.json` (all of it), and `.csv` and `.md` of every trial's validation error, each atomically."""
    found, base, tested = recorded.search, recorded.search.base, recorded.tested
    table = found.frame()
    content: dict[str, Any] = {
        "system": base.system, "dataset": base.dataset, "profile": base.profile, "seed of the draws": found.seed,
        "data": recorded.data, "made with": dict(recorded.made_with),
        "selected by": f"validation {search.SELECTED_BY}", "best": found.best.number, "trials": records(table),
    }  # fmt: skip
    if found.finals:
        finals = [{"trial": number, "valid": value} for number, errors in found.finals.items() for value in errors]
        content["finals"] = records(pd.DataFrame(finals))
    if tested:
        content["tested"] = {"errors": tested.errors, "valid": _packed(tested.valid), "test": _packed(tested.test)}
    files.write_json(folder / f"{base.system}.json", content)
    shown = table.set_index("trial").map("{:.4g}".format)
    note = f"{base.system} on {base.dataset}, profile {base.profile}: every trial is a whole run"
    below = f"{note}. valid: {search.SELECTED_BY} of the validation split{_finals(found)}."
    return [folder / f"{base.system}.json", *write_text(table, markdown(shown), folder, base.system, below)]


def _finals(found: search.Search) -> str:
    """By which numbers the best trial won."""
    if not found.finals:
        return f", by which trial {found.best.number} is the best"
    means = ", ".join(f"{number}: {fmean(errors):.4f}" for number, errors in found.finals.items())
    seeds = len(found.finals[found.best.number])
    return f" with one seed; mean over {seeds} of the best: {means}; trial {found.best.number} won"


def _packed(hits: Hits) -> dict[str, Any]:
    """One string per trial, with one bit per clip, in base 64."""
    return {"clips": hits.shape[1], "hits": [base64.b64encode(np.packbits(row).tobytes()).decode() for row in hits]}


def read(path: Path) -> Record:
    """Reads what `write` wrote; a file that is missing, damaged, or no record of a search is a `UserError`."""
    try:
        return _parsed(files.read_json(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UserError) as error:
        problem = f"this is not a complete record of a search ({getattr(error, 'problem', error)})"
        again = "restore the committed file (git checkout), or create it again with `mugkit search`"
        raise UserError(problem, file=path, fix=again) from error


def _parsed(content: Mapping[str, Any]) -> Record:
    base = search.trial(content["system"], content["dataset"], content["profile"], {})
    trials = [
        search.Trial(row["trial"], {name: row[name] for name in row if name not in ("trial", "valid")}, _error(row))
        for row in content["trials"]
    ]
    finals: dict[int, list[float]] = {}
    for row in content.get("finals", []):
        finals.setdefault(row["trial"], []).append(_error(row))
    found = search.Search(base, int(content["seed of the draws"]), trials, finals)
    if [trial.number for trial in trials] != list(range(len(trials))) or found.best.number != content["best"]:
        raise ValueError("its trials are not in order, or another trial is the best")
    tested = _unpacked(content["tested"], len(found.finished)) if "tested" in content else None
    return Record(found, tested, content["data"], dict(content["made with"]))


def _error(row: Mapping[str, Any]) -> float:
    """The validation error of a trial; JSON has null if its training failed."""
    return math.nan if row["valid"] is None else float(row["valid"])


def _unpacked(content: Mapping[str, Any], trials: int) -> Tested:
    found = Tested([float(value) for value in content["errors"]], *(_hits(content[name]) for name in _SPLITS))
    if not trials == len(found.errors) == len(found.valid) == len(found.test):
        raise ValueError(f"the results on the test split do not cover {trials} finished trials")
    return found


def _hits(content: Mapping[str, Any]) -> Hits:
    packed = [np.frombuffer(base64.b64decode(row, validate=True), np.uint8) for row in content["hits"]]
    if any(len(row) != -(-content["clips"] // 8) for row in packed):
        raise ValueError(f"a row of hits does not have {content['clips']} clips")
    return np.unpackbits(np.stack(packed), axis=1, count=content["clips"]).astype(bool)


def committed(system: str, dataset: Dataset, profile: str, trials: int) -> Record | None:
    """The repository's record of a search on exactly these data, with this profile and number of trials, or None.

    Raises:
        UserError: if it is damaged, or its trials are not those that its seed draws.
    """
    if not (root := files.repository()) or not (path := root / FOLDER / f"{system}.json").is_file():
        return None
    recorded = read(path)
    base, size = recorded.search.base, len(recorded.search.trials)
    of = (base.system, recorded.data, base.profile, size)
    if of != (system, dataset.fingerprint, profile, trials) or not recorded.tested:
        return None
    drawn = [values for values, _ in search.specifications(system, dataset.name, profile, trials, recorded.search.seed)]
    if drawn != [trial.values for trial in recorded.search.trials]:
        fix = f"create it again: mugkit search --system {system} --trials {trials} --out {FOLDER}"
        raise UserError("its trials are not those that its seed draws", file=path, field="trials", fix=fix)
    return recorded


def known(system: str, dataset: Dataset, profile: str, trials: int) -> Record:
    """The committed record, else that of a new search. Raises what `committed` and `search.search` raise."""
    kept = committed(system, dataset, profile, trials)
    return kept or record(search.search(system, dataset.name, profile, trials), dataset, with_test=True)


def again(recorded: Record) -> pd.DataFrame:
    """Runs the best trial and two random others again: one row each, with the recorded and the new validation error.

    Columns: trial, recorded, again, same.
    """
    chosen = search.by_lot(recorded.search)
    runs = search.finished([search.specification(recorded.search, each) for each in chosen])
    errors = [search.error(run.valid_metrics) if run else math.nan for run in runs]
    table = pd.DataFrame({"trial": [each.number for each in chosen], "recorded": [each.valid for each in chosen]})
    return table.assign(again=errors, same=table["recorded"] == errors)


def unlike(recorded: Record) -> list[str]:
    """How this machine and code differ from those of the record; if so, trainings differ in their last digits."""
    changed = [(name, now, recorded.made_with.get(name)) for name, now in made_with().items()]
    return [f"{name}: {now} instead of {then}" for name, now, then in changed if now != then]


def told(recorded: Record, table: pd.DataFrame) -> str:
    """States whether `again` gave the recorded errors."""
    if table["same"].all():
        return f"all {len(table)} trials came out as recorded, to {search.DIGITS} digits"
    off = (table["again"] - table["recorded"]).abs().max()
    causes = "; ".join(unlike(recorded)) or "nothing that is known to matter differs"
    return f"{(~table['same']).sum()} of {len(table)} trials differ from the record, by {off:.4f} at most ({causes})"
