"""The record of a search: what was written is read back, and what is damaged or of something else is refused."""

import json
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mugkit import files
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.evaluation.comparison import predictions
from mugkit.experiments import search
from mugkit.studies import search_record
from mugkit.studies.search_record import Record
from mugkit.studies.selection import sign_hits

NAME = "made-up"


@pytest.fixture(autouse=True)
def dataset(monkeypatch: pytest.MonkeyPatch, prepared: Callable[..., Dataset], tmp_path: Path) -> Dataset:
    """A prepared data set, and a repository that is a folder of the test's own."""
    monkeypatch.setattr(files, "repository", lambda: tmp_path / "repository")
    return prepared((24, 9, 13))


@pytest.fixture
def made(dataset: Dataset) -> Record:
    """Three trials of a search, one of which failed."""
    found = search.search("copy", NAME, "smoke", 3)
    found.trials[1] = search.Trial(1, found.trials[1].values, float("nan"))
    return search_record.record(found, dataset, with_test=True)


def same(record: Record, other: Record) -> bool:
    assert record.tested
    assert other.tested
    pd.testing.assert_frame_equal(record.search.frame(), other.search.frame())
    about, theirs = ((r.search.base, r.search.seed, r.data, r.made_with) for r in (record, other))
    return about == theirs and all(map(np.array_equal, astuple(record.tested), astuple(other.tested)))


def test_read_gives_what_was_written_and_which_signs_are_right(made: Record, dataset: Dataset, tmp_path: Path) -> None:
    paths = search_record.write(made, tmp_path / "out")
    assert [path.name for path in paths] == ["copy.json", "copy.csv", "copy.md"]
    assert same(search_record.read(paths[0]), made)
    runs = [trial.run for trial in made.search.finished if trial.run]
    folders = [run.folder for run in runs]
    assert made.tested
    assert made.tested.errors == [round(run.metrics["MAE"] or 0, 6) for run in runs]
    for split, hits in (("valid", made.tested.valid), ("test", made.tested.test)):
        truth = dataset.splits[split].labels
        np.testing.assert_array_equal(hits, sign_hits(predictions(folders, dataset, split), truth))


def test_write_pages_hold_no_test_score_nor_does_a_blind_record(made: Record, dataset: Dataset, tmp_path: Path) -> None:
    pages = search_record.write(made, tmp_path / "searched")[1:]
    blind = search_record.record(made.search, dataset, with_test=False)
    for path in (*pages, *search_record.write(blind, tmp_path / "tuned")):
        text = path.read_text()
        assert "test" not in text
        assert made.tested
        assert not any(f"{value:.4g}" in text for value in made.tested.errors)
    assert search_record.read(tmp_path / "tuned" / "copy.json").tested is None


def damaged(content: dict[str, Any]) -> dict[str, Any]:
    """Way → a record with that one thing wrong."""
    tested, trials = content["tested"], content["trials"]
    cut = {"a trial's hits are missing": tested["test"]["hits"][1:], "a row of bits is cut": ["AA==", "AAA="]}
    return {
        "no record": ["something else"],
        "a field is missing": {name: value for name, value in content.items() if name != "trials"},
        "another best": content | {"best": 2 - content["best"]},
        "a trial is missing": content | {"trials": trials[1:]},
        "an unknown profile": content | {"profile": "quik"},
        **{way: content | {"tested": tested | {"test": tested["test"] | {"hits": hits}}} for way, hits in cut.items()},
    }


def test_read_damaged_record_is_told_with_its_path(made: Record, tmp_path: Path) -> None:
    path = search_record.write(made, tmp_path)[0]
    ways = {way: json.dumps(content) for way, content in damaged(files.read_json(path)).items()}
    for way, content in {**ways, "no JSON": "{"}.items():
        path.write_text(content)
        with pytest.raises(UserError) as told:
            search_record.read(path)
        assert told.value.file == path, way


def test_known_is_the_committed_record_of_these_data_or_a_search(
    made: Record, dataset: Dataset, tmp_path: Path
) -> None:
    path = search_record.write(made, tmp_path / "repository" / search_record.FOLDER)[0]
    assert same(search_record.known("copy", dataset, "smoke", 3), made)
    other = replace(dataset, fingerprint="other")
    for wanted in (("copy", dataset, "smoke", 2), ("copy", dataset, "quick", 3), ("mug", dataset, "smoke", 3)):
        assert search_record.committed(*wanted) is None
    assert search_record.committed("copy", other, "smoke", 3) is None
    assert len(search_record.known("copy", dataset, "smoke", 2).search.trials) == 2
    content = files.read_json(path)
    content["trials"][0]["beta"] = 0.123  # not what its seed draws
    files.write_json(path, content)
    with pytest.raises(UserError) as told:
        search_record.committed("copy", dataset, "smoke", 3)
    assert (told.value.file, told.value.field) == (path, "trials")


def test_again_comes_out_as_recorded_and_another_number_or_machine_is_seen(made: Record, tmp_path: Path) -> None:
    table = search_record.again(made)
    assert table["trial"].tolist() == [trial.number for trial in search.by_lot(made.search)]
    assert table["same"].all()
    assert search_record.unlike(made) == []
    path = search_record.write(made, tmp_path)[0]
    content = files.read_json(path)
    content["trials"][content["best"]]["valid"] -= 0.25
    files.write_json(path, content | {"made with": content["made with"] | {"processor": "another"}})
    other = search_record.read(path)
    table = search_record.again(other)
    assert table["same"].tolist() == [False, True]
    assert all(word in search_record.told(other, table) for word in ("1 of 2", "0.2500", "processor"))
