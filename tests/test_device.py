"""Devices by name; blocks on some threads, of every library that has them, and of no other block."""

from __future__ import annotations

import sys
import types

import numpy as np  # noqa: F401
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from mugkit import device


def counts() -> set[int]:
    return {library["num_threads"] for library in threadpool_info()}


def test_one_thread_limits_every_library_gives_threads_back_and_looks_for_libraries_only_after_an_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device._libraries.cache_clear()
    with threadpool_limits(2):
        before = counts()
        for _ in range(2):
            with device.one_thread():
                assert counts() == {1}
            assert counts() == before
            assert device._libraries.cache_info().misses == 1
    monkeypatch.setitem(sys.modules, "imported_late", types.ModuleType("imported_late"))
    device.one_thread()
    assert device._libraries.cache_info().misses == 2


def test_cpu_threads_are_restored_after_error() -> None:
    before, inside = torch.get_num_threads(), []

    def fail() -> None:
        with device.cpu_threads(before + 1):
            inside.append(torch.get_num_threads())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside == [before + 1]
    assert torch.get_num_threads() == before
    with device.cpu_threads(0):
        assert torch.get_num_threads() == before
