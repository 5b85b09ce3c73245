"""What a run asks of a machine: the profile's word, the user's word, and what is there."""

import os
import time

import pytest
import torch

from mugkit import pools
from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.experiments.execution import ExecutionConfig

QUICK = [RunSpec("copy", "made-up", 1, "quick")]
PAPER = [RunSpec("copy", "made-up", 1, "paper")]
NODES = [{"CPU": 2.0}, {"CPU": 16.0, "GPU": 1.0}]


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("asked", [{"cpus": 0}, {"cpus": float("inf")}, {"gpus": -0.1}, {"gpus": 1.5}])
def test_impossible_request_is_refused(asked: dict[str, float]) -> None:
    with pytest.raises(UserError, match="fix: give a number") as caught:
        ExecutionConfig(**asked)
    assert caught.value.field == f"--{next(iter(asked))}-per-run"


@pytest.mark.parametrize(
    ("execution", "specs", "nodes", "expected"),
    [
        (ExecutionConfig(), QUICK, NODES, (1, 0.25)),  # as the profile says
        (ExecutionConfig(), QUICK + PAPER, NODES, (4, 0.5)),
        (ExecutionConfig(), PAPER, [{"CPU": 2.0}], (2, 0)),  # by default nothing that is not there
        (ExecutionConfig(device="cpu"), PAPER, NODES, (4, 0)),
        (ExecutionConfig(cpus=3, gpus=0.2), PAPER, [{"CPU": 2.0}], (3, 0.2)),  # the user's word, although not there yet
        (ExecutionConfig(gpus=0), PAPER, NODES, (4, 0)),
    ],
)
def test_on_cluster(
    execution: ExecutionConfig, specs: list[RunSpec], nodes: list[dict], expected: tuple[float, float]
) -> None:
    assert execution.on_cluster(specs, nodes) == dict(zip(("CPU", "GPU"), expected, strict=True))


@pytest.mark.usefixtures("two_cards")
def test_cards_are_taken_in_turn_by_as_many_runs_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ExecutionConfig().cards(PAPER) == ["0", "1", "0", "1"]
    assert ExecutionConfig(device="cuda", gpus=1).cards(PAPER) == ["0", "1"]
    assert ExecutionConfig(gpus=0.3).cards(PAPER) == ["0", "1"] * 3
    assert ExecutionConfig(gpus=0).cards(QUICK) == [""] * (os.cpu_count() or 1)  # hidden from runs that want none
    assert ExecutionConfig(device="cpu").cards(QUICK) == ExecutionConfig(device="cuda:1").cards(QUICK) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7f")
    assert ExecutionConfig(gpus=1).cards(QUICK) == ["5", "GPU-7f"]


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize(("workers", "expected"), [(None, ["0", "1"] * 4), (3, ["0", "1", "0"])])
def test_slots_of_two_cards_are_as_many_workers_as_share_them(workers: int | None, expected: list[str]) -> None:
    slots = ExecutionConfig(workers=workers).slots(QUICK * 100)
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
