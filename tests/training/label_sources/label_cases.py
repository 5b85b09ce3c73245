"""What the tests of online sources share: batches of given clips, and a network whose features are given."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from made_up import make_dataset
from torch import Tensor

from mugkit.data.batch import Batch
from mugkit.data.schema import Dataset
from mugkit.models.mug import Representations


def labelled(y: list[float]) -> Dataset:
    """A data set with these labels in its training split."""
    dataset = make_dataset((len(y), 2, 2))
    dataset.train.labels[:] = np.array(y, np.float32)
    return dataset


def batch_of(index: list[int], y: Tensor) -> Batch:
    """A batch of these clips without inputs."""
    return Batch(torch.tensor(index), torch.zeros(len(index), 0), {}, y[torch.tensor(index)])


def reps_of(features: Mapping[str, list[list[float]]]) -> Representations:
    """Representations by modality and, under "m", of the fusion."""
    x = {m: torch.tensor(values) for m, values in features.items()}
    return Representations({m: x[m] for m in "lav"}, x["m"])


class Given:
    """A network whose features are its representations."""

    def features(self, reps: Representations) -> dict[str, Tensor]:
        return {"m": reps.multimodal, **reps.unimodal}

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody may ask for {name}")
