"""Batch reproduction: runs every notebook with papermill, only once for the same code, data and parameters."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mugkit import config, files
from mugkit.config import RunSpec
from mugkit.data.store import available, load
from mugkit.errors import UserError
from mugkit.experiments.execution import LOCAL, ExecutionConfig
from mugkit.experiments.experiment import missing
from mugkit.experiments.registry import SYSTEMS
from mugkit.experiments.run_store import versions
from mugkit.progress import progress
from mugkit.reproduction import notebook_files, precompute

CELL_SECONDS = 21600.0  # limit for one cell: far more than any cell takes, so that a hanging cell ends
log = logging.getLogger(__name__)
Outcome = Literal["ran", "reused", "failed"]


@dataclass(frozen=True)
class Report:
    """The outcome of one notebook (its file name without suffix).

    Attributes:
        executed: the executed copy; after a failure, up to the cell that failed.
        reason: after a failure, the cell and the error.
    """

    notebook: str
    outcome: Outcome
    executed: Path
    reason: str = ""

    def __str__(self) -> str:
        failure = f": {self.reason}\n        as far as it got: {self.executed}" if self.reason else ""
        return f"{self.outcome:8}{self.notebook}{failure}"


def notebooks() -> list[Path]:
    """The numbered notebooks, in order.

    Raises:
        UserError: if mugkit was installed without its repository.
    """
    root = files.repository()
    if root is None:
        raise UserError("the notebooks are not beside the package", fix="clone the repository and run `make setup`")
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def reproduce(
    profile: str, datasets: Sequence[str], out: Path, execution: ExecutionConfig = LOCAL,
    cell_limit: float = CELL_SECONDS,
) -> list[Report]:  # fmt: skip
    """Runs every notebook for every data set; a failure does not stop the others.

    Args:
        out: the folder for figures and tables; with several data sets, each has a subfolder.

    Raises:
        UserError: if the profile or a data set is unknown, or a data set is damaged; before anything runs.
    """
    fingerprints = _checked(profile, datasets)
    if "reviews" not in available():
        log.warning("notebooks that read reviews beside any data set will fail; fix: mugkit prepare reviews")
    files.remove_stale_temporaries(out)
    jobs = [
        (path, {"profile": profile, "dataset": name, "out": str(target)}, fingerprints[name])
        for name, target in folders(datasets, out).items() for path in notebooks()
    ]  # fmt: skip
    if not all(_unchanged(*job) for job in jobs):
        for name in datasets:
            for failure in precompute.compute(profile, name, execution):
                log.warning("%s", failure)
    return _together(jobs, cell_limit)


def runs_alone(
    profile: str, datasets: Sequence[str], execution: ExecutionConfig = LOCAL, studies: bool = True
) -> list[str]:
    """Computes what the notebooks need without running them; returns failures and data sets that no system can run on.

    Other arguments and errors are those of `reproduce`.

    Args:
        studies: whether to compute also what only notebooks 12, 14 and 15 need.
    """
    failed, computed, seed = [], [], config.profile(profile).seeds[0]
    for name in _checked(profile, datasets):
        needs = [missing(RunSpec(system, name, seed, profile)) for system, about in SYSTEMS.items() if about.rows]
        if all(needs):
            failed.append(f"no system can run on {name}: {'; '.join(dict.fromkeys(needs))}")
        computed += precompute.compute(profile, name, execution, studies)
    return failed + computed


def _checked(profile: str, datasets: Sequence[str]) -> dict[str, str]:
    """The fingerprint of each data set, after checking the profile and the data sets."""
    config.profile(profile)
    files.remove_stale_temporaries(files.home())
    return {name: load(name, verify=True).fingerprint for name in datasets}


def _together(jobs: Sequence[tuple[Path, Mapping[str, Any], str]], limit: float) -> list[Report]:
    """Runs a few notebooks at a time: starting a kernel and drawing a figure leave most of a machine idle."""
    from mugkit.reproduction import kernels

    pool = ThreadPoolExecutor(kernels.AT_ONCE)  # each notebook has its own kernel process; threads here only wait
    try:
        reports = pool.map(lambda job: run_notebook(job[0], job[1], job[2], limit), jobs)
        return list(progress(reports, "notebooks", total=len(jobs)))
    except BaseException:  # stopped by a signal: kernels would run on to their notebooks' ends
        pool.shutdown(wait=False, cancel_futures=True)
        kernels.end_all()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def folders(datasets: Sequence[str], out: Path) -> dict[str, Path]:
    """The output folder of each data set: `out`, or with several data sets a subfolder for each."""
    return {name: (out / name if len(datasets) > 1 else out).absolute() for name in datasets}


def conclude(reports: Sequence[Report], datasets: Sequence[str], out: Path) -> list[Path]:
    """Writes the ledger of claims and the report of every data set; the report names failed notebooks at its top.

    Args:
        reports: the result of `reproduce` for these data sets.

    Returns:
        The reports' paths; a folder that no notebook wrote to has none.
    """
    from mugkit.claims import ledger
    from mugkit.reproduction import report as page

    pages, size = [], len(reports) // max(len(datasets), 1)
    for number, folder in enumerate(folders(datasets, out).values()):
        these = reports[number * size : (number + 1) * size]
        failed = {report.notebook: report.reason for report in these if report.reason}
        if (folder / "manifest.json").is_file():
            ledger.write(folder)
            page.write(folder, folder / page.NAME, failed)
            pages.append(folder / page.NAME)
    return pages


def run_notebook(path: Path, parameters: Mapping[str, Any], fingerprint: str, limit: float = CELL_SECONDS) -> Report:
    """Runs one notebook, unless it ran before with the same source, library, data and parameters."""
    from mugkit.reproduction import kernels

    executed, out = _executed(path, parameters), Path(parameters["out"])
    receipt = executed.with_suffix(".json")
    if _unchanged(path, parameters, fingerprint):
        return Report(path.stem, "reused", executed)
    receipt.unlink(missing_ok=True)
    try:
        identity = _identity(path, parameters, fingerprint)
    except UserError as error:  # not a valid notebook: it fails, the others still run
        return Report(path.stem, "failed", executed, f"{path.name} {error.problem}")
    if reason := kernels.execute(path, executed, parameters, limit):
        return Report(path.stem, "failed", executed, reason)
    manifest = files.read_json(out / "manifest.json")
    outputs = {name: entry["sha256"] for name, entry in manifest.items() if entry["notebook"] == path.stem}
    files.write_json(receipt, {"identity": identity, "outputs": outputs})
    return Report(path.stem, "ran", executed)


def _executed(path: Path, parameters: Mapping[str, Any]) -> Path:
    """The path of a notebook's executed copy; its receipt is beside it."""
    return files.home() / "executed" / f"{parameters['profile']}-{parameters['dataset']}" / path.name


