"""The command line: parses arguments, calls the library, prints results. `mugkit.terminal` defines how commands end."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mugkit import files
from mugkit.course import commands as course
from mugkit.errors import UserError
from mugkit.experiments import options
from mugkit.terminal import console, exit_codes, print_table, print_unknown

if TYPE_CHECKING:
    from mugkit.experiments.search import Search

commands = typer.Typer(
    help="MUG: meta-learned unimodal labels for multimodal sentiment analysis, readable and reproducible.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_commands = typer.Typer(help="Look at prepared data sets, and convert them.", no_args_is_help=True)
commands.add_typer(data_commands, name="data")
commands.add_typer(course.commands, name="course")

SystemName = Annotated[str, typer.Option(help="a name of `mugkit systems`")]
DatasetName = Annotated[str, typer.Option(help="a prepared data set")]
ProfileName = Annotated[str, typer.Option(help="smoke, quick or paper")]
DrawSeed = Annotated[int, typer.Option(help="seed of the random draws")]
Engine = Annotated[str, typer.Option(help="local: processes of this machine; ray: a Ray cluster")]
Address = Annotated[str, typer.Option(help="address of the Ray cluster; 'auto': the cluster of this machine")]
Cpus = Annotated[float | None, typer.Option(help="CPU cores that a run requests from Ray; by default its threads")]
Gpus = Annotated[float | None, typer.Option(help="fraction of a GPU per run; by default the profile's")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
TrialsFolder = Annotated[Path | None, typer.Option(help="folder for SYSTEM.json, .csv and .md with every trial")]
Force = Annotated[bool, typer.Option(help="replace a data set prepared under that name")]


def app() -> None:
    """Runs the command line; the entry point of the console script."""
    with exit_codes():
        commands()


@commands.command()
def doctor() -> None:
    """Check python, torch, device, learn2learn, text encoders and data sets: one line each, `ok` or what to do.

    Exits with 1 if something required is missing or prepared data is damaged.

    Example: mugkit doctor
    """
    from mugkit.doctor import examine, healthy

    found = examine()
    console.print("\n".join(map(str, found)))
    raise typer.Exit(0 if healthy(found) else 1)


@commands.command()
def systems() -> None:
    """List every system of the paper's tables, the tables it is in, and where it is implemented.

    Example: mugkit systems
    """
    from mugkit.evaluation.paper_tables import catalogue

    rows = [(row, ", ".join(map(str, tables)), system.name, system.where) for row, tables, system in catalogue()]
    print_table(("row in the paper", "tables", "name", "implemented in"), rows, lines=False)


@commands.command()
def prepare(
    name: Annotated[str, typer.Argument(help="reviews, mosi, mosei or sims")],
    source: Annotated[list[Path] | None, typer.Option(help="a file that you hold; repeat for several")] = None,
    store_as: Annotated[str | None, typer.Option("--store-as", "--as", help="store it under another name")] = None,
    align: Annotated[str | None, typer.Option(help="words: average the frames of .csd files over words")] = None,
    expression: Annotated[str | None, typer.Option(help="for reviews: vivid, clear, middle, weak or faint")] = None,
    disagreement: Annotated[str | None, typer.Option(help="for reviews: sims or strong")] = None,
    force: Force = False,
    encoding: Annotated[str | None, typer.Option(help="encoding of tables, if not UTF-8: gb18030, cp1252, …")] = None,
) -> None:
    """Convert MOSI, MOSEI or SIMS files (or `reviews`, which needs none) to the on-disk format.

    Reads pickles of MMSA, MulT, MISA and MAG-BERT, the CMU SDK's .csd, and tables (.csv, .tsv), also compressed. A
    table of ids and texts can accompany files without texts.

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
        name, source or [], store_as=store_as, force=force, align=align == "words",
        expression=expression, disagreement=disagreement, encoding=encoding,
    )  # fmt: skip
    console.print(prepared.describe(dataset := load(folder)))
    print_unknown(dataset, RunSpec("mug", dataset.name, 1111))


