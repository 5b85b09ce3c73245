"""Plants faults in a copy of the library, one at a time, and counts how many the tests catch (`make faults`).

A committed tree is copied, so nothing changes in the checkout. The tests that mirror the fault's file run there up to
the first that fails, which must pass without the fault; those marked slow are left out unless the list says otherwise.
Where a fault's place or tests are not found, it is neither caught nor survived. What was tried is kept in
`$MUGKIT_HOME/faults`: an interrupted count goes on.

python tests/reliability/planted_faults.py figures/planted_faults.json --as after
"""

from __future__ import annotations

import argparse
import importlib
import io
import multiprocessing
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from mugkit import files

REPOSITORY = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_suffix(".toml")
SLOW_TO_IMPORT = (
    *("hypothesis", "pandas", "pyarrow.parquet", "safetensors.torch", "scipy.stats", "seaborn", "sklearn.linear_model"),
    *("torch", "transformers.models.bert.modeling_bert"),
)
LONGEST = 900  # seconds of a file's tests
CAUGHT, SURVIVED = "caught", "survived"
OUTCOMES = (CAUGHT, SURVIVED, "place not found", "tests not found", "stopped")


@dataclass(frozen=True)
class Fault:
    """One entry of the list; see its head."""

    id: str
    kind: str
    file: str
    find: str
    replace: str
    tests: Sequence[str] = ()
    slow: bool = False

    @property
    def key(self) -> str:
        """Of all that it says."""
        return files.digest(asdict(self))

    def place(self, tree: Path) -> Path | None:
        """The file that it is planted in: its own, else the only other file where the expression stands."""
        own = tree / self.file
        if own.is_file() and self.planted(own):
            return own
        others = [path for path in sorted((tree / "mugkit").rglob("*.py")) if self.planted(path)]
        return others[0] if len(others) == 1 else None

    def planted(self, path: Path) -> str:
        """The file's text with the fault in it; empty unless the expression stands there once."""
        source = path.read_text(encoding="utf-8")
        changed, count = re.subn(_anyhow_spaced(self.find), lambda _: self.replace, source)
        return changed if count == 1 else ""

    def mirrors(self, place: Path, tree: Path) -> list[str]:
        """The files of tests that belong to a place, as far as they are there."""
        module = place.relative_to(tree / "mugkit")
        mirror = Path("tests") / module.parent / f"test_{module.name}"
        return [name for name in dict.fromkeys([str(mirror), *self.tests]) if (tree / name).is_file()]


def _anyhow_spaced(expression: str) -> str:
    """A pattern of the expression whatever its spaces and line breaks."""
    words = re.findall(r"\w+|[^\w\s]", expression)
    return r"\s*".join(map(re.escape, words))


def read() -> list[Fault]:
    """The list of faults."""
    entries: list[dict[str, Any]] = tomllib.loads(LIST.read_text(encoding="utf-8"))["fault"]
    return [Fault(**entry) for entry in entries]


