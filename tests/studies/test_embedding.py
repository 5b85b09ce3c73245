"""Section 4.9 in numbers, on clouds whose gaps and shapes are known by construction."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_study import two_seeds
from torch import Tensor

from mugkit import config, overrides
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.experiments import experiment
from mugkit.studies import embedding, sentences
from mugkit.studies.embedding import NETWORK, PLAIN, PROJECTION
from mugkit.training.pretrain import SavedRepresentations


def cloud(seed: int, clips: int = 200, dim: int = 6) -> Tensor:
    return torch.randn(clips, dim, generator=torch.Generator().manual_seed(seed))


def saved(seed: int, shift: float = 0.0, x_seed: int | None = None) -> SavedRepresentations:
    """Standard normal x_m, and x_m′ of the same distribution moved by `shift` along the first axis."""
    x, projected = cloud(seed if x_seed is None else x_seed), cloud(1000 + seed)
    projected[:, 0] += shift
    y = torch.zeros(len(x))
    return SavedRepresentations(dict.fromkeys(MODALITIES, x), dict.fromkeys(MODALITIES, projected), {}, y)


@pytest.fixture(scope="module")
def wide_and_closed() -> dict[str, list[SavedRepresentations]]:
    """Three seeds of a network with a wide gap and of a network without any."""
    return {"wide": [saved(s, shift=8) for s in range(3)], "closed": [saved(s) for s in range(3)]}


@pytest.fixture(scope="module")
def table(wide_and_closed: dict[str, list[SavedRepresentations]]) -> pd.DataFrame:
    return embedding.measure(wide_and_closed, most=60)


def test_measure_sees_a_gap_where_there_is_one(table: pd.DataFrame) -> None:
    assert len(table) == len(table.drop_duplicates(["variant", "seed", "modality"])) == 2 * 3 * 3
    wide, closed = table[table["variant"] == "wide"], table[table["variant"] == "closed"]
    assert wide["probe"].min() > 95
    assert closed["probe"].between(40, 60).all()
    assert (wide["p"] == 1 / 200).all()
    assert (wide["shape"] < wide["mmd2"] / 2).all(), "the clouds are moved to one place first"
    assert (wide["mmd2"] > 10 * closed["mmd2"].abs().max()).all()
    first = wide.query("seed == 0 and modality == 'a'").iloc[0]
    expected = f"probe {first['probe']:.0f} %, MMD² {first['mmd2']:.2f}"
    assert embedding.panel_notes(table)["wide", "a"] == expected


def test_halves_are_unit_vectors_of_disjoint_clips_and_no_more_than_asked_for() -> None:
    numbers = torch.arange(1.0, 11.0)
    marked = torch.stack([numbers, torch.ones(10)], dim=-1)  # the direction says which clip it is
    clips = [np.round(part[:, 0] / part[:, 1]).astype(int) for part in embedding.halves(marked, marked, most=99)]
    assert sorted(np.concatenate(clips)) == list(range(1, 11))
    x, other = embedding.halves(cloud(0), 5 * cloud(1), most=7)
    assert x.shape == other.shape == (7, 6)
    np.testing.assert_allclose(np.linalg.norm(other, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("names", "seeds", "expected"),
    [
        # From wide to closed with the same x_m: the gap narrows, x_m stays, and no gap remains to be sure of.
        (("wide", "closed"), 3, dict.fromkeys(("gap", "target", "probe"), "supported") | {"remains": "undecided"}),
        (("closed", "wide"), 3, {"gap": "not supported", "remains": "supported"}),
        (("wide", "closed"), 1, dict.fromkeys(embedding.CLAIMS, "undecided")),  # no spread to judge by
    ],
)
def test_claims_follow_what_contrast_does(
    names: tuple[str, str],
    seeds: int,
    expected: dict[str, str],
    table: pd.DataFrame,
    wide_and_closed: dict[str, list[SavedRepresentations]],
) -> None:
    moved = embedding.drift(*(wide_and_closed[name][:seeds] for name in names), most=60)
    found = embedding.claims(table[table["seed"] < seeds], moved, *names)
    for claim, verdict in expected.items():
        assert found[found["claim"] == claim]["verdict"].tolist() == [verdict] * 3


def test_drift_is_none_of_unchanged_vectors_and_pairs_seeds() -> None:
    moved = embedding.drift([saved(0)], [saved(5, x_seed=0, shift=8)], most=60)
    assert moved["cosine"].to_list() == pytest.approx([1, 1, 1])
    assert (moved["projected"] > 0.3).all()
    assert moved["unimodal"].abs().max() < 0.05


@pytest.mark.parametrize(
    ("drifts", "verdict"),
    [
        ((0.002, 0.003, 0.004), "supported"),
        ((0.05, 0.06, 0.07), "not supported"),
        ((0.0, 0.01, 0.05), "undecided"),
    ],
)
def test_x_m_is_almost_the_same_only_if_its_drift_is_too_small_to_matter(
    table: pd.DataFrame, drifts: tuple[float, ...], verdict: str
) -> None:
    parts = [pd.DataFrame({"modality": m, "unimodal": drifts, "projected": 0.5, "cosine": 0.7}) for m in MODALITIES]
    moved = pd.concat(parts)
    found = embedding.claims(table[table["seed"] < len(drifts)], moved, "wide", "closed")
    stays = found[found["claim"] == "stays"]
    assert stays["verdict"].tolist() == [verdict] * 3
    assert stays["mean"].tolist() == pytest.approx([np.mean(drifts)] * 3)
    said = sentences.embedding_gap("made up", stays, moved)
    assert f"That x_m is almost the same is {verdict} for language" in said
    assert "0.70 for language" in said


@pytest.fixture
def dataset(prepared: Callable[..., Dataset]) -> Dataset:
    return prepared((8, 40, 8))


def test_readings_differ_in_what_equation_11_trains_and_in_nothing_else(dataset: Dataset) -> None:
    specs = embedding.specifications(dataset.name, "smoke")
    assert {len(some) for some in specs.values()} == {len(config.profile("smoke").study_seeds)}
    assert all(spec.seed == spec.label_seed for some in specs.values() for spec in some)
    plain, projection, network = (experiment.work(specs[name][0]).hp for name in (PLAIN, PROJECTION, NETWORK))
    assert plain.pretraining.gamma == 0 < projection.pretraining.gamma
    scopes = [hp.pretraining.contrastive_gradient_scope for hp in (projection, network)]
    assert scopes == ["projection", "network"]
    assert overrides.override(projection, {"contrastive_gradient_scope": "network"}) == network


def test_validation_compares_each_reading_with_none(dataset: Dataset, tmp_path: Path) -> None:
    wrong = {PLAIN: 0.5, PROJECTION: 0.6, NETWORK: 0.4}
    runs = {name: two_seeds(dataset, tmp_path / name, by, "valid") for name, by in wrong.items()}
    rows = embedding.validation(dataset, runs).set_index("reading")
    assert rows.loc[PROJECTION, "difference"] == pytest.approx(0.1, abs=1e-5)
    assert rows["verdict"].to_list() == ["", "higher", "lower"]