@data_commands.command()
def describe(
    name: Annotated[str | None, typer.Argument(help="a prepared data set or its folder; by default all")] = None,
) -> None:
    """Show what a prepared data set holds: modalities, sizes, lengths, labels and caveats.

    Without a name, exits with 1 if a data set is damaged.

    Example: mugkit data describe mosi
    """
    from mugkit.data import prepare as prepared
    from mugkit.data import store

    if name:
        options.check_dataset(name)
        console.print(prepared.describe(store.load(name, verify=True)))
        return
    damaged = False
    for known in (names := store.available()):
        try:
            console.print(prepared.describe_briefly(store.load(known)))
        except (UserError, OSError) as error:
            damaged = True
            console.print(f"{known}: damaged: {error}")
    if not names:
        console.print("no data set is prepared")
    raise typer.Exit(1 if damaged else 0)


@data_commands.command()
def convert(
    name: Annotated[str, typer.Argument(help="a prepared data set with COVAREP 74 and Facet 47")],
    to: Annotated[str, typer.Option(help="5/20: the columns of MMSA's MOSI")],
    store_as: Annotated[str, typer.Option("--store-as", "--as", help="the new data set's name")],
    visual_columns: Annotated[str | None, typer.Option(help="other visual columns: 0,2,5,…")] = None,
    force: Force = False,
) -> None:
    """Store a copy of a data set with a selection of its acoustic and visual columns.

    Example: mugkit data convert mosi --to 5/20 --store-as mosi-5-20
    """
    from mugkit.data import convert as conversion
    from mugkit.data.prepare import describe as describe_fully
    from mugkit.data.store import load

    options.check_dataset(name)
    columns = None if visual_columns is None else options.column_numbers(visual_columns, "--visual-columns")
    console.print(describe_fully(load(conversion.convert(name, to, store_as, visual_columns=columns, force=force))))


@commands.command()
def run(
    system: SystemName = "mug",
    dataset: DatasetName = "reviews",
    seed: Annotated[int, typer.Option(help="seed of all three stages")] = 1111,
    profile: ProfileName = "quick",
    label_seed: Annotated[int | None, typer.Option(help="seed of stages 1 and 2, if not --seed")] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of a configuration field")] = None,
    preset: Annotated[str, typer.Option(help="chosen (by `mugkit tune`, if recorded) or table2")] = "chosen",
    device: Device = "auto",
    report: Annotated[Path | None, typer.Option(help="also write a JSON file: run, data, caveats, metrics")] = None,
) -> None:
    """Train one system once; print its metrics and the folder of its artifacts. A finished run is reused.

    Example: mugkit run --system mug --dataset reviews --seed 1111 --set beta=0.1
    """
    from mugkit.config import RunSpec
    from mugkit.data.prepare import caveats, describe_briefly
    from mugkit.experiments import experiment
    from mugkit.overrides import parse_overrides
    from mugkit.reproduction import run_report

    options.check_device(device)
    options.check_dataset(dataset)
    options.check_file(report, "--report")
    values = tuple(sorted(parse_overrides(changes or []).items()))
    label_seed = seed if label_seed is None else label_seed
    spec = RunSpec(system, dataset, seed, profile, label_seed, values, cast(Any, preset))
    data = experiment.work(spec, device=device).dataset
    console.print(describe_briefly(data), *caveats(data), sep="\n")
    print_unknown(data, spec)
    done = experiment.run(spec, device=device)
    why = run_report.undefined(done, data)
    print_table(("metric", "test", "valid"), run_report.scores(done))
    for sentence in run_report.sentences(why):
        console.print(sentence)
    if report:
        files.write_json(report, run_report.run_report(done, data, device, why))
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
    """Search hyperparameters at random; print the best trial on validation. Finished trials are reused.

    Every trial is a complete run: Table 2's values under the profile, overridden by the drawn values.

    Example: mugkit search --system mug --dataset reviews --trials 50
    """
    from mugkit.experiments import search as searching

    execution = options.execution({dataset: out}, engine, address, cpus_per_run, gpus_per_run, device)
    _print_search(searching.search(system, dataset, profile, trials, seed, execution), out, with_test=True)


