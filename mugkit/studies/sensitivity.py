"""The assumptions ledger: every choice that the paper leaves open, and what happens with an alternative.

Each open field of the configuration gets one alternative, and MUG is trained with it through all stages, with every
study seed of the profile. Two things are compared with the default on the same seeds: the test MAE, and how far the
learned labels are from the true ones. A field that cannot matter here, or would cost too much, gets a reason instead.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mugkit import config
from mugkit.config import Hyperparameters, Profile, RunSpec, open_choices, repeated
from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.evaluation import comparison, formats
from mugkit.evaluation.comparison import LABELS
from mugkit.evaluation.tables import records
from mugkit.evaluation.verdicts import OPEN, Difference, word
from mugkit.experiments import experiment as engines
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import flat
from mugkit.experiments.search import finished
from mugkit.studies.sentences import grouped, listed
from mugkit.studies.study import by_setting

FROZEN = "the text encoder is frozen, so it has no learning rate"
SEARCHED = "chosen on validation here, so no assumption"
GENERAL = "a setting of any network, not MUG's own; profile paper tries it"
# Measured under `quick`: an epoch of stage 2 takes 3.2 s of processor time instead of 0.12 s.
SLOW = "stage 2 takes 25 times as long ({tasks} tasks a step); profile paper tries it"


class Alternative(NamedTuple):
    """Another way to make an open choice."""

    values: tuple[Any, ...]  # in order of preference; the first that is not the run's own is used
    why: str
    unless: str = ""  # why it may not be tried: `FROZEN` if the text encoder is frozen, any other in a light profile

    def of(self, now: Any) -> Any:
        """The alternative to the run's own value."""
        return next(value for value in self.values if value != now)

    def excluded(self, hp: Hyperparameters, profile: Profile) -> str:
        """Why it is not tried in this configuration and profile, or ''."""
        applies = hp.network.freeze_text if self.unless == FROZEN else profile.light
        return self.unless.format(tasks=hp.meta.meta_batch_size) if applies else ""


ALTERNATIVES: Mapping[str, Alternative] = {
    "pooling": Alternative(("first", "mean"), "the other of the two ways to make one vector of a sentence"),
    "activation": Alternative(("relu", "tanh"), "the commonest activation; it cannot return negative numbers"),
    "fusion_width": Alternative((128, 256), "a quarter of the width", GENERAL),
    "predictor_shrink": Alternative((1, 2), "predictors without a bottleneck", GENERAL),
    "dropout": Alternative((0.2, 0.1), "what multimodal networks of this size commonly use", SEARCHED),
    "text_learning_rate": Alternative((5e-5, 2e-5), "Self-MM's rate for BERT beside faster heads", FROZEN),
    "weight_decay": Alternative((0.0, 0.01), "none", SEARCHED),
    "clip_norm": Alternative((10.0, 1.0), "hardly any clipping", GENERAL),
    "temperature": Alternative((0.5, 0.1), "softer: many negatives count alike"),
    "contrastive_gradient_scope": Alternative(("projection", "network"), "Eq. 11 trains the projections only"),
    "mucn_width": Alternative((64, 128), "a narrow MUCN"),
    "mucn_output_bias": Alternative((True, False), "MUCN may shift all labels by a constant"),
    "residual": Alternative(("scaled", "paper"), "Eq. 28 so that it is near the identity for small labels"),
    "lambda_init": Alternative((0.9, 0.99), "the running average of Eq. 17 fades before it begins"),
    "halfway": Alternative((0.25, 0.5), "Eq. 16 replaces Eq. 14 earlier"),
    "noise_std": Alternative((0.3, 1.0), "noise a tenth of the scale's half-width on ±3"),
    "label_input": Alternative(("prediction", "multimodal"), "MUCN writes the final labels from ŷ_m′, as in training"),
    "normalise_representations": Alternative((False, True), "MUCN sees the lengths of representations"),
    "gate": Alternative(("sample", "batch"), "every clip decides for itself whether it is used", SLOW),
    "adaptation_steps": Alternative((2, 1), "one more step inside Eq. 15"),
    "max_epochs": Alternative((20, 60), "another upper bound of stage 3; early stopping stays"),
}


