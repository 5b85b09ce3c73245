"""Compares systems for the claims, from finished runs only; nothing is trained here.

Every `Better` names a system, the systems it is compared with, and metrics. Pairs with runs in the run store are
compared (`evaluation.comparison`). The others are left out, and their claims say which command produces the runs. The
same comparisons work on another data set with runs in that store: another setting of the dials of `reviews`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any, Literal

import numpy as np

from mugkit import config
from mugkit.claims.evidence import Evidence, Finding, Missing, Result, has, judged
from mugkit.claims.kinds import BOTH, Test
from mugkit.config import Profile, RunSpec
from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.errors import UserError
from mugkit.evaluation import comparison, verdicts
from mugkit.evaluation.comparison import Metric, Rows
from mugkit.experiments.registry import SYSTEMS, Experiment, seeds_of
from mugkit.experiments.run_store import Store
from mugkit.progress import progress
from mugkit.studies.label_table import disagreeing
from mugkit.training.label_sources import source

On = Literal["test split", "labels", "labels of disagreeing clips"]
ASKS: Mapping[str, str] = {  # what the interval must do with a size, by `verdicts.Amount`
    "about": " (to be reached)", "over": " (all of it beyond)", "under": " (all of it below)",
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One comparison: two systems, a metric, and what is compared (a modality's labels, or predictions)."""

    ours: str
    theirs: str
    metric: str
    on: On
    modality: str = ""


@dataclass(frozen=True)
class Better(Test):
    """One system is better than others, in every metric or (`most`) in more than half of the metrics.

    Attributes:
        metrics: the metrics that the claim names; () means all of the table's columns.
        on: predictions of the test split, or unimodal labels of the training split against the true ones.
    """

    ours: str
    theirs: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    on: On = "test split"
    most: bool = False

    def pairs(self, family: str) -> Iterator[Pair]:
        """Its comparisons, for those of its metrics that this family of data sets has."""
        known = _metrics(self.on, family)
        for metric in self.metrics or tuple(known):
            if metric in known:
                for theirs in self.theirs:
                    for modality in ("",) if self.on == "test split" else MODALITIES:
                        yield Pair(self.ours, theirs, metric, self.on, modality)

    def find(self, evidence: Evidence) -> Finding:
        wanted = [asdict(pair) for pair in self.pairs(evidence.tests.get("family", "mosi"))]
        made = evidence.tests.get("comparisons", [])
        found = [each for pair in wanted for each in made if has(each, pair)]
        results = [self._result(each, evidence, len(found)) for each in found]
        clips, seeds = (min((each[count] for each in found), default=None) for count in ("clips", "seeds"))
        finding = Finding(results, self._compares(results), clips=clips, seeds=seeds, most=self.most)
        if not found or (len(found) < len(wanted) and finding.verdict == "supported"):
            needs = "finished runs of " if self.on == "test split" else "true unimodal labels, or the labels of "
            raise Missing(needs + ", ".join((self.ours, *self.theirs)), evidence.again)
        return finding

    def _compares(self, results: Sequence[Result]) -> str:
        against = ", ".join(SYSTEMS[name].row for name in self.theirs)
        rule = "in most metrics" if self.most else "in each"
        asked = (f"{result['metric']} {result['size']:g}{ASKS.get(result.get('amount', ''), '')}" for result in results)
        sizes = ", ".join(dict.fromkeys(asked))
        return f"{SYSTEMS[self.ours].row} against {against} on {self.on}, {rule}: {BOTH}; effect of interest: {sizes}"

    def _result(self, found: Mapping[str, Any], evidence: Evidence, together: int) -> Result:
        metric = found["metric"]
        parts = [f"against {SYSTEMS[found['theirs']].row}", MODALITY_NAMES.get(found["modality"], ""), metric]
        sizes = evidence.size_of(metric), together, evidence.amount_of(metric)
        return judged(", ".join(filter(None, parts)), found, verdicts.better(metric), *sizes)


