"""Blocks on one thread: of every library that has threads, those imported late included, and of no other block."""

from __future__ import annotations

import sys
import types

import numpy as np  # noqa: F401
import pytest
import torch  # noqa: F401
from threadpoolctl import threadpool_info, threadpool_limits

from mugkit import threads


def counts() -> set[int]:
    return {library["num_threads"] for library in threadpool_info()}


def test_one_thread_limits_every_library_and_gives_the_threads_back() -> None:
    with threadpool_limits(2):
        before = counts()
        for _ in range(2):
            with threads.one_thread():
                assert counts() == {1}
            assert counts() == before


def test_one_thread_looks_for_libraries_again_only_after_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    threads._libraries.cache_clear()
    for expected in (1, 1):
        threads.one_thread()
        assert threads._libraries.cache_info().misses == expected
    monkeypatch.setitem(sys.modules, "imported_late", types.ModuleType("imported_late"))
    threads.one_thread()
    assert threads._libraries.cache_info().misses == 2
