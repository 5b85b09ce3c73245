"""Versions are recorded of an environment in which all tests passed, and of no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from platform import python_version

import dependencies
import numpy as np
import pytest
import tested

from mugkit import files
from mugkit.errors import UserError

PYPROJECT = """[project]
dependencies = [
    "numpy>=1.26",           # arrays
    "no-such-package>=1",    # nothing
]

[project.optional-dependencies]
test = [
    "pytest>=8.2",           # unit tests
]
"""
PASSING = "def test_one(): pass\n\ndef test_two(): pass\n\ndef test_three(): pytest.skip()\n"


def report(folder: Path, tests: str) -> Path:
    """pytest's own, of these tests."""
    (folder / "test_it.py").write_text(f"import pytest\n\n{tests}")
    options = ["--junitxml=tests.xml", "-p", "no:cacheprovider", "--rootdir=."]
    subprocess.run([sys.executable, "-m", "pytest", *options], cwd=folder, capture_output=True, check=False)
    return folder / "tests.xml"


def test_record_of_passing_tests_keeps_other_environments(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    files.write_json(tmp_path / dependencies.TESTED, {"lowest": "before", "newest": "before"})
    tested.record("newest", report(tmp_path, PASSING), tmp_path)
    versions = {"numpy": np.__version__, "pytest": pytest.__version__}
    newest = {"python": python_version(), "passed": 2, "skipped": 1, "versions": versions}
    assert dependencies.recorded(tmp_path) == {"lowest": "before", "newest": newest}


WRONG = "\ndef test_four(): assert False\n\ndef test_five(nothing): pass\n"


@pytest.mark.parametrize(
    ("tests", "told"),
    [(PASSING + WRONG, "1 failed, 1 in error, 2 passed"), ("", "0 failed, 0 in error, 0 passed")],
)
def test_record_of_other_tests_is_refused(tmp_path: Path, tests: str, told: str) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    with pytest.raises(UserError, match=told):
        tested.record("newest", report(tmp_path, tests), tmp_path)
    assert dependencies.recorded(tmp_path) == {}
