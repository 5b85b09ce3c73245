"""How ratios are written."""

from __future__ import annotations

from pathlib import Path

import made_benches as made
import pytest

from benchmarks import wording
from mugkit.errors import UserError


def test_ratio_is_written_with_unit_bar_and_verdict() -> None:
    rows = [ratio.as_json() for ratio in (made.FAST, made.SLOW, made.EQUAL, made.SHOWN)]
    assert [wording.value(row) for row in rows] == ["3×", "1.2×", "1e-07", "0.5×"]
    assert [wording.spread(row) for row in rows] == ["2.5 – 3.5", "1.1 – 1.35", "–", "–"]
    assert [wording.bar(row) for row in rows] == ["≥ 2×", "≥ 2×", "≤ 1e-06", "–"]
    assert [wording.verdict(row) for row in rows] == ["ok", "under", "ok", "–"]
    assert wording.verdict(rows[2] | {"ok": False}) == "over"


def test_table_has_a_line_a_ratio_and_the_machine_once() -> None:
    one, two = made.fast().as_json(), made.slow().as_json()
    lines = wording.table({"fast": one, "slow": two}).splitlines()
    assert lines[2] == "| ours over theirs | a made-up step beside another | 3× | 2.5 – 3.5 | ≥ 2× |"
    assert len([line for line in lines if line.startswith("| ")]) == 2 + 4
    assert lines[-1].count("torch") == 1
    assert lines[-1].endswith("(`make bench`). fast: made up")
    other = wording.table({"fast": one, "slow": two | {"cores": 99}}).splitlines()[-1]
    assert "99 cores" in other
    assert other.count("torch") == 2


def test_table_that_was_never_measured_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make bench"):
        wording.saved_table(tmp_path / "bench.json")
