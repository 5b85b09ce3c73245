"""Ratios against their bars, what `bench.json` keeps, and how the table and the figure show it."""

import math
from importlib import import_module
from pathlib import Path

import made_benches as made
import pytest

from benchmarks import command, measures
from benchmarks.measures import Ratio
from mugkit.errors import UserError


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict:
    monkeypatch.setattr(measures, "BENCHES", {"fast": "made:fast", "slow": "made:slow"})
    measures.keep(tmp_path, "slow", made.slow())
    return measures.keep(tmp_path, "fast", made.fast())


@pytest.mark.parametrize(
    ("values", "at_least", "ok"),
    [([2.0], True, True), ([1.0, 1.99, 9.0], True, False), ([2.0], False, True), ([2.01], False, False),
     ([math.nan], True, False), ([math.nan], False, False)],
)  # fmt: skip
def test_ratio_is_held_against_its_bar(values: list[float], at_least: bool, ok: bool) -> None:
    assert Ratio("n", "w", values, bar=2.0, at_least=at_least).as_json()["ok"] is ok
    assert Ratio("n", "w", values, bar=None).as_json()["ok"]


def test_every_listed_benchmark_is_there_and_others_are_refused() -> None:
    for module, name in (place.split(":") for place in measures.BENCHES.values()):
        assert callable(getattr(import_module(f"benchmarks.{module}"), name))
    assert list(measures.chosen(["mmsa", "stage2", "mmsa"])) == list(measures.chosen([])) == ["stage2", "mmsa"]
    with pytest.raises(UserError, match="did you mean 'stage2'"):
        measures.chosen(["stage"])


def test_table_and_figure_have_units_quartiles_bars_and_verdicts(record: dict, tmp_path: Path) -> None:
    rows = [ratio for found in record.values() for ratio in found["ratios"]]
    assert [command.cells(row) for row in rows] == [
        ("3×", "2.5 – 3.5", "≥ 2×"), ("1e-07", "–", "≤ 1e-06"), ("1.2×", "1.1 – 1.35", "≥ 2×"), ("0.5×", "–", "–"),
    ]  # fmt: skip
    assert [command.verdict(row) for row in (*rows, rows[1] | {"ok": False})] == ["ok", "ok", "under", "–", "over"]
    lines = command.saved_table(tmp_path / "bench.json").splitlines()
    assert lines[2] == "| ours over theirs | a made-up step beside another | 3× | 2.5 – 3.5 | ≥ 2× |"
    assert (len(lines), lines[-1].count("torch")) == (8, 1)  # four ratios; the machine once
    (axes,) = command.plot(record).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [3.0, 1.2, 0.5]
    assert sum(list(line.get_xdata()) == [2.0, 2.0] for line in axes.lines) == 2
    with pytest.raises(UserError, match="make bench"):
        command.saved_table(tmp_path / "gone.json")
