"""Asks of all clips what section 4.11 says about two: do learned labels move away from y in the right direction?

Three questions per modality, each with a reference that it must beat:
- If y is wrong for the modality, does y_mc lie on the side of the true label? Reference: pulling every label towards
  the mean label, which needs no learning.
- If the modality is neutral and the clip is not, is y_mc nearer to neutral than to y ("identify non-informative
  modalities")? If the modality contradicts the clip, does y_mc have the modality's sign ("handle contradictory
  modalities")? Reference: how often the same happens if the modality agrees with y, which is a false alarm.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.evaluation.comparison import Sums, label_rows, resampled, true_labels
from mugkit.evaluation.tables import records
from mugkit.evaluation.verdicts import word, written
from mugkit.training.label_sources.source import LearnedLabels

QUESTIONS = ("moved to the side of the truth", "neutral modality found", "contradiction found")
NEAR = 0.1  # labels closer than this share of ρ are equal; labels closer than this to 0 are neutral
CLEAR = 1 / 3  # a clip's label is clear if it is at least this share of ρ


def table(dataset: Dataset, learned: Sequence[LearnedLabels]) -> pd.DataFrame:
    """One row per question and modality, in percent.

    Columns: question, modality, n_clips; share and reference; the difference with its intervals over clips and seeds
    (`comparison.resampled`); verdict: 'more often' or 'less often' than the reference, or another result of `word`.

    Raises:
        UserError: if the data set has no true unimodal labels.
    """
    y, rows = dataset.train.labels.astype(float), []
    true, labels = true_labels(dataset), label_rows([seed.labels for seed in learned])
    for question in QUESTIONS:
        for m in MODALITIES:
            parts = _hits(question, y, true[m], labels[m].astype(float), dataset.label_scale)
            share, reference = _shares(parts.sum((0, 1)))
            found = resampled("share %", parts, lambda sums: -np.diff(_shares(sums))[..., 0])
            place = {"question": question, "modality": m, "n_clips": int(parts[0, :, 1].sum())}
            levels = {"share": float(share), "reference": float(reference)}
            rows.append({**place, **levels, **found, "verdict": word(found, "more often", "less often")})
    return pd.DataFrame(rows)


def _hits(
    question: str, y: np.ndarray, true: np.ndarray, labels: Float[np.ndarray, "seeds clips"], rho: float
) -> Float[np.ndarray, "seeds clips 4"]:
    """Per clip, as 0 or 1: whether it is a hit, and whether it counts at all; then the same two for the reference."""
    agrees = np.abs(true - y) < NEAR * rho
    if question == QUESTIONS[0]:
        happened, reference = (np.sign(values - y) == np.sign(true - y) for values in (labels, y.mean()))
        asked = asked_of_reference = ~agrees
    elif question == QUESTIONS[1]:
        happened = reference = np.abs(labels) < np.abs(y) / 2
        clear = np.abs(y) >= CLEAR * rho - 1e-6
        asked, asked_of_reference = clear & (np.abs(true) < NEAR * rho), clear & agrees
    else:
        happened = reference = labels * y < 0
        asked = (true * y < 0) & (np.abs(true) >= NEAR * rho)
        asked_of_reference = (np.abs(y) >= NEAR * rho) & agrees
    parts = (happened & asked, asked, reference & asked_of_reference, asked_of_reference)
    return np.stack([np.broadcast_to(part, labels.shape) for part in parts], axis=-1).astype(float)


def _shares(sums: Sums) -> Float[np.ndarray, "... 2"]:
    """Share and reference in percent; NaN if no clip counts."""
    hits, asked = sums[..., ::2], sums[..., 1::2]
    return np.divide(100 * hits, asked, out=np.full(hits.shape, np.nan), where=asked > 0)


def answers_table(found: pd.DataFrame) -> pd.DataFrame:
    """Formats the table, with the interval that decides."""
    shown = {
        "modality": found["modality"].map(dict(MODALITY_NAMES)),
        "clips": found["n_clips"],
        "MUCN, %": found["share"].map("{:.1f}".format),
        "reference, %": found["reference"].map("{:.1f}".format),
        "difference [95 %]": list(map(written, records(found))),
        "than the reference": found["verdict"],
    }
    return pd.DataFrame(shown).set_index(pd.Index(found["question"], name="section 4.11"))
