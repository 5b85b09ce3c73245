"""What a run asks of a machine: the profile's word, the user's word, and what is there."""

from __future__ import annotations

import os
import time

import pytest
import torch

from mugkit import pools
from mugkit.config import PROFILES, RunSpec
from mugkit.engine import Share
from mugkit.engine.many import Place
from mugkit.engine.share import AS_PROFILED, cards, on_cluster
from mugkit.errors import UserError

QUICK = [RunSpec("copy", "made-up", 1, "quick")]
PAPER = [RunSpec("copy", "made-up", 1, "paper")]
NODES = [{"CPU": 2.0}, {"CPU": 16.0, "GPU": 1.0}]


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_shares_a_card_among_several_runs(name: str) -> None:
    assert 0 < PROFILES[name].gpus <= 0.5


@pytest.mark.parametrize(
    ("share", "field"),
    [((0, None), "cpus"), ((float("inf"), None), "cpus"), ((None, -0.1), "gpus"), ((None, 1.5), "gpus")],
)
def test_share_that_is_impossible_is_refused(share: tuple[float | None, float | None], field: str) -> None:
    with pytest.raises(UserError, match="fix: give a number") as caught:
        Share(*share)
    assert caught.value.field == f"--{field}-per-run"


def test_on_cluster_asks_what_the_profile_says() -> None:
    assert on_cluster(AS_PROFILED, QUICK, "auto", NODES) == {"CPU": 1, "GPU": 0.25}
    assert on_cluster(AS_PROFILED, PAPER, "auto", NODES) == {"CPU": 4, "GPU": 0.5}
    assert on_cluster(AS_PROFILED, QUICK + PAPER, "auto", NODES) == {"CPU": 4, "GPU": 0.5}


def test_on_cluster_by_default_asks_for_nothing_that_is_not_there() -> None:
    assert on_cluster(AS_PROFILED, PAPER, "auto", [{"CPU": 2.0}]) == {"CPU": 2, "GPU": 0}
    assert on_cluster(AS_PROFILED, PAPER, "cpu", NODES) == {"CPU": 4, "GPU": 0}


def test_on_cluster_asks_what_the_user_says_although_it_is_not_there_yet() -> None:
    assert on_cluster(Share(3, 0.2), PAPER, "auto", [{"CPU": 2.0}]) == {"CPU": 3, "GPU": 0.2}
    assert on_cluster(Share(gpus=0), PAPER, "auto", NODES) == {"CPU": 4, "GPU": 0}


@pytest.mark.usefixtures("two_cards")
def test_cards_are_taken_in_turn_by_as_many_runs_as_fit() -> None:
    assert cards(AS_PROFILED, PAPER, "auto") == ["0", "1", "0", "1"]
    assert cards(Share(gpus=1), PAPER, "cuda") == ["0", "1"]
    assert cards(Share(gpus=0.3), PAPER, "auto") == ["0", "1"] * 3


@pytest.mark.usefixtures("two_cards")
def test_cards_are_those_that_the_user_lets_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7f")
    assert cards(Share(gpus=1), QUICK, "auto") == ["5", "GPU-7f"]


@pytest.mark.usefixtures("two_cards")
def test_cards_of_runs_that_want_none_are_hidden() -> None:
    assert cards(Share(gpus=0), QUICK, "auto") == [""] * (os.cpu_count() or 1)


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_cards_do_not_matter_where_the_device_is_named(device: str) -> None:
    assert cards(AS_PROFILED, QUICK, device) == []


def test_cards_do_not_matter_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cards(AS_PROFILED, QUICK, "auto") == []


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize(("workers", "slots"), [(None, 8), (3, 3)])
def test_crew_of_two_cards_is_as_many_workers_as_share_them(workers: int | None, slots: int) -> None:
    assert Place("local", workers, "auto", "", AS_PROFILED).crew(QUICK, 100).slots == slots


def _my_card(seconds: float) -> str:
    time.sleep(seconds)  # long enough that the other worker takes the other task
    return os.environ["CUDA_VISIBLE_DEVICES"]


@pytest.mark.slow
def test_workers_see_one_card_each() -> None:
    pool = pools.processes(2, ("3", "5"))
    seen = [pool.submit(_my_card, 3.0) for _ in range(2)]
    assert sorted(one.result() for one in seen) == ["3", "5"]
    pools.forget(pool)
