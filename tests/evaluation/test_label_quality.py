"""Distances to the true labels, by hand and by scipy; words from the rule that the ledger has too."""

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import make_dataset
from scipy import stats

from mugkit.data.schema import MODALITIES, Dataset
from mugkit.evaluation.label_quality import compare, comparison_table
from mugkit.training.label_sources.source import LearnedLabels


def moved(dataset: Dataset, share: float) -> list[LearnedLabels]:
    """Three seeds: y moved towards the truth by a share (negative: away), with a little noise of its own."""
    y, true, made = dataset.train.labels, dataset.train.true_labels, []
    for rng in map(np.random.default_rng, range(3)):
        labels = {m: y + share * (true[m] - y) + 0.02 * rng.standard_normal(len(y)) for m in MODALITIES}
        tensors = {m: torch.from_numpy(values.astype(np.float32)) for m, values in labels.items()}
        made.append(LearnedLabels(tensors, {}, pd.DataFrame()))
    return made


DATASET = make_dataset()


def test_compare_numbers_by_hand_and_scipy() -> None:
    closer = moved(DATASET, 0.5)
    table = compare(DATASET, closer).set_index(["modality", "measure"])
    y, true = (np.asarray(v, np.float64) for v in (DATASET.train.labels, DATASET.train.true_labels["a"]))
    for measure, of in (("MAE", lambda x: np.abs(x - true).mean()), ("Corr", lambda x: stats.pearsonr(x, true)[0])):
        ours = [of(run.labels["a"].double().numpy()) for run in closer]
        low, high = stats.t.interval(0.95, 2, np.mean(ours) - of(y), stats.sem(ours))
        expected = {"copy": of(y), "mucn": np.mean(ours), "mucn_std": np.std(ours, ddof=1), "n": 3}
        expected |= {"difference": np.mean(ours) - of(y), "seeds_low": low, "seeds_high": high}
        assert table.loc[("acoustic", measure), list(expected)].to_dict() == pytest.approx(expected, abs=1e-5)


def test_compare_with_other_labels_pairs_seeds() -> None:
    closer, far = moved(DATASET, 0.5), moved(DATASET, 0.2)
    table = compare(DATASET, closer, far)
    assert set(table["verdict"]) == {"closer"}
    assert set(compare(DATASET, far, closer)["verdict"]) == {"farther"}
    apart = compare(DATASET, closer)["difference"] - compare(DATASET, far)["difference"]
    assert table["difference"].to_numpy() == pytest.approx(apart.to_numpy())
    assert table["others"].to_numpy() == pytest.approx((table["mucn"] - table["difference"]).to_numpy())
    assert "y_m ← y" not in comparison_table(table)
