"""Random search over hyperparameters (section 4.4: fifty trials); the choice is by validation alone.

A trial is a run in the run store, so an interrupted search resumes. A range is relative to the profile's own value if
that depends on the profile (a fine-tuned BERT needs another learning rate than heads on frozen features). Other ranges
are absolute: those of Table 2's columns and of section 4.10.
"""

import logging
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import pandas as pd
from scipy.stats import loguniform
from sklearn.model_selection import ParameterSampler

from mugkit.config import Hyperparameters, RunSpec, profile
from mugkit.errors import UserError
from mugkit.experiments import experiment, scheduler
from mugkit.experiments.execution import LOCAL, ExecutionConfig
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import System, flat

log = logging.getLogger(__name__)

SELECTED_BY = "MAE"  # on the validation split; training stops early by the same loss
DIGITS = 6  # decimal places of an error in records


@dataclass(frozen=True)
class Dimension:
    """One hyperparameter of the search.

    Attributes:
        values: maps the profile's value to a list of values or a scipy distribution.
        said: the range in words, for tables.
        why: the reason for it.
    """

    values: Callable[[Any], Any]
    said: str
    why: str


def _log(low: float, high: float, why: str) -> Dimension:
    return Dimension(lambda now: loguniform(low, high), f"log-uniform from {low:g} to {high:g}", why)


def _times(factor: float, why: str) -> Dimension:
    said = f"log-uniform within a factor of {factor:g} of the profile's"
    return Dimension(lambda now: loguniform(now / factor, now * factor), said, why)


def _of(values: list[Any], why: str) -> Dimension:
    return Dimension(lambda now: values, "one of " + ", ".join(f"{value:g}" for value in values), why)


