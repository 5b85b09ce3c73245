"""Blocks with a number of threads, of every library that has threads, and of no other block."""

import contextlib
import sys
import types

import numpy as np  # noqa: F401
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from mugkit import device


def counts() -> set[int]:
    return {library["num_threads"] for library in threadpool_info()}


def test_one_thread_limits_every_library_gives_threads_back_and_looks_for_libraries_after_an_import(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with threadpool_limits(2):
        before = counts()
        with device.one_thread():
            assert counts() == {1}
        assert counts() == before
    searches = device._libraries.cache_info().misses
    monkeypatch.setitem(sys.modules, "imported_late", types.ModuleType("imported_late"))
    device.one_thread()
    assert device._libraries.cache_info().misses == searches + 1


def test_cpu_threads_are_restored_after_error() -> None:
    before, inside = torch.get_num_threads(), []
    with contextlib.suppress(ZeroDivisionError), device.cpu_threads(before + 1):
        inside.append(torch.get_num_threads())
        raise ZeroDivisionError
    assert inside == [before + 1]
    assert torch.get_num_threads() == before
    with device.cpu_threads(0):
        assert torch.get_num_threads() == before
