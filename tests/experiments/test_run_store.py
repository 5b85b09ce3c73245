"""The run store: computed once, whole or not at all, noticed when damaged, and addressed by what it is made of."""

from __future__ import annotations

import json
import logging
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mugkit import files
from mugkit.errors import UserError
from mugkit.experiments import store as run_store
from mugkit.experiments.store import Store
from mugkit.training.checkpoint import Checkpoint

IDENTITY = {"seed": 1111, "parts": {"beta": 0.01}}


class Counting:
    """A computation that notes how often it was asked."""

    def __init__(self, content: str = "result") -> None:
        self.calls, self.content = 0, content

    def __call__(self, folder: Path, _: Checkpoint) -> None:
        self.calls += 1
        (folder / "a.txt").write_text(self.content)
        (folder / "b.txt").write_text(str(self.calls))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_store_default_is_under_home(mugkit_home: Path) -> None:
    assert Store.default().root == mugkit_home / "runs"


def test_get_computes_once(store: Store) -> None:
    compute = Counting()
    assert not store.has("train", IDENTITY)
    first = store.get("train", IDENTITY, compute)
    assert store.has("train", IDENTITY)
    assert store.get("train", IDENTITY, compute) == first == store.folder("train", IDENTITY)
    assert compute.calls == 1


def test_get_writes_down_what_the_result_is(store: Store) -> None:
    folder = store.get("train", IDENTITY, Counting())
    about = files.read_json(folder / "done.json")
    assert about["identity"] == IDENTITY
    assert about["files"] == {name: files.sha256(folder / name) for name in ("a.txt", "b.txt")}
    assert about["seconds"] >= 0
    assert {"mugkit", "python", "torch", "transformers", "numpy"} == set(about["versions"])
    assert about["versions"]["torch"] == torch.__version__


@pytest.mark.parametrize(
    "other", [{"seed": 1112, "parts": {"beta": 0.01}}, {"seed": 1111, "parts": {"beta": 0.02}}, {"seed": 1111}]
)
def test_get_other_identity_is_another_folder(store: Store, other: dict[str, Any]) -> None:
    compute = Counting()
    assert store.get("train", IDENTITY, compute) != store.get("train", other, compute)
    assert compute.calls == 2


def test_get_same_identity_in_other_order_is_same_folder(store: Store) -> None:
    assert store.folder("train", {"b": 1, "a": 2}) == store.folder("train", {"a": 2, "b": 1})
    assert store.folder("train", IDENTITY) != store.folder("labels", IDENTITY)


# --- damage


def truncate(folder: Path) -> None:
    (folder / "a.txt").write_text("res")


def change(folder: Path) -> None:
    (folder / "a.txt").write_text("resulT")  # the same length


def lose_file(folder: Path) -> None:
    (folder / "b.txt").unlink()


def lose_manifest(folder: Path) -> None:
    (folder / "done.json").unlink()


def cut_manifest(folder: Path) -> None:
    (folder / "done.json").write_text((folder / "done.json").read_text()[:30])


def empty_manifest(folder: Path) -> None:
    (folder / "done.json").write_text("{}")


def null_manifest(folder: Path) -> None:
    (folder / "done.json").write_text("null")


def foreign_manifest(folder: Path) -> None:
    (folder / "done.json").write_text('{"files": ["a.txt"]}')


def endless_manifest(folder: Path) -> None:
    (folder / "done.json").write_text('{"files": {"/dev/zero": "0"}}')  # reading it would never end


@pytest.mark.parametrize(
    "damage",
    [
        *(truncate, change, lose_file, lose_manifest, cut_manifest, empty_manifest),
        *(null_manifest, foreign_manifest, endless_manifest),
    ],
)
def test_get_damaged_result_is_told_and_computed_again(
    store: Store, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    compute = Counting()
    folder = store.get("train", IDENTITY, compute)
    damage(folder)
    with caplog.at_level(logging.WARNING):
        assert not store.has("train", IDENTITY)
    assert str(folder) in caplog.text
    store.get("train", IDENTITY, compute)
    assert compute.calls == 2
    assert (folder / "a.txt").read_text() == "result"
    assert store.has("train", IDENTITY)


def test_get_finished_result_forgets_the_checkpoint_that_a_kill_left(store: Store) -> None:
    folder = store.get("train", IDENTITY, Counting())
    left = store.root / "partial" / folder.name
    left.mkdir(parents=True)
    (left / "checkpoint.pt").touch()
    assert store.get("train", IDENTITY, Counting()) == folder
    assert not left.exists()


# --- failure


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, UserError])
def test_get_failed_computation_leaves_nothing(store: Store, error: type[BaseException]) -> None:
    def fail(folder: Path, _: Checkpoint) -> None:
        (folder / "half.txt").write_text("half")
        raise error("stop")

    with pytest.raises(error, match="stop"):
        store.get("train", IDENTITY, fail)
    assert not store.has("train", IDENTITY)
    assert list((store.root / "train").iterdir()) == []
    compute = Counting()
    store.get("train", IDENTITY, compute)  # the lock was given back, too
    assert compute.calls == 1


