"""What one trial may cost: the budget at which a search and the studies beside it compare configurations.

Fifty whole runs are an afternoon of a GPU. On a small machine a trial is the same run with fewer epochs and less in D;
whoever compares trials compares them under one budget, and a caption says which. The budgets stand here and not in
`config` because they decide nothing by themselves: they reach a run as changes of its specification, and are in its
identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mugkit.config import RunSpec, profile
from mugkit.errors import unknown_name


@dataclass(frozen=True)
class Budget:
    """How many trials, and what makes one of them cheap.

    Attributes:
        trials: configurations that a random search tries; the paper tried fifty (section 4.4).
        changes: fields of the configuration that are fixed in every trial; empty: a trial is a whole run.
    """

    trials: int
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """The budget as captions say it."""
        fixed = ", ".join(f"{name}={value}" for name, value in self.changes.items())
        return f"each trial with {fixed}" if fixed else "each trial is a whole run"


BUDGETS: Mapping[str, Budget] = {
    "smoke": Budget(4, {"pretrain_epochs": 1, "meta_epochs": 2, "max_epochs": 2}),
    "quick": Budget(50, {"pretrain_epochs": 2, "meta_epochs": 10, "max_epochs": 2, "extra_ratio": 4}),
    "paper": Budget(50),
}


def budget(profile_name: str) -> Budget:
    """The budget of a profile; a UserError names the nearest one otherwise."""
    profile(profile_name)
    if profile_name not in BUDGETS:
        raise unknown_name("budget", profile_name, BUDGETS)
    return BUDGETS[profile_name]


def trial(
    system: str, dataset: str, profile_name: str, changes: Mapping[str, Any], seed: int = 0, label_seed: int = 0
) -> RunSpec:
    """One trial as a run: the profile's budget, and what is tried on top of it.

    Args:
        seed: of stage 3; 0 is the profile's first.
        label_seed: of stages 1 and 2; 0 is the profile's first.
    """
    chosen = profile(profile_name)
    together = {**budget(profile_name).changes, **changes}
    return RunSpec(
        system, dataset, seed or chosen.seeds[0], profile_name, label_seed or chosen.label_seeds[0],
        tuple(sorted(together.items())),
    )  # fmt: skip


def repeated(system: str, dataset: str, profile_name: str, changes: Mapping[str, Any]) -> list[RunSpec]:
    """A trial once for every seed of the profile, which then is the seed of all three stages."""
    return [trial(system, dataset, profile_name, changes, seed, seed) for seed in profile(profile_name).seeds]
