"""Section 4.9 in numbers, on clouds whose gaps and shapes are known by construction."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from mugkit.data.schema import MODALITIES
from mugkit.errors import UserError
from mugkit.studies import embedding
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
    """Three seeds of a network with a wide gap and of one without any."""
    return {"wide": [saved(s, shift=8) for s in range(3)], "closed": [saved(s) for s in range(3)]}


@pytest.fixture(scope="module")
def table(wide_and_closed: dict[str, list[SavedRepresentations]]) -> pd.DataFrame:
    return embedding.measure(wide_and_closed, most=60)


def test_halves_are_unit_vectors_of_disjoint_clips_and_no_more_than_asked_for() -> None:
    numbers = torch.arange(1.0, 11.0)
    marked = torch.stack([numbers, torch.ones(10)], dim=-1)  # the direction says which clip it is
    clips = [np.round(part[:, 0] / part[:, 1]).astype(int) for part in embedding.halves(marked, marked, most=99)]
    assert sorted(np.concatenate(clips)) == list(range(1, 11))
    x, other = embedding.halves(cloud(0), 5 * cloud(1), most=7)
    assert x.shape == other.shape == (7, 6)
    np.testing.assert_allclose(np.linalg.norm(other, axis=1), 1, rtol=1e-5)


def test_measure_sees_a_gap_where_there_is_one(table: pd.DataFrame) -> None:
    assert len(table) == len(table.drop_duplicates(["variant", "seed", "modality"])) == 2 * 3 * 3
    wide, closed = table[table["variant"] == "wide"], table[table["variant"] == "closed"]
    assert wide["probe"].min() > 95
    assert closed["probe"].between(40, 60).all()
    assert (wide["p"] == 1 / 200).all()
    assert (wide["shape"] < wide["mmd2"] / 2).all(), "the clouds are moved to one place first"
    assert (wide["mmd2"] > 10 * closed["mmd2"].abs().max()).all()


def test_claims_hold_where_contrast_closes_a_gap(wide_and_closed: dict[str, list[SavedRepresentations]]) -> None:
    """From wide to closed with the same x_m: the gap narrows, x_m stays, and no gap remains to be sure of."""
    measured = embedding.measure(wide_and_closed, most=60)
    moved = embedding.drift(*wide_and_closed.values(), most=60)
    found = embedding.claims(measured, moved, "wide", "closed").set_index(["claim", "modality"])["verdict"]
    assert [found["gap", m] for m in MODALITIES] == ["supported"] * 3
    assert [found["target", m] for m in MODALITIES] == ["supported"] * 3
    assert [found["remains", m] for m in MODALITIES] == ["undecided"] * 3


def test_claims_fail_where_contrast_widens_the_gap(wide_and_closed: dict[str, list[SavedRepresentations]]) -> None:
    measured = embedding.measure(wide_and_closed, most=60)
    moved = embedding.drift(wide_and_closed["closed"], wide_and_closed["wide"], most=60)
    found = embedding.claims(measured, moved, "closed", "wide").set_index(["claim", "modality"])["verdict"]
    assert [found["gap", m] for m in MODALITIES] == ["not supported"] * 3
    assert [found["remains", m] for m in MODALITIES] == ["supported"] * 3


def test_claims_of_a_single_seed_are_undecided() -> None:
    one = {"plain": [saved(0, shift=8)], "contrastive": [saved(0)]}
    found = embedding.claims(embedding.measure(one, most=60), embedding.drift(*one.values(), most=60), *one)
    assert set(found["verdict"]) == {"undecided"}, "one seed has no spread to judge by"


def test_drift_of_unchanged_vectors() -> None:
    moved = embedding.drift([saved(0)], [saved(5, x_seed=0, shift=8)], most=60)
    assert moved["cosine"].to_list() == pytest.approx([1, 1, 1])
    assert (moved["projected"] > 0.3).all()
    assert moved["unimodal"].abs().max() < 0.05


def test_drift_refuses_unequal_numbers_of_seeds() -> None:
    with pytest.raises(UserError, match="1 and 2 seeds"):
        embedding.drift([saved(0)], [saved(0), saved(1)])


def test_show_and_notes_have_the_tables_numbers(table: pd.DataFrame) -> None:
    shown = embedding.show(table)
    assert list(shown.index[:2]) == ["language, wide", "language, closed"]
    rows = table[(table["variant"] == "wide") & (table["modality"] == "a")]
    assert shown.loc["acoustic, wide", "MMD²"].startswith(f"{rows['mmd2'].mean():.3f} ±")
    assert shown.loc["acoustic, wide", "largest p"] == "0.005"
    first = rows[rows["seed"] == 0].iloc[0]
    expected = f"probe {first['probe']:.0f} %, MMD² {first['mmd2']:.2f}"
    assert embedding.panel_notes(table)["wide", "a"] == expected
