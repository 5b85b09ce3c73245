"""The soak's scenarios, few trials of each: `make soak` runs them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mugkit.data.schema import Dataset
from reliability import contention, damage, kills


@pytest.fixture
def prepared(made_up: Callable[..., Dataset]) -> None:
    kills.prepare(made_up((24, 8, 8), true_labels=False))


@pytest.mark.slow
@pytest.mark.usefixtures("prepared")
def test_kill_at_random_moments_resumes_to_the_same_bits(tmp_path: Path) -> None:
    outcome = kills.run(tmp_path, 6)
    assert (outcome.losses, outcome.tried) == ([], 6)


@pytest.mark.slow
@pytest.mark.usefixtures("prepared")
def test_damaged_file_is_computed_again_to_the_same_bits(tmp_path: Path) -> None:
    outcome = damage.run(tmp_path, 8)
    assert (outcome.losses, outcome.tried) == ([], 8)
    assert sum(count for kind, count in outcome.details.items() if kind.endswith(", told")) >= 6


@pytest.mark.slow
@pytest.mark.usefixtures("prepared")
def test_two_processes_compute_each_run_once(tmp_path: Path) -> None:
    outcome = contention.run(tmp_path, (2,))
    assert (outcome.losses, outcome.tried) == ([], 1)
