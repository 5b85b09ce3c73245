"""Label sources: each clip gets its own labels, and what a data set lacks is said."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from made_up import make_dataset
from small import small

from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.errors import UserError
from mugkit.training.label_sources import source

INDEX = torch.tensor([5, 0, 5, 2])


@pytest.mark.parametrize("make", [source.copied, source.true])
def test_fixed_labels_are_the_clips_own_and_share_no_memory_with_the_data_set(
    make: Callable[[Dataset], source.FixedLabels],
) -> None:
    dataset = make_dataset((8, 4, 4))
    train, fixed = dataset.train, make(dataset)
    true = {m: train.true_labels[m] if make is source.true else train.labels for m in MODALITIES}
    assert {m: t.tolist() for m, t in fixed.targets(INDEX).items()} == {m: true[m][INDEX].tolist() for m in MODALITIES}
    for values in fixed.values.values():
        values.zero_()
    assert train.labels.any()
    assert all(train.true_labels[m].any() for m in MODALITIES)


def test_true_without_labels_is_user_error() -> None:
    with pytest.raises(UserError, match="made-up") as caught:
        source.true(make_dataset((8, 4, 4), true_labels=False))
    assert caught.value.field == "system"
    assert "reviews" in str(caught.value)


HP = small()


DATASET = make_dataset((40, 8, 8))


def tensors(part: Any) -> list[torch.Tensor]:
    """All of them, however deep they lie."""
    if isinstance(part, torch.Tensor):
        return [part]
    inside = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()
    return [tensor for inner in inside for tensor in tensors(inner)]


@pytest.mark.parametrize("name", ["copy", *source.ONLINE])
def test_source_takes_what_it_has_to_the_device_of_the_training_split(name: str) -> None:
    made = source.copied(DATASET) if name == "copy" else source.online(name, DATASET, HP)
    if name == "ulgm":
        made.restore({**made.state(), "features": {"l": torch.zeros(40, 2)}})  # as a checkpoint is read
    clips = ClipLoader(DATASET.train, HP.network)
    clips.device = torch.device("meta")
    made.begin_epoch(clips, 1, 1)
    held = tensors({k: part for k, part in vars(made).items() if k != "_clean"})
    assert len(held) >= 3
    assert {tensor.device.type for tensor in held} == {"meta"}