def _unchanged(path: Path, parameters: Mapping[str, Any], fingerprint: str) -> bool:
    try:
        identity = _identity(path, parameters, fingerprint)
    except UserError:
        return False
    return _reusable(_executed(path, parameters).with_suffix(".json"), identity, Path(parameters["out"]))


def _identity(path: Path, parameters: Mapping[str, Any], fingerprint: str) -> str:
    """A hash of what an executed notebook depends on: its cells without outputs, parameters, data, library, versions.

    Raises:
        UserError: if it is not a notebook.
    """
    cells = [[cell.cell_type, cell.source] for cell in notebook_files.read(path).cells]
    package = Path(__file__).parents[1]
    library = {str(p.relative_to(package)): files.sha256(p) for p in sorted(package.rglob("*.py"))}
    return files.digest([cells, dict(parameters), fingerprint, library, versions()])


def _reusable(receipt: Path, identity: str, out: Path) -> bool:
    """Whether the notebook ran to its end before, and everything it wrote is still there unchanged."""
    if not receipt.is_file():
        return False
    try:
        known = files.read_json(receipt)
        same = known["identity"] == identity
        outputs = dict(known["outputs"]) if same else {}
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in outputs):
            raise ValueError("names files elsewhere")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        log.warning("%s: damaged; running its notebook again", receipt)
        return False
    return same and all((out / n).is_file() and files.sha256(out / n) == h for n, h in outputs.items())
