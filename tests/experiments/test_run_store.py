"""The run store: computed once, whole or not at all, noticed when damaged, and addressed by what it is made of."""

import logging
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mugkit import files
from mugkit.errors import UserError
from mugkit.experiments import run_store
from mugkit.experiments.run_store import Store
from mugkit.training.checkpoint import Checkpoint

IDENTITY = {"seed": 1111, "parts": {"beta": 0.01}}


class Counting:
    """A computation that notes how often it was asked."""

    calls = 0

    def __call__(self, folder: Path, _: Checkpoint) -> None:
        self.calls += 1
        (folder / "a.txt").write_text("result")
        (folder / "b.txt").write_text(str(self.calls))


def as_if_new() -> None:
    """What another process would know."""
    run_store._told.clear()
    run_store._stored.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    as_if_new()
    yield Store(tmp_path / "runs")
    as_if_new()


def test_get_computes_once_and_writes_down_what_the_result_is(store: Store, mugkit_home: Path) -> None:
    compute = Counting()
    assert Store.default().root == mugkit_home / "runs"
    folder = store.folder("train", IDENTITY)
    assert not store.intact(folder)
    assert store.get("train", IDENTITY, compute) == store.get("train", IDENTITY, compute) == folder
    assert store.intact(folder)
    assert compute.calls == 1
    about = files.read_json(folder / "done.json")
    assert about["identity"] == IDENTITY
    assert about["files"] == {name: files.sha256(folder / name) for name in ("a.txt", "b.txt")}
    assert 0 <= about["seconds"] < 1
    assert {"mugkit", "python", "torch", "transformers", "numpy"} == set(about["versions"])
    assert about["versions"]["torch"] == torch.__version__


def test_seconds_are_work_and_not_waiting(store: Store) -> None:
    """Shares of stages are compared between runs: one that other programs kept from the processor took no longer."""

    def compute(folder: Path, checkpoint: Checkpoint) -> None:
        began = time.process_time()
        while time.process_time() - began < 0.2:
            (folder / "a.txt").write_text("a")
        time.sleep(0.6)

    about = files.read_json(store.get("train", IDENTITY, compute) / "done.json")
    assert 0.2 <= about["seconds"] < 0.6


def test_folder_is_that_of_the_identity_and_kind_alone(store: Store) -> None:
    assert store.folder("train", {"b": 1, "a": 2}) == store.folder("train", {"a": 2, "b": 1})
    others = [{**IDENTITY, "seed": 1112}, {**IDENTITY, "parts": {"beta": 0.02}}, {"seed": 1111}]
    folders = {store.folder("train", identity) for identity in (IDENTITY, *others)}
    assert len(folders | {store.folder("labels", IDENTITY)}) == 5


def _write(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "changed, of the same length": _write("a.txt", "resulT"),
    "a file is lost": lambda folder: (folder / "b.txt").unlink(),
    "manifest is lost": lambda folder: (folder / "done.json").unlink(),
    "manifest is cut": lambda folder: os.truncate(folder / "done.json", 30),
    "manifest is null": _write("done.json", "null"),
    "manifest is another's": _write("done.json", '{"files": ["a.txt"]}'),
    "manifest without an end": _write("done.json", '{"files": {"/dev/zero": "0"}}'),  # reading it would never end
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_get_damaged_result_is_told_and_computed_again(
    store: Store, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object]
) -> None:
    compute = Counting()
    folder = store.get("train", IDENTITY, compute)
    damage(folder)
    with caplog.at_level(logging.WARNING):
        assert not store.intact(folder)
    assert str(folder) in caplog.text
    store.get("train", IDENTITY, compute)
    assert compute.calls == 2
    assert (folder / "a.txt").read_text() == "result"
    assert store.intact(folder)


def identity(code: str, seed: int = 1111, before: str = "") -> dict:
    return {"code": code, "seed": seed, "labels": {"stage": 2, "code": before or code}, "made_from": code}