def copy(commit: str, folder: Path) -> None:
    """A commit's tree in a folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def run_tests(tests: Sequence[str], tree: Path, *options: str) -> list[str] | None:
    """The tests of a tree that fail, as pytest names them; None if they took too long, or pytest did not work.

    pytest runs in a fork of this process, which has imported what takes longest, but of mugkit only its files.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as printed:
        arguments = ([*options, *tests], tree, Path(printed.name))
        child = multiprocessing.get_context("fork").Process(target=_pytest, args=arguments)
        child.start()
        child.join(LONGEST * len(tests))
        if child.exitcode is None:
            child.kill()
            child.join()
        failed = re.findall(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", printed.read(), flags=re.MULTILINE)
    return failed if child.exitcode == 0 or (failed and child.exitcode in (1, 2)) else None


def _pytest(options: Sequence[str], tree: Path, printed: Path) -> None:
    """In a fork: the tree's own tests of the tree's own mugkit."""
    with printed.open("w", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.chdir(tree)
    os.environ |= {"HF_HUB_OFFLINE": "1", "MUGKIT_PROGRESS": "0", "TOKENIZERS_PARALLELISM": "false"}
    os.environ["PYTHONPATH"] = sys.path[0] = str(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mugkit"]:
        del sys.modules[name]
    if not Path(str(importlib.import_module("mugkit").__file__)).is_relative_to(tree):
        sys.exit("mugkit is not read from the copy")
    # Not through sys.exit: what this process was forked with must not be ended twice.
    code = pytest.main(["-q", "-p", "no:cacheprovider", *options])
    sys.stdout.flush()
    os._exit(int(code))


def attempt(fault: Fault, tree: Path, broken: Iterable[str]) -> dict[str, Any]:
    """Plants a fault, runs its tests up to the first that fails, and takes it out again.

    Args:
        broken: tests that fail without a fault, too; they are left out.
    """
    if (place := fault.place(tree)) is None:
        return {"outcome": "place not found"}
    if not (tests := fault.mirrors(place, tree)):
        return {"outcome": "tests not found"}
    left_out = [option for test in broken for option in ("--deselect", test)]
    before = place.read_bytes()
    place.write_text(fault.planted(place), encoding="utf-8")
    try:
        failed = run_tests(tests, tree, "-x", "-m", "" if fault.slow else "not slow", *left_out)
    finally:
        place.write_bytes(before)
    if failed is None:
        return {"outcome": "stopped"}
    return {"outcome": CAUGHT, "by": failed[0]} if failed else {"outcome": SURVIVED}


def failing(tests: set[str], tree: Path) -> set[str]:
    """Those of the functions of tests that fail without a fault."""
    if (failed := run_tests(sorted(tests), tree) if tests else []) is None:
        raise SystemExit("the tests that caught a fault do not run without one")
    return set(map(_function, failed))


def _function(test: str) -> str:
    return test.partition("[")[0]


def count(faults: Sequence[Fault], commit: str) -> dict[str, dict[str, Any]]:
    """By fault, what became of it on a commit; goes on where an earlier count of the same commit stopped.

    Tests that caught a fault must pass without the fault; where they do not, the others have to catch it.
    """
    kept = files.home() / "faults" / f"{commit}.json"
    done: dict[str, Any] = files.read_json(kept) if kept.is_file() else {}
    broken, sound = set[str](), set[str]()
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name).resolve()
        copy(commit, tree)
        while True:
            for number, fault in enumerate(faults, 1):
                if fault.key not in done:
                    started = time.monotonic()
                    done[fault.key] = attempt(fault, tree, broken)
                    files.write_json(kept, done)
                    found, took = done[fault.key]["outcome"], time.monotonic() - started
                    print(f"{number:2}/{len(faults)} {found}: {fault.id} [{fault.file}, {took:.0f} s]", flush=True)
            by = {fault.key: _function(done[fault.key]["by"]) for fault in faults if "by" in done[fault.key]}
            wrong = failing(set(by.values()) - sound, tree)
            if not wrong:
                return {fault.id: done[fault.key] for fault in faults}
            print(f"without a fault, too, fail: {', '.join(sorted(wrong))}", flush=True)
            broken, sound = broken | wrong, set(by.values()) - wrong
            done = {key: found for key, found in done.items() if by.get(key) not in wrong}


def summary(commit: str, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How many faults came to which end, and which."""
    numbers = {name: sum(result["outcome"] == name for result in found.values()) for name in OUTCOMES}
    return {"commit": commit, **numbers, "faults": found}


def main(arguments: argparse.Namespace) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in SLOW_TO_IMPORT:
        importlib.import_module(name)
    faults, target = read(), arguments.target
    revision = ["git", "rev-parse", "--verify", f"{arguments.commit}^{{commit}}"]
    commit = subprocess.run(revision, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    result = summary(commit, count(faults, commit))
    stored = files.read_json(target) if target.is_file() else {"before": None, "after": None}
    command = f"python tests/reliability/planted_faults.py {target} --as before|after --commit COMMIT"
    files.write_json(target, {"command": command, **stored, arguments.name: result})
    print(", ".join(f"{result[name]} {name}" for name in OUTCOMES if result[name] or name in (CAUGHT, SURVIVED)))
    return int(result[CAUGHT] < len(faults))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="the JSON file of counts")
    parser.add_argument("--as", dest="name", choices=("before", "after"), default="after")
    parser.add_argument("--commit", default="HEAD", help="whose tree is tried; what is not committed is left out")
    sys.exit(main(parser.parse_args()))
