"""Steps alternate between systems, warm-up is left out, and only ratios within one run are reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small import bag_of_words

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import text
from mugkit.data.schema import Dataset
from mugkit.experiments.registry import Experiment
from mugkit.experiments.store import Store
from mugkit.studies import cost


@pytest.fixture
def work(made_up: Callable[..., Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Experiment]:
    monkeypatch.setattr(text, "_encode", bag_of_words)
    dataset = made_up((40, 8, 8))
    changes = (("meta_epochs", 1), ("pretrain_epochs", 1), ("max_epochs", 1), ("batch_size", 16))
    store = Store(tmp_path / "runs")

    def make(name: str, seed: int = 1111, label_seed: int = 1111) -> Experiment:
        return Experiment(RunSpec(name, "made-up", seed, "smoke", label_seed, changes), dataset, store, "cpu")

    return make


def test_alternate_goes_round_and_leaves_the_warm_up_out() -> None:
    made: list[tuple[str, int]] = []
    seconds = cost.alternate({name: lambda i, name=name: made.append((name, i)) for name in "ab"}, rounds=2)
    assert made == [(name, i) for i in range(cost.WARM_UP + 2) for name in "ab"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_step_times_slower_system_has_the_larger_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    ticks = {"fast": [4, 1, 1, 4, 4], "slow": [1, 3, 4, 4, 8]}  # the median ratio is 2, the ratio of medians 1
    monkeypatch.setattr(cost.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(
        cost, "stepper", lambda name: lambda number: [next(clock) for _ in range(ticks[name][number % 5] - 1)]
    )
    monkeypatch.setattr(cost, "cpu_threads", lambda _: torch.no_grad())

    class Named(str):
        spec = RunSpec("x", "y", 1)

    table = cost.step_times({name: Named(name) for name in ticks}, rounds=5)  # type: ignore[misc]
    assert table.to_dict("records") == [
        {"system": "fast", "ratio": 1.0, "lower_quartile": 1.0, "upper_quartile": 1.0},
        {"system": "slow", "ratio": 2.0, "lower_quartile": 0.625, "upper_quartile": 3.5},
    ]


@pytest.mark.parametrize("name", ["copy", "text-only"])
def test_stepper_trains(work: Callable[[str], Experiment], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[float] = []
    step = cost.step

    def noted(*given: Any) -> Any:
        losses.append(step(*given))
        return losses[-1]

    monkeypatch.setattr(cost, "step", noted)
    one = cost.stepper(work(name))
    for number in range(12):  # four epochs of three batches
        one(number)
    assert sum(losses[-3:]) < sum(losses[:3])


def test_stage_shares_are_of_the_median_recorded_seconds(work: Callable[..., Experiment]) -> None:
    labelled = [work("mug", label_seed=seed) for seed in (1, 2, 3)]
    trained = [work("mug", seed, label_seed=1).result() for seed in (1, 2)]
    for one, first, second in zip(labelled, (90.0, 1.0, 0.5), (7.0, 6.0, 0.0), strict=True):  # the first encodes texts
        record(one.representations(), first)
        record(one.learned_labels(), second)
    for folder, third in zip(trained, (2.0, 4.0), strict=True):
        record(folder, third)
    found = cost.stage_shares(labelled, trained)
    assert found["share"].tolist() == pytest.approx([0.1, 0.6, 0.3])
    assert found["lower_quartile"].tolist() == pytest.approx([0.075, 0.3, 0.25])  # halfway between neighbours
    assert found["upper_quartile"].tolist() == pytest.approx([4.55, 0.65, 0.35])


def record(folder: Path, seconds: float) -> None:
    done = files.read_json(folder / "done.json")
    files.write_json(folder / "done.json", {**done, "seconds": seconds})
