"""The questions of section 4.11 on labels whose answers are known by construction."""

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import changed, make_dataset

from mugkit.claims import case_study
from mugkit.claims.case_study import QUESTIONS
from mugkit.data.schema import MODALITIES
from mugkit.training.label_sources.source import LearnedLabels

Y = np.tile([2.0, -2.0], 100).astype(np.float32)
TRUE = np.concatenate([Y[:100], 0 * Y[100:150], -Y[150:]])  # agrees, is neutral, contradicts


def found(labels: np.ndarray, kept: float = 0.0, true: np.ndarray = TRUE) -> pd.DataFrame:
    """The table of three seeds with the same labels for every modality, on 200 clips of ±2 (ρ = 3).

    Of each seed's labels the share `kept` is put back to y, so that seeds differ.
    """
    dataset, seeds = changed(make_dataset((200, 2, 2)), labels=Y, true_labels=dict.fromkeys(MODALITIES, true)), []
    for rng in map(np.random.default_rng, range(3)):
        of_seed = torch.from_numpy(np.float32(np.where(rng.random(200) < kept, Y, labels)))
        seeds.append(LearnedLabels(dict.fromkeys(MODALITIES, of_seed), {}, pd.DataFrame()))
    return case_study.table(dataset, seeds).set_index(["question", "modality"])


def test_copied_labels_find_nothing_among_the_clips_of_the_construction() -> None:
    table = found(Y)
    assert [table.loc[(question, "v"), "n_clips"] for question in QUESTIONS] == [100, 50, 50]
    assert (table["share"] == 0).all()
    assert not (table["verdict"] == "more often").any()


def test_true_labels_find_everything_and_raise_no_false_alarm() -> None:
    rows = found(TRUE, kept=0.1).xs("a", level="modality")
    assert rows["share"].tolist() == pytest.approx([90, 90, 90], abs=8)
    assert rows["reference"].tolist()[1:] == [0, 0]
    assert rows["verdict"].tolist()[1:] == ["more often"] * 2


@pytest.mark.parametrize(
    ("factor", "kept", "question", "answer"),
    [
        # Labels at 90 % of y move to the right side, and so does the reference, which has learned nothing.
        (0.9, 0.0, QUESTIONS[0], (100, 100, "no difference above 0.5")),
        # Near zero on every clip: all neutral modalities are found, and as many false alarms.
        (0.1, 0.0, QUESTIONS[1], (100, 100, "no difference above 0.5")),
        (1.3, 0.1, QUESTIONS[0], (0, 100, "less often")),
    ],
)
def test_labels_that_shrink_or_grow_are_no_better_than_the_reference(
    factor: float, kept: float, question: str, answer: tuple[float, float, str]
) -> None:
    row = found(factor * Y, kept).loc[(question, "l")]
    assert (row["share"], row["reference"], row["verdict"]) == answer


def test_question_without_clips_is_undecided() -> None:
    table = found(Y, true=Y)
    assert (table["n_clips"] == 0).all()
    assert table["share"].isna().all()
    assert (table["verdict"] == "undecided").all()
