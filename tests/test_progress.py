"""Progress in logs: lines, and none of work that is over soon."""

import sys

import pytest

from mugkit import progress


@pytest.fixture(autouse=True)
def _in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", sys)  # papermill imports it; that makes no notebook of a process
    monkeypatch.delenv("MUGKIT_PROGRESS", raising=False)


def test_log_gets_a_line_for_each_state(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    assert list(progress.progress(iter("abc"), "runs", total=3)) == ["a", "b", "c"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" after ")[0] for line in lines] == [f"runs: {done} of 3" for done in range(4)]


@pytest.mark.parametrize("switch", ["", "0"])
def test_log_says_nothing_of_short_work_or_where_it_is_turned_off(
    switch: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MUGKIT_PROGRESS", switch)
    if switch == "0":
        monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    assert list(progress.progress([1, 2, 3], "x")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")
