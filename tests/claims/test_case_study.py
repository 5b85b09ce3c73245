"""The questions of section 4.11 on labels whose answers are known by construction."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from jaxtyping import Float

from mugkit.claims import case_study
from mugkit.claims.case_study import QUESTIONS
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.errors import UserError
from mugkit.training.label_sources.source import LearnedLabels

Make = Callable[..., Dataset]
ROWS = ["question", "modality"]


@pytest.fixture
def dataset(made_up: Make) -> Dataset:
    """200 clips of ±2 (ρ = 3) whose modalities agree (100), are neutral (50), or contradict (50)."""
    whole = made_up((200, 2, 2))
    y = np.tile([2.0, -2.0], 100).astype(np.float32)
    true = np.concatenate([y[:100], 0 * y[100:150], -y[150:]])
    train = dataclasses.replace(whole.train, labels=y, true_labels=dict.fromkeys(MODALITIES, true))
    return dataclasses.replace(whole, splits={**whole.splits, "train": train})


def learned(labels: Float[np.ndarray, "clips"], seeds: int = 3) -> list[LearnedLabels]:
    """The same labels for every modality and seed."""
    tensors = [torch.from_numpy(np.asarray(labels, np.float32)) for _ in range(seeds)]
    return [LearnedLabels(dict.fromkeys(MODALITIES, t), {}, pd.DataFrame()) for t in tensors]


def found(dataset: Dataset, labels: list[LearnedLabels]) -> pd.DataFrame:
    return case_study.table(dataset, labels, resamples=300).set_index(ROWS)


def noisy(dataset: Dataset, target: np.ndarray, seeds: int = 3) -> list[LearnedLabels]:
    """`target` with a tenth of the labels of each seed put back to y, so that seeds differ."""
    out = []
    for seed in range(seeds):
        kept = np.random.default_rng(seed).random(len(target)) < 0.1
        out += learned(np.where(kept, dataset.train.labels, target), 1)
    return out


def test_copied_labels_find_nothing_among_the_clips_of_the_construction(dataset: Dataset) -> None:
    table = found(dataset, learned(dataset.train.labels))
    assert [table.loc[(question, "v"), "n_clips"] for question in QUESTIONS] == [100, 50, 50]
    assert (table["share"] == 0).all()
    assert not (table["verdict"] == "more often").any()


def test_true_labels_find_everything_and_raise_no_false_alarm(dataset: Dataset) -> None:
    rows = found(dataset, noisy(dataset, dataset.train.true_labels["a"])).xs("a", level="modality")
    assert rows["share"].tolist() == pytest.approx([90, 90, 90], abs=8)
    assert rows["reference"].tolist()[1:] == [0, 0]
    assert rows["verdict"].tolist()[1:] == ["more often"] * 2


def test_pulling_to_the_mean_is_no_better_than_the_reference(dataset: Dataset) -> None:
    """Labels at 90 % of y move to the right side, and so does the reference, which has learned nothing."""
    table = found(dataset, learned(0.9 * dataset.train.labels))
    row = table.loc[(QUESTIONS[0], "l")]
    assert (row["share"], row["reference"], row["difference"]) == (100, 100, 0)
    assert row["verdict"] == "no difference above 0.5"


def test_labels_that_are_small_everywhere_find_no_neutral_modality(dataset: Dataset) -> None:
    """Near zero on every clip: all neutral modalities 'found', and as many false alarms."""
    row = found(dataset, learned(0.1 * dataset.train.labels)).loc[(QUESTIONS[1], "l")]
    assert (row["share"], row["reference"], row["verdict"]) == (100, 100, "no difference above 0.5")


def test_wrong_direction_is_less_often(dataset: Dataset) -> None:
    row = found(dataset, noisy(dataset, 1.3 * dataset.train.labels)).loc[(QUESTIONS[0], "l")]
    assert (row["share"], row["reference"], row["verdict"]) == (0, 100, "less often")


def test_question_without_clips_is_undecided(dataset: Dataset) -> None:
    train = dataclasses.replace(dataset.train, true_labels=dict.fromkeys(MODALITIES, dataset.train.labels))
    agreeing = dataclasses.replace(dataset, splits={**dataset.splits, "train": train})
    table = found(agreeing, learned(dataset.train.labels))
    assert (table["n_clips"] == 0).all()
    assert table["share"].isna().all()
    assert (table["verdict"] == "undecided").all()


def test_table_refuses_data_without_truth(made_up: Make) -> None:
    with pytest.raises(UserError, match="no true unimodal labels"):
        case_study.table(made_up(true_labels=False), [])


def test_show_formats_shares_and_intervals(dataset: Dataset) -> None:
    shown = case_study.show(case_study.table(dataset, learned(0.9 * dataset.train.labels), resamples=50))
    assert list(shown.index[:3]) == [QUESTIONS[0]] * 3
    assert shown.iloc[0].tolist()[:5] == ["language", 100, "100.0", "100.0", "+0.0 [+0.0, +0.0]"]
