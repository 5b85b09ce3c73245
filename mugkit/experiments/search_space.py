"""The search space of the random search: hyperparameters, their ranges, and the reasons.

A range is relative to the profile's own value if that depends on the profile (a fine-tuned BERT needs another learning
rate than heads on frozen features). Other ranges are absolute: those of Table 2's columns and of section 4.10.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scipy.stats import loguniform

from mugkit.config import Hyperparameters
from mugkit.experiments.registry import System


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
    now = {name: value for section in asdict(hp).values() for name, value in section.items()}
    return {name: dimension.values(now[name]) for name, dimension in space.items()}
