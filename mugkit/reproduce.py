"""The batch reproduction: every notebook through papermill, each once for the same code, data and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mugkit import config, files
from mugkit.data.store import load
from mugkit.engine import ENGINES
from mugkit.errors import UserError, unknown_name
from mugkit.notebook import FINISHED
from mugkit.runs import versions
from mugkit.stages.training import progress

Outcome = Literal["ran", "reused", "failed"]


@dataclass(frozen=True)
class Report:
    """What became of one notebook.

    Attributes:
        notebook: its file name without ending.
        executed: the executed copy; after a failure as far as it got.
        reason: of a failure: the cell and the error.
    """

    notebook: str
    outcome: Outcome
    executed: Path
    reason: str = ""


def notebooks() -> list[Path]:
    """The numbered notebooks in their order.

    Raises:
        UserError: mugkit was installed without its repository.
    """
    root = files.repository()
    if root is None:
        raise UserError("the notebooks are not beside the package", fix="clone the repository and run `make setup`")
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def reproduce(profile: str, datasets: Sequence[str], engine: str, out: Path) -> list[Report]:
    """Runs every notebook for every data set; a failure does not stop the others.

    Args:
        out: where figures and tables go; with several data sets, one folder below it for each.

    Raises:
        UserError: an unknown profile, engine or data set, before anything runs.
    """
    config.profile(profile)
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    jobs = []
    for name in datasets:
        fingerprint = load(name).fingerprint
        target = (out / name if len(datasets) > 1 else out).absolute()
        parameters = {"profile": profile, "dataset": name, "out": str(target)}
        jobs += [(path, parameters, fingerprint) for path in notebooks()]
    return [run_notebook(*job) for job in progress(jobs, "notebooks")]


def run_notebook(path: Path, parameters: Mapping[str, Any], fingerprint: str) -> Report:
    """One notebook, unless it ran before with the same source, library, data and parameters."""
    executed = files.home() / "executed" / f"{parameters['profile']}-{parameters['dataset']}" / path.name
    out, receipt = Path(parameters["out"]), executed.with_suffix(".json")
    identity = _identity(path, parameters, fingerprint)
    if _reusable(receipt, identity, out):
        return Report(path.stem, "reused", executed)
    receipt.unlink(missing_ok=True)
    if reason := _execute(path, executed, parameters):
        return Report(path.stem, "failed", executed, reason)
    manifest = files.read_json(out / "manifest.json")
    outputs = {name: entry["sha256"] for name, entry in manifest.items() if entry["notebook"] == path.stem}
    files.write_json(receipt, {"identity": identity, "outputs": outputs})
    return Report(path.stem, "ran", executed)


def _identity(path: Path, parameters: Mapping[str, Any], fingerprint: str) -> str:
    """What an executed notebook depends on: its cells without outputs, parameters, data, library, versions."""
    import nbformat

    cells = [[cell.cell_type, cell.source] for cell in nbformat.read(path, as_version=4).cells]
    package = Path(__file__).parent
    library = {str(p.relative_to(package)): files.sha256(p) for p in sorted(package.rglob("*.py"))}
    return files.digest([cells, dict(parameters), fingerprint, library, versions()])


def _reusable(receipt: Path, identity: str, out: Path) -> bool:
    """Whether the notebook ran to its end before, and everything it wrote is still there unchanged."""
    if not receipt.is_file():
        return False
    known = files.read_json(receipt)
    if known["identity"] != identity:
        return False
    return all((out / n).is_file() and files.sha256(out / n) == h for n, h in known["outputs"].items())


def _execute(path: Path, executed: Path, parameters: Mapping[str, Any]) -> str:
    """Runs the notebook; returns what went wrong, or nothing."""
    import papermill

    executed.parent.mkdir(parents=True, exist_ok=True)  # papermill does not
    _refuse_unknown(papermill.inspect_notebook(str(path)), parameters, path)
    try:
        papermill.execute_notebook(
            str(path), str(executed), dict(parameters), cwd=str(path.parent), progress_bar=False, log_output=False
        )
    except papermill.PapermillExecutionError as error:
        return f"cell {error.exec_count}: {error.ename}: {error.evalue}"
    except Exception as error:  # a dead kernel, a time-out: whatever papermill raises, the others go on
        return f"{type(error).__name__}: {error}"
    return "" if finished(executed) else "stopped before its last cell (kernel killed, or sys.exit in a cell)"


def _refuse_unknown(known: Mapping[str, Any], parameters: Mapping[str, Any], path: Path) -> None:
    """papermill only logs a parameter that a notebook does not have."""
    for name in parameters:
        if name not in known:
            raise unknown_name(f"parameter of {path.name}", name, known)


def finished(executed: Path) -> bool:
    """Whether the last code cell printed the line that only a complete run prints."""
    import nbformat

    cells = [c for c in nbformat.read(executed, as_version=4).cells if c.cell_type == "code"]
    printed = "".join(str(o.get("text", "")) for o in cells[-1].outputs) if cells else ""
    return FINISHED in printed
