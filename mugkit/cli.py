"""The command line: parses, calls, prints. Bad input exits with 2 and a line that says how to mend it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mugkit.errors import UserError, unknown_name

console = Console(soft_wrap=True)
errors = Console(stderr=True, soft_wrap=True)
commands = typer.Typer(
    help="MUG: meta-learned unimodal labels for multimodal sentiment analysis, readable and reproducible.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def app() -> None:
    """The console script: turns a UserError into a message and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        commands()
    except UserError as error:
        errors.print(f"error: {error}", style="red", markup=False)
        sys.exit(2)


@commands.command()
def doctor() -> None:
    """Check python, torch, device, learn2learn, text encoders and data sets: a line each, `ok` or what to do."""
    from mugkit.doctor import examine, healthy, report

    checks = examine()
    console.print(report(checks), markup=False, highlight=False)
    if not healthy(checks):
        raise typer.Exit(1)


@commands.command()
def systems() -> None:
    """List every system of the paper's tables: where it is implemented, and the tables it is in."""
    from mugkit.results.catalogue import catalogue

    table = Table("row in the paper", "tables", "name", "implemented in", box=None)
    for line in catalogue():
        table.add_row(line.row, ", ".join(map(str, line.tables)), line.name, line.where)
    console.print(table)


@commands.command()
def prepare(
    name: Annotated[str, typer.Argument(help="reviews, mosi, mosei or sims")],
    source: Annotated[list[Path] | None, typer.Option(help="the file you hold; repeat for several")] = None,
    store_as: Annotated[str | None, typer.Option("--store-as", "--as", help="keep it under another name")] = None,
    force: Annotated[bool, typer.Option(help="replace what is prepared under that name")] = False,
) -> None:
    """Turn MOSI, MOSEI or SIMS files (or `reviews`, which needs none) into the on-disk format.

    Example: mugkit prepare mosi --source unaligned_50.pkl
    """
    from mugkit.data import prepare as preparation
    from mugkit.data.store import load

    folder = preparation.prepare(name, list(source or []), store_as=store_as, force=force)
    console.print(preparation.describe(load(folder)), markup=False, highlight=False)


@commands.command()
def run(
    system: Annotated[str, typer.Option(help="a name of `mugkit systems`")] = "mug",
    dataset: Annotated[str, typer.Option(help="a prepared data set")] = "reviews",
    seed: Annotated[int, typer.Option(help="of stage 3")] = 1111,
    profile: Annotated[str, typer.Option(help="smoke, quick or paper")] = "quick",
    label_seed: Annotated[int, typer.Option(help="of stages 1 and 2")] = 1111,
    changes: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a configuration field")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    report: Annotated[Path | None, typer.Option(help="also write a JSON file: run, data, caveats, metrics")] = None,
) -> None:
    """Train one system once; print its metrics and where its artifacts lie. A finished run is reused.

    Example: mugkit run --system mug --dataset reviews --seed 1111 --set beta=0.1
    """
    from mugkit import engine, files
    from mugkit.config import RunSpec, parse_overrides
    from mugkit.data.store import load
    from mugkit.results.run_report import run_report

    _check_device(device)
    values = tuple(sorted(parse_overrides(changes or []).items()))
    done = engine.run(RunSpec(system, dataset, seed, profile, label_seed, values), device=device)
    table = Table("metric", "test", "valid")
    for name, value in done.metrics.items():
        table.add_row(name, _number(value), _number(done.valid_metrics[name]))
    console.print(table)
    if report:
        files.write_json(report, run_report(done, load(dataset), device))
    console.print(f"best epoch {done.best_epoch}; {'reused' if done.reused else 'stored'}: {done.folder}", markup=False)


def _check_device(name: str) -> None:
    """Refuses a device that torch would answer with a traceback, before any work starts."""
    import torch

    kinds = ("auto", "cpu", "cuda")
    if name.partition(":")[0] not in kinds:
        raise unknown_name("device", name, kinds)
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("torch finds no GPU here", field="--device", fix="use --device cpu, or see `mugkit doctor`")


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


@commands.command()
def reproduce(
    profile: Annotated[str, typer.Option(help="smoke, quick or paper")] = "quick",
    dataset: Annotated[list[str] | None, typer.Option(help="a prepared data set; repeat for several")] = None,
    engine: Annotated[str, typer.Option(help="local")] = "local",
    out: Annotated[Path, typer.Option(help="where tables and figures go")] = Path("figures"),
) -> None:
    """Run every notebook and write its tables and figures. Finished work is reused, interrupted work resumes."""
    from mugkit.data.prepare import prepare as prepare_data
    from mugkit.reproduce import reproduce as run_notebooks

    names = dataset or ["reviews"]
    if "reviews" in names:
        prepare_data("reviews", [])
    reports = run_notebooks(profile, names, engine, out)
    for report in reports:
        reason = f": {report.reason}\n        as far as it got: {report.executed}" if report.reason else ""
        console.print(f"{report.outcome:8}{report.notebook}{reason}", markup=False, highlight=False)
    if any(report.outcome == "failed" for report in reports):
        raise typer.Exit(1)
    console.print(f"tables and figures: {out}", markup=False)


if __name__ == "__main__":
    app()
