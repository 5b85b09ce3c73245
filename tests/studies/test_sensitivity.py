"""The ledger: every open choice has an alternative that the configuration accepts, and words follow the numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_study import difference

from mugkit.config import hyperparameters, open_choices, profile
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.evaluation import comparison
from mugkit.experiments import experiment
from mugkit.experiments.registry import flat
from mugkit.overrides import override
from mugkit.studies import sensitivity

NAME = "made-up"


@pytest.fixture
def dataset(prepared: Callable[..., Dataset]) -> Dataset:
    return prepared((24, 8, 8))


@pytest.mark.parametrize("name", ["smoke", "quick", "paper"])
def test_alternatives_are_possible_and_not_the_run_s_own(name: str) -> None:
    hp = hyperparameters("reviews", name)
    for field, alternative in sensitivity.ALTERNATIVES.items():
        value = alternative.of(flat(hp)[field])
        assert flat(override(hp, {field: value}))[field] == value != flat(hp)[field]


@pytest.mark.usefixtures("dataset")
def test_plan_every_open_choice_has_an_alternative_or_a_reason() -> None:
    values, reasons = sensitivity.plan(NAME, "smoke")
    assert values.keys() | reasons.keys() == sensitivity.ALTERNATIVES.keys() == set(open_choices().index)
    general, searched = {"fusion_width", "predictor_shrink", "clip_norm"}, {"dropout", "weight_decay"}
    assert reasons.keys() == {"text_learning_rate", "gate"} | general | searched


def test_what_quick_cannot_try_is_tried_under_paper() -> None:
    mosi = {name: (hyperparameters("mosi", name), profile(name)) for name in ("quick", "paper")}
    for field, reason in {"text_learning_rate": "frozen", "gate": "times as long", "dropout": "validation"}.items():
        assert reason in sensitivity.ALTERNATIVES[field].excluded(*mosi["quick"])
        assert sensitivity.ALTERNATIVES[field].excluded(*mosi["paper"]) == ""


@pytest.mark.usefixtures("dataset")
def test_specifications_change_one_field_and_the_seed_of_all_stages() -> None:
    specs = sensitivity.specifications(NAME, "smoke")
    for group in specs.values():
        assert [(spec.seed, spec.label_seed) for spec in group] == [(s, s) for s in profile("smoke").study_seeds]
    for field in set(sensitivity.plan(NAME, "smoke")[0]):
        assert dict(specs[field][0].changes).keys() == {field}
    assert specs[""][0].changes == ()


UNKNOWN, NONE, UP, DOWN = difference(0, 1), difference(0, 1e-4), difference(0.15, 0.05), difference(-0.15, 0.05)


@pytest.mark.parametrize(
    ("found", "test", "labels"),
    [
        ({"test": UNKNOWN, "l": UP, "a": UP, "v": DOWN}, "undecided", "language, acoustic farther; visual closer"),
        ({"test": DOWN, "l": NONE, "a": NONE, "v": NONE}, "better", "no difference above 0.01"),
        ({"test": UP}, "worse", ""),
        ({"test": difference(0.0004, 0.0001)}, "worse, by less than 0.01", ""),
        ({"test": difference(-0.0155, 0.0145)}, "undecided", ""),  # beyond zero by itself, not among so many
        ({}, "", ""),
    ],
)
def test_words_say_what_happens_and_for_which_modality(found: dict[str, Any], test: str, labels: str) -> None:
    assert sensitivity._words(found, together=11) == {"test_verdict": test, "labels_verdict": labels}


def test_sentence_names_what_changes_the_test_error_and_the_labels() -> None:
    rows = [("pooling", "worse", "undecided"), ("halfway", "undecided", "language farther"), ("gate", "", "")]
    table = pd.DataFrame(rows, columns=["field", "test_verdict", "labels_verdict"])
    table["reason"] = ["", "", "too slow"]
    text = sensitivity.sentence("made up", table)
    assert "worse for pooling; undecided for 1 of 2." in text
    assert text.endswith("halfway (language farther).")
    assert "gate" not in text
    assert "Learned labels" not in sensitivity.sentence("made up", table.assign(labels_verdict=""))  # no true labels


FEW = ("text_learning_rate", "max_epochs", "residual")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of three choices, so that it takes seconds."""
    monkeypatch.setattr(sensitivity, "ALTERNATIVES", {name: sensitivity.ALTERNATIVES[name] for name in FEW})
    monkeypatch.setattr(sensitivity, "open_choices", lambda: open_choices().loc[list(FEW)])


@pytest.mark.usefixtures("few")
def test_ledger_measures_what_runs_left(dataset: Dataset) -> None:
    table = sensitivity.ledger(dataset, "smoke").set_index("field")
    assert list(table.index) == list(FEW)
    specs = sensitivity.specifications(NAME, "smoke")
    maes = {field: [experiment.run(spec).metrics["MAE"] for spec in group] for field, group in specs.items()}
    for field in ("max_epochs", "residual"):
        expected = np.mean(maes[field]) - np.mean(maes[""])
        assert table.loc[field, "test_difference"] == pytest.approx(expected, abs=1e-5)
    assert table.loc["max_epochs", "label_l_difference"] == 0  # stage 3 cannot change stage 2's labels
    labels = {field: comparison.training_labels(list(map(experiment.work, group))) for field, group in specs.items()}
    for m in MODALITIES:
        own, other = (np.abs(labels[field][m] - dataset.train.true_labels[m]).mean() for field in ("", "residual"))
        assert table.loc["residual", f"label_{m}_difference"] == pytest.approx(other - own, abs=1e-5)
    assert np.isnan(table.loc["text_learning_rate", "test_difference"])
    assert "frozen" in table.loc["text_learning_rate", "reason"]


@pytest.mark.usefixtures("few")
def test_ledger_without_true_labels_or_a_training_that_failed_leaves_numbers_out(
    prepared: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = sensitivity.finished
    monkeypatch.setattr(sensitivity, "finished", lambda specs: [*finished(specs)[:-1], None])  # the last is `residual`
    table = sensitivity.ledger(prepared((24, 8, 8), true_labels=False, name="no-truth"), "smoke").set_index("field")
    assert table["label_l_difference"].isna().all()
    assert table["test_difference"].notna().to_dict() == {name: name == "max_epochs" for name in FEW}
    assert table.loc["residual", "reason"] == "training failed with the alternative"
    assert sensitivity.ledger_table(table.reset_index()).loc["residual", "test"] == table.loc["residual", "reason"]
