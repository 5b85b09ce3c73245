"""Progress bars: none in logs."""

from __future__ import annotations

import os

import pytest

from mugkit import progress


def test_progress_off_is_the_items_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUGKIT_PROGRESS", "0")
    items = [1, 2]
    assert progress.progress(items, "x") is items


def test_progress_in_log_draws_nothing(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("MUGKIT_PROGRESS", raising=False)
    monkeypatch.delitem(os.sys.modules, "ipykernel", raising=False)
    assert list(progress.progress([1, 2, 3], "x")) == [1, 2, 3]
    assert capfd.readouterr() == ("", "")
