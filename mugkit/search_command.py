"""`mugkit search` and `mugkit tune`: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mugkit.experiments.scheduler import ExecutionConfig
    from mugkit.experiments.search import Search

console = Console(soft_wrap=True)

System = Annotated[str, typer.Option(help="a name of `mugkit systems`")]
Data = Annotated[str, typer.Option(help="a prepared data set")]
Profile = Annotated[str, typer.Option(help="smoke, quick or paper")]
Seed = Annotated[int, typer.Option(help="of the draws")]
Engine = Annotated[str, typer.Option(help="where the trials run, as in `mugkit reproduce`")]
Address = Annotated[str, typer.Option(help="of the Ray cluster, as in `mugkit reproduce`")]
Cpus = Annotated[float | None, typer.Option(help="CPU cores a trial asks Ray for; else its threads")]
Gpus = Annotated[float | None, typer.Option(help="part of a card per trial; else the profile's")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Out = Annotated[Path | None, typer.Option(help="where SYSTEM.json, .csv and .md of every trial go")]


def search(
    system: System = "mug",
    dataset: Data = "reviews",
    profile: Profile = "quick",
    trials: Annotated[int | None, typer.Option(help="how many configurations; by default as the profile says")] = None,
    seed: Seed = 1111,
    engine: Engine = "local",
    address: Address = "",
    cpus_per_run: Cpus = None,
    gpus_per_run: Gpus = None,
    device: Device = "auto",
    out: Out = None,
) -> None:
    """Search hyperparameters at random; print the trial that is best on validation. Finished trials are reused.

    Every trial is a whole run: Table 2's values under the profile, with the drawn ones on top.

    Example: mugkit search --system mug --dataset reviews --trials 50
    """
    from mugkit.experiments import search as searching

    execution = _checked(dataset, engine, address, cpus_per_run, gpus_per_run, device, out)
    _show(searching.search(system, dataset, profile, trials, seed, execution), out, with_test=True)


def tune(
    system: Annotated[str, typer.Option(help="a name of `mugkit systems`; by default all, one after the other")] = "",
    dataset: Data = "reviews",
    profile: Profile = "quick",
    trials: Annotated[int | None, typer.Option(help="how many configurations each; by default as committed")] = None,
    seed: Seed = 1111,
    engine: Engine = "local",
    address: Address = "",
    cpus_per_run: Cpus = None,
    gpus_per_run: Gpus = None,
    device: Device = "auto",
    out: Out = None,
) -> None:
    """Choose hyperparameters on validation, with equally many whole trials for every system, and record them.

    Later runs of the system on this family of data and under this profile take them (--preset table2 does not).

    Example: mugkit tune --system mfn
    """
    from mugkit.experiments import tuning

    execution = _checked(dataset, engine, address, cpus_per_run, gpus_per_run, device, out)
    count = tuning.TRIALS if trials is None else trials
    for name in [system] if system else tuning.tunable():
        found = tuning.tune(name, dataset, profile, count, seed, execution)
        _show(found, out)
        tuning.record(found)
        console.print(f"recorded for {name}", markup=False)


def _checked(
    dataset: str, engine: str, address: str, cpus: float | None, gpus: float | None, device: str, out: Path | None
) -> ExecutionConfig:
    """Where trials run; bad options are refused before any work starts."""
    from mugkit.experiments import checks
    from mugkit.experiments.resources import Resources
    from mugkit.experiments.scheduler import ExecutionConfig

    checks.check_device(device)
    checks.check_dataset(dataset)
    checks.check_engine(engine, address, cpus)
    if out:
        checks.check_folder(out, "--out")
    return ExecutionConfig(engine, device=device, address=address, resources=Resources(cpus, gpus))


def _show(found: Search, out: Path | None, with_test: bool = False) -> None:
    """Writes every trial and prints the best one."""
    from mugkit import files
    from mugkit.data.store import load
    from mugkit.studies import search_record

    folder = out or files.home() / "search" / f"{found.base.dataset}-{found.base.profile}"
    search_record.write(search_record.record(found, load(found.base.dataset), with_test), folder)
    _report(found)
    console.print(f"all trials: {folder / found.base.system}.json", markup=False)


def _report(found: Search) -> None:
    """The best trial: its values, its validation error, where its artifacts lie, and the command that runs it again."""
    from mugkit.experiments.search import settings

    best, base = found.best, found.base
    assert best.run is not None  # a trial without a run has no score and is never best
    table = Table("hyperparameter", "value")
    for name, value in best.values.items():
        table.add_row(name, f"{value:g}")
    console.print(table)
    seeds = f", mean of {len(found.finals[best.number])} seeds" if found.finals else ""
    won = f"trial {best.number} of {len(found.trials)} is best on validation: MAE {found.score(best):.3f}{seeds}"
    console.print(won, markup=False)
    console.print(f"its artifacts: {best.run.folder}", markup=False)
    command = f"mugkit run --system {base.system} --dataset {base.dataset} --profile {base.profile} --preset table2"
    console.print(f"run again: {command} {settings(found)}", markup=False)
