"""RUNNING.md: scripts are shell, commands and configuration exist, and Slurm's script and `make setup` do their job."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from mugkit import cli

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "RUNNING.md").read_text(encoding="utf-8")
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(mugkit [^`]+)`")


def blocks(language: str) -> list[str]:
    return [found[2] for found in _FENCED.finditer(PAGE) if found[1] == language]


def commands(program: str) -> list[list[str]]:
    """Every call of a program on the page, as words after its name."""
    launcher = yaml.safe_load(blocks("yaml")[0])
    of_ray = [*launcher["head_start_ray_commands"], *launcher["worker_start_ray_commands"]]
    text = "\n".join([*blocks("bash"), *_INLINE.findall(PAGE), *(of_ray if program == "ray" else [])])
    ends = r"(?=['\n;&|>]|$)"
    found = re.findall(rf"(?<!engine)[\s/']{program} ([a-z].+?){ends}", "\n" + text.replace("\\\n", " "))
    return [shlex.split(words) for words in found]


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
    for words in calls:
        check(words, typer.main.get_command(cli.commands))


def test_commands_and_configuration_of_ray_exist_with_their_options() -> None:
    scripts: Any = pytest.importorskip("ray.scripts.scripts", reason="the extra `cluster` is not installed")
    util: Any = pytest.importorskip("ray.autoscaler._private.util", reason="the extra `cluster` is not installed")
    calls = commands("ray")
    assert {"start", "status", "up", "exec", "down", "stop"} <= {words[0] for words in calls}
    for words in calls:
        check(words, scripts.cli)
    util.validate_config(util.prepare_config(yaml.safe_load(blocks("yaml")[0])))


def play(folder: Path, programs: Mapping[str, str]) -> None:
    """Writes programs into the environment that scripts look into first."""
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name, body in programs.items():
        path = folder / ".venv" / "bin" / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)


NOTED = 'echo $(basename "$0") "$*" >>"$LOG"'
SLURM = {
    "scontrol": f"{NOTED}; printf 'node1\\nnode2\\nnode3\\n'",
    "srun": f'{NOTED}; while [[ "$1" == --* ]]; do shift; done; exec "$@"',
    # What a signal does is set before the note: whoever reads the note may send a signal.
    "ray": f"""trap "echo ended >>$LOG; exit 0" TERM; {NOTED}
if [[ "$1" == status ]]; then grep -q "^ray start --head" "$LOG"; exit; fi
while :; do sleep 0.05; done""",
    "mugkit": f"""trap "echo stopped >>$LOG; exit 143" TERM; {NOTED}
until [[ -e "$DONE" ]]; do sleep 0.05; done; exit 3""",
}


@contextlib.contextmanager
def started(folder: Path, programs: Mapping[str, str] = SLURM) -> Iterator[subprocess.Popen[str]]:
    """The script as Slurm starts it; `log` holds what it called, `done` ends the command in it."""
    play(folder, programs)
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


def wait_for(log: Path, *texts: str) -> str:
    until = time.monotonic() + 60
    while not (log.exists() and all(text in log.read_text() for text in texts)):
        assert time.monotonic() < until, log.read_text() if log.exists() else "nothing was called"
        time.sleep(0.05)
    return log.read_text()


def test_slurm_script_starts_ray_and_passes_on_how_the_command_ended(tmp_path: Path) -> None:
    with started(tmp_path) as job:
        log = wait_for(tmp_path / "log", "mugkit reproduce", "ray start --address")
        assert "ray start --head --port=6379 --num-cpus 8 --num-gpus 2" in log
        assert "ray start --address node1:6379 --num-cpus 8 --num-gpus 2" in log
        assert "srun --overlap --nodes=2 --ntasks=2 --exclude=node1 ray" in log
        assert "--engine ray --address node1:6379" in log
        (tmp_path / "done").touch()
        assert job.wait(timeout=60) == 3
        assert wait_for(tmp_path / "log", "ended\nended")


def test_slurm_script_told_of_the_time_limit_stops_the_command(tmp_path: Path) -> None:
    with started(tmp_path) as job:
        wait_for(tmp_path / "log", "mugkit reproduce", "ray start --address")
        job.terminate()
        assert job.wait(timeout=60) == 143
        log = wait_for(tmp_path / "log", "ended\nended")
    assert log.index("stopped") < log.index("ended")


def test_slurm_script_gives_up_where_the_head_does_not_start(tmp_path: Path) -> None:
    with started(tmp_path, SLURM | {"srun": "exit 1"}) as process:
        assert process.wait(timeout=60) != 0
    assert not (tmp_path / "log").exists() or "mugkit" not in (tmp_path / "log").read_text()


def installed(repository: Path, *options: str) -> list[str]:
    """The parts of mugkit that `make setup` with these options installs."""
    variables = {n: v for n, v in os.environ.items() if not n.startswith(("MAKE", "CONDA", "EXTRAS", "MFLAGS"))}
    (log := repository / "log").write_text("")
    variables["LOG"] = str(log)
    subprocess.run(["make", "setup", *options], cwd=repository, env=variables, capture_output=True, check=True)
    return [line.rpartition("--editable ")[2] for line in log.read_text().splitlines() if " install " in line]


def test_setup_installs_once_and_again_when_parts_or_requirements_change(tmp_path: Path) -> None:
    play(tmp_path, {"python": NOTED, "uv": NOTED})
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)
    default = installed(tmp_path)
    assert default[0].startswith(".[notebooks,offline,")
    assert installed(tmp_path) == []
    assert installed(tmp_path, "EXTRAS=notebooks,zh") == [".[notebooks,zh]"]
    assert installed(tmp_path) == default
    later = (tmp_path / ".venv" / ".mugkit-setup").stat().st_mtime + 10
    os.utime(tmp_path / "constraints.txt", (later, later))
    assert installed(tmp_path) == default


def test_what_messages_tell_to_install_is_a_part_that_setup_can_install() -> None:
    """pip alone cannot: learn2learn needs the settings that uv reads from pyproject.toml."""
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    code = [path for folder in ("mugkit", ".ci") for path in (REPOSITORY / folder).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in (*code, *(REPOSITORY / "data_prep").glob("*.md"))]
    named = {name for text in texts for name in re.findall(r"EXTRAS=(\w+)", text)}
    assert named
    assert named <= extras.keys()
    assert not [text for text in texts if re.search(r"pip install '?mugkit", text)]
