"""Many runs: order kept, finished runs reused, a failing run told while the others finish."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import make_dataset
from reliability.processes import ends
from small import hashes

from mugkit import cli, files, pools
from mugkit.config import RunSpec
from mugkit.data import store as data_store
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.experiments import experiment, registry, scheduler
from mugkit.experiments.execution import ExecutionConfig
from mugkit.experiments.experiment import run, work
from mugkit.experiments.run_store import Store, read_result
from mugkit.experiments.scheduler import STAGES, Stage, Task, run_all, run_task

NAME = "made-up"


@pytest.fixture(autouse=True)
def prepared(prepare: Callable[..., Dataset]) -> None:
    prepare(true_labels=False)


def spec(system: str = "copy", seed: int = 1111, **rest: Any) -> RunSpec:
    return RunSpec(system, NAME, seed, "smoke", **rest)


def plan(*specs: RunSpec, until: Stage = "train") -> list[Task]:
    return scheduler.plan([(partial(work, spec), until) for spec in specs], Store.default(), "cpu")


HERE, SPREAD = ExecutionConfig(workers=1), ExecutionConfig(workers=2)
TWO = [spec(seed=seed) for seed in (1111, 1112)]


@pytest.mark.parametrize("wrong", [spec("mgu"), spec(changes=(("bta", 1),)), RunSpec("mug", "no-such-data", 1111)])
def test_wrong_spec_is_refused_before_any_other_runs(wrong: RunSpec) -> None:
    with pytest.raises(UserError, match="fix: "):
        run_all([spec(), wrong], HERE)
    assert not (Store.default().root / "train").exists()


def test_run_all_keeps_order_returns_what_it_stored_and_says_what_was_reused() -> None:
    first = run(spec(seed=1112))
    specs = [spec(seed=seed) for seed in (1113, 1112, 1111)]
    runs = run_all(specs, HERE)
    assert [r.spec for r in runs] == specs
    assert [r.reused for r in runs] == [False, True, False]
    assert runs[1] == replace(first, reused=True)
    for done in runs:
        result = read_result(done.folder)
        assert all(result[name] == getattr(done, name) for name in ("metrics", "valid_metrics", "best_epoch"))


def test_run_data_prepared_again_is_noticed() -> None:
    # In a notebook: prepare, run, prepare --force, run.
    before = run(spec())
    data_store.save(make_dataset((24, 8, 8), true_labels=False, seed=1), files.data_home() / NAME, replace=True)
    assert run(spec()).folder != before.folder


def test_plan_lists_shared_stages_once_and_says_what_each_needs() -> None:
    specs = [spec("mug", seed, label_seed=1111) for seed in (1111, 1112)]
    specs += [spec("mug-without-multimodal-denoising"), spec("copy")]
    planned = plan(*specs)
    assert [task.stage for task in planned] == ["pretrain", *["labels"] * 2, *["train"] * 4]
    first, labels = planned[0].folder, [task.folder for task in planned[1:3]]
    assert [task.needs for task in planned] == [None, first, first, labels[0], labels[0], labels[1], None]
    assert plan(*specs, until="labels") == planned[:3]
    scheduler.learn_all([spec("mug")], HERE)
    (only,) = plan(spec("mug"))
    assert (only.stage, only.needs) == ("train", None)


def test_plan_begins_a_stage_with_every_text_encoder() -> None:
    planned = plan(spec("mug"), spec("mug", 1112, label_seed=1111), spec("copy"), spec("mug-t5"))
    encoders = [work(task.spec).hp.network.text_encoder for task in planned if task.stage == "train"]
    assert encoders[0] != encoders[1]
    stages = [task.stage for task in planned]
    assert stages == sorted(stages, key=STAGES.index)


@pytest.mark.parametrize("opened", [lambda: work(spec()), lambda: cli.describe(NAME)], ids=["a run", "describe"])
def test_altered_frames_are_refused(opened: Callable[[], object]) -> None:
    path = files.data_home() / NAME / "train.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    experiment._dataset.cache_clear()
    with pytest.raises(UserError, match="SHA-256"):
        opened()


def test_run_all_over_processes(tmp_path: Path) -> None:
    # One start of workers (seconds each) for everything that only they can show.
    good, store = [spec("copy"), spec("mug-without-unimodal")], Store(tmp_path / "spread")
    with pytest.raises(UserError, match="no true unimodal labels") as caught:
        run_all([good[0], spec("mug-true-labels"), good[1]], SPREAD, store=store)
    assert "mug-true-labels on made-up, seed 1111" in str(caught.value)
    assert "copy" not in str(caught.value)
    spread = run_all(good, SPREAD, store=store)
    assert [r.reused for r in spread] == [True, True]  # finished although another failed
    alone = run_all(good, HERE, store=Store(tmp_path / "alone"))
    assert [hashes(r.folder) for r in spread] == [hashes(r.folder) for r in alone]


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Workers stood in for by this process. Stage 1 without Eq. 11 fails; what stage 1 was computed for is noted."""

    computed: list[str] = []
    original = registry.pretrain

    def pretrain(dataset: Dataset, hp: Any, *rest: Any, **named: Any) -> Any:
        computed.append("without" if hp.pretraining.gamma == 0 else "with")
        if hp.pretraining.gamma == 0:
            raise UserError("the training loss became nan")
        return original(dataset, hp, *rest, **named)

    monkeypatch.setattr(pools, "processes", lambda *_: pools.SerialExecutor())
    monkeypatch.setattr(registry, "pretrain", pretrain)
    return computed


