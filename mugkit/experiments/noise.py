"""Training on noisier labels, where the noise follows how much the raters of `reviews` disagreed.

Every sentence of `reviews` was rated by 15–20 people. A label y becomes y + k·s·ε, where s is the spread of the
sentence's raters on the scale of the labels and ε is standard normal. k = 1 is about what one rater would have said
instead of the mean of all. Training and validation labels change, since an annotator's noise would be in both; the test
split and all true labels stay as they are. Noisy data sets exist only in memory, with a fingerprint of their own.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import reviews
from mugkit.data.schema import LABEL_SCALE, Dataset, Split
from mugkit.errors import UserError
from mugkit.experiments import experiment, scheduler
from mugkit.experiments.execution import LOCAL, ExecutionConfig
from mugkit.experiments.registry import Experiment
from mugkit.experiments.run_store import Store
from mugkit.training.seeding import derive_seed

NOISY_SPLITS = ("train", "valid")


def rater_spread(split: Split) -> Float[np.ndarray, " clips"]:
    """The standard deviation of each sentence's raters, in units of the labels of `reviews` (±3).

    Raises:
        UserError: if a clip is not a sentence of `reviews`.
    """
    sentences = _spreads(files.home() / "downloads")
    numbers = [name.rpartition("_")[2] for name in split.ids]
    unknown = [n for n in numbers if not n.isdigit() or int(n) not in sentences.index]
    if unknown:
        raise UserError("raters' scores are known for `reviews` only", field="dataset", fix="use --dataset reviews")
    scale = LABEL_SCALE["reviews"] / reviews.RATING_SCALE
    return sentences.loc[[int(n) for n in numbers]].to_numpy() * scale


@lru_cache(maxsize=1)
def _spreads(downloads: Path) -> pd.Series:
    """Sentence id → standard deviation of its raters on their own scale."""
    return reviews.read_sentences(reviews.fetch(downloads)).set_index("id")["spread"]


def noisy(dataset: Dataset, k: float, draw: int) -> Dataset:
    """The data set with noisy labels, as the module describes; k = 0 returns the data set itself.

    Args:
        k: size of the noise, in standard deviations of the raters.
        draw: seed of ε; the same for every k, so that a larger k moves each label further in the same direction.
    """
    if k == 0:
        return dataset
    changed = {name: _noisy_split(dataset.splits[name], k, draw, dataset.label_scale) for name in NOISY_SPLITS}
    fingerprint = files.digest([dataset.fingerprint, "raters' noise", k, draw])
    return replace(dataset, splits={**dataset.splits, **changed}, fingerprint=fingerprint)


def _noisy_split(split: Split, k: float, draw: int, rho: float) -> Split:
    epsilon = np.random.default_rng(derive_seed(draw, "raters' noise", split.name)).standard_normal(len(split))
    moved = np.clip(split.labels + k * rater_spread(split) * epsilon, -rho, rho)  # labels stay on the scale
    return replace(split, labels=moved.astype(np.float32))


def work(spec: RunSpec, k: float, store: Store | None = None, device: str = "auto") -> Experiment:
    """The experiment of a run on noisy labels; the seed of its stage 3 is also the draw of the noise."""
    clean = experiment.work(spec, store, device)
    return replace(clean, dataset=noisy(clean.dataset, k, spec.seed))


def run_all(jobs: Sequence[tuple[RunSpec, float]], execution: ExecutionConfig = LOCAL) -> list[experiment.Run]:
    """Like `mugkit.experiments.scheduler.run_all`, on noisy labels; jobs may differ in k."""
    return scheduler.run_recipes([partial(work, *job) for job in jobs], execution, Store.default())