def plan(dataset: str, profile: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What to try: field → alternative value; and field → reason, for fields that are not tried here."""
    hp = engines.work(repeated("mug", dataset, profile, {})[0]).hp
    reasons = {name: other.excluded(hp, config.profile(profile)) for name, other in ALTERNATIVES.items()}
    values = {name: other.of(flat(hp)[name]) for name, other in ALTERNATIVES.items() if not reasons[name]}
    return values, {name: reason for name, reason in reasons.items() if reason}


def specifications(dataset: str, profile: str) -> dict[str, list[RunSpec]]:
    """Field (or '' for the default) → its runs, one per study seed."""
    tried = {"": {}, **{name: {name: value} for name, value in plan(dataset, profile)[0].items()}}
    return {name: repeated("mug", dataset, profile, changes) for name, changes in tried.items()}


def ledger(dataset: Dataset, profile: str) -> pd.DataFrame:
    """One row per open choice.

    Columns: field, default, alternative, why; test_difference, of the test MAE, with its interval over seeds in
    test_difference_low and _high; the same for the label MAE of each modality in label_l_difference and so on;
    verdicts in test_verdict and labels_verdict; reason, why there is no number. Label columns are empty on data
    without true unimodal labels.
    """
    values, reasons = plan(dataset.name, profile)
    specs = specifications(dataset.name, profile)
    runs = by_setting(finished, specs)
    measured = {name: _measure(runs[name], runs[""], dataset) for name in values}
    together = sum(map(len, measured.values()))
    default = flat(engines.work(specs[""][0]).hp)
    rows = []
    for name in open_choices().index:
        given = {"default": default[name], "alternative": values.get(name)}
        choice = {of: "–" if value is None else str(value) for of, value in given.items()}
        found = measured.get(name, {})
        reason = reasons.get(name) or ("" if found else "training failed with the alternative")
        row = {"field": name, **choice, "why": ALTERNATIVES[name].why}
        rows.append({**row, **_numbers(found), **_words(found, together), "reason": reason})
    return pd.DataFrame(rows)


def _measure(runs: Sequence[Run | None], default: Sequence[Run | None], dataset: Dataset) -> dict[str, Difference]:
    """Differences to the default: of the test MAE, and of each modality's label MAE; {} if a training failed."""
    ours, theirs = [run for run in runs if run], [run for run in default if run]
    if not len(ours) == len(theirs) == len(runs):
        return {}
    found: dict[str, Difference] = {"test": comparison.of_runs(ours, theirs, dataset)}
    true = dataset.train.true_labels
    if dataset.has_true_labels:
        labels, base = (comparison.training_labels([engines.work(run.spec) for run in done]) for done in (ours, theirs))
        found |= {m: comparison.compare(LABELS["MAE"], labels[m], base[m], true[m]) for m in MODALITIES}
    return found


def _words(found: Mapping[str, Difference], together: int) -> dict[str, str]:
    """Verdicts on the result and on each modality's labels, each judged as one of `together` differences."""
    if not found:
        return {"test_verdict": "", "labels_verdict": ""}
    by_word: dict[str, list[str]] = {}
    for m in (m for m in MODALITIES if m in found):
        by_word.setdefault(word(found[m], "closer", "farther", together), []).append(MODALITY_NAMES[m])
    labels = [f"{', '.join(names)} {said}" if len(by_word) > 1 else said for said, names in by_word.items()]
    return {"test_verdict": word(found["test"], "better", "worse", together), "labels_verdict": "; ".join(labels)}


def _numbers(found: Mapping[str, Difference]) -> dict[str, Any]:
    columns = {"test": "test_difference", **{m: f"label_{m}_difference" for m in MODALITIES}}
    ends = {"difference": "", "seeds_low": "_low", "seeds_high": "_high"}
    return {f"{columns[k]}{end}": found.get(k, {}).get(key) for k in columns for key, end in ends.items()}


def ledger_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats the ledger; a missing number is replaced by its reason. Intervals of labels are only in the table."""
    estimates = zip(*(table[f"test_difference{end}"] for end in ("", "_low", "_high")), strict=True)
    labels = table[[f"label_{m}_difference" for m in MODALITIES]].astype(float)
    said = [", ".join(formats.number("MAE", value, signed=True) for value in row) for row in labels.to_numpy()]
    shown = {
        "field": table["field"],
        "default": table["default"],
        "alternative": table["alternative"],
        "Δ test MAE": ["–" if pd.isna(row[0]) else formats.estimate("MAE", *row) for row in estimates],
        "test": table["reason"].where(table["reason"] != "", table["test_verdict"]),
        f"Δ label MAE {', '.join(MODALITIES)}": np.where(labels.isna().any(axis=1), "–", said),
        "labels": table["labels_verdict"],
    }
    return pd.DataFrame(shown).set_index("field")


def sentence(data: str, table: pd.DataFrame) -> str:
    """Which alternatives change the test MAE, and which the labels' distance to the truth; `table` is of `ledger`."""
    tried = table[table["reason"] == ""].assign(difference=None)  # numbers are in the table
    decided = tried[tried["test_verdict"] != OPEN].rename(columns={"test_verdict": "verdict"})
    tests = [grouped(decided, "field")] if len(decided) else []
    tests.append(f"{OPEN} for {len(tried) - len(decided)} of {len(tried)}")
    said = f"On {data}, test MAE with an alternative to the default, one open choice at a time: {'; '.join(tests)}."
    if not tried["labels_verdict"].any():
        return said
    moved = tried[tried["labels_verdict"].str.contains("closer|farther")]
    labels = [f"{row['field']} ({row['labels_verdict']})" for row in records(moved)]
    return f"{said} Learned labels closer to the truth or farther from it: {listed(labels) if labels else 'with none'}."
