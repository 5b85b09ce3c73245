"""The command line: parses, calls, prints. Bad input exits with 2 and a line that says how to mend it."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer
from rich.console import Console
from rich.table import Table

from mugkit.bench_command import bench
from mugkit.course.command import commands as course_commands
from mugkit.errors import UserError
from mugkit.experiments import checks
from mugkit.report_command import report
from mugkit.search_command import search, tune

if TYPE_CHECKING:
    from mugkit.config import Preset, RunSpec
    from mugkit.data.schema import Dataset

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
    before = {n: signal.signal(n, _stopped) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        commands()
    except Stopped as stop:
        errors.print(f"stopped by {stop}: what is finished is kept; the same command resumes", markup=False)
        sys.exit(128 + signal.Signals[str(stop)])
    except UserError as error:
        _stop(error)
    except OSError as error:
        if error.filename is None:  # not about a file
            raise
        fix = "check that the path exists, and who may read and write it"
        _stop(UserError(str(error.strerror), file=error.filename, fix=fix))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Stopped(BaseException):
    """SIGINT or SIGTERM: not a KeyboardInterrupt, which typer would answer itself. Half-written files are cleared."""


def _stopped(number: int, _: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # once is enough; the way out is short
    raise Stopped(signal.Signals(number).name)


def _stop(error: UserError) -> NoReturn:
    errors.print(f"error: {error}", style="red", markup=False)
    sys.exit(2)


@commands.command()
def doctor() -> None:
    """Check python, torch, device, learn2learn, text encoders and data sets: a line each, `ok` or what to do.

    Exits with 1 if something that is needed is missing, or prepared data is damaged.

    Example: mugkit doctor
    """
    from mugkit.doctor import examine, healthy, report

    checks = examine()
    console.print(report(checks), markup=False, highlight=False)
    if not healthy(checks):
        raise typer.Exit(1)


@commands.command()
def systems() -> None:
    """List every system of the paper's tables: where it is implemented, and the tables it is in.

    Example: mugkit systems
    """
    from mugkit.evaluation.paper_tables import catalogue

    table = Table("row in the paper", "tables", "name", "implemented in", box=None)
    for row, tables, system in catalogue():
        table.add_row(row, ", ".join(map(str, tables)), system.name, system.where)
    console.print(table)


@commands.command()
def prepare(
    name: Annotated[str, typer.Argument(help="reviews, mosi, mosei or sims")],
    source: Annotated[list[Path] | None, typer.Option(help="the file you hold; repeat for several")] = None,
    store_as: Annotated[str | None, typer.Option("--store-as", "--as", help="keep it under another name")] = None,
    align: Annotated[str | None, typer.Option(help="words: average the frames of .csd files over words")] = None,
    expression: Annotated[str | None, typer.Option(help="of reviews: vivid, clear, middle, weak or faint")] = None,
    disagreement: Annotated[str | None, typer.Option(help="of reviews: sims or strong")] = None,
    force: Annotated[bool, typer.Option(help="replace what is prepared under that name")] = False,
    encoding: Annotated[str | None, typer.Option(help="of tables, if not UTF-8: gb18030, cp1252, …")] = None,
) -> None:
    """Turn MOSI, MOSEI or SIMS files (or `reviews`, which needs none) into the on-disk format.

    Reads pickles of MMSA, MulT, MISA and MAG-BERT, the CMU SDK's .csd, and tables (.csv, .tsv), also compressed. A
    table of ids and texts may come with files that have none.

    Example: mugkit prepare mosi --source unaligned_50.pkl
    Example: mugkit prepare reviews --expression vivid --disagreement strong --store-as reviews-vivid
    """
    from mugkit.config import RunSpec
    from mugkit.data import prepare as preparation
    from mugkit.data.store import load

    if align not in (None, "words"):
        raise UserError(
            f"frames cannot be aligned to '{align}'", field="--align", fix="use --align words, or leave it out"
        )
    folder = preparation.prepare(
        name,
        list(source or []),
        store_as=store_as,
        force=force,
        align=align == "words",
        expression=expression,
        disagreement=disagreement,
        encoding=encoding,
    )
    dataset = load(folder)
    console.print(preparation.describe(dataset), markup=False, highlight=False)
    _print_unknown(dataset, RunSpec("mug", dataset.name, 1111))


def _print_unknown(dataset: Dataset, spec: RunSpec) -> None:
    """How many tokens the encoder of a run does not know, and a warning where they are many."""
    from mugkit.data.vocabulary import told
    from mugkit.experiments.registry import configuration

    for line in told(dataset, configuration(spec, dataset.family).network.text_encoder):
        where = errors if line.startswith("warning") else console
        where.print(line, markup=False, highlight=False)


data_commands = typer.Typer(help="Look at prepared data sets, and convert them.", no_args_is_help=True)
commands.add_typer(data_commands, name="data")
commands.add_typer(course_commands, name="course")


@data_commands.command()
def describe(
    name: Annotated[str | None, typer.Argument(help="a prepared data set or its folder; none: a line for each")] = None,
) -> None:
    """Show what a prepared data set holds: modalities, sizes, lengths, labels and caveats.

    Exits with 1 if one of several is damaged.

    Example: mugkit data describe mosi
    """
    from mugkit.data.prepare import describe as describe_fully
    from mugkit.data.store import available, load

    if name:
        checks.check_dataset(name)
        console.print(describe_fully(load(name, verify=True)), markup=False, highlight=False)
        return
    lines = [_line(one) for one in available()]
    told = "\n".join(line for line, _ in lines) or "no data set is prepared"
    console.print(told, markup=False, highlight=False)
    if not all(sound for _, sound in lines):
        raise typer.Exit(1)


def _line(name: str) -> tuple[str, bool]:
    """A line about a prepared data set, and whether it can be read."""
    from mugkit.data.prepare import describe_briefly
    from mugkit.data.store import load

    try:
        return describe_briefly(load(name)), True
    except (UserError, OSError) as error:
        return f"{name}: damaged: {error}", False


@data_commands.command()
def convert(
    name: Annotated[str, typer.Argument(help="a prepared data set with COVAREP 74 and Facet 47")],
    to: Annotated[str, typer.Option(help="5/20: the columns of MMSA's MOSI")],
    store_as: Annotated[str, typer.Option("--store-as", "--as", help="the new data set's name")],
    visual_columns: Annotated[str | None, typer.Option(help="other visual columns: 0,2,5,…")] = None,
    force: Annotated[bool, typer.Option(help="replace what is prepared under the new name")] = False,
) -> None:
    """Store a data set once more with a selection of its acoustic and visual columns.

    Example: mugkit data convert mosi --to 5/20 --store-as mosi-5-20
    """
    from mugkit.data import convert as conversion
    from mugkit.data.prepare import describe as describe_fully
    from mugkit.data.store import load

    checks.check_dataset(name)
    columns = None if visual_columns is None else _columns(visual_columns)
    folder = conversion.convert(name, to, store_as, visual_columns=columns, force=force)
    console.print(describe_fully(load(folder)), markup=False, highlight=False)


def _columns(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        fix = "list column numbers, counted from 0: --visual-columns 0,2,5"
        raise UserError(f"'{text}' is not a list of numbers", field="--visual-columns", fix=fix) from error


@commands.command()
def run(
    system: Annotated[str, typer.Option(help="a name of `mugkit systems`")] = "mug",
    dataset: Annotated[str, typer.Option(help="a prepared data set")] = "reviews",
    seed: Annotated[int, typer.Option(help="of stage 3")] = 1111,
    profile: Annotated[str, typer.Option(help="smoke, quick or paper")] = "quick",
    label_seed: Annotated[int, typer.Option(help="of stages 1 and 2")] = 1111,
    changes: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a configuration field")] = None,
    preset: Annotated[str, typer.Option(help="chosen (by `mugkit tune`, where it did) or table2")] = "chosen",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    report: Annotated[Path | None, typer.Option(help="also write a JSON file: run, data, caveats, metrics")] = None,
) -> None:
    """Train one system once; print its metrics and where its artifacts lie. A finished run is reused.

    Example: mugkit run --system mug --dataset reviews --seed 1111 --set beta=0.1
    """
    from mugkit import files
    from mugkit.config import RunSpec, parse_overrides
    from mugkit.data.prepare import caveats, describe_briefly
    from mugkit.experiments import experiment
    from mugkit.reproduction.run_report import run_report, undefined

    checks.check_device(device)
    checks.check_dataset(dataset)
    if report:
        checks.check_file(report, "--report")
    values = tuple(sorted(parse_overrides(changes or []).items()))
    spec = RunSpec(system, dataset, seed, profile, label_seed, values, cast("Preset", preset))
    data = experiment.work(spec, device=device).dataset
    console.print("\n".join([describe_briefly(data), *caveats(data)]), markup=False, highlight=False)
    _print_unknown(data, spec)
    done = experiment.run(spec, device=device)
    table = Table("metric", "test", "valid")
    for name, value in done.metrics.items():
        table.add_row(name, _number(value), _number(done.valid_metrics[name]))
    console.print(table)
    why = undefined(done, data)
    for split, reasons in why.items():
        for name, reason in reasons.items():
            console.print(f"{name} of {split} is undefined: {reason}", markup=False, highlight=False)
    if report:
        files.write_json(report, run_report(done, data, device, why))
    console.print(f"best epoch {done.best_epoch}; {'reused' if done.reused else 'stored'}: {done.folder}", markup=False)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


commands.command()(search)
commands.command()(tune)
commands.command()(report)
commands.command()(bench)


@commands.command()
def reproduce(
    profile: Annotated[str, typer.Option(help="smoke, quick or paper")] = "quick",
    dataset: Annotated[list[str] | None, typer.Option(help="a prepared data set; repeat for several")] = None,
    engine: Annotated[str, typer.Option(help="local: processes of this machine; ray: a Ray cluster")] = "local",
    out: Annotated[
        Path | None, typer.Option(help="where tables and figures go; else figures/, below it for smoke and paper")
    ] = None,
    address: Annotated[str, typer.Option(help="of the Ray cluster; 'auto': the one this machine belongs to")] = "",
    cpus_per_run: Annotated[float | None, typer.Option(help="CPU cores a run asks Ray for; else its threads")] = None,
    gpus_per_run: Annotated[float | None, typer.Option(help="part of a card per run; else the profile's")] = None,
    cell_limit: Annotated[float, typer.Option(help="seconds that one cell of a notebook may take", min=1)] = 21600,
    only_runs: Annotated[bool, typer.Option("--only-runs", help="compute what notebooks need, run none")] = False,
    studies: Annotated[bool, typer.Option(help="with --only-runs: also what notebooks 12 and 14 alone need")] = True,
) -> None:
    """Run every notebook and write its tables and figures. Finished work is reused, interrupted work resumes.

    Exits with 1 if a notebook failed, or with --only-runs a run.

    Example: mugkit reproduce --profile quick --dataset reviews --out figures
    """
    from mugkit.data.prepare import prepare as prepare_data
    from mugkit.experiments.resources import Resources
    from mugkit.experiments.scheduler import ExecutionConfig
    from mugkit.notebook import default_out
    from mugkit.reproduction.reproduce import conclude, folders, runs_alone
    from mugkit.reproduction.reproduce import reproduce as run_notebooks

    checks.check_engine(engine, address, cpus_per_run)
    execution = ExecutionConfig(engine, address=address, resources=Resources(cpus_per_run, gpus_per_run))
    names = dataset or ["reviews"]
    out = out or default_out(profile)
    for name, folder in folders(names, out).items():
        checks.check_dataset(name)
        if not only_runs:
            checks.check_folder(folder, "--out")
    if "reviews" in names:
        prepare_data("reviews", [])
    if only_runs:
        told = runs_alone(profile, names, execution, studies)
        console.print("\n".join(told) or "all runs are there; --only-runs leaves the notebooks", markup=False)
        raise typer.Exit(1 if told else 0)
    reports = run_notebooks(profile, names, out, execution, cell_limit)
    for done in reports:
        reason = f": {done.reason}\n        as far as it got: {done.executed}" if done.reason else ""
        console.print(f"{done.outcome:8}{done.notebook}{reason}", markup=False, highlight=False)
    for page in conclude(reports, names, out):
        console.print(f"        claims and report: {page}", markup=False, highlight=False)
    if any(done.outcome == "failed" for done in reports):
        raise typer.Exit(1)
    console.print(f"tables and figures: {out}", markup=False)


if __name__ == "__main__":
    app()
