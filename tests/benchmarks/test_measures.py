"""Ratios by hand, their bars, and what `bench.json` keeps."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import made_benches as made
import numpy as np
import pytest

from benchmarks import measures
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
        ([1.99], True, False),
        ([1.0, 2.5, 9.0], True, True),
        ([2.0], False, True),
        ([2.01], False, False),
        ([float("nan")], True, False),
        ([float("nan")], False, False),
    ],
)
def test_ratio_is_held_against_its_bar(values: list[float], at_least: bool, ok: bool) -> None:
    assert Ratio("n", "w", values, bar=2.0, at_least=at_least).ok is ok


def test_ratio_without_a_bar_is_not_judged() -> None:
    assert made.SHOWN.ok


def test_chosen_is_all_or_the_named_in_the_lists_order() -> None:
    assert list(measures.chosen([])) == ["fast", "slow"]
    assert list(measures.chosen(["slow", "fast", "slow"])) == ["fast", "slow"]
    assert measures.chosen(["slow"])["slow"]() == Found([made.SLOW, made.SHOWN])


def test_chosen_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'fast'"):
        measures.chosen(["fats"])


def test_keep_leaves_what_others_found_and_replaces_its_own(tmp_path: Path) -> None:
    measures.keep(tmp_path, "slow", made.slow())
    record = measures.keep(tmp_path, "fast", made.fast())
    assert list(record) == ["fast", "slow"]
    assert json.loads((tmp_path / "bench.json").read_text()) == record
    assert measures.keep(tmp_path, "slow", Found([made.FAST]))["slow"]["ratios"][0]["name"] == "ours over theirs"


def test_record_of_a_ratio_is_complete(tmp_path: Path) -> None:
    record = measures.keep(tmp_path, "fast", made.fast())["fast"]
    assert set(record) == {"cores", "versions", "about", "ratios", "curves"}
    assert {"python", "torch", "transformers"} <= record["versions"].keys()
    assert record["ratios"][0] == {
        "name": "ours over theirs", "what": "a made-up step beside another", "unit": "×", "threads": 1,
        "median": 3.0, "lower_quartile": 2.5, "upper_quartile": 3.5, "rounds": 5,
        "bar": 2.0, "at_least": True, "ok": True,
    }  # fmt: skip
    assert record["curves"] == [
        {"name": "clips", "x": [1, 2, 4], "y": [1.0, 2.1, 3.9]}
        | {"x_label": "clips, relative", "y_label": "cost, relative"}
    ]


def test_every_listed_benchmark_is_there() -> None:
    for place in LISTED.values():
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(f"benchmarks.{module}"), name))
