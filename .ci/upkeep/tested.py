"""The versions that the unit tests passed with, in `figures/versions.json`; `DEPENDENCIES.md` shows them.

`make test-lowest` and `make test-newest` call this in their environment once all tests have passed.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from platform import python_version
from xml.etree import ElementTree

import dependencies

from mugkit import files
from mugkit.errors import UserError


def outcome(report: Path) -> dict[str, int]:
    """How many tests passed and how many were skipped, from pytest's JUnit report.

    Raises:
        UserError: some failed, or none passed.
    """
    suites = list(ElementTree.parse(report).iter("testsuite"))
    tests, skipped, failed, errors = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "skipped", "failures", "errors")
    )
    passed = tests - skipped - failed - errors
    if failed or errors or not passed:
        problem = f"{failed} failed, {errors} in error, {passed} passed: nothing to record"
        raise UserError(problem, file=str(report), fix="mend them, then run all tests again")
    return {"passed": passed, "skipped": skipped}


def installed(pyproject: str) -> dict[str, str]:
    """The version of every declared package that this environment has; extras that nobody asked for are left out."""
    present = {}
    for one in dependencies.declared(pyproject):
        try:
            present[one.name] = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            continue
    return present


def record(name: str, report: Path, root: Path) -> None:
    """Puts one environment's versions and outcome in place of what was recorded under that name."""
    versions = installed((root / "pyproject.toml").read_text(encoding="utf-8"))
    one = {"python": python_version(), **outcome(report), "versions": versions}
    files.write_json(root / dependencies.TESTED, dict(sorted((dependencies.recorded(root) | {name: one}).items())))


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]), Path.cwd())