def _halved_or_doubled(why: str) -> Dimension:
    return Dimension(lambda now: sorted({max(now // 2, 1), now, 2 * now}), "half the profile's, it, or twice it", why)


SPACE: Mapping[str, Dimension] = {
    "learning_rate": _times(5, "the right order of magnitude depends on what is frozen; within it nobody knows"),
    "batch_size": _halved_or_doubled("Table 2 has 16 and 32; of stages 1 and 3"),
    "weight_decay": _of([0.0, 1e-3, 1e-2, 1e-1], "the paper is silent; from none to ten times AdamW's default"),
    "dropout": _of([0.0, 0.1, 0.2, 0.3], "the paper is silent; what multimodal networks of this size use"),
    "d": _of([16, 32, 64, 128], "Table 2 has 16, 32 and 128"),
    "d_l": _of([32, 64, 128], "Table 2 has 64; half and twice of it"),
    "d_a": _halved_or_doubled("Table 2 has 128 and 256"),
    "d_v": _halved_or_doubled("Table 2 has 64 and 256"),
    "pretrain_epochs": _of([5, 10, 15, 20], "Table 2 has 10, 15 and 20"),
    "gamma": _log(1e-3, 1.0, "Table 2 has 0.01; up to the weight of the task itself"),
    "eta": _log(1e-3, 1.0, "as γ"),
    "temperature": _log(0.03, 1.0, "the paper does not give τ; contrastive learning uses such values"),
    "meta_epochs": _of([50, 65, 80], "Table 2's three values"),
    "alpha": _log(5e-4, 5e-2, "Table 2 has 0.005; section 4.10 calls large values harmful"),
    "alpha_prime": _log(1e-4, 1e-2, "Table 2 has 0.001; a factor of ten to either side"),
    "beta": _log(1e-4, 1.0, "Table 2 has 0.01 and 0.0001; section 4.10 goes up to 1"),
}

# What a system's training reads besides AdamW's settings. A system with its own network has its own widths.
_MULTI_TASK = ("dropout", "d", "d_l", "d_a", "d_v")
_PRETRAINING = ("pretrain_epochs", "gamma", "eta", "temperature")
_READ: Mapping[str, tuple[str, ...]] = {
    "none": _MULTI_TASK,
    **dict.fromkeys(("copy", "true", "ulgm", "sugrm"), (*_MULTI_TASK, "beta")),
    "mlc": (*_MULTI_TASK, "beta", "alpha_prime"),
    "mucn": (*_MULTI_TASK, "beta", *_PRETRAINING, "meta_epochs", "alpha", "alpha_prime"),
}
_ADAMW = ("learning_rate", "batch_size", "weight_decay")


def of_system(system: System) -> dict[str, Dimension]:
    """The part of the space that a system reads, without the fields that define the system."""
    own_network = system.baseline or system.network
    read = {*_ADAMW, *(() if own_network else _READ[system.labels])}
    return {name: dimension for name, dimension in SPACE.items() if name in read - system.changes.keys()}


def of_training(system: System) -> dict[str, Dimension]:
    """`of_system` without what only stages 1 and 2 read, which keeps Table 2's values; `tuning` says why."""
    space = of_system(system)
    if system.labels != "mucn":
        return space  # it has no stages 1 and 2; α′ is MLC's rate in stage 3
    label_learner = {*_PRETRAINING, "meta_epochs", "alpha", "alpha_prime"}
    return {name: dimension for name, dimension in space.items() if name not in label_learner}


def distributions(space: Mapping[str, Dimension], hp: Hyperparameters) -> dict[str, Any]:
    """What scikit-learn's ParameterSampler draws from: field → list or distribution.

    Args:
        hp: the profile's own values.
    """
    now = flat(hp)
    return {name: dimension.values(now[name]) for name, dimension in space.items()}


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried.

    Attributes:
        number: its position in the order of drawing, from 0.
        values: what was drawn: field → value.
        valid: MAE of the validation split, rounded as in records; NaN if its training failed.
        run: the finished run; None if its training failed or it is read from a record.
    """

    number: int
    values: Mapping[str, Any]
    valid: float
    run: Run | None = None


@dataclass(frozen=True)
class Search:
    """A finished search. Validation errors alone decide its best trial, never test scores.

    Attributes:
        base: the run that all trials vary: Table 2's values under the profile.
        finals: number → validation error with each seed, for trials that ran with more seeds; one of them wins.
    """

    base: RunSpec
    seed: int
    trials: list[Trial]
    finals: Mapping[int, list[float]] = field(default_factory=dict)

    @property
    def best(self) -> Trial:
        """The trial with the best validation score; of equal trials the first."""
        return self.trials[choose([self.score(trial) for trial in self.trials])]

    def score(self, trial: Trial) -> float:
        """Its validation error; if there are finalists, the mean over their seeds, and NaN for other trials."""
        return fmean(self.finals.get(trial.number, [math.nan])) if self.finals else trial.valid

    @property
    def finished(self) -> list[Trial]:
        """The trials whose training did not fail."""
        return [tried for tried in self.trials if math.isfinite(tried.valid)]

    def conclusion(self) -> list[str]:
        """In words: the best trial and its error, where its artifacts are, and the command that runs it again."""
        base, best = self.base, self.best
        assert best.run is not None  # a trial without a run has no score and is never best
        seeds = f", mean of {len(self.finals[best.number])} seeds" if self.finals else ""
        values = " ".join(f"--set {name}={value}" for name, value in best.values.items())
        run = f"mugkit run --system {base.system} --dataset {base.dataset} --profile {base.profile} --preset table2"
        return [
            f"trial {best.number} of {len(self.trials)} is best on validation: MAE {self.score(best):.3f}{seeds}",
            f"its artifacts: {best.run.folder}",
            f"run again: {run} {values}",
        ]

    def frame(self) -> pd.DataFrame:
        """One row per trial: number, the drawn fields, and `valid` (MAE)."""
        return pd.DataFrame([{"trial": t.number, **t.values, "valid": t.valid} for t in self.trials])


def choose(valid: Sequence[float]) -> int:
    """The index of the winning trial, which has the lowest validation error. Test scores are not an argument.

    Raises:
        UserError: if no trial has a finite score.
    """
    finite = [i for i, value in enumerate(valid) if math.isfinite(value)]
    if not finite:
        raise UserError("no trial has a validation score", fix="see the errors above; try other values")
    return min(finite, key=lambda i: valid[i])


def specifications(
    system: str, dataset: str, profile_name: str, trials: int, seed: int = 1111,
    space: Mapping[str, Dimension] | None = None,
) -> list[tuple[dict[str, Any], RunSpec]]:  # fmt: skip
    """Draws what a search will try, without running it: pairs of drawn values and specification.

    Args:
        seed: seed of the draws; a larger number of trials starts with the same ones.
        space: what may change; None means all that the system reads.

    Raises:
        UserError: if system, profile or data set is unknown, or `trials` or `seed` is out of range.
    """
    if trials < 1:
        raise UserError(f"{trials} is not possible", field="--trials", fix="give a number of at least 1")
    if not 0 <= seed < 2**32:
        raise UserError(f"{seed} is not possible", field="--seed", fix="give a number from 0 to 4294967295")
    work = experiment.work(trial(system, dataset, profile_name, {}))
    ranges = distributions(of_system(work.system) if space is None else space, work.hp)
    drawn = [_plain(values) for values in ParameterSampler(ranges, trials, random_state=seed)]
    return [(values, trial(system, dataset, profile_name, values)) for values in drawn]


def trial(system: str, dataset: str, profile_name: str, values: Mapping[str, Any]) -> RunSpec:
    """The specification of a trial: Table 2's values with the drawn ones on top, so that the trial never changes."""
    first = profile(profile_name).seeds[0]
    return RunSpec(system, dataset, first, profile_name, changes=tuple(sorted(values.items())), preset="table2")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain Python numbers; floats get two significant digits, which are readable and precise enough."""
    plain = {name: getattr(value, "item", lambda value=value: value)() for name, value in values.items()}
    return {name: float(f"{v:.2g}") if isinstance(v, float) else v for name, v in sorted(plain.items())}


def search(
    system: str, dataset: str, profile_name: str, trials: int | None = None, seed: int = 1111,
    execution: ExecutionConfig = LOCAL, space: Mapping[str, Dimension] | None = None,
) -> Search:  # fmt: skip
    """Draws configurations, runs what is not stored yet, and returns them with their scores.

    Args:
        trials: number of trials; None means that of the profile.

    Raises:
        UserError: see `specifications`; or if every trial failed.
    """
    count = profile(profile_name).trials if trials is None else trials
    pairs = specifications(system, dataset, profile_name, count, seed, space)
    return Search(trial(system, dataset, profile_name, {}), seed, run_trials(pairs, execution))


def run_trials(
    pairs: Sequence[tuple[Mapping[str, Any], RunSpec]], execution: ExecutionConfig, first: int = 0
) -> list[Trial]:
    """Runs what was drawn: pairs of values and specification. The trials are numbered from `first`."""
    runs = finished([spec for _, spec in pairs], execution)
    errors = [error(run.valid_metrics) if run else math.nan for run in runs]
    return [Trial(first + i, pairs[i][0], errors[i], run) for i, run in enumerate(runs)]


def error(metrics: Mapping[str, float | None]) -> float:
    """The MAE among a run's metrics, rounded as in records; NaN if there is none."""
    value = metrics.get(SELECTED_BY)
    return math.nan if value is None else round(value, DIGITS)


def finished(specs: Sequence[RunSpec], execution: ExecutionConfig = LOCAL) -> list[Run | None]:
    """Runs all; a configuration whose training fails gives None, as long as another one succeeds.

    Raises:
        UserError: if all failed.
    """
    try:
        return list(scheduler.run_all(specs, execution))
    except UserError:
        done = [_again(spec, execution.device) for spec in specs]
        if not any(done):
            raise
        return done


def _again(spec: RunSpec, device: str) -> Run | None:
    """Runs again in this process: training that diverges fails again, but a killed worker does not count as failed."""
    try:
        return experiment.run(spec, device=device)
    except UserError as error:
        log.warning("%s, seed %d, %s: %s", spec.system, spec.seed, dict(spec.changes), error)
        return None


def by_lot(found: Search) -> list[Trial]:
    """The best trial and two random other finished trials, to be run again."""
    rest = [other for other in found.finished if other != found.best]
    return [found.best, *random.Random(1111).sample(rest, min(2, len(rest)))]


def specification(found: Search, of: Trial) -> RunSpec:
    """The run specification of a trial in a search."""
    return trial(found.base.system, found.base.dataset, found.base.profile, of.values)
