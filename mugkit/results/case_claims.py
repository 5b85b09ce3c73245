"""What section 4.11 says of two clips, asked of all: do learned labels leave y in the right direction?

Three questions a modality, each with a reference that it must beat:
- where y is wrong for the modality, does y_mc lie on the side of the truth? Reference: pulling every label towards the
  mean label, which takes no learning;
- where the modality is neutral and the clip is not, is y_mc nearer to neutral than to y? ("identify non-informative
  modalities"); where the modality contradicts the clip, has y_mc the modality's sign? ("handle contradictory
  modalities"). Reference: how often the same happens on clips where the modality agrees with y, a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.errors import UserError
from mugkit.stages.meta import LearnedLabels
from mugkit.statistics import Interval, bootstrap, t_interval

QUESTIONS = ("moved to the side of the truth", "neutral modality found", "contradiction found")
NEAR = 0.1  # labels that differ by less than this share of ρ count as equal, and such labels themselves as neutral
CLEAR = 1 / 3  # a clip's label is clear from this share of ρ

Hits = Float[np.ndarray, "seeds clips"]  # 1 where a seed's label does what is asked, else 0


def table(dataset: Dataset, learned: Sequence[LearnedLabels], resamples: int = 1000) -> pd.DataFrame:
    """One row a question and modality, all in percent.

    Columns: question, modality, n_clips; share and reference; difference with its intervals over clips (bootstrap) and
    over seeds (Student's t), which hold together for all rows at 95 % (Bonferroni); verdict: 'more often', 'less
    often', or 'undecided' unless both intervals agree.

    Raises:
        UserError: the data set has no true unimodal labels.
    """
    if not dataset.has_true_labels:
        raise UserError(f"'{dataset.name}' has no true unimodal labels", fix="use reviews or sims")
    rows = []
    for question in QUESTIONS:
        for m in MODALITIES:
            y, true = dataset.train.labels.astype(float), dataset.train.true_labels[m].astype(float)
            labels = np.stack([one.labels[m].numpy() for one in learned]).astype(float)
            ours, reference = _hits(question, y, true, labels, dataset.label_scale)
            paired = question == QUESTIONS[0]
            rows.append({"question": question, "modality": m, **_compare(ours, reference, paired, resamples)})
    return pd.DataFrame(rows)


def _hits(
    question: str, y: np.ndarray, true: np.ndarray, labels: Float[np.ndarray, "seeds clips"], rho: float
) -> tuple[Hits, Hits]:
    """What the question asks for, on the clips it is about, and its reference: on the same clips, or on others."""
    agrees = np.abs(true - y) < NEAR * rho
    if question == QUESTIONS[0]:
        side = np.sign(true - y)[~agrees]
        ours, pulled = np.sign(labels - y)[:, ~agrees] == side, np.sign(y.mean() - y)[~agrees] == side
        return ours.astype(float), np.broadcast_to(pulled, ours.shape).astype(float)
    if question == QUESTIONS[1]:
        happened, counts = np.abs(labels) < np.abs(y) / 2, np.abs(y) >= CLEAR * rho - 1e-6
        asked = counts & (np.abs(true) < NEAR * rho)
    else:
        happened, counts = labels * y < 0, np.abs(y) >= NEAR * rho
        asked = (true * y < 0) & (np.abs(true) >= NEAR * rho)
    return happened[:, asked].astype(float), happened[:, counts & agrees].astype(float)


def _compare(ours: Hits, reference: Hits, paired: bool, resamples: int) -> dict[str, object]:
    """Both shares in percent, their difference, its intervals over clips and over seeds."""
    level = 1 - 0.05 / (len(QUESTIONS) * len(MODALITIES))
    row: dict[str, object] = {"n_clips": ours.shape[1], "share": _percent(ours), "reference": _percent(reference)}
    clips = seeds = Interval(float("nan"), float("nan"))
    if min(ours.shape[1], reference.shape[1]) > 1:
        clips = _over_clips(100 * ours.mean(0), 100 * reference.mean(0), paired, level, resamples)
        seeds = t_interval(list(100 * (ours.mean(1) - reference.mean(1))), level)
    row |= {"difference": _percent(ours) - _percent(reference), "clips_low": clips.low, "clips_high": clips.high}
    return row | {"seeds_low": seeds.low, "seeds_high": seeds.high, "verdict": verdict(clips, seeds)}


def _percent(hits: Hits) -> float:
    return 100 * float(hits.mean()) if hits.size else float("nan")


def _over_clips(ours: np.ndarray, reference: np.ndarray, paired: bool, level: float, resamples: int) -> Interval:
    """Bootstrap of the difference of two means over clips: the same clips, or two groups of clips."""
    if paired:
        return bootstrap(lambda d: float(d.mean()), ours - reference, confidence=level, resamples=resamples)
    values, asked = np.concatenate([ours, reference]), np.repeat([1.0, 0.0], [len(ours), len(reference)])

    def difference(values: np.ndarray, asked: np.ndarray) -> float:
        return float(values[asked == 1].mean() - values[asked == 0].mean())

    return bootstrap(difference, values, asked, confidence=level, resamples=resamples)


def verdict(clips: Interval, seeds: Interval) -> str:
    """'more often' or 'less often' than the reference if both intervals say so, else 'undecided'."""
    if all(interval.low > 0 for interval in (clips, seeds)):
        return "more often"
    return "less often" if all(interval.high < 0 for interval in (clips, seeds)) else "undecided"


def show(found: pd.DataFrame) -> pd.DataFrame:
    """The table as people read it."""
    columns = {
        "modality": found["modality"].map(dict(MODALITY_NAMES)),
        "clips": found["n_clips"],
        "MUCN, %": found["share"].map("{:.1f}".format),
        "reference, %": found["reference"].map("{:.1f}".format),
        "difference": found["difference"].map("{:+.1f}".format),
        "over clips": _intervals(found, "clips"),
        "over seeds": _intervals(found, "seeds"),
        "than the reference": found["verdict"],
    }
    return pd.DataFrame(columns).set_index(pd.Index(found["question"], name="section 4.11"))


def _intervals(found: pd.DataFrame, which: str) -> list[str]:
    ends = zip(found[f"{which}_low"], found[f"{which}_high"], strict=True)
    return [f"[{low:+.1f}, {high:+.1f}]" for low, high in ends]
