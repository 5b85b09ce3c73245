"""Ratios by hand, their bars, what `bench.json` keeps, and how table and figure show it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import made_benches as made
import numpy as np
import pytest

from benchmarks import figure, measures, wording
from benchmarks.measures import Found, Ratio
from mugkit import files
from mugkit.errors import UserError

LISTED = measures.BENCHES
NAN = float("nan")


@pytest.fixture(autouse=True)
def made_up_benches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "import_module", lambda _: made)
    monkeypatch.setattr(measures, "BENCHES", {"fast": "made:fast", "slow": "made:slow"})


@pytest.mark.parametrize(
    ("values", "at_least", "ok"),
    [([2.0], True, True), ([1.0, 1.99, 9.0], True, False), ([2.0], False, True), ([2.01], False, False),
     ([NAN], True, False), ([NAN], False, False)],
)  # fmt: skip
def test_ratio_is_held_against_its_bar(values: list[float], at_least: bool, ok: bool) -> None:
    assert Ratio("n", "w", values, bar=2.0, at_least=at_least).ok is ok
    assert Ratio("n", "w", values, bar=None).ok


def test_chosen_is_all_or_the_named_in_the_lists_order() -> None:
    assert list(measures.chosen([])) == ["fast", "slow"]
    assert list(measures.chosen(["slow", "fast", "slow"])) == ["fast", "slow"]
    assert measures.chosen(["slow"])["slow"]() == Found([made.SLOW, made.SHOWN])
    with pytest.raises(UserError, match="did you mean 'fast'"):
        measures.chosen(["fats"])
    for module, name in (place.split(":") for place in LISTED.values()):
        assert callable(getattr(import_module(f"benchmarks.{module}"), name))


def test_keep_leaves_what_others_found_and_replaces_its_own(tmp_path: Path) -> None:
    measures.keep(tmp_path, "slow", made.slow())
    record = measures.keep(tmp_path, "fast", made.fast())
    assert list(record) == ["fast", "slow"]
    assert files.read_json(tmp_path / "bench.json") == record
    assert measures.keep(tmp_path, "slow", Found([made.FAST]))["slow"]["ratios"][0]["name"] == "ours over theirs"


def test_ratio_is_written_with_unit_quartiles_bar_and_verdict() -> None:
    assert made.FAST.quartiles == pytest.approx(tuple(np.quantile(made.FAST.values, [0.25, 0.75])))
    rows = [ratio.as_json() for ratio in (made.FAST, made.SLOW, made.EQUAL, made.SHOWN)]
    assert [wording.cells(row) for row in rows] == [
        ("3×", "2.5 – 3.5", "≥ 2×"), ("1.2×", "1.1 – 1.35", "≥ 2×"), ("1e-07", "–", "≤ 1e-06"), ("0.5×", "–", "–"),
    ]  # fmt: skip
    assert [wording.verdict(row) for row in (*rows, rows[2] | {"ok": False})] == ["ok", "under", "ok", "–", "over"]


def test_table_has_a_line_a_ratio_and_each_machine_once(tmp_path: Path) -> None:
    record = {"fast": made.fast().as_json(), "slow": made.slow().as_json()}
    files.write_json(tmp_path / "bench.json", record)
    lines = wording.saved_table(tmp_path / "bench.json").splitlines()
    assert lines[2] == "| ours over theirs | a made-up step beside another | 3× | 2.5 – 3.5 | ≥ 2× |"
    assert len([line for line in lines if line.startswith("| ")]) == 2 + 4
    assert lines[-1].count("torch") == 1
    record["slow"]["cores"] = 99
    assert wording.caption(record).count("torch") == 2
    with pytest.raises(UserError, match="make bench"):
        wording.saved_table(tmp_path / "gone.json")


def test_figure_has_a_dot_and_a_bar_for_each_speed(tmp_path: Path) -> None:
    (axes,) = figure.plot({"fast": made.fast().as_json(), "slow": made.slow().as_json()}).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [3.0, 1.2, 0.5]
    assert sum(list(line.get_xdata()) == [2.0, 2.0] for line in axes.lines) == 2
    figure.write({}, tmp_path)  # nothing was measured yet
    assert {path.name for path in tmp_path.iterdir()} == {"bench.png", "bench.svg"}
