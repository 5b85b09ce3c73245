"""Distances to the true labels, by hand and by scipy; words from the rule that the ledger has too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from mugkit.data.schema import MODALITIES, Dataset
from mugkit.errors import UserError
from mugkit.evaluation.label_quality import compare, display
from mugkit.training.label_sources.source import LearnedLabels


def learned(labels: dict[str, np.ndarray]) -> LearnedLabels:
    tensors = {m: torch.from_numpy(values.astype(np.float32)) for m, values in labels.items()}
    return LearnedLabels(tensors, {m: values[None] for m, values in tensors.items()}, pd.DataFrame())


def moved(dataset: Dataset, share: float, seed: int) -> LearnedLabels:
    """y moved towards the truth by a share (negative: away), with a little noise of its own."""
    rng = np.random.default_rng(seed)
    y, true = dataset.train.labels, dataset.train.true_labels
    return learned({m: y + share * (true[m] - y) + 0.02 * rng.standard_normal(len(y)) for m in MODALITIES})


@pytest.fixture(scope="module")
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up()


@pytest.fixture(scope="module")
def closer(dataset: Dataset) -> list[LearnedLabels]:
    """Labels of three seeds, half-way between y and the truth."""
    return [moved(dataset, 0.5, seed) for seed in range(3)]


@pytest.fixture(scope="module")
def table(dataset: Dataset, closer: list[LearnedLabels]) -> pd.DataFrame:
    return compare(dataset, closer).set_index(["modality", "measure"])


def test_compare_numbers_by_hand_and_scipy(dataset: Dataset, closer: list[LearnedLabels], table: pd.DataFrame) -> None:
    y, true = (np.asarray(v, np.float64) for v in (dataset.train.labels, dataset.train.true_labels["a"]))
    for measure, of in (("MAE", lambda x: np.abs(x - true).mean()), ("Corr", lambda x: stats.pearsonr(x, true)[0])):
        ours = [of(run.labels["a"].double().numpy()) for run in closer]
        low, high = stats.t.interval(0.95, 2, np.mean(ours) - of(y), stats.sem(ours))
        expected = {"copy": of(y), "mucn": np.mean(ours), "mucn_std": np.std(ours, ddof=1), "n": 3}
        expected |= {"difference": np.mean(ours) - of(y), "seeds_low": low, "seeds_high": high}
        assert table.loc[("acoustic", measure), list(expected)].to_dict() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("share", "word"), [(0.5, "closer"), (-0.5, "farther")])
def test_compare_recognises_labels_moved_towards_the_truth_and_away(share: float, word: str, dataset: Dataset) -> None:
    table = compare(dataset, [moved(dataset, share, seed) for seed in range(3)])
    assert set(table["verdict"]) == {word}
    places = [(m, name) for m in ("language", "acoustic", "visual") for name in ("MAE", "Corr")]
    assert list(zip(table["modality"], table["measure"], strict=True)) == places


def test_compare_copied_labels_are_no_different(dataset: Dataset) -> None:
    same = learned(dict.fromkeys(MODALITIES, dataset.train.labels))
    table = compare(dataset, [same, same])
    assert table["difference"].to_numpy() == pytest.approx(0, abs=1e-7)
    assert set(table["verdict"]) == {"no difference above 0.01", "no difference above 0.005"}


def test_compare_one_seed_cannot_decide(dataset: Dataset) -> None:
    table = compare(dataset, [moved(dataset, 0.5, 0)])
    assert table["seeds_low"].isna().all()
    assert set(table["verdict"]) == {"undecided"}


def test_compare_without_true_labels_is_refused(made_up: Callable[..., Dataset]) -> None:
    with pytest.raises(UserError, match="'made-up' has no true unimodal labels"):
        compare(made_up(true_labels=False), [])


def test_display_formats_by_hand() -> None:
    row = {"modality": "language", "measure": "MAE", "copy": 0.5, "mucn": 0.4449, "mucn_std": 0.01, "metric": "MAE"}
    row |= {"difference": -0.0551, "seeds_low": -0.08, "seeds_high": -0.03, "clips_low": -0.07, "clips_high": 0.0104}
    shown = display(pd.DataFrame([row | {"verdict": "undecided"}])).loc["language, MAE"]
    assert shown.tolist() == [
        "0.500",
        "0.445 ± 0.010",
        "-0.055",
        "[-0.070, +0.010]",
        "[-0.080, -0.030]",
        "undecided",
    ]
