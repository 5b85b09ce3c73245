"""The check of a GPU, on a CPU: its order, its JSON, that it tells what is missing and what is wrong."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import check  # noqa: E402
import comparing  # noqa: E402
from benchmarks import hours  # noqa: E402
from drawing import SameDraws, same_draws  # noqa: E402
from ground import Ground  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from mugkit import files  # noqa: E402
from mugkit.experiments.registry import SYSTEMS  # noqa: E402
from mugkit.studies.cost import Trainer  # noqa: E402

RANDOM = ("aten::bernoulli", "aten::native_dropout", "aten::rand", "aten::normal_", "aten::uniform_", "aten::random_")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(tmp_path_factory.mktemp("gpu"), torch.device("cpu"), dry=True)


@pytest.mark.slow
def test_all_parts_run_dry_in_order_from_a_bare_checkout(tmp_path: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if name not in ("MUGKIT_HOME", "PYTHONPATH")}
    command = [sys.executable, "tests/gpu/check.py", "--dry", "--out", str(tmp_path)]
    ended = subprocess.run(
        command, cwd=HERE.parents[1], env={**plain, "PYTHONPATH": "."}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = files.read_json(tmp_path / "gpu-dry.json")
    assert list(found["parts"]) == list(check.SECONDS)
    systems = found["parts"]["systems"]["results"]
    assert systems.keys() == {"stages 1 and 2", *SYSTEMS}
    assert all(row["identical_again"] for row in systems.values())
    assert not (tmp_path / hours.GPU).exists()  # a CPU's numbers are never taken for a card's
    files.write_json(tmp_path / hours.GPU, found)
    assert hours.card_of(tmp_path).flops == found["step_flops"]
    assert "| Table 3 on MOSI |" in (tmp_path / "tables" / "gpu-dry.md").read_text()


def test_skipped_and_failed_parts_are_told(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "notebooks", lambda ground, clock: 1 / 0)
    monkeypatch.setattr(comparing, "_waits", lambda ground, system: "waited" if system in ("aobert", "tfn") else "")
    found = check.run(ground, ["systems", "bench"], tmp_path / "gpu.json")
    assert files.read_json(tmp_path / "gpu.json") == found
    parts = found["parts"]
    assert {name for name, row in parts.items() if "skipped" in row} == {"systems", "bench", "table3"}
    assert "ZeroDivisionError" in check.told("notebooks", parts["notebooks"])
    assert check.told("waiting", parts["waiting"]).endswith("not as it should be: tfn")
    assert not parts["waiting"]["ok"]
    assert check.table(found).count("skipped") == 3
    assert hours.card_of(tmp_path) == hours.ASSUMED
    clock = check.Clock(0.0)
    assert (list(clock.within(["a", "b"])), clock.left_out) == ([], ["a", "b"])


def test_other_losses_on_the_device_are_found(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = iter([[1.0, 0.5], [1.0, 0.52], [1.0, 0.53]])
    monkeypatch.setattr(comparing, "epoch", lambda work: (next(tries), {}))
    row = comparing._epoch(ground, "copy")
    assert (row["first step"], row["epoch"]) == (0, pytest.approx(0.02 / 1.5))
    assert (row["ok"], row["identical_again"]) == (False, False)


class OnlySame(TorchDispatchMode):
    """Notes random numbers that are not drawn by `SameDraws`."""

    def __init__(self, draws: SameDraws) -> None:
        super().__init__()
        self.draws, self.seen = draws, list[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name().startswith(RANDOM) and not self.draws.drawing and "generator" not in (kwargs or {}):
            self.seen.append(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_every_random_number_of_a_step_is_the_same_on_every_device(ground: Ground, system: str) -> None:
    work = ground.work(system, comparing.CPU, "cpu")
    if work.system.labels == "mucn":
        work.learned_labels()
    trainer = Trainer.of(work)
    batch = trainer.clips.batch(torch.arange(8))
    with same_draws(trainer.network) as draws, OnlySame(draws) as only:
        trainer.step(batch, 0)
    assert only.seen == []


def test_missing_card_or_packages_are_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check.main(["--out", str(tmp_path)]) == 2
    assert "--dry" in capsys.readouterr().err
    monkeypatch.setattr(check.importlib.util, "find_spec", lambda name: None if name == "IPython" else name)
    assert check.main(["--dry", "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("missing here: ipython (")
    assert list(tmp_path.iterdir()) == []