@commands.command()
def tune(
    system: Annotated[str, typer.Option(help="a name of `mugkit systems`; by default all, one after the other")] = "",
    dataset: DatasetName = "reviews",
    profile: ProfileName = "quick",
    trials: Annotated[int | None, typer.Option(help="configurations per system; by default as committed")] = None,
    seed: DrawSeed = 1111,
    engine: Engine = "local",
    address: Address = "",
    cpus_per_run: Cpus = None,
    gpus_per_run: Gpus = None,
    device: Device = "auto",
    out: TrialsFolder = None,
) -> None:
    """Choose hyperparameters on validation, with the same number of complete trials per system, and record them.

    They are recorded in the package (`mugkit/chosen.json`), as part of the code, not in the run store.

    Later runs of the system on this family of data and under this profile use them (--preset table2 does not).

    Example: mugkit tune --system mfn
    """
    from mugkit.config import CHOSEN
    from mugkit.experiments import tuning

    execution = options.execution({dataset: out}, engine, address, cpus_per_run, gpus_per_run, device)
    for name in [system] if system else tuning.tunable():
        found = tuning.tune(name, dataset, profile, tuning.TRIALS if trials is None else trials, seed, execution)
        _print_search(found, out, with_test=False)
        tuning.record(found)
        console.print(f"recorded for {name}: {CHOSEN}")


def _print_search(found: "Search", out: Path | None, with_test: bool) -> None:
    from mugkit.data.store import load
    from mugkit.studies import search_record

    base = found.base
    folder = out or files.home() / "search" / f"{base.dataset}-{base.profile}"
    search_record.write(search_record.record(found, load(base.dataset), with_test), folder)
    print_table(("hyperparameter", "value"), [(name, f"{value:g}") for name, value in found.best.values.items()])
    console.print(*found.conclusion(), f"all trials: {folder / base.system}.json", sep="\n")


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
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in page.counted(rows).items())
    console.print(f"{len(rows)} claims: {verdicts}\nreport: {target}")
    if maker and book:
        console.print(f"book: {maker.build(book)}")


@commands.command()
def bench(
    only: Annotated[list[str] | None, typer.Option(help="one benchmark by its name; repeat for several")] = None,
    out: Annotated[Path, typer.Option(help="where bench.json and the figure go")] = Path("figures"),
) -> None:
    """Compare the speed of mugkit with that of others, side by side in one run; every ratio has a bar.

    Needs a checkout of the repository. Exits with 1 if a ratio misses its bar. Results of other benchmarks in
    `bench.json` are kept. `make gpu` measures a GPU.

    Example: mugkit bench --only mmsa
    """
    benchmarks = files.checkout_module("tests", "benchmarks.command")
    if not benchmarks.measure(only or [], out):
        raise typer.Exit(1)


@commands.command()
def reproduce(
    profile: ProfileName = "quick",
    dataset: Annotated[list[str] | None, typer.Option(help="a prepared data set; repeat for several")] = None,
    engine: Engine = "local",
    out: Annotated[
        Path | None, typer.Option(help="folder for tables and figures; default: figures/, for smoke and paper below it")
    ] = None,
    address: Address = "",
    cpus_per_run: Cpus = None,
    gpus_per_run: Gpus = None,
    cell_limit: Annotated[float, typer.Option(help="seconds that one cell of a notebook may take", min=1)] = 21600,
    only_runs: Annotated[bool, typer.Option("--only-runs", help="only compute what notebooks need")] = False,
    studies: Annotated[bool, typer.Option(help="with --only-runs: also what only notebooks 12, 14 and 15 need")] = True,
) -> None:
    """Run every notebook and write its tables and figures. Finished work is reused, interrupted work resumes.

    Exits with 1 if a notebook failed, or with --only-runs a run.

    Example: mugkit reproduce --profile quick --dataset reviews --out figures
    """
    from mugkit.data.prepare import prepare as prepare_data
    from mugkit.notebook import default_out
    from mugkit.reproduction import reproduce as batch

    names, out = dataset or ["reviews"], out or default_out(profile)
    places: dict[str, Path | None] = dict.fromkeys(names) if only_runs else {**batch.folders(names, out)}
    execution = options.execution(places, engine, address, cpus_per_run, gpus_per_run, "auto")
    if "reviews" in names:
        prepare_data("reviews", [])
    if only_runs:
        failures = batch.runs_alone(profile, names, execution, studies)
        console.print("\n".join(failures) or "all runs are there; --only-runs leaves the notebooks")
        raise typer.Exit(1 if failures else 0)
    reports = batch.reproduce(profile, names, out, execution, cell_limit)
    console.print("\n".join(map(str, reports)))
    for page in batch.conclude(reports, names, out):
        console.print(f"        claims and report: {page}")
    if any(done.outcome == "failed" for done in reports):
        raise typer.Exit(1)
    console.print(f"tables and figures: {out}")
