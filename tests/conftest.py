"""Fixtures that every test may use: a home of its own, the development data, made-up data sets."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import make_dataset

from mugkit import files
from mugkit.data import store
from mugkit.data.schema import Dataset

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Side by side, each worker has a cache of its own for what numba compiles: two that compile the same at once can
    leave functions there that end every later process with a segmentation fault.
    """
    if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and config.cache:
        os.environ["NUMBA_CACHE_DIR"] = str(config.cache.mkdir(f"numba-{worker}"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as slow what was measured to be (`make durations`): functions, and files that share a slow fixture."""
    slow = json.loads((REPOSITORY / "tests" / "slow.json").read_text(encoding="utf-8"))
    for item in items:
        function = item.nodeid.partition("[")[0]
        if function in slow or function.partition("::")[0] in slow:
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


@pytest.fixture
def cheap_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences are read as bags of the made-up data's words: no text encoder is needed."""
    from small import bag_of_words  # which brings torch and the networks along

    monkeypatch.setattr("mugkit.data.text._encode", bag_of_words)


@pytest.fixture
def bert(tmp_path: Path) -> str:
    """The folder of a tiny BERT."""
    from small import tiny_bert

    return str(tiny_bert(tmp_path / "bert"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, where there is one."""
    from pages import browser

    with browser() as started:
        yield started


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch, cheap_text: None) -> Callable[..., Dataset]:
    """A factory of stored data sets; their words are read as a bag, and trainings stay in this process."""
    from mugkit.experiments import experiment

    experiment._dataset.cache_clear()
    monkeypatch.setattr("mugkit.experiments.execution.workers_of", lambda workers, device: 1)

    def prepare(*sizes: Any, **options: Any) -> Dataset:
        dataset = make_dataset(*sizes, **options)
        store.save(dataset, files.data_home() / dataset.name)
        return store.load(dataset.name)

    return prepare
