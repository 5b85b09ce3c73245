"""The comparisons that the claims need, made from finished runs: nothing is trained here.

Every `Better` of `mugkit.claims.stated` names a system, those it is compared with, and metrics. What of these is in the
run store is compared (`comparison`); what is not is left out, and its claims say which command brings it. The same can
be asked of another data set whose runs lie in that store: of another setting of the dials of `reviews`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np
from jaxtyping import Bool

from mugkit import config
from mugkit.claims.kinds import Better, Claim, On
from mugkit.config import Profile, RunSpec
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.errors import UserError
from mugkit.evaluation import comparison
from mugkit.evaluation.comparison import Rows
from mugkit.experiments.registry import Experiment, seeds_of
from mugkit.experiments.store import Store
from mugkit.progress import progress
from mugkit.studies.beside import SETTINGS
from mugkit.studies.label_table import disagreeing
from mugkit.training.label_sources import source

BESIDE = tuple(SETTINGS)  # other settings of the dials, prepared as `reviews-faint` and the like


@dataclass(frozen=True)
class Pair:
    """One comparison: two systems, a metric, and what of them is compared (a modality's labels, or predictions)."""

    ours: str
    theirs: str
    metric: str
    on: On
    modality: str = ""


def pairs(test: Better, family: str) -> Iterator[Pair]:
    """The comparisons of a test, in those of its metrics that this family of data sets has."""
    of_labels = test.on != "test split"
    known = comparison.LABELS if of_labels else comparison.metrics_of(family)
    for metric in test.metrics or tuple(known):
        if metric in known:
            for theirs in test.theirs:
                for modality in MODALITIES if of_labels else ("",):
                    yield Pair(test.ours, theirs, metric, test.on, modality)


@dataclass
class Finished:
    """What the run store has of a data set under a profile."""

    dataset: Dataset
    profile: Profile
    store: Store
    read: dict[tuple[str, str], Any] = field(default_factory=dict)

    def predictions(self, system: str) -> Rows | None:
        """ŷ of the test split, of the profile's seeds as far as they have run; None if none has."""
        return self._once("predictions", system, self._predictions)

    def labels(self, system: str) -> dict[str, Rows] | None:
        """A system's labels of the training split over seeds, by modality; None if they are not there."""
        return self._once("labels", system, self._labels)

    def _once(self, kind: str, system: str, read: Callable[[str], Any]) -> Any:
        if (kind, system) not in self.read:
            try:
                self.read[kind, system] = read(system)
            except UserError:  # a text encoder or a modality that is not there: nothing can have been run
                self.read[kind, system] = None
        return self.read[kind, system]

    def _work(self, system: str, seed: int, label_seed: int) -> Experiment:
        spec = RunSpec(system, self.dataset.name, seed, self.profile.name, label_seed)
        return Experiment(spec, self.dataset, self.store)

    def _predictions(self, system: str) -> Rows | None:
        works = (self._work(system, seed, self.profile.label_seeds[0]) for seed in seeds_of(system, self.profile))
        folders = [work.result() for work in takewhile(Experiment.finished, works)]
        return comparison.predictions(folders, self.dataset) if folders else None

    def _labels(self, system: str) -> dict[str, Rows] | None:
        seeds = self.profile.label_seeds
        works = list(takewhile(_has_labels, (self._work(system, seed, seed) for seed in seeds)))
        return comparison.training_labels(works) if works else None


def _has_labels(work: Experiment) -> bool:
    """Whether labels are there without a training: MUCN's after stage 2, online sources' after stage 3."""
    kind = work.system.labels
    if kind == "mucn":
        return work.store.has("pretrain", work.pretraining) and work.store.has("labels", work.learning)
    return kind in ("copy", "true") or (kind in source.ONLINE and work.finished())


def compare(pair: Pair, finished: Finished) -> dict[str, Any] | None:
    """One comparison; None if one of the two has not been run, or no clip is one of those to compare on."""
    data = finished.dataset
    if pair.on == "test split":
        ours, theirs = finished.predictions(pair.ours), finished.predictions(pair.theirs)
        metric, truth = comparison.metrics_of(data.family)[pair.metric], data.test.labels
        chosen: Bool[np.ndarray, " clips"] = np.ones(len(truth), dtype=bool)
    else:
        if not data.has_true_labels:
            return None
        mine, yours = finished.labels(pair.ours), finished.labels(pair.theirs)
        ours, theirs = (labels[pair.modality] if labels else None for labels in (mine, yours))
        metric, truth = comparison.LABELS[pair.metric], data.train.true_labels[pair.modality]
        all_clips = np.ones(len(truth), dtype=bool)
        chosen = disagreeing(data.train.true_labels) if "disagreeing" in pair.on else all_clips
    if ours is None or theirs is None or not chosen.any():
        return None
    ours, theirs, truth = (values[..., chosen].astype(np.float64) for values in (ours, theirs, truth))
    return asdict(pair) | comparison.compare(metric, ours, theirs, truth)


def measure(claims: Sequence[Claim], dataset: Dataset, profile: str, store: Store | None = None) -> dict[str, Any]:
    """Every comparison of the claims that finished runs allow.

    Returns:
        data set, caption, family, profile, and `comparisons`: a `Pair` with what `comparison.compare` says of it.
    """
    finished = Finished(dataset, config.profile(profile), store or Store.default())
    tests = [claim.test for claim in claims if isinstance(claim.test, Better)]
    wanted = list(dict.fromkeys(pair for test in tests for pair in pairs(test, dataset.family)))
    made = [compare(pair, finished) for pair in progress(wanted, "claims")]
    return {
        "dataset": dataset.name, "data": dataset.fingerprint, "family": dataset.family,
        "caption": dataset.about.get("caption", dataset.name), "profile": profile,
        "comparisons": [comparison for comparison in made if comparison],
    }  # fmt: skip
