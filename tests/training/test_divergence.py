"""Stage 2 with a step size that throws MUCN's parameters out of range: the batch, the epoch, the modality, the ids."""

import math
from pathlib import Path

import pytest
import torch
from made_up import make_dataset
from torch import nn

from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.experiments.registry import Experiment
from mugkit.experiments.run_store import Store
from mugkit.training import divergence

BATCHES = [torch.tensor([3, 1]), torch.tensor([0, 2]), torch.tensor([4])]


@pytest.mark.parametrize(("losses", "clips"), [
    ([0.5, math.nan, math.nan], [0, 2]), ([math.inf, 0.1, 0.1], [3, 1]), (torch.tensor([0.1, 0.1, math.nan]), [4]),
    ([0.1, 0.1, 0.1, math.nan, 0.1], [2]),  # a gate of its own for each clip
])  # fmt: skip
def test_check_epoch_names_the_first_batch_whose_loss_is_not_finite(losses: list[float], clips: list[int]) -> None:
    with pytest.raises(divergence.NotFinite, match="the loss became not finite in epoch 7 of stage 2") as caught:
        divergence.check_epoch(nn.Linear(2, 1), losses, BATCHES, 7)
    assert caught.value.clips == clips
    assert "lower alpha" in str(caught.value)


def test_check_epoch_parameters_not_finite_behind_finite_losses_name_the_last_batch() -> None:
    network = nn.Linear(2, 1)
    nn.init.constant_(network.bias, math.inf)
    with pytest.raises(divergence.NotFinite, match="the parameters") as caught:
        divergence.check_epoch(network, [0.5, 0.4, 0.3], BATCHES, 0)
    assert caught.value.clips == [4]


def test_exploding_meta_gradients_end_a_run_with_modality_and_ids(tmp_path: Path) -> None:
    dataset, spec = make_dataset((24, 8, 8)), RunSpec("mug", "made-up", 1111, "smoke", changes=(("alpha", 1e38),))
    todo = Experiment(spec, dataset, Store(tmp_path), "cpu")
    with pytest.raises(UserError, match=r"alpha: .* labels' network became not finite in epoch 0 of stage 2") as caught:
        todo.learned_labels()
    assert any(clip in str(caught.value) for clip in dataset.train.ids)