@pytest.mark.parametrize("execution", [HERE, SPREAD], ids=["here", "spread"])
def test_failed_stage_1_is_told_once_and_stops_no_other_run(execution: ExecutionConfig, one_process: list[str]) -> None:
    run(spec(seed=1113))
    good = [spec("mug"), spec("copy"), spec(seed=1113)]
    with pytest.raises(UserError, match="mug-without-contrastive"):
        run_all([spec("mug-without-contrastive"), *good], execution)
    assert one_process.count("without") == 1  # not tried again by the same call
    assert [r.reused for r in run_all(good, execution)] == [True, True, True]


def test_learn_all_returns_labels_in_order_and_keeps_them(one_process: list[str]) -> None:
    specs = [spec("mug", label_seed=seed) for seed in (1112, 1111)]
    run_all([spec()], SPREAD, learn=specs)
    learned = scheduler.learn_all(specs, SPREAD)
    again = [scheduler.learn_all([each], HERE)[0] for each in specs]
    assert one_process == ["with", "with"]  # each label seed once
    assert all(torch.equal(a.labels["v"], b.labels["v"]) for a, b in zip(learned, again, strict=True))
    assert not torch.equal(learned[0].labels["v"], learned[1].labels["v"])


def test_task_that_would_be_another_run_here_is_refused() -> None:
    (task,) = plan(spec())
    with pytest.raises(UserError, match="another version of mugkit, of 'made-up'") as caught:
        run_task(replace(task, folder=task.folder.with_name("0" * 20)), Store.default().root, "cpu")
    assert "MUGKIT_HOME" in (caught.value.fix or "")
    assert not task.folder.exists()


class Answering(Executor):
    """A pool that computes nothing itself: each task is answered by a function of its number and its call."""

    def __init__(self, answer: Callable[[int, Callable[[], Future[Any]]], Future[Any]]) -> None:
        self.answer, self.given = answer, 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given += 1
        return self.answer(self.given, lambda: pools.SerialExecutor().submit(fn, *args, **kwargs))


def ended(error: BaseException | None = None) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error) if error else future.set_result(None)
    return future


LOST = BrokenProcessPool("a worker died")


