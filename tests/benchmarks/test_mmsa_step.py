"""The comparison with MMSA, with trainers of ours in MMSA's place: equal trainers are found equal, others are not."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import make_dataset
from small import tiny_bert

from benchmarks import mmsa
from benchmarks.mmsa import Task
from mugkit.data.text import token_ids
from mugkit.studies.cost import Trainer


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    dataset, encoder = make_dataset((40, 4, 4)), str(tiny_bert(tmp_path / "bert"))
    monkeypatch.setattr(mmsa, "OFFLINE_ENCODER", encoder)
    monkeypatch.setattr(mmsa, "ROUNDS", 2)
    monkeypatch.setenv("MUGKIT_PROGRESS", "0")
    return Task(Path("python"), dataset, token_ids(dataset.train.text, encoder))


class Ours:
    """A trainer of ours as MMSA's side; counts what it was asked for."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.epoch, self.steps = trainer, 0, 0

    def step(self, clips: list[int]) -> tuple[float, float]:
        self.steps += 1
        return 6.0, self.trainer.step(self.trainer.clips.batch(torch.tensor(clips)), self.epoch)

    def end_epoch(self) -> None:
        self.epoch += 1


def in_mmsas_place(task: Task, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[Ours]:
    """Every trainer of MMSA's becomes one of ours, with weights of another seed and no dropout."""
    made: list[Ours] = []
    ours = task.ours

    @contextlib.contextmanager
    def theirs(_: Task, **settings: Any) -> Iterator[Any]:
        torch.manual_seed(5)
        trainer = ours("self-mm", **{**mmsa.OURS_AGREED, **changes})
        for module in trainer.network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.normal_(module.weight, std=0.1)
        made.append(Ours(trainer))
        yield made[-1], {name: values.clone() for name, values in trainer.network.state_dict().items()}

    monkeypatch.setattr(Task, "theirs", theirs)
    return made


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        ({}, True),
        ({"learning_rate": 2e-3}, False),
        ({"weight_decay": 0.5}, False),
        ({"text_learning_rate": 1e-3}, False),
    ],
)
def test_losses_of_equal_training_are_equal_and_of_other_training_apart(
    task: Task, monkeypatch: pytest.MonkeyPatch, change: dict[str, float], equal: bool
) -> None:
    made = in_mmsas_place(task, monkeypatch, **change)
    apart = mmsa.losses_apart(task)
    assert apart < 1e-6 if equal else apart > mmsa.TOLERANCE
    assert (made[0].steps, made[0].epoch) == (9, 3)  # three batches an epoch
