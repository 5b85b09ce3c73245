"""The table of clips: what was written is read back, and files that claim too much are refused in little memory."""

import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up import make_dataset

from mugkit.data import clip_table, store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return store.save(make_dataset(), tmp_path / "stored") / "clips.parquet"


def test_read_is_what_pandas_reads_whether_texts_are_in_a_dictionary_or_not(path: Path) -> None:
    table, expected = pq.read_table(path), pd.read_parquet(path)
    words = table["text"].combine_chunks().dictionary_encode()
    for other in (table, table.drop_columns("text").append_column("text", words).append_column("extra", words)):
        pq.write_table(other, path)
        read = clip_table.read(path)
        pd.testing.assert_frame_equal(read, expected[list(read.columns)], check_dtype=False)
        assert read.dtypes["y"] == "float32"
        assert all(isinstance(value, str) for name in clip_table.TEXTS for value in read[name])


@pytest.mark.parametrize("rows", [100, 10**5])
def test_read_takes_a_text_that_repeats_and_refuses_one_of_100_gigabytes(rows: int, tmp_path: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 10**6]))
    ids, labels = pa.array([str(row) for row in range(rows)]), pa.array([0.0] * rows)
    table = pa.table({"split": pa.array(["train"] * rows), "id": ids, "text": text, "y": labels})
    pq.write_table(table, path := tmp_path / "clips.parquet", compression="zstd")
    assert path.stat().st_size < 10**6
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    if rows == 100:
        assert set(clip_table.read(path)["text"]) == {"x" * 10**6}
    else:
        with pytest.raises(ValueError, match="text: 100000000000 bytes of text"):
            clip_table.read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**26
        assert pa.total_allocated_bytes() - before < 2**28
    tracemalloc.stop()


def test_read_refuses_more_clips_than_the_file_can_hold(path: Path) -> None:
    pd.read_parquet(path).iloc[[0] * 10**6].to_parquet(path, index=False)
    with pytest.raises(ValueError, match="claims 1000000 clips"):
        clip_table.read(path)


@pytest.mark.parametrize(
    "column",
    [
        ("split", None), ("y", None), ("y", pa.array([[0.0]] * 80)), ("y", pa.array(["much"] * 80)),
        ("id", pa.array([1] * 80)), ("text", pa.array([["a"]] * 80)), ("text", pa.array([None] * 80, pa.string())),
        ("split", pa.array([b"train"] * 80)), ("y_l", pa.array([{"a": 1.0}] * 80)),
    ],
    ids=lambda column: f"{column[0]} {getattr(column[1], 'type', 'missing')}",
)  # fmt: skip
def test_read_refuses_columns_of_other_types(column: tuple[str, Any], path: Path) -> None:
    name, values = column
    table = pq.read_table(path).drop_columns(name)
    pq.write_table(table if values is None else table.append_column(name, values), path)
    with pytest.raises((ValueError, KeyError)):
        clip_table.read(path)
