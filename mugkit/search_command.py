"""`mugkit search`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mugkit.search import Search

console = Console(soft_wrap=True)


def search(
    system: Annotated[str, typer.Option(help="a name of `mugkit systems`")] = "mug",
    dataset: Annotated[str, typer.Option(help="a prepared data set")] = "reviews",
    profile: Annotated[str, typer.Option(help="smoke, quick or paper")] = "quick",
    trials: Annotated[int | None, typer.Option(help="how many configurations; by default the profile's budget")] = None,
    seed: Annotated[int, typer.Option(help="of the draws")] = 1111,
    engine: Annotated[str, typer.Option(help="where the trials run, as in `mugkit reproduce`")] = "local",
    address: Annotated[str, typer.Option(help="of the Ray cluster, as in `mugkit reproduce`")] = "",
    cpus_per_run: Annotated[float | None, typer.Option(help="CPU cores a trial asks Ray for; else its threads")] = None,
    gpus_per_run: Annotated[float | None, typer.Option(help="part of a card per trial; else the profile's")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    out: Annotated[Path | None, typer.Option(help="where search.json, .csv and .md go")] = None,
) -> None:
    """Search hyperparameters at random; print the trial that is best on validation. Finished trials are reused.

    Example: mugkit search --system mug --dataset reviews --trials 50
    """
    from mugkit import cli, files, targets
    from mugkit import search as searching
    from mugkit.engine import Share

    cli._check_device(device)
    cli._check_dataset(dataset)
    cli._check_engine(engine, address, cpus_per_run)
    if out:
        targets.check_folder(out, "--out")
    share = Share(cpus_per_run, gpus_per_run)
    found = searching.search(system, dataset, profile, trials, seed, engine, device, address, share)
    folder = out or files.home() / "search" / f"{system}-{dataset}-{profile}"
    searching.write(found, folder)
    _report(found)
    console.print(f"all trials: {folder}", markup=False)


def _report(found: Search) -> None:
    """The best trial: its values, its scores, where its artifacts lie, and the command that trains it in full."""
    from mugkit.search import settings
    from mugkit.trials import budget

    best, base = found.best, found.base
    assert best.run is not None  # a trial without a run has no score and is never best
    table = Table("hyperparameter", "value")
    for name, value in best.values.items():
        table.add_row(name, f"{value:g}")
    console.print(table)
    scores = f"validation MAE {best.valid:.3f}, test MAE {best.test:.3f}"
    console.print(f"trial {best.number} of {len(found.trials)} is best on validation: {scores}", markup=False)
    console.print(f"({budget(base.profile).note})", markup=False)
    console.print(f"its artifacts: {best.run.folder}", markup=False)
    command = f"mugkit run --system {base.system} --dataset {base.dataset} --profile {base.profile}"
    console.print(f"trained in full: {command} {settings(found)}", markup=False)
