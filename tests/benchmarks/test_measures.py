"""Ratios by hand, their bars, what `bench.json` keeps, and how table and figure show it."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import made_benches as made
import numpy as np
import pytest

from benchmarks import figure, measures, wording
from benchmarks.measures import Found, Ratio
from mugkit.errors import UserError

LISTED = measures.BENCHES


@pytest.fixture(autouse=True)
def made_up_benches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "import_module", lambda _: made)
    monkeypatch.setattr(measures, "BENCHES", {"fast": "made:fast", "slow": "made:slow"})


def test_ratio_is_the_median_with_numpys_quartiles() -> None:
    assert made.FAST.median == 3.0
    assert made.FAST.quartiles == pytest.approx(tuple(np.quantile(made.FAST.values, [0.25, 0.75])))
    assert made.EQUAL.quartiles == (1e-7, 1e-7)


@pytest.mark.parametrize(
    ("values", "at_least", "ok"),
    [
        ([2.0], True, True),
        ([1.0, 1.99, 9.0], True, False),
        ([2.0], False, True),
        ([2.01], False, False),
        ([float("nan")], True, False),
        ([float("nan")], False, False),
    ],
)
def test_ratio_is_held_against_its_bar(values: list[float], at_least: bool, ok: bool) -> None:
    assert Ratio("n", "w", values, bar=2.0, at_least=at_least).ok is ok
    assert Ratio("n", "w", values, bar=None).ok


def test_chosen_is_all_or_the_named_in_the_lists_order() -> None:
    assert list(measures.chosen([])) == ["fast", "slow"]
    assert list(measures.chosen(["slow", "fast", "slow"])) == ["fast", "slow"]
    assert measures.chosen(["slow"])["slow"]() == Found([made.SLOW, made.SHOWN])
    with pytest.raises(UserError, match="did you mean 'fast'"):
        measures.chosen(["fats"])


def test_keep_leaves_what_others_found_and_replaces_its_own(tmp_path: Path) -> None:
    measures.keep(tmp_path, "slow", made.slow())
    record = measures.keep(tmp_path, "fast", made.fast())
    assert list(record) == ["fast", "slow"]
    assert json.loads((tmp_path / "bench.json").read_text()) == record
    assert measures.keep(tmp_path, "slow", Found([made.FAST]))["slow"]["ratios"][0]["name"] == "ours over theirs"


def test_every_listed_benchmark_is_there() -> None:
    for place in LISTED.values():
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(f"benchmarks.{module}"), name))


def test_ratio_is_written_with_unit_bar_and_verdict() -> None:
    rows = [ratio.as_json() for ratio in (made.FAST, made.SLOW, made.EQUAL, made.SHOWN)]
    assert [wording.value(row) for row in rows] == ["3×", "1.2×", "1e-07", "0.5×"]
    assert [wording.spread(row) for row in rows] == ["2.5 – 3.5", "1.1 – 1.35", "–", "–"]
    assert [wording.bar(row) for row in rows] == ["≥ 2×", "≥ 2×", "≤ 1e-06", "–"]
    assert [wording.verdict(row) for row in rows] == ["ok", "under", "ok", "–"]
    assert wording.verdict(rows[2] | {"ok": False}) == "over"


def test_table_has_a_line_a_ratio_and_each_machine_once(tmp_path: Path) -> None:
    one, two = made.fast().as_json(), made.slow().as_json()
    lines = wording.table({"fast": one, "slow": two}).splitlines()
    assert lines[2] == "| ours over theirs | a made-up step beside another | 3× | 2.5 – 3.5 | ≥ 2× |"
    assert len([line for line in lines if line.startswith("| ")]) == 2 + 4
    assert lines[-1].count("torch") == 1
    assert wording.table({"fast": one, "slow": two | {"cores": 99}}).splitlines()[-1].count("torch") == 2
    with pytest.raises(UserError, match="make bench"):
        wording.saved_table(tmp_path / "bench.json")


def test_figure_has_a_dot_and_a_bar_for_each_speed_and_a_panel_for_curves(tmp_path: Path) -> None:
    record = {"fast": made.fast().as_json(), "slow": made.slow().as_json()}
    ratios, growth = figure.plot(record).axes
    dots = [line for line in ratios.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [3.0, 1.2, 0.5]
    assert sum(list(line.get_xdata()) == [2.0, 2.0] for line in ratios.lines) == 2
    curve, linear = growth.lines
    assert (list(curve.get_xdata()), list(curve.get_ydata())) == ([1, 2, 4], [1.0, 2.1, 3.9])
    assert list(linear.get_xdata()) == list(linear.get_ydata()) == [1, 4]
    figure.write({}, tmp_path)  # nothing was measured yet
    assert {path.name for path in tmp_path.iterdir()} == {"bench.png", "bench.svg"}
