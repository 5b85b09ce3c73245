"""Frames on the training split's scale."""

import numpy as np
import pytest
import torch
from made_up import make_dataset

from mugkit.data import disk
from mugkit.data.batch import Padded
from mugkit.data.schema import RaggedFrames
from mugkit.models.standardise import Standardise


def sequences(values: np.ndarray) -> RaggedFrames:
    return RaggedFrames(values.astype(np.float32), np.array([0, 3, len(values)]))


FRAMES = np.random.default_rng(0).normal([100.0, -5.0, 0.0], [50.0, 0.01, 1.0], (40, 3))


def test_standardise_gives_mean_zero_and_deviation_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", 100)  # several blocks
    scaler = Standardise({"a": 3})
    scaler.fit({"a": sequences(FRAMES)})
    given = Padded.of([torch.from_numpy(FRAMES[:3]).float(), torch.from_numpy(FRAMES[3:]).float()])
    scaled = scaler({"a": given})["a"]
    values = scaled.values[scaled.mask.bool()]
    torch.testing.assert_close(values.mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(values.std(0, unbiased=False), torch.ones(3), atol=1e-3, rtol=0)
    assert not scaled.values[~scaled.mask.bool()].any()  # padding is still zero


@pytest.mark.parametrize("constant", [0.0, 0.1, 376.02])
def test_standardise_leaves_a_constant_dim_at_its_size(constant: float) -> None:
    scaler = Standardise({"v": 1})
    scaler.fit({"v": sequences(np.full((10_000, 1), constant))})
    moved = scaler({"v": Padded.of([torch.tensor([[constant + 2.0]])])})["v"]
    torch.testing.assert_close(moved.values, torch.tensor([[[2.0]]]), atol=1e-4, rtol=0)


def test_standardise_is_saved_with_the_weights() -> None:
    scaler, other = Standardise({"a": 5, "v": 4}), Standardise({"a": 5, "v": 4})
    scaler.fit(make_dataset().train.sequences)
    assert not torch.equal(scaler.mean_v, other.mean_v)
    other.load_state_dict(scaler.state_dict())
    given = {"a": Padded.of([torch.ones(2, 5)]), "v": Padded.of([torch.ones(2, 4)])}
    assert torch.equal(scaler(given)["a"].values, other(given)["a"].values)
    assert torch.equal(scaler(given)["v"].values, other(given)["v"].values)
