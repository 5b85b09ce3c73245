"""Fig. 5: the grid, its verdicts from made runs, and its picture."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_study import finished

from mugkit.config import RunSpec, profile
from mugkit.data.schema import Dataset
from mugkit.experiments.experiment import Run
from mugkit.studies import hyperparameter_curves as curves
from mugkit.studies import sentences

NAME, CHOSEN = "made-up", 0.3


@pytest.fixture
def dataset(prepared: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Prepared data of a family for which a search has chosen another β than Table 2's, outside of the grid."""
    monkeypatch.setattr("mugkit.experiments.registry.chosen", lambda *_: {"beta": CHOSEN})
    return prepared((4, 4, 60))


def test_specifications_are_whole_runs_of_every_value_and_the_default_s(dataset: Dataset) -> None:
    assert curves.defaults(NAME, "smoke") == {"alpha": 0.005, "beta": CHOSEN}  # what was chosen
    assert curves.table_2(dataset.family, "smoke") == {"alpha": 0.005, "beta": 0.01}
    specs = curves.specifications(NAME, "smoke")
    assert [value for field, value in specs if field == "beta"] == sorted({*curves.GRID["beta"], CHOSEN})
    assert [value for field, value in specs if field == "alpha"] == list(curves.GRID["alpha"])
    for (field, value), group in specs.items():
        assert [spec.seed for spec in group] == list(profile("smoke").all_seeds)
        assert all(spec.changes == ((field, value),) for spec in group)


def test_beside_table_2_compares_both_betas(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = partial(made_run, dataset=dataset, folder=tmp_path, worse=0.01)
    monkeypatch.setattr(curves.scheduler, "run_all", partial(map, made))
    found = curves.beside_table_2(dataset, "smoke")
    assert found["beta"].tolist() == [0.01, CHOSEN]
    assert found["mean"].tolist() == pytest.approx([1.0005, 0.1005])
    assert found.loc[0, "difference"] == pytest.approx(0.9, abs=1e-5)
    assert found["verdict"].tolist() == [curves.WORSE, curves.DEFAULT]


@pytest.fixture
def table(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Curves from made runs: off by 1 at the smallest β, diverged at the largest α, else off by about 0.1."""
    monkeypatch.setattr(curves, "finished", partial(map, partial(made_run, dataset=dataset, folder=tmp_path)))
    return curves.curves(dataset, "smoke")


def made_run(spec: RunSpec, dataset: Dataset, folder: Path, worse: float = 1e-4) -> Run | None:
    changes = {"alpha": 0.005, "beta": CHOSEN} | dict(spec.changes)
    if changes["alpha"] == 0.5:
        return None
    wrong = (1.0 if changes["beta"] == worse else 0.1) + 0.001 * (spec.seed % 2)
    place = folder / f"{changes['alpha']}-{changes['beta']}-{spec.seed}"  # as in the run store: equal runs, one folder
    return finished(dataset, place, wrong, spec)


def test_curves_numbers_and_verdicts_are_those_of_the_made_runs(table: pd.DataFrame) -> None:
    words = table[table["metric"] == "MAE"].set_index(["field", "value"])["verdict"].to_dict()
    assert words["beta", 1e-4] == curves.WORSE
    assert words["alpha", 0.5] == curves.FAILED
    assert words["alpha", 0.005] == words["beta", CHOSEN] == curves.DEFAULT
    assert set(words.values()) == {curves.WORSE, curves.FAILED, curves.DEFAULT, "no difference above 0.01"}
    row = table.query("field == 'beta' and value == 0.0001 and metric == 'MAE'").iloc[0]
    assert (row["mean"], row["std"], row["n"]) == (pytest.approx(1.0005), pytest.approx(0.001 / np.sqrt(2)), 2)
    assert row["difference"] == pytest.approx(0.9, abs=1e-5)
    assert table.query("metric == 'Acc2'")["mean"].isna().all()
    assert curves.curve_table(table).loc["α = 0.5", "MAE"] == "failed"
    assert "training failed at 0.5" in sentences.curves("made up", table)


def test_figure_draws_the_curves_and_marks_both_values(table: pd.DataFrame) -> None:
    figure = curves.draw(table, {"alpha": 0.005, "beta": CHOSEN}, {"alpha": 0.005, "beta": 0.01})
    marked = {float(line.get_xdata()[0]) for line in figure.axes[1].lines if line.get_linestyle() in (":", "--")}
    assert marked == {CHOSEN, 0.01}
    assert "default = Table 2" in figure.axes[0].get_legend_handles_labels()[1]  # no line behind another
    line = figure.axes[1].containers[0].lines[0]
    expected = table.query("field == 'beta' and metric == 'MAE'")
    assert list(line.get_ydata()) == expected["mean"].tolist()
