"""The table of clips: what was written is read back, and files that claim too much are refused in little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mugkit.data import clip_table, store
from mugkit.data.schema import Dataset


@pytest.fixture
def path(made_up: Callable[..., Dataset], tmp_path: Path) -> Path:
    return store.save(made_up(), tmp_path / "stored") / "clips.parquet"


def changed(path: Path, **columns: Any) -> Path:
    """The table with other columns."""
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.drop_columns(name) if name in table.column_names else table
        table = table if values is None else table.append_column(name, values)
    pq.write_table(table, path)
    return path


def test_read_is_what_pandas_reads(path: Path) -> None:
    read, expected = clip_table.read(path), pd.read_parquet(path)
    pd.testing.assert_frame_equal(read, expected[list(read.columns)], check_dtype=False)
    assert read.dtypes["y"] == "float32"
    assert all(isinstance(value, str) for name in clip_table.TEXTS for value in read[name])


def test_read_takes_dictionary_columns_and_leaves_others_out(path: Path) -> None:
    table = pq.read_table(path)
    words = table["text"].combine_chunks().dictionary_encode()
    read = clip_table.read(changed(path, text=words, extra=words))
    assert read["text"].tolist() == table["text"].to_pylist()
    assert "extra" not in read
    pq.write_table(repeated(100, 1000), path)  # repetition within bounds is no fault
    assert set(clip_table.read(path)["text"]) == {"x" * 1000}


def repeated(rows: int, length: int) -> pa.Table:
    """One long text in every row: stored once."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * length]))
    split, ids = pa.array(["train"] * rows), pa.array([str(row) for row in range(rows)])
    return pa.table({"split": split, "id": ids, "text": text, "y": pa.array([0.0] * rows)})


def test_read_refuses_one_text_that_repeats_without_spreading_it_out(tmp_path: Path) -> None:
    """A file of 70 kB that would take 100 GB."""
    path = tmp_path / "clips.parquet"
    pq.write_table(repeated(10**5, 10**6), path, compression="zstd")
    assert path.stat().st_size < 10**6
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    with pytest.raises(ValueError, match="text: 100000000000 bytes of text, more than 268435456"):
        clip_table.read(path)
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < 2**28


def test_read_refuses_more_clips_than_the_file_can_hold(path: Path) -> None:
    pd.read_parquet(path).iloc[[0] * 10**6].to_parquet(path, index=False)
    with pytest.raises(ValueError, match="claims 1000000 clips"):
        clip_table.read(path)


@pytest.mark.parametrize(
    "columns",
    [
        {"split": None}, {"y": None}, {"y": pa.array([[0.0]] * 80)}, {"y": pa.array(["much"] * 80)}, {"id": None},
        {"id": pa.array([1] * 80)}, {"text": pa.array([["a"]] * 80)}, {"text": pa.array([None] * 80, pa.string())},
        {"split": pa.array([b"train"] * 80)}, {"y_l": pa.array([{"a": 1.0}] * 80)},
    ],
    ids=lambda columns: ", ".join(f"{name} {getattr(values, 'type', 'missing')}" for name, values in columns.items()),
)  # fmt: skip
def test_read_refuses_columns_of_other_types(columns: dict[str, Any], path: Path) -> None:
    with pytest.raises((ValueError, KeyError)):
        clip_table.read(changed(path, **columns))
