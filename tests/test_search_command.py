"""`mugkit search` as people type it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small import bag_of_words

from mugkit import cli, files
from mugkit.data import store
from mugkit.data.schema import Dataset
from mugkit.experiments import experiment


@pytest.fixture
def mugkit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], made_up: Callable[..., Dataset]
) -> Callable[..., tuple[int, str, str]]:
    """`mugkit search ARGUMENTS` in this process on a made-up data set."""
    experiment._dataset.cache_clear()
    store.save(made_up((24, 8, 8)), files.data_home() / "made-up")
    monkeypatch.setattr("mugkit.data.text._encode", bag_of_words)
    monkeypatch.setenv("MUGKIT_PROGRESS", "0")
    monkeypatch.setattr("mugkit.experiments.scheduler.workers_of", lambda workers, device: 1)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mugkit", "search", "--dataset", "made-up", "--profile", "smoke", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.app()
        return int(caught.value.code or 0), *capsys.readouterr()

    return call


def test_search_prints_the_best_trial_and_where_it_lies(mugkit: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = mugkit("--system", "copy", "--trials", "2")
    assert (code, err) == (0, "")
    folder = files.home() / "search" / "made-up-smoke"
    written = files.read_json(folder / "copy.json")
    best = min(written["trials"], key=lambda row: row["valid"])
    assert f"trial {best['trial']} of 2 is best on validation: MAE {best['valid']:.3f}" in out
    artifacts = Path(next(line for line in out.splitlines() if "its artifacts" in line).partition(": ")[2])
    assert (artifacts / "result.json").is_file()
    assert "mugkit run --system copy --dataset made-up --profile smoke --preset table2 --set " in out
    assert str(folder) in out


def test_search_writes_where_it_is_told(mugkit: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    assert mugkit("--system", "text-only", "--trials", "1", "--out", str(tmp_path / "here"))[0] == 0
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == [
        "text-only.csv",
        "text-only.json",
        "text-only.md",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--trials", "0"), "at least 1"),
        (("--system", "mgu"), "did you mean 'mug'"),
        (("--device", "cdua"), "unknown device"),
        (("--engine", "locl"), "did you mean 'local'"),
    ],
)
def test_search_bad_value_is_exit_code_2_with_a_fix(
    mugkit: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = mugkit(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
