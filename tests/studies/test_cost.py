"""Steps alternate between systems, warm-up is left out, and only ratios within one run are reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import make_dataset

from mugkit import files
from mugkit.config import RunSpec
from mugkit.experiments.registry import Experiment
from mugkit.experiments.run_store import Store
from mugkit.studies import cost
from mugkit.training.label_sources.ulgm import ULGM


@pytest.fixture
def work(tmp_path: Path, cheap_text: None) -> Callable[..., Experiment]:
    dataset, store = make_dataset((40, 8, 8)), Store(tmp_path / "runs")
    changes = (("meta_epochs", 1), ("pretrain_epochs", 1), ("max_epochs", 1), ("batch_size", 16))

    def make(name: str, seed: int = 1111, label_seed: int = 1111) -> Experiment:
        return Experiment(RunSpec(name, "made-up", seed, "smoke", label_seed, changes), dataset, store, "cpu")

    return make


def test_alternate_goes_round_and_leaves_the_warm_up_out() -> None:
    made: list[tuple[str, int]] = []
    seconds = cost.alternate({name: lambda i, name=name: made.append((name, i)) for name in "ab"}, rounds=2)
    assert made == [(name, i) for i in range(cost.WARM_UP + 2) for name in "ab"]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_step_times_are_medians_of_ratios_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"fast": [1, 1, 4, 4, 1], "slow": [4, 4, 8, 1, 3]}  # the median ratio is 3, the ratio of medians 4
    monkeypatch.setattr(cost, "alternate", lambda steps, rounds: {name: seconds[name] for name in steps})
    monkeypatch.setattr(cost, "stepper", lambda work: None)
    monkeypatch.setattr(cost, "cpu_threads", lambda _: torch.no_grad())

    class Named(str):
        spec = RunSpec("x", "y", 1)

    works: Any = {name: Named(name) for name in seconds}
    both = cost.step_times(works, ("fast", "slow"), rounds=5)
    assert (
        both.head(2).to_dict("records")
        == cost.step_times(works, rounds=5).to_dict("records")
        == [
            {"system": "fast", "ratio": 1.0, "lower_quartile": 1.0, "upper_quartile": 1.0, "over": "fast"},
            {"system": "slow", "ratio": 3.0, "lower_quartile": 1.125, "upper_quartile": 4.0, "over": "fast"},
        ]
    )
    shown = cost.step_time_table(both)
    assert list(shown.columns) == ["over fast", "over slow"]
    assert shown.loc["fast", "over slow"].startswith("0.33 [")


def test_timed_steps_train_and_make_labels(work: Callable[[str], Experiment], monkeypatch: pytest.MonkeyPatch) -> None:
    """ULGM makes none in the first epoch, which the warm-up is."""
    losses: list[float] = []
    made: list[int] = []
    step, proposed = cost.step, ULGM.proposed
    monkeypatch.setattr(cost, "step", lambda *given: losses.append(step(*given)))
    monkeypatch.setattr(ULGM, "proposed", lambda *given: made.append(number) or proposed(*given))
    make_step = cost.stepper(work("ulgm"))
    for number in range(12):  # four epochs of three batches
        make_step(number)
    assert sum(losses[-3:]) < sum(losses[:3])
    assert made == list(range(cost.WARM_UP, 12))


def test_stage_shares_are_of_the_median_recorded_seconds(work: Callable[..., Experiment]) -> None:
    labelled = [work("mug", label_seed=seed) for seed in (1, 2, 3)]
    trained = [work("mug", seed, label_seed=1).result() for seed in (1, 2)]
    folders = [folder for run in labelled for folder in (run.representations(), run.learned_labels())] + trained
    for folder, seconds in zip(folders, (90.0, 7.0, 1.0, 6.0, 0.5, 0.0, 2.0, 4.0), strict=True):  # 90: encodes texts
        files.write_json(folder / "done.json", {**files.read_json(folder / "done.json"), "seconds": seconds})
    found = cost.stage_shares(labelled, trained)
    assert found["share"].tolist() == pytest.approx([0.1, 0.6, 0.3])
    assert found["lower_quartile"].tolist() == pytest.approx([0.075, 0.3, 0.25])  # halfway between neighbours
    assert found["upper_quartile"].tolist() == pytest.approx([4.55, 0.65, 0.35])
