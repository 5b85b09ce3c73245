"""Results of other code: told once a kind, computed again, and nothing said of what is simply new."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.experiments import registry, scheduler, stale
from mugkit.experiments.store import Store
from mugkit.training.checkpoint import Checkpoint


def identity(code: str, seed: int = 1111, before: str = "") -> dict:
    return {"code": code, "seed": seed, "labels": {"stage": 2, "code": before or code}, "made_from": code}


def compute(folder: Path, _: Checkpoint) -> None:
    (folder / "a.txt").write_text("result")


def as_if_new() -> None:
    """What another process would know."""
    stale._told.clear()
    stale._stored.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    as_if_new()
    yield Store(tmp_path / "runs")
    as_if_new()


def test_get_result_of_other_code_is_told_once_and_computed_again(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    old = [store.get("train", identity("old", seed), compute) for seed in (1, 2)]
    assert caplog.text == ""
    as_if_new()
    new = [store.get("train", identity("new", seed), compute) for seed in (1, 2)]
    assert len({*old, *new}) == 4
    (line,) = caplog.messages
    assert line.startswith(f"{store.root / 'train'}: 2 stored results were made by other code")


@pytest.mark.parametrize("other", [identity("new", 3), identity("old", 3)])
def test_get_result_that_is_new_is_not_told(store: Store, other: dict, caplog: pytest.LogCaptureFixture) -> None:
    store.get("train", identity("old", 1), compute)
    as_if_new()
    store.get("train", other, compute)
    store.get("labels", identity("new", 1), compute)  # of another kind
    assert caplog.text == ""


def test_get_other_code_of_an_earlier_stage_alone_is_told(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.get("train", identity("new", 1, before="old"), compute)
    as_if_new()
    store.get("train", identity("new", 1), compute)
    assert "1 stored results" in caplog.text


def test_get_damaged_result_is_told_as_damaged_only(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    folder = store.get("train", identity("new"), compute)
    (folder / "a.txt").write_text("x")
    (store.get("train", identity("old", 7), compute) / "done.json").write_text("[")
    as_if_new()
    store.get("train", identity("new"), compute)
    assert "damaged" in caplog.text
    assert "other code" not in caplog.text


def test_tell_in_a_worker_is_silent(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.get("train", identity("old"), compute)
    as_if_new()
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "somebody")
    stale.warn_stale(store.root / "train", identity("new"))
    assert caplog.text == ""


def test_stored_is_read_once_for_many_computations(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        store.get("train", identity("old", seed), compute)
    as_if_new()
    read, original = [], files.read_json
    monkeypatch.setattr(files, "read_json", lambda path: read.append(path) or original(path))
    for seed in range(10, 20):
        store.get("train", identity("new", seed), compute)
    assert len(read) == 3


@pytest.mark.slow
def test_run_all_after_a_change_of_code_tells_each_kind_once(
    store: Store,
    prepare: Callable[..., Dataset],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The whole way: every stage of a run whose code was edited."""
    prepare()
    specs = [RunSpec(name, "made-up", 1111, "smoke") for name in ("mug", "copy")]
    here = scheduler.ExecutionConfig(workers=1)
    before = scheduler.run_all(specs, store=store, execution=here)
    as_if_new()
    monkeypatch.setattr(registry, "code_fingerprint", lambda *_: "edited")
    after = scheduler.run_all(specs, store=store, execution=here)
    told = [message for message in caplog.messages if "other code" in message]
    assert [Path(message.partition(":")[0]).name for message in told] == ["pretrain", "labels", "train"]
    assert "2 stored results" in told[2]
    assert {run.folder for run in before}.isdisjoint(run.folder for run in after)
    assert [run.metrics for run in before] == [run.metrics for run in after]
