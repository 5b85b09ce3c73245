"""Fixtures that every test may use: a home of its own, the development data, made-up data sets."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up import make_dataset

from mugkit.data.schema import Dataset

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Side by side, each worker has a cache of its own for what numba compiles: two that compile the same at once can
    leave functions there that end every later process with a segmentation fault.
    """
    if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and config.cache:
        os.environ["NUMBA_CACHE_DIR"] = str(config.cache.mkdir(f"numba-{worker}"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as slow what was measured to be (`make durations`)."""
    slow = json.loads((REPOSITORY / "tests" / "slow.json").read_text(encoding="utf-8"))
    for item in items:
        if item.nodeid.partition("[")[0] in slow:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def mugkit_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty $MUGKIT_HOME for each test, so that no test sees or changes what a user prepared."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MUGKIT_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data (not part of the repository): $MUGKIT_SHARED_DATA or ../shared/data."""
    folder = Path(os.environ.get("MUGKIT_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"the development data is not at {folder} (set MUGKIT_SHARED_DATA to its folder)")
    return folder


@pytest.fixture(scope="session")
def made_up() -> Callable[..., Dataset]:
    """`made_up.make_dataset`: a factory of small data sets with a signal in text and frames."""
    return make_dataset