def _metrics(on: On, family: str) -> Mapping[str, Metric]:
    return comparison.metrics_of(family) if on == "test split" else comparison.LABELS


@dataclass
class Finished:
    """The finished runs of a data set under a profile, from the run store.

    Attributes:
        most: how many of the profile's seeds may count; a store can hold more than the notebooks ran. None: all.
    """

    dataset: Dataset
    profile: Profile
    store: Store
    read: dict[tuple[str, bool], Mapping[str, Rows]] = field(default_factory=dict)
    most: int | None = None

    def rows(self, system: str, labels: bool) -> Mapping[str, Rows]:
        """One row per finished seed: labels of the training split by modality, or ŷ of the test split under ""."""
        if (system, labels) not in self.read:
            try:
                self.read[system, labels] = self._labels(system) if labels else self._predictions(system)
            except UserError:  # a text encoder or a modality is missing, so there are no runs
                self.read[system, labels] = {}
        return self.read[system, labels]

    def experiments(self, system: str, seeds: Sequence[int]) -> Iterator[Experiment]:
        """The system's experiments with those of these seeds that may count."""
        for seed in seeds[: self.most]:
            yield Experiment(RunSpec(system, self.dataset.name, seed, self.profile.name), self.dataset, self.store)

    def _predictions(self, system: str) -> Mapping[str, Rows]:
        ran = takewhile(Experiment.finished, self.experiments(system, seeds_of(system, self.profile)))
        folders = [experiment.result() for experiment in ran]
        return {"": comparison.predictions(folders, self.dataset)} if folders else {}

    def _labels(self, system: str) -> Mapping[str, Rows]:
        ran = list(takewhile(_has_labels, self.experiments(system, self.profile.all_seeds)))
        return comparison.training_labels(ran) if ran else {}


def _has_labels(experiment: Experiment) -> bool:
    """Whether labels are available without training: MUCN's after stage 2, online sources' after stage 3."""
    kind, store = experiment.system.labels, experiment.store
    if kind == "mucn":
        return store.has("pretrain", experiment.pretraining) and store.has("labels", experiment.learning)
    return kind in ("copy", "true") or (kind in source.ONLINE and experiment.finished())


def compare(pair: Pair, finished: Finished) -> dict[str, Any] | None:
    """Makes one comparison; None if a system has no runs, true labels are missing, or no clip qualifies."""
    data, labels = finished.dataset, pair.on != "test split"
    if labels and not data.has_true_labels:
        return None
    ours, theirs = (finished.rows(system, labels) for system in (pair.ours, pair.theirs))
    truth = data.train.true_labels[pair.modality] if labels else data.test.labels
    chosen = disagreeing(data.train.true_labels) if "disagreeing" in pair.on else np.ones(len(truth), dtype=bool)
    if not (ours and theirs and chosen.any()):
        return None
    values = (ours[pair.modality], theirs[pair.modality], truth)
    mine, yours, true = (numbers[..., chosen].astype(np.float64) for numbers in values)
    return asdict(pair) | comparison.compare(_metrics(pair.on, data.family)[pair.metric], mine, yours, true)


def measure(
    tests: Sequence[Test], dataset: Dataset, profile: str, store: Store | None = None, seeds: int | None = None
) -> dict[str, Any]:
    """Makes every comparison of the tests for which finished runs exist, on the first `seeds` (None: all) of them.

    Returns:
        data set, caption, family, profile, and `comparisons`: each `Pair` with the result of `comparison.compare`.
    """
    finished = Finished(dataset, config.profile(profile), store or Store.default(), most=seeds)
    better = [test for test in tests if isinstance(test, Better)]
    wanted = list(dict.fromkeys(pair for test in better for pair in test.pairs(dataset.family)))
    made = [compare(pair, finished) for pair in progress(wanted, "claims")]
    return {
        "dataset": dataset.name, "data": dataset.fingerprint, "family": dataset.family,
        "caption": dataset.about.get("caption", dataset.name), "profile": profile,
        "comparisons": [found for found in made if found],
    }  # fmt: skip
