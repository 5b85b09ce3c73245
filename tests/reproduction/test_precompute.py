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
from mugkit.experiments import experiment, scheduler, search
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


def test_trained_is_every_seed_of_every_row_of_the_tables(name: str) -> None:
    specs = precompute.trained("smoke", name)
    systems = {spec.system for spec in specs}
    assert {row for one in systems for row in SYSTEMS[one].rows} == set(SYSTEM_ROWS)
    assert len(specs) == len(set(specs)) == len(systems) * len(profile("smoke").seeds)


def test_trained_leaves_out_what_cannot_run(made_up: Callable[..., Dataset]) -> None:
    systems = {spec.system for spec in precompute.trained("smoke", prepare(made_up(true_labels=False)))}
    assert "mug-true-labels" not in systems
    assert "mug" in systems


def test_learned_is_every_label_seed(name: str) -> None:
    seeds = [spec.label_seed for spec in precompute.learned("smoke", name) if spec.system == "mug"]
    assert seeds == list(profile("smoke").label_seeds)


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


def test_readings_are_three_networks_for_every_study_seed(name: str) -> None:
    specs = precompute.readings("smoke", name)
    assert len(specs) == len(set(specs)) == 3 * len(profile("smoke").study_seeds)
    assert {dict(spec.changes).get("contrastive_gradient_scope") for spec in specs} == {None, "projection", "network"}


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


def test_compute_is_one_list_goes_on_after_a_failure_and_tells_every_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def fail(jobs: list[Any], *_: Any, learn: Sequence[Any] = (), **__: Any) -> None:
        asked.append((len(jobs), len(learn)))
        raise UserError(f"failed: {len(jobs)}")

    monkeypatch.setattr(precompute, "noisy", lambda profile: [profile])
    monkeypatch.setattr(precompute.scheduler, "run_all", fail)
    monkeypatch.setattr(precompute.noise, "run_all", fail)
    runs = precompute.trained("smoke", name) + precompute.studied("smoke", name) + precompute.readings("smoke", name)
    assert precompute.compute("smoke", name) == [f"failed: {len(runs)}", "failed: 1"]
    assert asked == [(len(runs), len(precompute.learned("smoke", name))), (1, 0)]


def test_compute_without_studies_leaves_out_what_two_notebooks_alone_need(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    for part in ("trained", "readings", "settings", "studied"):
        monkeypatch.setattr(precompute, part, lambda profile, dataset, part=part: [part])
    monkeypatch.setattr(precompute, "learned", lambda profile, dataset: [])
    monkeypatch.setattr(precompute, "mapped", lambda profile: ["mapped"])
    monkeypatch.setattr(precompute, "noisy", lambda profile: ["noisy"])
    monkeypatch.setattr(scheduler, "run_all", lambda specs, *rest, **more: asked.append(specs))
    monkeypatch.setattr(precompute.noise, "run_all", asked.append)
    precompute.compute("smoke", name, studies=False)
    assert asked == [["trained", "readings", "settings"], []]
    precompute.compute("smoke", name)
    assert asked[2:] == [["trained", "readings", "settings", "studied", "mapped"], ["noisy"]]
