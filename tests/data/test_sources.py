"""Which reader gets which files, told by what they hold."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mugkit.data import sources
from mugkit.errors import UserError


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.csv" for name in ("train", "dev", "test")]
    for path in paths:
        path.write_text(f"id,text,label\n{path.stem},good,1\n")
    return paths


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    """Labels alone, without the usual ending: two videos in no standard fold, one clip each."""
    path = tmp_path / "sequences"
    with h5py.File(path, "w") as file:
        for video in ("a", "b", "c"):
            file[f"labels/data/{video}/intervals"] = np.array([[0.0, 1.0]])
            file[f"labels/data/{video}/features"] = np.array([[1.0]])
    return path


def folds(folder: Path, name: str = "folds.csv") -> Path:
    (path := folder / name).write_text("video,split\na,train\nb,valid\nc,test\n")
    return path


def pickled(path: Path, content: Any) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


def test_tables_go_to_their_reader_from_a_folder_too(tables: list[Path], tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("not looked at")
    for given in (tables, [tmp_path]):
        dataset = sources.read("mosi", sources.expand("mosi", given))
        assert (dataset.train.ids, dataset.valid.ids) == (["train"], ["dev"])


def test_sequences_take_their_folds_from_a_table(sequences: Path, tmp_path: Path) -> None:
    dataset = sources.read("mosei", [folds(tmp_path), sequences])
    assert [split.ids for split in dataset.splits.values()] == [["a$_$1"], ["b$_$1"], ["c$_$1"]]


def test_sequences_take_their_folds_from_json(sequences: Path, tmp_path: Path) -> None:
    (path := tmp_path / "folds.json").write_text('{"train": ["c"], "valid": ["b"], "test": ["a"]}')
    assert sources.read("mosei", [sequences, path]).train.ids == ["c$_$1"]


def test_sequences_of_mosei_without_folds_are_refused(sequences: Path) -> None:
    with pytest.raises(UserError, match="split of each video of mosei is not known"):
        sources.read("mosei", [sequences])


def test_several_folds_are_refused(sequences: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"one table of folds at most is needed; found one\.csv, two\.csv"):
        sources.read("mosei", [sequences, folds(tmp_path, "one.csv"), folds(tmp_path, "two.csv")])


def test_folds_alone_are_refused(tmp_path: Path) -> None:
    (path := tmp_path / "folds.json").write_text("{}")
    with pytest.raises(UserError, match="folds alone are no data set"):
        sources.read("mosi", [path])


def test_files_of_several_kinds_are_refused(tables: list[Path], tmp_path: Path) -> None:
    path = pickled(tmp_path / "x.pkl", [1])
    (folds := tmp_path / "folds.json").write_text("{}")
    with pytest.raises(UserError, match=r"several kinds \(pickle: x\.pkl; folds: folds\.json\)"):
        sources.read("mosi", [path, folds])


def test_two_files_of_a_kind_are_refused(tables: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"one table or three are needed; found train\.csv, dev\.csv"):
        sources.read("mosi", tables[:2])
    paths = [pickled(tmp_path / f"{name}.pkl", [1]) for name in "ab"]
    with pytest.raises(UserError, match=r"one pickle or three are needed; found a\.pkl, b\.pkl"):
        sources.read("mosi", paths)


def test_two_pickles_of_one_split_are_refused(tmp_path: Path) -> None:
    paths = [pickled(tmp_path / f"{name}.pkl", [1]) for name in ("train", "dev", "valid")]
    with pytest.raises(UserError, match="two files of one split"):
        sources.read("mosi", paths)


def test_alignment_needs_sequences(tables: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be aligned to words"):
        sources.read("mosi", tables, align=True)


@pytest.mark.parametrize(
    ("content", "outline"),
    [([1, 2], "a list of 2"), ({"a": 1, "b": 2}, r"a dict of 2 keys \(a, b\)"), (5, "a int")],
)
def test_a_pickle_no_reader_knows_is_outlined(content: Any, outline: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=outline):
        sources.read("mosi", [pickled(tmp_path / "x.pkl", content)])


def test_sources_that_are_missing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mosi needs files"):
        sources.expand("mosi", [])
    with pytest.raises(UserError, match="no such file"):
        sources.expand("mosi", [tmp_path / "none.pkl"])
    (tmp_path / "x.md").touch()
    (tmp_path / "folder.pkl").mkdir()
    with pytest.raises(UserError, match="folder has no file that ends in"):
        sources.expand("mosi", [tmp_path])


def test_a_folder_gives_its_data_files_in_order(tmp_path: Path) -> None:
    for name in ("b.pkl", "a.CSD", "c.tsv", "d.txt"):
        (tmp_path / name).touch()
    extra = tmp_path / "d.txt"
    assert [path.name for path in sources.expand("mosi", [tmp_path, extra])] == ["a.CSD", "b.pkl", "c.tsv", "d.txt"]