@pytest.mark.parametrize(
    ("answer", "told"), [(None, "not to be seen here"), (LOST, "copy on made-up, seed 1111, train: a worker died")]
)
def test_run_all_lost_result_is_told(answer: BaseException | None, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "processes", lambda *_: Answering(lambda *_: ended(answer)))
    monkeypatch.setattr(scheduler, "VISIBLE_WITHIN", 0.0)
    with pytest.raises(UserError, match=told):
        run_all(TWO, SPREAD)
    assert not (Store.default().root / "train").exists()  # and nobody computes it here in silence


def test_result_that_arrives_late_is_waited_for(tmp_path: Path) -> None:
    late = threading.Timer(1.0, (tmp_path / "kind" / "run").mkdir, kwargs={"parents": True})
    late.start()
    assert scheduler.wait_until_visible(tmp_path / "kind" / "run")
    late.join()


def test_run_all_lost_worker_breaks_one_pool_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool's second task says that it is lost only when the first is handed out anew, to another pool."""
    late: Future[Any] = Future()
    first = Answering(lambda number, _: ended(LOST) if number == 1 else late)

    def in_second(_: int, compute: Callable[[], Future[Any]]) -> Future[Any]:
        if not late.done():
            late.set_exception(LOST)
        return compute()

    second, given_up = Answering(in_second), []
    monkeypatch.setattr(pools, "processes", lambda *_: second if given_up else first)
    monkeypatch.setattr(pools, "shutdown_now", given_up.append)
    assert [r.reused for r in run_all(TWO, SPREAD)] == [False, False]
    assert (first.given, second.given) == (2, 2)
    assert first in given_up
    assert second not in given_up


def test_run_all_real_worker_killed_is_replaced(tmp_path: Path) -> None:
    victim = pools.processes(2).submit(os.getpid).result()
    os.kill(victim, signal.SIGKILL)
    spread = run_all(TWO, SPREAD, store=Store(tmp_path / "spread"))
    alone = run_all(TWO, HERE, store=Store(tmp_path / "alone"))
    assert [hashes(result.folder) for result in spread] == [hashes(result.folder) for result in alone]
    pools.shutdown_now(pools.processes(2))


def _until_stopped(folder: Path) -> None:
    """Writes a file and clears it away at the end, as atomic writes do."""
    path = folder / str(os.getpid())
    try:
        path.touch()
        time.sleep(600)
    finally:
        time.sleep(0.5)
        path.unlink()


@pytest.mark.parametrize("interrupts", [0, 1])
def test_executor_shut_down_now_clears_away_what_was_begun_and_begins_no_more(interrupts: int, tmp_path: Path) -> None:
    pool = pools.processes(2)
    futures = [pool.submit(_until_stopped, tmp_path) for _ in range(3)]
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.05)
    workers = list(pool._processes)
    for worker in workers * interrupts:  # a terminal's Ctrl-C goes to all processes; then this process ends its pool
        os.kill(worker, signal.SIGINT)
    pools.shutdown_now(pool)
    assert all(ends(worker) for worker in workers)
    assert all(future.exception() for future in futures)
    assert list(tmp_path.iterdir()) == []
    assert pools.processes(2) is not pool


def test_idle_worker_that_was_interrupted_is_replaced(capfd: pytest.CaptureFixture[str]) -> None:
    pool = pools.processes(2)
    assert pool is pools.processes(2)  # kept for the next call
    for worker in {pool.submit(_own_id, 1.0) for _ in range(2)}:
        os.kill(worker.result(), signal.SIGINT)
    assert len(run_all(TWO, SPREAD)) == 2
    assert pools.processes(2) is not pool
    assert "Traceback" not in capfd.readouterr().err


def _own_id(seconds: float) -> int:
    time.sleep(seconds)  # long enough that the other worker takes the other task
    return os.getpid()


def test_worker_ends_with_its_starter(tmp_path: Path) -> None:
    (script := tmp_path / "starter.py").write_text(
        "import os, signal; from mugkit import pools\n"
        "print(pools.processes(1).submit(os.getpid).result(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    worker = int(subprocess.run([sys.executable, script], capture_output=True, text=True).stdout)
    assert ends(worker)
