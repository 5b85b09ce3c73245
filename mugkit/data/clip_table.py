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
        Exception: if columns are missing or of another type, the file claims more than it can hold, or it is corrupt.
    """
    described, schema = pq.read_metadata(path), pq.read_schema(path)
    if described.num_rows > 8 * path.stat().st_size:  # ids differ: each takes more than a bit, even compressed
        raise ValueError(f"claims {described.num_rows} clips, which it cannot hold")
    columns = [*TEXTS, *(name for name in LABELS if name in schema.names or name == "y")]
    for name in columns:
        kind = schema.field(name).type
        text = kind.value_type if pa.types.is_dictionary(kind) else kind
        is_text = pa.types.is_string(text) or pa.types.is_large_string(text)
        # Only flat columns: lists can claim any number of elements per row.
        if not (is_text if name in TEXTS else pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise ValueError(f"{name}: {kind} is not the type of this column")
    table = pq.read_table(path, columns=columns, read_dictionary=list(TEXTS))
    for place, name in enumerate(TEXTS):
        _check_texts(name, table[name])
        table = table.set_column(place, name, table[name].cast(pa.large_string()))
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    return frame.astype(dict.fromkeys(columns[len(TEXTS) :], "float32"))


def _check_texts(name: str, column: pa.ChunkedArray) -> None:
    """Rejects missing texts, and texts that take more than LARGEST bytes when expanded."""
    size = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
        size += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    if size > LARGEST or column.null_count:
        raise ValueError(f"{name}: {size} bytes of text, more than {LARGEST}, or rows without text")
