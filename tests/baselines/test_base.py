"""What all baselines inherit: their loss, how they are built, and frames on the training split's scale."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from batches import SHAPES, token_batch
from jaxtyping import Float
from made_up import make_dataset
from small import bag_of_words
from torch import Tensor, nn

from mugkit.baselines.base import Baseline, ScaledBaseline, Shapes, Standardise, builder
from mugkit.config import Network
from mugkit.data import disk
from mugkit.data.batch import Batch, Padded
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import Dataset, RaggedFrames


class Constant(Baseline):
    """One number for every clip."""

    Config: ClassVar[type[Any]] = dict

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.encoder, self.value = arguments[1], nn.Parameter(torch.tensor(0.5))

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        return self.value.expand(len(batch.labels))


@pytest.fixture
def dataset(cheap_text: None) -> Dataset:
    return make_dataset((12, 4, 4))


def test_loss_is_the_mean_absolute_error() -> None:
    batch = token_batch()
    expected = sum(abs(0.5 - label) for label in batch.labels.tolist()) / 3
    assert Constant(SHAPES, None, {}).loss(batch, 0).item() == pytest.approx(expected)


def test_builder_gives_the_shapes_of_the_data_and_of_a_frozen_encoder(dataset: Dataset) -> None:
    network = Network(text_encoder="any", freeze_text=True, pooling="mean")
    build = builder(Constant, {"a": 1}, network, dataset, torch.device("cpu"))
    made, objective = build(ClipLoader(dataset.train, network))
    assert made is objective
    assert made.config == {"a": 1}
    width = bag_of_words(["x"]).shape[1]
    assert (made.shapes.text, made.shapes.acoustic, made.shapes.visual) == (width, *dataset.dims.values())
    assert (made.shapes.label_scale, made.shapes.pooling) == (dataset.label_scale, "mean")
    assert made.encoder is None


def test_scaled_baseline_measures_the_training_frames_once(dataset: Dataset) -> None:
    class Scaled(ScaledBaseline, Constant):
        pass

    scaled = Scaled(Shapes(4, dataset.dims["a"], dataset.dims["v"]), None, {})
    network = Network(text_encoder="any", freeze_text=True, pooling="mean")
    scaled.begin_epoch(ClipLoader(dataset.train, network), 0, 1)
    mean = torch.from_numpy(dataset.train.sequences["a"].frames).mean(0)
    torch.testing.assert_close(scaled.standardise.mean_a, mean, atol=1e-5, rtol=1e-4)
    scaled.begin_epoch(ClipLoader(dataset.valid, network), 1, 1)  # later epochs change nothing
    torch.testing.assert_close(scaled.standardise.mean_a, mean, atol=1e-5, rtol=1e-4)


def sequences(values: np.ndarray) -> RaggedFrames:
    return RaggedFrames(values.astype(np.float32), np.array([0, 3, len(values)]))


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).normal([100.0, -5.0, 0.0], [50.0, 0.01, 1.0], (40, 3))


def test_standardise_gives_mean_zero_and_deviation_one(frames: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", 100)  # several blocks
    scaler = Standardise({"a": 3})
    scaler.fit({"a": sequences(frames)})
    given = Padded.of([torch.from_numpy(frames[:3]).float(), torch.from_numpy(frames[3:]).float()])
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
