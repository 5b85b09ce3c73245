"""The written-out bi-level step against learn2learn's: one step in every branch, and a whole epoch."""

import dataclasses
import warnings

import pytest
import torch
from meta_cases import AGAINST, ALIKE, FEW, SOURCE, assert_same, double_mucn, random, task
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.training import closed_form, meta
from mugkit.training.closed_form import ClosedForm
from mugkit.training.denoising import ModalityData, Task
from mugkit.training.meta import WithLearn2learn

CONFIG = MetaLearning(alpha=0.3, alpha_prime=0.2)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("residual", ["paper", "scaled"])
@pytest.mark.parametrize("on", [AGAINST, ALIKE, None], ids=["gate closed", "gate open", "no multimodal task"])
@pytest.mark.parametrize("source", [SOURCE, FEW], ids=["second pass", "low rank"])
def test_steps_equal_learn2learn(source: Task, on: Task | None, residual: str, bias: bool, steps: int) -> None:
    config, mucn = dataclasses.replace(CONFIG, adaptation_steps=steps), double_mucn(residual, bias)
    before = [p.detach().clone() for p in mucn.parameters()]
    expected, found = (way(mucn, config)([source], on)[0] for way in (WithLearn2learn, ClosedForm))
    assert found.gate_open == (on is not AGAINST)
    assert_same(found, expected, atol=1e-12)
    assert all(torch.equal(p, was) for p, was in zip(mucn.parameters(), before, strict=True))  # nothing is written


@pytest.mark.parametrize("on", [AGAINST, ALIKE], ids=["gate closed", "gate open"])
def test_steps_selecting_equal_steps_branching(monkeypatch: pytest.MonkeyPatch, on: Task) -> None:
    # What a GPU does, where Python does not read the gate.
    mucn = double_mucn()
    branching = ClosedForm(mucn, CONFIG)([SOURCE], on)[0]
    monkeypatch.setattr(closed_form, "_READS_THE_GATE", set())
    monkeypatch.setattr(Tensor, "__bool__", None)  # calling it fails: nothing waits for a number
    selecting = ClosedForm(mucn, CONFIG)([SOURCE], on)[0]
    monkeypatch.undo()
    assert_same(selecting, branching)


def data_of(clips: int = 96) -> ModalityData:
    labels = random(clips, seed=44)
    prediction = labels + 0.5 * random(clips, seed=43)
    return ModalityData(random(clips, 5, seed=41), random(clips, 5, seed=42), prediction, labels)


@pytest.mark.parametrize("epoch", [0, 3])
@pytest.mark.parametrize("gate", ["batch", "sample"])
@pytest.mark.parametrize("size", [8, 3], ids=["second pass", "low rank"])
def test_whole_epoch_equals_learn2learn(size: int, gate: str, epoch: int) -> None:
    config = MetaLearning(alpha=0.05, alpha_prime=0.02, meta_batch_size=size, extra_ratio=2, meta_epochs=4)
    config = dataclasses.replace(config, gate=gate)  # type: ignore[arg-type]
    data, ended = data_of(), []
    for way in (WithLearn2learn, ClosedForm):
        mucn = double_mucn()
        row = meta.train_epoch(mucn, data, 0.9 * data.labels, config, 1111, epoch, way)
        ended.append((row, [p.detach() for p in mucn.parameters()]))
    (expected_row, expected), (row, found) = ended
    assert 0 < row["gate_open"] < 1  # both branches were taken
    assert row == pytest.approx(expected_row, rel=1e-9)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_steps_in_the_same_room_equal_those_in_a_room_of_their_own() -> None:
    # The room of one step has the numbers of the step before in it, and a smaller D another size.
    mucn = double_mucn()
    warnings.simplefilter("error")  # torch makes a room that does not fit larger, and says so
    again = ClosedForm(mucn, CONFIG)
    for on in (AGAINST, ALIKE, AGAINST, task(12, -2.5, 31), AGAINST):
        assert_same(again([SOURCE], on)[0], ClosedForm(mucn, CONFIG)([SOURCE], on)[0])
