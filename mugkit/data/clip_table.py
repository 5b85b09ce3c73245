"""Reads `clips.parquet` without trusting the sizes that it claims.

Parquet stores a text that many rows share once, and the count of a repeated value in a few bytes, so a small file can
expand beyond any memory. So the columns are checked first, texts are read in their dictionary encoding, and only
columns within the limits are expanded.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

TEXTS = ("split", "id", "text")
LABELS = ("y", "y_l", "y_a", "y_v")
LARGEST = 2**28  # bytes of one column's texts: MOSEI's transcripts take 3 MB


def read(path: Path) -> pd.DataFrame:
    """Splits, ids, texts and labels, with the types that other code expects; other columns are left out.

    Raises:
        ValueError: if columns are missing or of another type, or the file claims more than it can hold.
        Exception: any error that pyarrow raises for a corrupt file.
    """
    described, schema = pq.read_metadata(path), pq.read_schema(path)
    if described.num_rows > 8 * path.stat().st_size:  # ids differ: each takes more than a bit, even compressed
        raise ValueError(f"claims {described.num_rows} clips, which it cannot hold")
    labels = [name for name in LABELS if name in schema.names]
    if "y" not in labels:
        raise ValueError("without labels")
    for name in (*TEXTS, *labels):
        _check_type(name, schema.field(name).type)
    table = pq.read_table(path, columns=[*TEXTS, *labels], read_dictionary=list(TEXTS))
    for name in TEXTS:
        if table[name].null_count:
            raise ValueError(f"{name}: ids, texts and splits must be text")
        _check_size(name, table[name])
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.large_string()))
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    return frame.astype(dict.fromkeys(labels, "float32"))


def _check_type(name: str, kind: pa.DataType) -> None:
    """Rejects all but flat columns: lists can claim any number of elements per row."""
    text = kind.value_type if pa.types.is_dictionary(kind) else kind
    fits = pa.types.is_string(text) or pa.types.is_large_string(text)
    if name in LABELS:
        fits = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    if not fits:
        raise ValueError(f"{name}: {kind} is not the type of this column")


def _check_size(name: str, column: pa.ChunkedArray) -> None:
    """Rejects texts that take more than LARGEST bytes when expanded."""
    size = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
        size += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    if size > LARGEST:
        raise ValueError(f"{name}: {size} bytes of text, more than {LARGEST}")
