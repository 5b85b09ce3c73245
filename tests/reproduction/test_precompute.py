"""What a batch computes before its notebooks start: every row and study once, and nothing that cannot run here."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mugkit.config import profile
from mugkit.data import store
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.evaluation.published import SYSTEM_ROWS
from mugkit.experiments import search
from mugkit.experiments.registry import SYSTEMS
from mugkit.experiments.search import Search, Trial
from mugkit.reproduction import precompute
from mugkit.studies import hyperparameter_curves, noise_robustness, sensitivity
from mugkit.studies.search_record import Record

SMOKE = profile("smoke")


@pytest.fixture
def name(prepared: Callable[..., Dataset]) -> str:
    return prepared().name


def test_trained_is_every_seed_of_every_row_that_can_run(name: str, prepared: Callable[..., Dataset]) -> None:
    specs = precompute.trained("smoke", name)
    systems = {spec.system for spec in specs}
    assert {row for system in systems for row in SYSTEMS[system].rows} == set(SYSTEM_ROWS)
    assert len(specs) == len(set(specs)) == len(systems) * len(SMOKE.seeds)
    unlabelled = prepared(true_labels=False, name="unlabelled").name
    assert systems - {spec.system for spec in precompute.trained("smoke", unlabelled)} == {"mug-true-labels"}


def test_learned_and_readings_are_every_label_and_study_seed(name: str) -> None:
    seeds = [spec.label_seed for spec in precompute.learned("smoke", name) if spec.system == "mug"]
    assert seeds == list(SMOKE.all_seeds)
    specs = precompute.readings("smoke", name)
    assert len(specs) == len(set(specs)) == 3 * len(SMOKE.study_seeds)
    assert {dict(spec.changes).get("contrastive_gradient_scope") for spec in specs} == {None, "projection", "network"}


def test_studied_is_the_search_the_curves_and_the_alternatives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = set(precompute.studied("smoke", name))
    groups = (hyperparameter_curves.specifications(name, "smoke"), sensitivity.specifications(name, "smoke"))
    shared = {spec for group in groups for some in group.values() for spec in some}
    drawn = search.specifications("mug", name, "smoke", 4)
    assert shared <= specs
    assert specs - shared == {spec for _, spec in drawn}
    # Of a committed search, what is run again.
    trials = [Trial(i, values, 1.0 + i) for i, (values, _) in enumerate(drawn)]
    found = Search(search.trial("mug", name, "smoke", {}), 1111, trials)
    kept = Record(found, None, store.load(name).fingerprint, {})
    monkeypatch.setattr(precompute.search_record, "committed", lambda *_: kept)
    again = precompute.tried("smoke", name)
    assert again[0] == drawn[0][1]
    assert len(again) == len(set(again) & {spec for _, spec in drawn}) == 3


def test_settings_and_noisy_are_reviews(
    name: str, prepared: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precompute.beside, "prepared", lambda: ["reviews-faint"])
    assert precompute.settings("smoke", name) == precompute.noisy("smoke") == []
    prepared(family="reviews", name="reviews")
    specs = precompute.settings("smoke", "reviews")
    assert {spec.system for spec in specs} == {"mug-without-unimodal", "copy", "mug", "mug-true-labels"}
    assert len(specs) == len(set(specs)) == 4 * len(SMOKE.seeds)
    assert {spec.dataset for spec in specs} == {"reviews-faint"}
    found = precompute.noisy("smoke")
    sources, levels = noise_robustness.SOURCES, noise_robustness.LEVELS
    assert len(found) == len(set(found)) == len(sources) * len(levels) * len(SMOKE.study_seeds)
    assert {(spec.system, k) for spec, k in found} == {(source, k) for source in sources for k in levels}
    assert {spec.dataset for spec, _ in found} == {"reviews"}


@pytest.mark.parametrize("studies", [True, False])
def test_compute_is_one_list_and_tells_every_failure(studies: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(jobs: list[str], *_: Any, learn: Sequence[str] = ()) -> None:
        raise UserError(" ".join([*jobs, *learn]))

    for part in ("trained", "readings", "settings", "studied", "learned", "mapped", "noisy"):
        monkeypatch.setattr(precompute, part, lambda *_, part=part: [part])
    monkeypatch.setattr(precompute.scheduler, "run_all", fail)
    monkeypatch.setattr(precompute.noise, "run_all", fail)
    of_studies = (" settings studied mapped", "noisy") if studies else ("", "")
    failures = [f"trained readings{of_studies[0]} learned", of_studies[1]]
    assert precompute.compute("smoke", "made-up", studies=studies) == failures
