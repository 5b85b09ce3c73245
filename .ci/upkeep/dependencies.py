"""`DEPENDENCIES.md`: every package that mugkit declares, why it is there (the comment in pyproject), and its licence.

`python .ci/upkeep/dependencies.py` writes the page from `pyproject.toml`, the metadata of what is installed, and
the versions that the tests passed with; a test fails if the page differs. These versions are in
`figures/versions.json`: `make test-lowest` and `make test-newest` call `dependencies.py NAME tests.xml` in their
environment once all tests have passed, which also notes the commit.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path
from platform import python_version
from typing import Any
from xml.etree import ElementTree

from mugkit import files
from mugkit.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
NAME = "DEPENDENCIES.md"
TESTED = Path("figures") / "versions.json"
_NOT_NOTED = f"of a commit that was not noted (when: `git log {TESTED}`)"  # for old records, without a commit
_UNASKED = {"zh": "unclear of its weights, so nothing installs it unasked"}
_REASONED = re.compile(r'^\s*"([^"]+)",\s*#\s*(.+?)\s*$', re.MULTILINE)  # an entry and the comment beside it
_HEAD = """\
# Dependencies

Written by `python .ci/upkeep/dependencies.py` from `pyproject.toml` and the packages' own metadata; do not edit.
What these need in turn is pinned in `constraints.txt`; `make audit` looks all of it up among known vulnerabilities.
"""
_RAN = """
When the unit tests last ran with the lowest and with the newest versions, all passed but those that were skipped:

"""
_DASH = """
Where *tested with* has –, such a run noted no version: the package was declared later, or is of an extra it lacked.
"""


@dataclass(frozen=True)
class Dependency:
    """A declared package."""

    group: str  # `dependencies`, or the extra
    name: str
    bound: str  # the versions allowed, as declared
    reason: str


def declared(pyproject: str) -> list[Dependency]:
    """Every package of `dependencies` and of the extras, in their order.

    Raises:
        UserError: if one has no reason beside it.
    """
    project = tomllib.loads(pyproject)["project"]
    groups = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    reasons, found = dict(_REASONED.findall(pyproject)), []
    for group, entry in ((group, entry) for group, entries in groups.items() for entry in entries):
        if entry not in reasons:
            fix = 'write "NAME>=VERSION",  # what it is needed for'
            raise UserError("a dependency without its reason", file="pyproject.toml", field=entry, fix=fix)
        name = re.split(r"[^\w.-]", entry)[0]
        found.append(Dependency(group, name, entry.removeprefix(name), reasons[entry]))
    return found


def licence(name: str) -> str:
    """A package's licence by its metadata: the expression, else the classifiers, else a short first line of its text.

    Raises:
        UserError: if it is not installed.
    """
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError as error:
        raise UserError(f"{name} is not installed", fix="make setup") from error
    stated = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if line.startswith("License ::")]
    text = next(iter("".join(about.get_all("License", [])).strip().splitlines()), "")
    expression = "".join(about.get_all("License-Expression", []))
    short = text if len(text) <= 60 else ""  # a longer line is part of the licence itself
    named = ", ".join(title for title in stated if title != "OSI Approved")
    return expression or named or short or "not stated"


def page(pyproject: str, tested: Mapping[str, Any]) -> str:
    """The page, with one table per group; `tested` is what `record` noted of each environment."""
    parts = [_HEAD, _RAN if tested else ""]
    for name, ran in tested.items():
        commit = f"at commit {ran['commit']}" if ran.get("commit") else _NOT_NOTED
        counts = f"{ran['passed']:,} passed, {ran['skipped']} skipped"
        parts.append(f"- `make test-{name}`, Python {ran['python']}, {commit}: {counts}.\n")
    parts.append(_DASH if tested else "")
    head = "| package | versions | tested with | needed for | licence |\n| --- | --- | --- | --- | --- |\n"
    for group, found in groupby(declared(pyproject), key=lambda dependency: dependency.group):
        parts.append(f"\n## {'Always' if group == 'dependencies' else f'Extra `{group}`'}\n\n{head}")
        parts += [_row(dependency, tested) for dependency in found]
    return "".join(parts)


def _row(found: Dependency, tested: Mapping[str, Any]) -> str:
    versions = ", ".join(dict.fromkeys(each["versions"].get(found.name, "–") for each in tested.values())) or "–"
    about = _UNASKED.get(found.group) or licence(found.name)
    cells = (found.name, found.bound, versions, found.reason, about)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def recorded(root: Path) -> dict[str, Any]:
    """What `record` has noted so far."""
    found: dict[str, Any] = files.read_json(root / TESTED) if (root / TESTED).exists() else {}
    return found


def outcome(report: Path) -> dict[str, int]:
    """How many tests passed and how many were skipped, from pytest's JUnit report.

    Raises:
        UserError: if some failed, or none passed.
    """
    suites = list(ElementTree.parse(report).iter("testsuite"))
    names = ("tests", "skipped", "failures", "errors")
    tests, skipped, failed, errors = (sum(int(suite.get(name, 0)) for suite in suites) for name in names)
    passed = tests - skipped - failed - errors
    if failed or errors or not passed:
        problem = f"{failed} failed, {errors} in error, {passed} passed: nothing to record"
        raise UserError(problem, file=report, fix="fix them, then run all tests again")
    return {"passed": passed, "skipped": skipped}


def commit(root: Path) -> str:
    """The commit that is checked out, its day, and whether files of the project differ from it; "" outside git."""
    earlier = [f":!{TESTED}", f":!{NAME}"]  # written by an earlier run

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()

    try:
        here = git("log", "-1", "--format=%h of %cs")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *earlier)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{here}, with changes" if changed else here


def record(name: str, report: Path, root: Path) -> None:
    """Records this environment's versions and outcome, and the commit; replaces what was noted under that name.

    Extras that are not installed are left out.
    """
    versions = {}
    for found in declared((root / "pyproject.toml").read_text(encoding="utf-8")):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[found.name] = metadata.version(found.name)
    noted = {"python": python_version(), **outcome(report), "commit": commit(root), "versions": versions}
    files.write_json(root / TESTED, dict(sorted((recorded(root) | {name: noted}).items())))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        record(sys.argv[1], Path(sys.argv[2]), ROOT)
    else:
        written = page((ROOT / "pyproject.toml").read_text(encoding="utf-8"), recorded(ROOT))
        with files.atomic_path(ROOT / NAME) as temporary:
            temporary.write_text(written, encoding="utf-8")
