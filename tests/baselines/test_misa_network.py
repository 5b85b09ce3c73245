"""MISA: its three extra losses, its encoders and its size against references worked out by hand."""

import dataclasses
from itertools import combinations

import numpy as np
import pytest
import torch
from batches import SHAPES, token_batch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from mugkit.baselines.misa import (
    MISA,
    MISAConfig,
    SequenceEncoder,
    Subspaces,
    central_moment_discrepancy,
    difference,
    reconstruction,
    similarity,
)
from mugkit.data.batch import Padded


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spaces(batch: int = 7, dim: int = 3) -> Subspaces:
    made = [{m: random(batch, dim, seed=10 * i + j) for j, m in enumerate("lav")} for i in range(4)]
    return Subspaces(*made)


BATCH = token_batch((2, 3, 3, 3, 3), padding=9.0)


@pytest.fixture
def misa() -> MISA:
    torch.manual_seed(0)
    return MISA(SHAPES, None, MISAConfig(hidden=8, lstm=3, inner=16)).eval()


def cmd_by_hand(x: np.ndarray, y: np.ndarray, moments: int) -> float:
    total = np.sqrt(sum((x[:, j].mean() - y[:, j].mean()) ** 2 for j in range(x.shape[1])))
    for k in range(2, moments + 1):
        gaps = [
            ((x[:, j] - x[:, j].mean()) ** k).mean() - ((y[:, j] - y[:, j].mean()) ** k).mean()
            for j in range(x.shape[1])
        ]
        total += np.sqrt(sum(gap**2 for gap in gaps))
    return float(total)


def overlap_by_hand(x: np.ndarray, y: np.ndarray) -> float:
    a, b = (vectors - vectors.mean(0) for vectors in (x, y))
    a, b = ([row / np.linalg.norm(row) for row in vectors] for vectors in (a, b))
    entries = [sum(a[i][p] * b[i][q] for i in range(len(a))) ** 2 for p in range(x.shape[1]) for q in range(x.shape[1])]
    return float(np.mean(entries))


def test_cmd_of_equal_samples_is_zero_with_a_finite_gradient() -> None:
    x = random(7, 3).requires_grad_()
    found = central_moment_discrepancy(x, x.detach()[torch.randperm(7)])
    found.backward()
    assert found.item() == pytest.approx(0.0, abs=1e-12)
    assert torch.isfinite(x.grad).all()


def test_parts_of_the_loss_by_hand() -> None:
    made = spaces()
    pairs, x = list(combinations("lav", 2)), {m: value.numpy() for m, value in made.shared.items()}
    assert similarity(made).item() == pytest.approx(np.mean([cmd_by_hand(x[m], x[n], 5) for m, n in pairs]))
    overlapping = [(made.shared[m], made.private[m]) for m in "lav"]
    overlapping += [(made.private[m], made.private[n]) for m, n in pairs]
    expected = sum(overlap_by_hand(space.numpy(), other.numpy()) for space, other in overlapping)
    assert difference(made).item() == pytest.approx(expected)
    errors = [((made.decoded[m] - made.whole[m]).numpy() ** 2).mean() for m in "lav"]
    assert reconstruction(made).item() == pytest.approx(np.mean(errors))


def test_loss_weighs_the_four_parts(misa: MISA) -> None:
    clips, weights = BATCH, {"sim_weight": 2.0, "diff_weight": 3.0, "recon_weight": 5.0}
    misa.config = dataclasses.replace(misa.config, **weights)
    made = misa.subspaces(clips)
    task = (misa(clips) - clips.labels).abs().mean()
    expected = task + 2 * similarity(made) + 3 * difference(made) + 5 * reconstruction(made)
    torch.testing.assert_close(misa.loss(clips, 0), expected)


def test_sequence_encoder_equals_stacked_lstms_over_packed_clips() -> None:
    torch.manual_seed(0)
    encoder = SequenceEncoder(5, 3)
    nn.init.normal_(encoder.norm.weight)
    nn.init.normal_(encoder.norm.bias)
    own = nn.LSTM(5, 3, bidirectional=True), nn.LSTM(6, 3, bidirectional=True)
    for lstm, made in zip(own, (encoder.first, encoder.second), strict=True):
        lstm.load_state_dict(
            {**made.onward.state_dict(), **{f"{k}_reverse": v for k, v in made.returning.state_dict().items()}}
        )
    frames = BATCH.frames["a"]
    packed = pack_padded_sequence(frames.values, frames.lengths, batch_first=True, enforce_sorted=False)
    states, (first, _) = own[0](packed)
    _, (second, _) = own[1](states._replace(data=encoder.norm(states.data)))
    torch.testing.assert_close(encoder(frames), torch.cat([first[0], first[1], second[0], second[1]], dim=-1))


def test_text_is_the_mean_over_tokens_and_padding_is_left_out(misa: MISA) -> None:
    clips = BATCH
    states = clips.text.values[:, [1, 0, 2]].clone()  # the third token is padding in the first clip
    states[0, 2] = 100.0
    other = dataclasses.replace(clips, text=Padded(states, clips.text.mask))
    torch.testing.assert_close(misa(other), misa(clips))
    first, _, norm = misa.project["l"]
    mean = torch.stack([clips.text.values[0, :2].mean(0), clips.text.values[1].mean(0)])
    torch.testing.assert_close(misa.subspaces(clips).whole["l"][:2], norm(torch.relu(first(mean))))


def test_subspaces_share_one_encoder_and_decode_the_sum(misa: MISA) -> None:
    made = misa.subspaces(BATCH)
    for m in "lav":
        linear, private, decoder = misa.shared[0], misa.private[m][0], misa.decoders[m]
        torch.testing.assert_close(made.shared[m], torch.sigmoid(linear(made.whole[m])))
        torch.testing.assert_close(made.private[m], torch.sigmoid(private(made.whole[m])))
        torch.testing.assert_close(made.decoded[m], decoder(made.shared[m] + made.private[m]))
