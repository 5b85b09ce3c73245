"""The picture shows the record's numbers."""

from __future__ import annotations

from pathlib import Path

import made_benches as made
import pytest

from benchmarks import figure


def record() -> dict:
    return {"fast": made.fast().as_json(), "slow": made.slow().as_json()}


def test_figure_has_a_dot_and_a_bar_for_each_speed_and_a_panel_for_curves() -> None:
    ratios, growth = figure.plot(record()).axes
    dots = [line for line in ratios.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [3.0, 1.2, 0.5]
    assert [label.get_text() for label in ratios.get_yticklabels()] == ["ours over theirs", "slower", "shown"]
    assert sum(list(line.get_xdata()) == [2.0, 2.0] for line in ratios.lines) == 2
    curve, linear = growth.lines
    assert (list(curve.get_xdata()), list(curve.get_ydata())) == ([1, 2, 4], [1.0, 2.1, 3.9])
    assert list(linear.get_xdata()) == list(linear.get_ydata()) == [1, 4]


@pytest.mark.parametrize("names", [["fast"], ["slow"], []])
def test_figure_of_a_part_is_written(names: list[str], tmp_path: Path) -> None:
    figure.write({name: record()[name] for name in names}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"bench.png", "bench.svg"}
