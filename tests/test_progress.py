"""Progress bars: none in logs."""

from __future__ import annotations

import sys

import pytest

from mugkit import progress


def test_progress_in_a_log_or_turned_off_draws_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    for switch in ("", "0"):
        monkeypatch.setenv("MUGKIT_PROGRESS", switch)
        assert list(progress.progress([1, 2, 3], "x")) == [1, 2, 3]
    assert capfd.readouterr() == ("", "")
