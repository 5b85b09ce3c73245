"""RUNNING.md: scripts are shell, the configuration is Ray's, commands exist, and the Slurm script does its job."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from mugkit import cli

PAGE = (Path(__file__).resolve().parents[1] / "RUNNING.md").read_text(encoding="utf-8")
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(mugkit [^`]+)`")


def blocks(language: str) -> list[str]:
    return [found[2] for found in _FENCED.finditer(PAGE) if found[1] == language]


def commands(program: str) -> list[list[str]]:
    """Every call of a program on the page, as words after its name."""
    text = "\n".join([*blocks("bash"), *_INLINE.findall(PAGE), *(yaml_commands() if program == "ray" else [])])
    text = text.replace("\\\n", " ")
    ends = r"(?=['\n;&|>]|$)"
    return [shlex.split(found) for found in re.findall(rf"(?<!engine)[\s/']{program} ([a-z].+?){ends}", "\n" + text)]


def yaml_commands() -> list[str]:
    found = yaml.safe_load(blocks("yaml")[0])
    return [*found["head_start_ray_commands"], *found["worker_start_ray_commands"]]


def check(words: list[str], command: Any) -> None:
    """Refuses a subcommand or an option that the program does not have."""
    while hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, name
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert given <= known, (command.name, given - known)


def test_scripts_are_shell() -> None:
    assert len(blocks("bash")) >= 5
    for script in blocks("bash"):
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), script


def test_commands_of_mugkit_exist_with_their_options() -> None:
    calls = commands("mugkit")
    assert {"prepare", "doctor", "reproduce", "search"} <= {words[0] for words in calls}
    assert sum("ray" in words and "--address" in words for words in calls) >= 3
    for words in calls:
        check(words, typer.main.get_command(cli.commands))
    with pytest.raises(AssertionError, match="gpus-per-rum"):
        check(["reproduce", "--gpus-per-rum", "1"], typer.main.get_command(cli.commands))


def test_commands_of_ray_exist_with_their_options() -> None:
    scripts: Any = pytest.importorskip("ray.scripts.scripts", reason="the extra `cluster` is not installed")
    calls = commands("ray")
    assert {"start", "status", "up", "exec", "down", "stop"} <= {words[0] for words in calls}
    for words in calls:
        check(words, scripts.cli)


def test_configuration_of_the_launcher_is_rays() -> None:
    util: Any = pytest.importorskip("ray.autoscaler._private.util", reason="the extra `cluster` is not installed")
    util.validate_config(util.prepare_config(yaml.safe_load(blocks("yaml")[0])))


# --- the Slurm script, with Slurm and Ray played by scripts that note how they are called

# What a signal does is set before the note: whoever reads the note may send a signal.
TRAPS = {"ray": 'trap "echo ended >>$LOG; exit 0" TERM', "mugkit": 'trap "echo stopped >>$LOG; exit 143" TERM'}
PLAYED = {
    "scontrol": "printf 'node1\\nnode2\\nnode3\\n'",
    "srun": 'while [[ "$1" == --* ]]; do shift; done; exec "$@"',
    "ray": """if [[ "$1" == status ]]; then grep -q "^ray start --head" "$LOG"; exit; fi
while :; do sleep 0.05; done""",
    "mugkit": 'until [[ -e "$DONE" ]]; do sleep 0.05; done; exit 3',
}


@contextlib.contextmanager
def started(folder: Path, played: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The script as Slurm starts it; `log` holds what it called, `done` ends the command in it."""
    programs = folder / ".venv" / "bin"  # the script puts it first
    programs.mkdir(parents=True)
    for name, body in played.items():
        path = programs / name
        path.write_text(f'#!/bin/bash\n{TRAPS.get(name, "")}\necho {name} "$*" >>"$LOG"\n{body}\n')
        path.chmod(0o755)
    (script,) = [block for block in blocks("bash") if "#SBATCH" in block]
    own = {"LOG": str(folder / "log"), "DONE": str(folder / "done"), "SLURM_SUBMIT_DIR": str(folder)}
    own |= {"SLURM_JOB_NODELIST": "node[1-3]", "SLURM_CPUS_PER_TASK": "8", "SLURM_GPUS_ON_NODE": "2"}
    process = subprocess.Popen(
        ["bash", "-c", script], env=os.environ | own, text=True, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):  # all of it ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def job(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started(tmp_path, PLAYED) as process:
        yield process


def wait_for(log: Path, text: str) -> str:
    until = time.monotonic() + 60
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < until, log.read_text() if log.exists() else "nothing was called"
        time.sleep(0.05)
    return log.read_text()


def test_slurm_script_starts_ray_and_passes_on_how_the_command_ended(
    job: subprocess.Popen[str], tmp_path: Path
) -> None:
    wait_for(tmp_path / "log", "mugkit reproduce")
    log = wait_for(tmp_path / "log", "ray start --address")
    assert "ray start --head --port=6379 --num-cpus 8 --num-gpus 2" in log
    assert "ray start --address node1:6379 --num-cpus 8 --num-gpus 2" in log
    assert "srun --overlap --nodes=2 --ntasks=2 --exclude=node1 ray" in log
    assert "--engine ray --address node1:6379" in log
    (tmp_path / "done").touch()
    assert job.wait(timeout=60) == 3
    assert wait_for(tmp_path / "log", "ended\nended")


def test_slurm_script_told_of_the_time_limit_stops_the_command(job: subprocess.Popen[str], tmp_path: Path) -> None:
    wait_for(tmp_path / "log", "mugkit reproduce")
    wait_for(tmp_path / "log", "ray start --address")
    job.terminate()
    assert job.wait(timeout=60) == 143
    log = wait_for(tmp_path / "log", "ended\nended")
    assert log.index("stopped") < log.index("ended")


def test_slurm_script_gives_up_where_the_head_does_not_start(tmp_path: Path) -> None:
    with started(tmp_path, PLAYED | {"srun": "exit 1"}) as process:
        assert process.wait(timeout=60) != 0
    assert "mugkit" not in (tmp_path / "log").read_text()
