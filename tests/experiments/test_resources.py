"""What a run asks of a machine: the profile's word, the user's word, and what is there."""

from __future__ import annotations

import os
import time

import pytest
import torch

from mugkit import pools
from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.experiments.resources import Resources, cards, on_cluster
from mugkit.experiments.scheduler import ExecutionConfig

QUICK = [RunSpec("copy", "made-up", 1, "quick")]
PAPER = [RunSpec("copy", "made-up", 1, "paper")]
NODES = [{"CPU": 2.0}, {"CPU": 16.0, "GPU": 1.0}]


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(
    ("asked", "field"),
    [((0, None), "cpus"), ((float("inf"), None), "cpus"), ((None, -0.1), "gpus"), ((None, 1.5), "gpus")],
)
def test_resources_that_is_impossible_is_refused(asked: tuple[float | None, float | None], field: str) -> None:
    with pytest.raises(UserError, match="fix: give a number") as caught:
        Resources(*asked)
    assert caught.value.field == f"--{field}-per-run"


@pytest.mark.parametrize(
    ("resources", "specs", "device", "nodes", "expected"),
    [
        (Resources(), QUICK, "auto", NODES, (1, 0.25)),  # as the profile says
        (Resources(), QUICK + PAPER, "auto", NODES, (4, 0.5)),
        (Resources(), PAPER, "auto", [{"CPU": 2.0}], (2, 0)),  # by default nothing that is not there
        (Resources(), PAPER, "cpu", NODES, (4, 0)),
        (Resources(3, 0.2), PAPER, "auto", [{"CPU": 2.0}], (3, 0.2)),  # the user's word, although it is not there yet
        (Resources(gpus=0), PAPER, "auto", NODES, (4, 0)),
    ],
)
def test_on_cluster(
    resources: Resources, specs: list[RunSpec], device: str, nodes: list[dict], expected: tuple[float, float]
) -> None:
    assert on_cluster(resources, specs, device, nodes) == dict(zip(("CPU", "GPU"), expected, strict=True))


@pytest.mark.usefixtures("two_cards")
def test_cards_are_taken_in_turn_by_as_many_runs_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cards(Resources(), PAPER, "auto") == ["0", "1", "0", "1"]
    assert cards(Resources(gpus=1), PAPER, "cuda") == ["0", "1"]
    assert cards(Resources(gpus=0.3), PAPER, "auto") == ["0", "1"] * 3
    assert cards(Resources(gpus=0), QUICK, "auto") == [""] * (os.cpu_count() or 1)  # hidden from runs that want none
    assert cards(Resources(), QUICK, "cpu") == cards(Resources(), QUICK, "cuda:1") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7f")
    assert cards(Resources(gpus=1), QUICK, "auto") == ["5", "GPU-7f"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cards(Resources(), QUICK, "auto") == []


@pytest.mark.usefixtures("two_cards")
def test_slots_of_two_cards_are_as_many_workers_as_share_them() -> None:
    for workers, expected in ((None, ["0", "1"] * 4), (3, ["0", "1", "0"])):
        slots = ExecutionConfig(workers=workers).slots(QUICK, 100)
        assert [slot.args for slot in slots] == [(expected.count(card), card) for card in expected]


def _my_card(seconds: float) -> str:
    time.sleep(seconds)  # long enough that the other worker takes the other task
    return os.environ["CUDA_VISIBLE_DEVICES"]


@pytest.mark.slow
def test_workers_see_one_card_each() -> None:
    opened = {card: pools.processes(2, card) for card in ("3", "5")}
    seen = [(card, pool.submit(_my_card, 1.0)) for _ in range(2) for card, pool in opened.items()]
    assert all(future.result() == card for card, future in seen)
    for pool in opened.values():
        pools.shutdown_now(pool)