@pytest.mark.parametrize(
    ("stored", "asked", "told"),
    [
        (identity("old", 1), identity("new", 1), True),
        (identity("new", 1, before="old"), identity("new", 1), True),  # of an earlier stage alone
        (identity("old", 1), identity("new", 3), False),
        (identity("old", 1), identity("old", 3), False),
    ],
)
def test_get_tells_once_of_other_code_where_the_same_was_asked_for(
    store: Store, stored: dict, asked: dict, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in ({}, {"other": 1}):
        store.get("train", stored | seed, Counting())
    as_if_new()
    for seed in ({}, {"other": 1}):
        store.get("train", asked | seed, Counting())
    store.get("labels", stored | {"code": "newer"}, Counting())  # of another kind
    assert [line.partition(";")[0] for line in caplog.messages] == [
        f"{store.root / 'train'}: stored results were made by other code"
    ] * told


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, UserError])
def test_get_failed_computation_leaves_nothing_that_passes_for_done(store: Store, error: type[BaseException]) -> None:
    def fail(folder: Path, _: Checkpoint) -> None:
        (folder / "half.txt").write_text("half")
        raise error("stop")

    with pytest.raises(error, match="stop"):
        store.get("train", IDENTITY, fail)
    assert list((store.root / "train").iterdir()) == []
    folder = store.get("train", IDENTITY, Counting())  # the lock was given back, too
    (folder / "a.txt").write_text("resulT")  # damaged
    with pytest.raises(error, match="stop"):
        store.get("train", IDENTITY, fail)
    assert not store.intact(folder)


def test_get_interrupted_resumes_from_its_checkpoint_and_tidies(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_store, "PAUSE", 0.0)

    def compute(folder: Path, checkpoint: Checkpoint) -> None:
        state = checkpoint.load() or {"epoch": 0}
        for epoch in range(state["epoch"], 4):
            checkpoint.save({"epoch": epoch + 1})
            if epoch == 1 and state["epoch"] == 0:
                raise KeyboardInterrupt
        (folder / "a.txt").write_text(f"from {state['epoch']}")

    for identity in (IDENTITY, {"seed": 1112}):  # each has a checkpoint of its own
        with pytest.raises(KeyboardInterrupt):
            store.get("train", identity, compute)
    kept = store.root / "partial" / store.folder("train", {"seed": 1112}).name
    folder = store.get("train", IDENTITY, compute)
    assert (folder / "a.txt").read_text() == "from 2"
    assert list((store.root / "partial").iterdir()) == [kept]
    assert sorted(p.name for p in folder.iterdir()) == ["a.txt", "done.json"]
    kept.rename(store.root / "partial" / folder.name)  # as a kill leaves it
    store.get("train", IDENTITY, compute)
    assert list((store.root / "partial").iterdir()) == []


def slow(folder: Path, _: Checkpoint) -> None:
    """Notes its start outside the store, then takes long enough for the other process to come."""
    with (folder.parents[2] / "starts.txt").open("a") as stream:
        stream.write("start\n")
    time.sleep(0.5)
    (folder / "a.txt").write_text("result")


def ask(root: Path, ready: Any) -> None:
    ready.wait()  # both processes have finished importing
    Store(root).get("train", IDENTITY, slow)


def test_get_two_processes_compute_once(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    workers = [context.Process(target=ask, args=(store.root, ready)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=180)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert (store.root.parent / "starts.txt").read_text() == "start\n"
    assert store.intact(store.folder("train", IDENTITY))


NUMERIC = ("config", "overrides", "metrics", "models/mug", "training/maml", "training/label_sources/source")
NUMERIC += tuple(f"data/{name}" for name in ("batch", "encoders", "loader", "offline_t5", "schema", "text"))


def test_code_fingerprint_is_of_the_code_that_decides_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, fingerprint = tmp_path / "mugkit", run_store.code_fingerprint.__wrapped__
    shutil.copytree(Path(run_store.__file__).parents[1], root, ignore=shutil.ignore_patterns("__pycache__"))
    before = fingerprint()
    monkeypatch.setattr(run_store, "__file__", str(root / "experiments" / "store.py"))
    for name in ("cli.py", "errors.py", "experiments/scheduler.py", "plots/style.py", "data/prepare.py"):
        (root / name).write_text("# edited\n")
    assert fingerprint() == before != fingerprint("errors.py")
    for name in NUMERIC:
        whole = (root / f"{name}.py").read_text()
        (root / f"{name}.py").write_text(f"{whole}\n# edited\n")
        assert fingerprint() != before, name
        (root / f"{name}.py").write_text(whole)
