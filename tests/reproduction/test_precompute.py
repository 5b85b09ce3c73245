"""What a batch computes before its notebooks start: every row and study once, and nothing that cannot run here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from made_up import make_dataset

from mugkit import files
from mugkit.config import profile
from mugkit.data import store
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.evaluation.published import SYSTEM_ROWS
from mugkit.experiments import experiment, search
from mugkit.experiments.registry import SYSTEMS
from mugkit.experiments.search import Search, Trial
from mugkit.reproduction import precompute
from mugkit.studies import hyperparameter_curves, noise_robustness, sensitivity
from mugkit.studies.search_record import Record


def prepare(dataset: Dataset) -> str:
    experiment._dataset.cache_clear()
    store.save(dataset, files.data_home() / dataset.name)
    return dataset.name


@pytest.fixture
def name(made_up: Callable[..., Dataset]) -> str:
    return prepare(made_up())


def test_trained_is_every_seed_of_every_row_of_the_tables_that_can_run(
    name: str, made_up: Callable[..., Dataset]
) -> None:
    specs = precompute.trained("smoke", name)
    systems = {spec.system for spec in specs}
    assert {row for system in systems for row in SYSTEMS[system].rows} == set(SYSTEM_ROWS)
    assert len(specs) == len(set(specs)) == len(systems) * len(profile("smoke").seeds)
    unlabelled = prepare(made_up(true_labels=False, name="unlabelled"))
    assert systems - {spec.system for spec in precompute.trained("smoke", unlabelled)} == {"mug-true-labels"}


def test_learned_and_readings_are_every_label_and_study_seed(name: str) -> None:
    seeds = [spec.label_seed for spec in precompute.learned("smoke", name) if spec.system == "mug"]
    assert seeds == list(profile("smoke").all_seeds)
    specs = precompute.readings("smoke", name)
    assert len(specs) == len(set(specs)) == 3 * len(profile("smoke").study_seeds)
    assert {dict(spec.changes).get("contrastive_gradient_scope") for spec in specs} == {None, "projection", "network"}


def test_studied_is_the_search_the_curves_and_the_alternatives(name: str) -> None:
    specs = set(precompute.studied("smoke", name))
    groups = (hyperparameter_curves.specifications(name, "smoke"), sensitivity.specifications(name, "smoke"))
    shared = {spec for group in groups for some in group.values() for spec in some}
    shared |= {*hyperparameter_curves.with_table_2(name, "smoke")}
    assert shared <= specs
    assert specs - shared == {spec for _, spec in search.specifications("mug", name, "smoke", 4)}


def test_tried_of_a_committed_search_is_what_is_run_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = search.specifications("mug", name, "smoke", 4)
    trials = [Trial(i, values, 1.0 + i) for i, (values, _) in enumerate(drawn)]
    found = Search(search.trial("mug", name, "smoke", {}), 1111, trials)
    kept = Record(found, None, store.load(name).fingerprint, {})
    monkeypatch.setattr(precompute.search_record, "committed", lambda *_: kept)
    specs = precompute.tried("smoke", name)
    assert specs[0] == drawn[0][1]
    assert len(specs) == len(set(specs) & {spec for _, spec in drawn}) == 3


def test_settings_are_the_steps_at_other_dials_of_reviews_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precompute.beside, "prepared", lambda: ["reviews-faint"])
    assert precompute.settings("smoke", name) == []
    prepare(make_dataset(family="reviews", name="reviews"))
    specs = precompute.settings("smoke", "reviews")
    assert {spec.system for spec in specs} == {"mug-without-unimodal", "copy", "mug", "mug-true-labels"}
    assert len(specs) == len(set(specs)) == 4 * len(profile("smoke").seeds)
    assert {spec.dataset for spec in specs} == {"reviews-faint"}


def test_noisy_is_every_source_level_and_seed_where_reviews_is_prepared(name: str) -> None:
    assert precompute.noisy("smoke") == []
    store.save(make_dataset(family="reviews", name="reviews"), files.data_home() / "reviews")
    found = precompute.noisy("smoke")
    sources, levels = noise_robustness.SOURCES, noise_robustness.LEVELS
    assert len(found) == len(set(found)) == len(sources) * len(levels) * len(profile("smoke").study_seeds)
    assert {(spec.system, k) for spec, k in found} == {(source, k) for source in sources for k in levels}
    assert {spec.dataset for spec, _ in found} == {"reviews"}


@pytest.mark.parametrize("studies", [True, False])
def test_compute_is_one_list_goes_on_after_a_failure_and_tells_every_one(
    studies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(jobs: list[str], *_: Any, learn: Sequence[str] = ()) -> None:
        raise UserError(" ".join([*jobs, *learn]))

    for part in ("trained", "readings", "settings", "studied", "learned"):
        monkeypatch.setattr(precompute, part, lambda profile, dataset, part=part: [part])
    for part in ("mapped", "noisy"):
        monkeypatch.setattr(precompute, part, lambda profile, part=part: [part])
    monkeypatch.setattr(precompute.scheduler, "run_all", fail)
    monkeypatch.setattr(precompute.noise, "run_all", fail)
    of_studies = (" studied mapped", "noisy") if studies else ("", "")
    failures = [f"trained readings settings{of_studies[0]} learned", of_studies[1]]
    assert precompute.compute("smoke", "made-up", studies=studies) == failures
