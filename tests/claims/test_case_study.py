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
from mugkit.training.label_sources.source import LearnedLabels

Make = Callable[..., Dataset]


@pytest.fixture
def dataset(made_up: Make) -> Dataset:
    """200 clips of ±2 (ρ = 3) whose modalities agree (100), are neutral (50), or contradict (50)."""
    whole = made_up((200, 2, 2))
    y = np.tile([2.0, -2.0], 100).astype(np.float32)
    true = np.concatenate([y[:100], 0 * y[100:150], -y[150:]])
    train = dataclasses.replace(whole.train, labels=y, true_labels=dict.fromkeys(MODALITIES, true))
    return dataclasses.replace(whole, splits={**whole.splits, "train": train})


def learned(labels: Float[np.ndarray, "clips"]) -> LearnedLabels:
    """The same labels for every modality."""
    return LearnedLabels(dict.fromkeys(MODALITIES, torch.from_numpy(np.float32(labels))), {}, pd.DataFrame())


def found(dataset: Dataset, labels: np.ndarray, kept: float = 0.0) -> pd.DataFrame:
    """The table of three seeds; of each seed's labels a share is put back to y, so that seeds differ."""
    y, draws = dataset.train.labels, [np.random.default_rng(seed).random(len(labels)) for seed in range(3)]
    seeds = [learned(np.where(draw < kept, y, labels)) for draw in draws]
    return case_study.table(dataset, seeds, resamples=300).set_index(["question", "modality"])


def test_copied_labels_find_nothing_among_the_clips_of_the_construction(dataset: Dataset) -> None:
    table = found(dataset, dataset.train.labels)
    assert [table.loc[(question, "v"), "n_clips"] for question in QUESTIONS] == [100, 50, 50]
    assert (table["share"] == 0).all()
    assert not (table["verdict"] == "more often").any()


def test_true_labels_find_everything_and_raise_no_false_alarm(dataset: Dataset) -> None:
    rows = found(dataset, dataset.train.true_labels["a"], kept=0.1).xs("a", level="modality")
    assert rows["share"].tolist() == pytest.approx([90, 90, 90], abs=8)
    assert rows["reference"].tolist()[1:] == [0, 0]
    assert rows["verdict"].tolist()[1:] == ["more often"] * 2


def test_pulling_to_the_mean_is_no_better_than_the_reference(dataset: Dataset) -> None:
    """Labels at 90 % of y move to the right side, and so does the reference, which has learned nothing."""
    table = found(dataset, 0.9 * dataset.train.labels)
    row = table.loc[(QUESTIONS[0], "l")]
    assert (row["share"], row["reference"], row["verdict"]) == (100, 100, "no difference above 0.5")
    # Near zero on every clip: all neutral modalities are found, and as many false alarms.
    row = found(dataset, 0.1 * dataset.train.labels).loc[(QUESTIONS[1], "l")]
    assert (row["share"], row["reference"], row["verdict"]) == (100, 100, "no difference above 0.5")


def test_wrong_direction_is_less_often(dataset: Dataset) -> None:
    row = found(dataset, 1.3 * dataset.train.labels, kept=0.1).loc[(QUESTIONS[0], "l")]
    assert (row["share"], row["reference"], row["verdict"]) == (0, 100, "less often")


def test_question_without_clips_is_undecided(dataset: Dataset) -> None:
    train = dataclasses.replace(dataset.train, true_labels=dict.fromkeys(MODALITIES, dataset.train.labels))
    agreeing = dataclasses.replace(dataset, splits={**dataset.splits, "train": train})
    table = found(agreeing, dataset.train.labels)
    assert (table["n_clips"] == 0).all()
    assert table["share"].isna().all()
    assert (table["verdict"] == "undecided").all()
