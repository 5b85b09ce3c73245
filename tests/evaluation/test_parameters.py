"""Table 6's four counts, exactly, and what they consist of."""

from mugkit.evaluation import parameters, published


def test_table6_has_the_papers_counts_to_the_digit() -> None:
    found = {row.system: row.metrics["Parameters"]["mean"] for row in parameters.table6("mosei")}
    assert found == {"Self-MM": 109_647_908, "MISA": 110_917_345, "MMIM": 109_821_129, "MUG": 110_089_956}
    assert list(found) == list(published.TABLE6)


def test_totals_at_other_dims_and_of_parts_add_up() -> None:
    table = parameters.over_families()
    assert list(table.columns) == list(published.DATASETS)
    # Self-MM at MOSI: Facet has 47 instead of 35 dims, so the visual LSTM's first matrix has 4·32·12 more.
    assert table.loc["Self-MM", "mosi"] - table.loc["Self-MM", "mosei"] == 4 * 32 * 12

    parts = parameters.by_part("mug", "mosei")
    assert parts["text encoder"] == 109_482_240  # bert-base-uncased with its pooler
    assert parts.drop("all").sum() == parts["all"] == 110_089_956
    assert parts["language"] == 768 * 64 + 64