def test_get_failed_recomputation_of_damaged_result_does_not_pass_for_done(store: Store) -> None:
    folder = store.get("train", IDENTITY, Counting())
    change(folder)

    def fail(*_: Any) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        store.get("train", IDENTITY, fail)
    assert not store.has("train", IDENTITY)


def test_get_interrupted_resumes_from_its_checkpoint_and_tidies_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "PAUSE", 0.0)

    def compute(folder: Path, checkpoint: Checkpoint) -> None:
        state = checkpoint.load() or {"epoch": 0}
        for epoch in range(state["epoch"], 4):
            checkpoint.save({"epoch": epoch + 1})
            if epoch == 1 and state["epoch"] == 0:
                raise KeyboardInterrupt
        (folder / "a.txt").write_text(f"from {state['epoch']}")

    with pytest.raises(KeyboardInterrupt):
        store.get("train", IDENTITY, compute)
    assert len(list((store.root / "partial").iterdir())) == 1
    folder = store.get("train", IDENTITY, compute)
    assert (folder / "a.txt").read_text() == "from 2"
    assert list((store.root / "partial").iterdir()) == []
    assert sorted(p.name for p in folder.iterdir()) == ["a.txt", "done.json"]


def test_get_checkpoint_belongs_to_its_identity(store: Store) -> None:
    seen: list[Any] = []

    def compute(folder: Path, checkpoint: Checkpoint) -> None:
        seen.append(checkpoint.load())
        assert checkpoint.pause == run_store.PAUSE > 0
        checkpoint.save({"epoch": 1})
        raise KeyboardInterrupt

    for identity in (IDENTITY, {"seed": 1112}, IDENTITY):
        with pytest.raises(KeyboardInterrupt):
            store.get("train", identity, compute)
    assert seen == [None, None, {"epoch": 1}]


# --- two processes


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
    assert store.has("train", IDENTITY)


# --- the code's fingerprint


def copy_package(tmp_path: Path) -> Path:
    """The parts of the package that decide numbers, as a copy that may be edited."""
    root = Path(run_store.__file__).parents[1]
    for path in [p for p in root.rglob("*.py") if p.stat().st_size]:
        target = tmp_path / "mugkit" / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text())
    return tmp_path / "mugkit"


def fingerprint(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(run_store, "__file__", str(root / "experiments" / "store.py"))
        return run_store.code_fingerprint.__wrapped__()


@pytest.mark.parametrize(
    "name",
    [
        "config.py", "metrics.py", "models/mug.py", "training/maml.py", "training/meta.py", "training/seeding.py",
        "training/label_sources/source.py", "data/batch.py", "data/encoders.py", "data/loader.py", "data/offline_t5.py",
        "data/schema.py", "data/text.py",
    ],
)  # fmt: skip
def test_code_fingerprint_changes_with_code_that_decides_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    root = copy_package(tmp_path)
    before = fingerprint(root, monkeypatch)
    (root / name).write_text((root / name).read_text() + "\n# edited\n")
    assert fingerprint(root, monkeypatch) != before


@pytest.mark.parametrize("name", ["experiments/scheduler.py", "errors.py", "evaluation/published.py"])
def test_code_fingerprint_ignores_code_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    root = copy_package(tmp_path)
    before = fingerprint(root, monkeypatch)
    (root / name).write_text((root / name).read_text() + "\n# edited\n")
    assert fingerprint(root, monkeypatch) == before


def test_code_fingerprint_does_not_depend_on_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprint(copy_package(tmp_path), monkeypatch) == run_store.code_fingerprint()


def test_read_result_without_one_is_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"result\.json"):
        run_store.read_result(tmp_path)
    (tmp_path / "result.json").write_text(json.dumps({"metrics": {}}))
    assert run_store.read_result(tmp_path) == {"metrics": {}}
