"""What all baselines inherit: their loss, how they are built, and frames on the training split's scale."""

from typing import Any, ClassVar

import pytest
import torch
from batches import SHAPES, token_batch
from jaxtyping import Float
from made_up import make_dataset
from small import bag_of_words
from torch import Tensor, nn

from mugkit.baselines.base import Baseline, ScaledBaseline, Shapes, builder
from mugkit.config import Network
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import Dataset


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
