"""The list of dependencies is current, and says of each why it is there, its licence, and which versions passed."""

from pathlib import Path
from platform import python_version

import dependencies
import numpy as np
import pytest

from mugkit import files
from mugkit.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
PYPROJECT = """[project]
dependencies = [
    "numpy>=1.26",           # arrays | tables
    "scipy>=1.15",{comment}
]

[project.optional-dependencies]
# A comment above.
test = [
    "pytest>=8.2",           # unit tests
]
"""


def test_page_is_current() -> None:
    """All but licences, which other versions may word otherwise; `python .ci/upkeep/dependencies.py` mends it."""
    committed = (REPOSITORY / dependencies.NAME).read_text(encoding="utf-8").splitlines()
    pyproject = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    written = dependencies.page(pyproject, dependencies.recorded(REPOSITORY)).splitlines()
    assert [line.rsplit(" | ", 1)[0] for line in committed] == [line.rsplit(" | ", 1)[0] for line in written]
    assert not [line for line in written if line.endswith("| not stated |")]


def test_page_is_a_table_for_each_group_and_says_which_versions_passed() -> None:
    same = {"python": "3.11.7", "skipped": 2}
    commit, versions = "abc1234 of 2026-11-26", {"numpy": "1.26.0", "scipy": "1.15.0"}
    tested = {
        "lowest": same | {"passed": 1234, "commit": commit, "versions": versions},
        "newest": same | {"passed": 99, "versions": versions | {"numpy": "2.4.6"}},
    }
    written = dependencies.page(PYPROJECT.format(comment="  # distributions"), tested)
    assert "- `make test-lowest`, Python 3.11.7, at commit abc1234 of 2026-11-26: 1,234 passed, 2 skipped.\n" in written
    assert [line for line in written.splitlines() if line.startswith("## ")] == ["## Always", "## Extra `test`"]
    assert r"| numpy | >=1.26 | 1.26.0, 2.4.6 | arrays \| tables | " in written
    assert "| scipy | >=1.15 | 1.15.0 | distributions | " in written
    with pytest.raises(UserError, match="without its reason"):
        dependencies.page(PYPROJECT.format(comment=""), {})


def test_record_of_passing_tests_keeps_other_environments_and_others_are_refused(tmp_path: Path) -> None:
    pyproject = PYPROJECT.format(comment="  # distributions").replace("scipy", "no-such")
    (tmp_path / "pyproject.toml").write_text(pyproject)
    files.write_json(tmp_path / dependencies.TESTED, {"lowest": "before", "newest": "before"})
    report = tmp_path / "tests.xml"
    for counts in ('tests="3" failures="1"', 'tests="3" errors="1"', 'tests="0"'):
        report.write_text(f'<testsuites><testsuite name="pytest" {counts}></testsuite></testsuites>')
        with pytest.raises(UserError, match="nothing to record"):
            dependencies.record("newest", report, tmp_path)
    report.write_text('<testsuites><testsuite tests="3" skipped="1" failures="0" errors="0"></testsuite></testsuites>')
    dependencies.record("newest", report, tmp_path)
    versions = {"numpy": np.__version__, "pytest": pytest.__version__}
    newest = {"python": python_version(), "passed": 2, "skipped": 1, "commit": "", "versions": versions}
    assert dependencies.recorded(tmp_path) == {"lowest": "before", "newest": newest}
