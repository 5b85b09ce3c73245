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


def test_one_thread_limits_every_library_and_gives_the_threads_back() -> None:
    with threadpool_limits(2):
        before = counts()
        for _ in range(2):
            with device.one_thread():
                assert counts() == {1}
            assert counts() == before


def test_one_thread_looks_for_libraries_again_only_after_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    device._libraries.cache_clear()
    for expected in (1, 1):
        device.one_thread()
        assert device._libraries.cache_info().misses == expected
    monkeypatch.setitem(sys.modules, "imported_late", types.ModuleType("imported_late"))
    device.one_thread()
    assert device._libraries.cache_info().misses == 2


def test_choose_device_auto_and_named() -> None:
    assert device.choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device.choose_device("cpu") == torch.device("cpu")


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
