"""The space of a search: every range lies around Table 2, and a system searches only what its training reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mugkit.config import RunSpec, hyperparameters
from mugkit.data.schema import Dataset
from mugkit.evaluation import published
from mugkit.evaluation.published import FIELDS
from mugkit.evaluation.settings import flat
from mugkit.experiments.registry import SYSTEMS, Experiment
from mugkit.experiments.search_space import SPACE, distributions, of_system
from mugkit.experiments.store import Store
from mugkit.overrides import override


def ends(values: Any) -> tuple[float, float]:
    """The smallest and the largest value of a list or a distribution."""
    return (min(values), max(values)) if isinstance(values, list) else values.support()


@pytest.mark.parametrize("family", published.DATASETS)
def test_distributions_include_the_value_of_table_2_and_are_possible(family: str) -> None:
    now = hyperparameters(family, "paper")
    assert set(FIELDS.values()) <= SPACE.keys()
    for name, values in distributions(SPACE, now).items():
        low, high = ends(values)
        assert low <= flat(now)[name] <= high, name
        for value in (low, high):
            override(now, {name: value})  # refuses a wrong type or an impossible number


def test_distributions_learning_rate_is_around_the_profile_s() -> None:
    now = override(hyperparameters("mosi", "smoke"), {"learning_rate": 0.01})
    assert distributions(SPACE, now)["learning_rate"].support() == pytest.approx((0.002, 0.05))


def test_of_system_is_what_it_reads_without_what_makes_it_that_system() -> None:
    optimizer = {"learning_rate", "batch_size", "weight_decay"}
    assert of_system(SYSTEMS["tfn"]).keys() == of_system(SYSTEMS["self-mm"]).keys() == optimizer
    assert "gamma" not in of_system(SYSTEMS["mug-without-contrastive"])
    assert not {"beta", "alpha", "gamma"} & of_system(SYSTEMS["mug-without-unimodal"]).keys()


@pytest.mark.parametrize("name", SYSTEMS)
def test_of_system_every_field_is_in_the_identity_of_its_runs(
    name: str, made_up: Callable[..., Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mugkit.data.encoders.identity", lambda encoder: encoder)
    spec = RunSpec(name, "made-up", 1111, "smoke")
    before = Experiment(spec, made_up((4, 4, 4)), Store(tmp_path))
    drawn = distributions(of_system(SYSTEMS[name]), before.hp)
    assert drawn
    for field, values in drawn.items():
        other = next(end for end in ends(values) if end != flat(before.hp)[field])
        changed = replace(before, spec=replace(spec, changes=((field, other),)))
        assert changed.training != before.training, field
