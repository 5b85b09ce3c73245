"""The typed-out tables against sums of the paper's columns, and each note against the numbers it is about."""

import pandas as pd
import pytest

from mugkit import metrics
from mugkit.evaluation import published

# Column sums added up from the paper's text by a parser, not from mugkit's copy: a mistyped digit changes a sum.
COLUMN_SUMS = {
    2: (13, [528.03603, 348.02611, 836.03602]),
    3: (12, [524.5, 1014.9, 1014.6, 9.298, 9.108, 640.7, 1025.3, 1024.2, 6.492, 9.074]),
    4: (10, [4.308, 5.854, 789.89, 790.95]),
    5: (6, [280.5, 509.0, 508.9, 4.291, 4.761]),
    6: (4, [440_476_338]),
}


def table(number: int) -> pd.DataFrame:
    """Rows and columns in the paper's order; columns of results are named `mosi MAE`."""
    if number == 2:
        return pd.DataFrame(dict(published.TABLE2)).T
    flat = {
        row: {f"{name} {metric}": value for name, values in by.items() for metric, value in values.items()}
        for row, by in published.RESULTS[number].items()
    }
    return pd.DataFrame(flat).T


@pytest.mark.parametrize("number", COLUMN_SUMS)
def test_table_has_the_papers_rows_and_its_columns_add_up(number: int) -> None:
    found, (rows, sums) = table(number), COLUMN_SUMS[number]
    assert found.shape == (rows, len(sums))
    assert found.sum().tolist() == pytest.approx(sums, abs=1e-6)
    assert set(published.QUOTED.get(number, ())) <= set(found.index)


@pytest.mark.parametrize(
    ("number", "row", "column", "value"),  # sums do not see two rows exchanged
    [
        (2, "Meta-Training Epochs", "sims", 80),
        (2, "Unimodal Task Loss Weight β", "mosei", 0.0001),
        (3, "HyCon", "mosei F1", 85.6),
        (4, "TFN", "sims MAE", 0.432),
        (4, "MUG", "sims Acc2", 80.31),
        (5, "y_mc ← y", "mosi MAE", 0.718),
        (6, "MISA", "mosei Parameters", 110_917_345),
    ],
)
def test_table_holds_single_cells_read_from_the_paper(number: int, row: str, column: str, value: float) -> None:
    assert table(number).loc[row, column] == value


def best(number: int, column: str, place: int = 1) -> set[str]:
    """The systems at a place of a column: 1 is the best value, 2 the next different value."""
    values: pd.Series = table(number)[column]
    wanted = sorted(set(values), reverse=metrics.HIGHER_IS_BETTER[column.split()[1]])[place - 1]
    return set(values.index[values == wanted])


def test_notes_on_gains_ties_and_marks_hold() -> None:
    ours, theirs = (published.TABLE3[row]["mosei"] for row in ("MUG (BERT)", "CubeMLP"))
    assert [round(ours[metric] - theirs[metric], 1) for metric in ("Acc2", "F1")] == [1.1, 1.6]  # the text: 0.5, 1.1
    assert best(3, "mosei Acc2", 2) == {"AOBERT", "MUG (BERT)"}
    pair = table(3).loc[["UniMSE (T5)", "MUG (T5)"]]
    assert (pair.iloc[0] != pair.iloc[1]).sum() == 9
    assert best(4, "sims MAE", 2) == best(4, "sims Acc2", 2) == {"MUG"}
    assert best(4, "sims F1", 2) == {"Self-MM"}
    assert best(4, "sims Corr") == {"MUG", "MUG (With True Label)"}
    assert best(5, "mosi Corr") == {"W/O Multimodal Denoising Task"}
