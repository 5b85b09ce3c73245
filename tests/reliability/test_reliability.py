"""The soak's scenarios, few trials of each: `make soak` runs them all."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from made_up import make_dataset

from mugkit import files
from reliability import contention, damage, fuzz, hostile, kills, kills_of_reproduce, payloads, places, soak
from reliability.scenario import Outcome, apart

T = TypeVar("T")


def prepared(scenario: Callable[..., T], *arguments: object) -> T:
    """A scenario on made-up data."""
    os.environ["MUGKIT_PROGRESS"] = "0"
    kills.prepare(make_dataset((24, 8, 8), true_labels=False))
    return scenario(*arguments)


def killed(folder: Path) -> list[Outcome]:
    """In one process, in two workers, in a notebook's kernel, of a whole reproduction."""
    stages, runs = kills.stages(folder / "stages", 2)
    reproduced = kills_of_reproduce.run(folder / "reproduce", 1, runs)
    return [stages, kills.workers(folder / "workers", 1, runs), *reproduced.values()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in Linux's /proc")
def test_kill_at_random_moments_resumes_to_the_same_bits(tmp_path: Path) -> None:
    outcomes = apart(prepared, killed, tmp_path)
    assert [outcome.losses for outcome in outcomes] == [[], [], [], []]
    assert [outcome.tried for outcome in outcomes] == [2, 1, 1, 1]


@pytest.mark.slow
def test_damaged_file_is_computed_again_to_the_same_bits(tmp_path: Path) -> None:
    outcome = apart(prepared, damage.run, tmp_path, 8)
    assert (outcome.losses, outcome.tried) == ([], 9)
    assert sum(count for kind, count in outcome.details.items() if kind.endswith(", told")) >= 6
    assert outcome.details["made by other code"] == 1


@pytest.mark.slow
def test_two_processes_compute_each_run_once(tmp_path: Path) -> None:
    outcome = apart(prepared, contention.run, tmp_path, (2,))
    assert (outcome.losses, outcome.tried) == ([], 1)


@pytest.mark.slow
def test_hostile_files_run_nothing_and_are_refused(tmp_path: Path) -> None:
    outcome = hostile.run(tmp_path, 0.08)
    assert outcome.losses == []
    assert {kind.partition(",")[0] for kind in outcome.details} == set(hostile.KINDS)


def test_careless_reader_would_run_a_hostile_pickle(tmp_path: Path) -> None:
    blunt = payloads.WAYS["GLOBAL, REDUCE"](*payloads.calls(tmp_path / "canary")[0]) + b"."
    pickle.loads(blunt)
    assert (tmp_path / "canary").exists()


@pytest.mark.slow
@pytest.mark.skipif(bool(places.allowed()), reason=places.allowed() or "allowed")
def test_places_that_cannot_be_written_to_are_told(tmp_path: Path) -> None:
    outcome = places.run(tmp_path, ("full disk, run", "read-only folder, prepare", "not writable, run"))
    assert (outcome.losses, outcome.tried) == ([], 3)


@pytest.mark.slow
def test_readers_take_or_refuse_what_is_fuzzed(tmp_path: Path) -> None:
    for name, taken, refused in fuzz.run(tmp_path, 25):
        assert (taken + refused >= 25, refused > 0) == (True, True), name


def test_readme_has_the_counts_of_the_last_soak() -> None:
    text = soak.README.read_text(encoding="utf-8")
    assert soak.page(text, files.read_json(soak.COUNTS)) == text
    assert "<!-- counts -->" in text
