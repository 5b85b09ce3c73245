"""The command line: parses, calls, prints. Bad input exits with 2 and a line that says how to mend it."""

from __future__ import annotations

import logging
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer
from rich.console import Console
from rich.table import Table

from mugkit import files
from mugkit.errors import UserError
from mugkit.experiments import checks

if TYPE_CHECKING:
    from mugkit.config import Preset, RunSpec
    from mugkit.course.sandbox import Layer
    from mugkit.data.schema import Dataset
    from mugkit.experiments.scheduler import ExecutionConfig
    from mugkit.experiments.search import Search

console = Console(soft_wrap=True, markup=False, highlight=False)
errors = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
commands = typer.Typer(
    help="MUG: meta-learned unimodal labels for multimodal sentiment analysis, readable and reproducible.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_commands = typer.Typer(help="Look at prepared data sets, and convert them.", no_args_is_help=True)
course_commands = typer.Typer(help="Assignments: build, check and grade them.", no_args_is_help=True)
commands.add_typer(data_commands, name="data")
commands.add_typer(course_commands, name="course")

SystemName = Annotated[str, typer.Option(help="a name of `mugkit systems`")]
DatasetName = Annotated[str, typer.Option(help="a prepared data set")]
ProfileName = Annotated[str, typer.Option(help="smoke, quick or paper")]
DrawSeed = Annotated[int, typer.Option(help="of the draws")]
Engine = Annotated[str, typer.Option(help="local: processes of this machine; ray: a Ray cluster")]
Address = Annotated[str, typer.Option(help="of the Ray cluster; 'auto': the one this machine belongs to")]
Cpus = Annotated[float | None, typer.Option(help="CPU cores a run asks Ray for; else its threads")]
Gpus = Annotated[float | None, typer.Option(help="part of a card per run; else the profile's")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
TrialsFolder = Annotated[Path | None, typer.Option(help="where SYSTEM.json, .csv and .md of every trial go")]
Force = Annotated[bool, typer.Option(help="replace what is prepared under that name")]
BUILD = Path("build/course")


class Stopped(BaseException):
    """SIGINT or SIGTERM: not a KeyboardInterrupt, which typer would answer itself. Half-written files are cleared."""


def app() -> None:
    """The console script: turns a UserError into a message and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    before = {n: signal.signal(n, _stopped) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        commands()
    except Stopped as stop:
        errors.print(f"stopped by {stop}: what is finished is kept; the same command resumes")
        sys.exit(128 + signal.Signals[str(stop)])
    except UserError as error:
        _refuse(error)
    except OSError as error:
        if error.filename is None:  # not about a file
            raise
        fix = "check that the path exists, and who may read and write it"
        _refuse(UserError(str(error.strerror), file=error.filename, fix=fix))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopped(number: int, _: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # once is enough; the way out is short
    raise Stopped(signal.Signals(number).name)


def _refuse(error: UserError) -> NoReturn:
    errors.print(f"error: {error}", style="red")
    sys.exit(2)


@commands.command()
def doctor() -> None:
    """Check python, torch, device, learn2learn, text encoders and data sets: a line each, `ok` or what to do.

    Exits with 1 if something that is needed is missing, or prepared data is damaged.

    Example: mugkit doctor
    """
    from mugkit.doctor import examine, healthy, report

    found = examine()
    console.print(report(found))
    if not healthy(found):
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
    force: Force = False,
    encoding: Annotated[str | None, typer.Option(help="of tables, if not UTF-8: gb18030, cp1252, …")] = None,
) -> None:
    """Turn MOSI, MOSEI or SIMS files (or `reviews`, which needs none) into the on-disk format.

    Reads pickles of MMSA, MulT, MISA and MAG-BERT, the CMU SDK's .csd, and tables (.csv, .tsv), also compressed. A
    table of ids and texts may come with files that have none.

    Example: mugkit prepare mosi --source unaligned_50.pkl
    Example: mugkit prepare reviews --expression vivid --disagreement strong --store-as reviews-vivid
    """
    from mugkit.config import RunSpec
    from mugkit.data import prepare as prepared
    from mugkit.data.store import load

    if align not in (None, "words"):
        fix = "use --align words, or leave it out"
        raise UserError(f"frames cannot be aligned to '{align}'", field="--align", fix=fix)
    folder = prepared.prepare(
        name, list(source or []), store_as=store_as, force=force, align=align == "words",
        expression=expression, disagreement=disagreement, encoding=encoding,
    )  # fmt: skip
    console.print(prepared.describe(dataset := load(folder)))
    _print_unknown(dataset, RunSpec("mug", dataset.name, 1111))


def _print_unknown(dataset: Dataset, spec: RunSpec) -> None:
    """How many tokens the encoder of a run does not know, and a warning where they are many."""
    from mugkit.data.vocabulary import told
    from mugkit.experiments.registry import configuration

    for line in told(dataset, configuration(spec, dataset.family).network.text_encoder):
        (errors if line.startswith("warning") else console).print(line)


@data_commands.command()
def describe(
    name: Annotated[str | None, typer.Argument(help="a prepared data set or its folder; none: a line for each")] = None,
) -> None:
    """Show what a prepared data set holds: modalities, sizes, lengths, labels and caveats.

    Exits with 1 if one of several is damaged.

    Example: mugkit data describe mosi
    """
    from mugkit.data.prepare import describe as describe_fully
    from mugkit.data.prepare import describe_briefly
    from mugkit.data.store import available, load

    if name:
        checks.check_dataset(name)
        console.print(describe_fully(load(name, verify=True)))
        return
    damaged = False
    for prepared in available():
        try:
            console.print(describe_briefly(load(prepared)))
        except (UserError, OSError) as error:
            damaged = True
            console.print(f"{prepared}: damaged: {error}")
    if not available():
        console.print("no data set is prepared")
    if damaged:
        raise typer.Exit(1)


@data_commands.command()
def convert(
    name: Annotated[str, typer.Argument(help="a prepared data set with COVAREP 74 and Facet 47")],
    to: Annotated[str, typer.Option(help="5/20: the columns of MMSA's MOSI")],
    store_as: Annotated[str, typer.Option("--store-as", "--as", help="the new data set's name")],
    visual_columns: Annotated[str | None, typer.Option(help="other visual columns: 0,2,5,…")] = None,
    force: Force = False,
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
    console.print(describe_fully(load(folder)))


def _columns(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        fix = "list column numbers, counted from 0: --visual-columns 0,2,5"
        raise UserError(f"'{text}' is not a list of numbers", field="--visual-columns", fix=fix) from error


@commands.command()
def run(
    system: SystemName = "mug",
    dataset: DatasetName = "reviews",
    seed: Annotated[int, typer.Option(help="of stage 3")] = 1111,
    profile: ProfileName = "quick",
    label_seed: Annotated[int, typer.Option(help="of stages 1 and 2")] = 1111,
    changes: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a configuration field")] = None,
    preset: Annotated[str, typer.Option(help="chosen (by `mugkit tune`, where it did) or table2")] = "chosen",
    device: Device = "auto",
    report: Annotated[Path | None, typer.Option(help="also write a JSON file: run, data, caveats, metrics")] = None,
) -> None:
    """Train one system once; print its metrics and where its artifacts lie. A finished run is reused.

    Example: mugkit run --system mug --dataset reviews --seed 1111 --set beta=0.1
    """
    from mugkit.config import RunSpec
    from mugkit.data.prepare import caveats, describe_briefly
    from mugkit.experiments import experiment
    from mugkit.overrides import parse_overrides
    from mugkit.reproduction.run_report import run_report, undefined

    checks.check_device(device)
    checks.check_dataset(dataset)
    if report:
        checks.check_file(report, "--report")
    values = tuple(sorted(parse_overrides(changes or []).items()))
    spec = RunSpec(system, dataset, seed, profile, label_seed, values, cast("Preset", preset))
    data = experiment.work(spec, device=device).dataset
    console.print("\n".join([describe_briefly(data), *caveats(data)]))
    _print_unknown(data, spec)
    done = experiment.run(spec, device=device)
    table = Table("metric", "test", "valid")
    for name, value in done.metrics.items():
        scores = (value, done.valid_metrics[name])
        table.add_row(name, *("undefined" if score is None else f"{score:.3f}" for score in scores))
    console.print(table)
    why = undefined(done, data)
    for split, reasons in why.items():
        for name, reason in reasons.items():
            console.print(f"{name} of {split} is undefined: {reason}")
    if report:
        files.write_json(report, run_report(done, data, device, why))
    console.print(f"best epoch {done.best_epoch}; {'reused' if done.reused else 'stored'}: {done.folder}")


@commands.command()
def search(
    system: SystemName = "mug",
    dataset: DatasetName = "reviews",
    profile: ProfileName = "quick",
    trials: Annotated[int | None, typer.Option(help="how many configurations; by default as the profile says")] = None,
    seed: DrawSeed = 1111,
    engine: Engine = "local",
    address: Address = "",
    cpus_per_run: Cpus = None,
    gpus_per_run: Gpus = None,
    device: Device = "auto",
    out: TrialsFolder = None,
) -> None:
    """Search hyperparameters at random; print the trial that is best on validation. Finished trials are reused.

    Every trial is a whole run: Table 2's values under the profile, with the drawn ones on top.

    Example: mugkit search --system mug --dataset reviews --trials 50
    """
    from mugkit.experiments import search as searching

    execution = _execution({dataset: out}, engine, address, cpus_per_run, gpus_per_run, device)
    _print_search(searching.search(system, dataset, profile, trials, seed, execution), out, with_test=True)


@commands.command()
def tune(
    system: Annotated[str, typer.Option(help="a name of `mugkit systems`; by default all, one after the other")] = "",
    dataset: DatasetName = "reviews",
    profile: ProfileName = "quick",
    trials: Annotated[int | None, typer.Option(help="how many configurations each; by default as committed")] = None,
    seed: DrawSeed = 1111,
    engine: Engine = "local",
    address: Address = "",
    cpus_per_run: Cpus = None,
    gpus_per_run: Gpus = None,
    device: Device = "auto",
    out: TrialsFolder = None,
) -> None:
    """Choose hyperparameters on validation, with equally many whole trials for every system, and record them.

    Later runs of the system on this family of data and under this profile take them (--preset table2 does not).

    Example: mugkit tune --system mfn
    """
    from mugkit.experiments import tuning

    execution = _execution({dataset: out}, engine, address, cpus_per_run, gpus_per_run, device)
    count = tuning.TRIALS if trials is None else trials
    for name in [system] if system else tuning.tunable():
        found = tuning.tune(name, dataset, profile, count, seed, execution)
        _print_search(found, out, with_test=False)
        tuning.record(found)
        console.print(f"recorded for {name}")


def _execution(
    places: Mapping[str, Path | None], engine: str, address: str, cpus: float | None, gpus: float | None, device: str
) -> ExecutionConfig:
    """Where runs are computed; bad options are refused before any work starts.

    Args:
        places: data set → the folder that is to be written into, if it is known before.
    """
    from mugkit.experiments.resources import Resources
    from mugkit.experiments.scheduler import ExecutionConfig

    checks.check_device(device)
    checks.check_engine(engine, address, cpus)
    for dataset, out in places.items():
        checks.check_dataset(dataset)
        if out:
            checks.check_folder(out, "--out")
    return ExecutionConfig(engine, device=device, address=address, resources=Resources(cpus, gpus))


def _print_search(found: Search, out: Path | None, with_test: bool) -> None:
    """Writes every trial; prints the best: values, validation error, artifacts, and the command that runs it again."""
    from mugkit.data.store import load
    from mugkit.experiments.search import settings
    from mugkit.studies import search_record

    best, base = found.best, found.base
    folder = out or files.home() / "search" / f"{base.dataset}-{base.profile}"
    search_record.write(search_record.record(found, load(base.dataset), with_test), folder)
    table = Table("hyperparameter", "value")
    for name, value in best.values.items():
        table.add_row(name, f"{value:g}")
    console.print(table)
    seeds = f", mean of {len(found.finals[best.number])} seeds" if found.finals else ""
    score = f"MAE {found.score(best):.3f}{seeds}"
    console.print(f"trial {best.number} of {len(found.trials)} is best on validation: {score}")
    assert best.run is not None  # a trial without a run has no score and is never best
    console.print(f"its artifacts: {best.run.folder}")
    command = f"mugkit run --system {base.system} --dataset {base.dataset} --profile {base.profile} --preset table2"
    console.print(f"run again: {command} {settings(found)}")
    console.print(f"all trials: {folder / base.system}.json")


@commands.command()
def report(
    out: Annotated[Path, typer.Option(help="where a reproduction wrote its tables and figures")] = Path("figures"),
    to: Annotated[Path | None, typer.Option(help="the page; by default report.html beside the tables")] = None,
    book: Annotated[
        Path | None, typer.Option(help="also build the book of executed notebooks into this folder (needs a checkout)")
    ] = None,
) -> None:
    """Write the ledger of claims and one HTML page with claims, tables, figures, assumptions and provenance.

    Example: mugkit report --out figures --to report.html
    """
    from mugkit.claims import ledger
    from mugkit.reproduction import report as page

    maker = files.checkout_module(".ci/book", "make_book") if book else None
    rows = ledger.write(out)
    target = to or out / page.NAME
    page.write(out, target)
    counts = Counter(row["verdict"] for row in rows)
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in page.VERDICTS)
    console.print(f"{len(rows)} claims: {verdicts}\nreport: {target}")
    if maker and book:
        console.print(f"book: {maker.build(book)}")


@commands.command()
def bench(
    only: Annotated[list[str] | None, typer.Option(help="one benchmark by its name; repeat for several")] = None,
    out: Annotated[Path, typer.Option(help="where bench.json and the figure go")] = Path("figures"),
    gpu: Annotated[bool, typer.Option("--gpu", help="measure the GPU here instead, into gpu.json")] = False,
) -> None:
    """Measure how fast this is beside what it is compared with: ratios side by side in one run, each with its bar.

    Needs a checkout of the repository. Exits with 1 if a ratio falls under its bar. What `bench.json` holds of other
    benchmarks stays there.

    Example: mugkit bench --only mmsa
    """
    benchmarks = files.checkout_module("tests", "benchmarks.command")
    if gpu:
        benchmarks.measure_gpu(out)
    elif not benchmarks.measure(only or [], out):
        raise typer.Exit(1)


@commands.command()
def reproduce(
    profile: ProfileName = "quick",
    dataset: Annotated[list[str] | None, typer.Option(help="a prepared data set; repeat for several")] = None,
    engine: Engine = "local",
    out: Annotated[
        Path | None, typer.Option(help="where tables and figures go; else figures/, below it for smoke and paper")
    ] = None,
    address: Address = "",
    cpus_per_run: Cpus = None,
    gpus_per_run: Gpus = None,
    cell_limit: Annotated[float, typer.Option(help="seconds that one cell of a notebook may take", min=1)] = 21600,
    only_runs: Annotated[bool, typer.Option("--only-runs", help="compute what notebooks need, run none")] = False,
    studies: Annotated[bool, typer.Option(help="with --only-runs: also what notebooks 12 and 14 alone need")] = True,
) -> None:
    """Run every notebook and write its tables and figures. Finished work is reused, interrupted work resumes.

    Exits with 1 if a notebook failed, or with --only-runs a run.

    Example: mugkit reproduce --profile quick --dataset reviews --out figures
    """
    from mugkit.data.prepare import prepare as prepare_data
    from mugkit.notebook import default_out
    from mugkit.reproduction.reproduce import conclude, folders, runs_alone
    from mugkit.reproduction.reproduce import reproduce as run_notebooks

    names = dataset or ["reviews"]
    out = out or default_out(profile)
    places: dict[str, Path | None] = dict.fromkeys(names) if only_runs else {**folders(names, out)}
    execution = _execution(places, engine, address, cpus_per_run, gpus_per_run, "auto")
    if "reviews" in names:
        prepare_data("reviews", [])
    if only_runs:
        failures = runs_alone(profile, names, execution, studies)
        console.print("\n".join(failures) or "all runs are there; --only-runs leaves the notebooks")
        raise typer.Exit(1 if failures else 0)
    reports = run_notebooks(profile, names, out, execution, cell_limit)
    for done in reports:
        reason = f": {done.reason}\n        as far as it got: {done.executed}" if done.reason else ""
        console.print(f"{done.outcome:8}{done.notebook}{reason}")
    for page in conclude(reports, names, out):
        console.print(f"        claims and report: {page}")
    if any(done.outcome == "failed" for done in reports):
        raise typer.Exit(1)
    console.print(f"tables and figures: {out}")


@course_commands.command()
def build(out: Annotated[Path, typer.Option(help="replaced as a whole")] = BUILD) -> None:
    """Build release versions, pages to read, a zip for students and the instructor's guide.

    Example: mugkit course build --out build/course
    """
    from mugkit.course.build import build as build_course

    for path in build_course(out):
        console.print(path)


@course_commands.command()
def check(out: Annotated[Path, typer.Option(help="a build to compare with the sources")] = BUILD) -> None:
    """Check the sources: ids, points, locked tests, hints; and the build: no solutions, same as the sources.

    Example: mugkit course build && mugkit course check
    """
    from mugkit.course import assignment, lint

    every = assignment.all_assignments()
    complaints = [text for found in every for text in lint.problems(found)] + lint.build_problems(out, every)
    for text in complaints:
        console.print(text)
    if complaints:
        raise typer.Exit(1)
    console.print(f"{len(every)} assignments, {sum(found.automatic_points for found in every)} automatic points: ok")


@course_commands.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="one folder per student: NAME/ASSIGNMENT.ipynb")],
    out: Annotated[Path, typer.Option(help="gradebook, feedback and points.csv; kept and extended")],
    only: Annotated[list[str] | None, typer.Option("--assignment", help="repeat for several; by default all")] = None,
    unprotected: Annotated[bool, typer.Option(help="grade even where students' code cannot be contained")] = False,
) -> None:
    """Grade submissions in a sandbox: points, nbgrader's gradebook and feedback. Says first what protection there is.

    Example: mugkit course grade submissions --out graded
    """
    from mugkit.course import assignment, sandbox
    from mugkit.course.grade import grade as grade_all

    layers = sandbox.protection()
    _print_protection(layers)
    if not unprotected:
        sandbox.require(layers)
    chosen = [assignment.find(name) for name in only] if only else None
    for row in grade_all(submissions, out, sandbox.contains(layers), chosen=chosen):
        console.print(f"{row.student}  {row.assignment}  {row.automatic:g} of {row.of:g}  {row.status}")
    console.print(f"points: {out / 'points.csv'}, feedback: {out / 'feedback'}")


@course_commands.command()
def protection() -> None:
    """Show which layers of protection against students' code hold on this machine; exits with 1 if one does not.

    Example: mugkit course protection
    """
    from mugkit.course import sandbox

    layers = sandbox.protection()
    _print_protection(layers)
    if not all(layer.active for layer in layers):
        raise typer.Exit(1)


def _print_protection(layers: list[Layer]) -> None:
    table = Table("protection", "active", "how it shows", box=None)
    for layer in layers:
        table.add_row(layer.name, "yes" if layer.active else "no", layer.detail)
    console.print(table)
