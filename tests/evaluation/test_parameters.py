"""Table 6's four counts, exactly, and what they consist of."""

from __future__ import annotations

import pytest
from torch import nn

from mugkit.evaluation import parameters, published

BERT = 109_482_240  # bert-base-uncased with its pooler


@pytest.mark.parametrize(
    ("system", "published"),
    [("self-mm", 109_647_908), ("misa", 110_917_345), ("mmim", 109_821_129), ("mug", 110_089_956)],
)
def test_total_at_mosei_equals_table_6(system: str, published: int) -> None:
    assert parameters.total(system, "mosei") == published


def test_table6_has_the_papers_rows_and_no_difference() -> None:
    rows = parameters.table6("mosei")
    assert [row.system for row in rows] == list(published.TABLE6)
    assert all(row.metrics["Parameters"]["mean"] == row.paper["Parameters"] for row in rows)
    assert all(row.dataset == "mosei" for row in rows)


def test_total_at_other_dims_differs() -> None:
    table = parameters.over_families()
    assert list(table.columns) == list(published.DATASETS)
    # Self-MM at MOSI: Facet has 47 instead of 35 dims, so the visual LSTM's first matrix has 4·32·12 more.
    assert table.loc["Self-MM", "mosi"] - table.loc["Self-MM", "mosei"] == 4 * 32 * 12


def test_by_part_sums_to_the_total() -> None:
    parts = parameters.by_part("mug", "mosei")
    assert parts["text encoder"] == BERT
    assert parts.drop("all").sum() == parts["all"] == 110_089_956
    assert parts["language"] == 768 * 64 + 64


def test_count_takes_shared_parameters_once() -> None:
    layer = nn.Linear(3, 2)
    assert parameters.count(layer, nn.Sequential(layer)) == 8
