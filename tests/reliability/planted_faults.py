"""Plants faults in a copy of the library, one at a time, and counts how many the tests catch (`make faults`).

A committed tree is copied, so nothing changes in the checkout. The tests that mirror the fault's file run there up to
the first that fails, which must pass without the fault; those marked slow are left out unless the list says otherwise.
Where a fault's place or tests are not found, it is neither caught nor survived. What was tried is kept in
`$MUGKIT_HOME/faults`: an interrupted count goes on.

python tests/reliability/planted_faults.py figures/planted_faults.json --as after
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mugkit import files

REPOSITORY = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_suffix(".toml")
LONGEST = 900  # seconds of a file's tests
CAUGHT, SURVIVED, UNSOUND = "caught", "survived", "tests fail without it"
OUTCOMES = (CAUGHT, SURVIVED, "place not found", "tests not found", "stopped", UNSOUND)
SURROUNDINGS = {
    "HF_HUB_OFFLINE": "1",
    "MUGKIT_PROGRESS": "0",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


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

    def place(self, tree: Path) -> Path | None:
        """The file that it is planted in: its own, else the only other file where the expression stands."""
        own = tree / self.file
        if own.is_file() and self.planted(own):
            return own
        others = [path for path in sorted((tree / "mugkit").rglob("*.py")) if self.planted(path)]
        return others[0] if len(others) == 1 else None

    def planted(self, path: Path) -> str:
        """The file's text with the fault in it; empty unless the expression stands there once, spaces aside."""
        words = re.findall(r"\w+|[^\w\s]", self.find)
        source = path.read_text(encoding="utf-8")
        changed, count = re.subn(r"\s*".join(map(re.escape, words)), lambda _: self.replace, source)
        return changed if count == 1 else ""

    def mirrors(self, place: Path, tree: Path) -> list[str]:
        """The files of tests that belong to a place, as far as they are there."""
        module = place.relative_to(tree / "mugkit")
        mirror = Path("tests") / module.parent / f"test_{module.name}"
        return [name for name in dict.fromkeys([str(mirror), *self.tests]) if (tree / name).is_file()]


def run_tests(tests: Sequence[str], tree: Path, *options: str) -> list[str] | None:
    """The tests of a tree that fail, as pytest names them; None if they took too long, or pytest did not work."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *tests]
    surroundings = os.environ | SURROUNDINGS | {"PYTHONPATH": str(tree)}
    try:
        done = subprocess.run(
            command, cwd=tree, env=surroundings, timeout=LONGEST * len(tests), capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return None
    failed = re.findall(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", done.stdout, flags=re.MULTILINE)
    return failed if done.returncode == 0 or (failed and done.returncode in (1, 2)) else None


def attempt(fault: Fault, tree: Path) -> dict[str, Any]:
    """Plants a fault, runs its tests up to the first that fails, and takes it out again."""
    if (place := fault.place(tree)) is None:
        return {"outcome": "place not found"}
    if not (tests := fault.mirrors(place, tree)):
        return {"outcome": "tests not found"}
    before = place.read_bytes()
    place.write_text(fault.planted(place), encoding="utf-8")
    try:
        failed = run_tests(tests, tree, "-x", "-m", "" if fault.slow else "not slow")
    finally:
        place.write_bytes(before)
    if failed is None:
        return {"outcome": "stopped"}
    return {"outcome": CAUGHT, "by": failed[0]} if failed else {"outcome": SURVIVED}


def count(faults: Sequence[Fault], commit: str) -> dict[str, dict[str, Any]]:
    """By fault, what became of it on a commit; goes on where an earlier count of the same commit stopped."""
    kept = files.home() / "faults" / f"{commit}.json"
    done: dict[str, Any] = files.read_json(kept) if kept.is_file() else {}
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name).resolve()
        archive = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "--extract", "--directory", tree], input=archive, check=True)
        found = {}
        for number, fault in enumerate(faults, 1):
            key = files.digest(asdict(fault))
            if key not in done:
                done[key] = attempt(fault, tree)
                files.write_json(kept, done)
            found[fault.id] = done[key]
            print(f"{number:2}/{len(faults)} {done[key]['outcome']}: {fault.id} [{fault.file}]", flush=True)
        catching = {result["by"].partition("[")[0] for result in found.values() if "by" in result}
        failing = run_tests(sorted(catching), tree) if catching else []
    if failing is None:
        raise SystemExit("the tests that caught a fault do not run without one")
    return {id: result | ({"outcome": UNSOUND} if result.get("by") in failing else {}) for id, result in found.items()}


def main(arguments: argparse.Namespace) -> int:
    target, entries = arguments.target, tomllib.loads(LIST.read_text(encoding="utf-8"))["fault"]
    faults = [Fault(**entry) for entry in entries]
    revision = ["git", "rev-parse", "--verify", f"{arguments.commit}^{{commit}}"]
    commit = subprocess.run(revision, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    found = count(faults, commit)
    numbers = {name: sum(result["outcome"] == name for result in found.values()) for name in OUTCOMES}
    stored = files.read_json(target) if target.is_file() else {"before": None, "after": None}
    command = f"python tests/reliability/planted_faults.py {target} --as before|after --commit COMMIT"
    result = {"commit": commit, **numbers, "faults": found}
    files.write_json(target, {"command": command, **stored, arguments.name: result})
    print(", ".join(f"{number} {name}" for name, number in numbers.items() if number or name in (CAUGHT, SURVIVED)))
    return int(numbers[CAUGHT] < len(faults))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="the JSON file of counts")
    parser.add_argument("--as", dest="name", choices=("before", "after"), default="after")
    parser.add_argument("--commit", default="HEAD", help="whose tree is tried; what is not committed is left out")
    sys.exit(main(parser.parse_args()))
