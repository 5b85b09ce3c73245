"""MUG's networks, each against numpy or by hand, and that every box of Fig. 3 is fed from the right place."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import make_dataset
from small import small
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from mugkit.config import Network
from mugkit.data.batch import Batch, Padded
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES
from mugkit.models import mug
from mugkit.models.mug import MUCN, Fusion, MUGNetwork, Predictor, SequenceNetwork, build

pytestmark = pytest.mark.usefixtures("cheap_text")


@pytest.fixture
def parts() -> tuple[MUGNetwork, Batch]:
    dataset = make_dataset((12, 4, 4))
    config = small().network
    clips = ClipLoader(dataset.train, config)
    torch.manual_seed(0)
    return build(config, dataset.dims, clips.text_width), clips.batch(torch.arange(8))


def test_forward_is_fusion_of_unimodal_networks(parts: tuple[MUGNetwork, Batch]) -> None:
    network, batch = parts
    x_l = torch.tanh(network.language.down(batch.text))
    packed = {
        m: pack_padded_sequence(batch.frames[m].values, batch.frames[m].lengths, batch_first=True, enforce_sorted=False)
        for m in ("a", "v")
    }
    _, (x_a, _) = network.sequences["a"].lstm(packed["a"])
    _, (x_v, _) = network.sequences["v"].lstm(packed["v"])
    x = network.fusion.layers(torch.cat([x_l, x_a[0], x_v[0]], dim=1))
    torch.testing.assert_close(network(batch), network.predictor.layers(x)[:, 0])


def test_projections_and_unimodal_predictors_belong_to_one_modality_each(parts: tuple[MUGNetwork, Batch]) -> None:
    network, batch = parts
    reps = network.represent(batch)
    x, before = dict(reps.unimodal), network.predict_unimodal(reps.unimodal)
    for m in MODALITIES:
        after = network.predict_unimodal(x | {m: x[m] + 1})
        assert {n for n in MODALITIES if not torch.equal(before[n], after[n])} == {m}
    for m, zeroed in zip(MODALITIES, ({"l"}, {"l", "a"}, {"l", "a", "v"}), strict=True):
        for parameter in network.projections[m].parameters():
            nn.init.zeros_(parameter)
        assert {n for n, projected in network.project(reps).items() if not projected.any()} == zeroed


def test_build_frozen_text_loads_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a frozen encoder was loaded into the network")

    monkeypatch.setattr(mug, "trained_encoder", refuse)
    network = build(small().network, {"a": 5, "v": 4}, 15)
    assert network.language.encoder is None
    with pytest.raises(AssertionError, match="loaded"):
        build(replace(small().network, freeze_text=False), {"a": 5, "v": 4}, 0)


@pytest.mark.parametrize(("f", "low"), [("tanh", -1.0), ("relu", 0.0)])
def test_activation_reaches_language_and_projections(f: str, low: float) -> None:
    torch.manual_seed(0)
    config = replace(Network(d_a=8, d_v=8, fusion_width=16), activation=f)
    network = MUGNetwork(config, {"a": 5, "v": 4}, 15)
    hidden = 50 * torch.randn(16, 15)
    with torch.no_grad():
        outputs = [network.language(hidden), *(network.projections[m](50 * torch.randn(16, 32)) for m in MODALITIES)]
    for out in outputs:
        assert out.min() == pytest.approx(low, abs=1e-3)
        assert (out.max() <= 1) == (f == "tanh")


# --- the LSTM over frames (Eq. 2)


def lstm_in_numpy(frames: np.ndarray, net: SequenceNetwork) -> np.ndarray:
    """The textbook cell (input, forget, cell and output gates), frame after frame; the last hidden state."""
    w, u, b, c = (p.detach().numpy() for p in net.lstm.parameters())

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    hidden = cell = np.zeros(u.shape[1])
    for frame in frames:
        i, f, g, o = np.split(w @ frame + b + u @ hidden + c, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
    return hidden


def test_sequence_network_equals_numpy_lstm() -> None:
    torch.manual_seed(0)
    net = SequenceNetwork(3, 4).double()
    frames = [torch.randn(length, 3, dtype=torch.float64) for length in (4, 1, 7, 2, 7)]
    expected = np.stack([lstm_in_numpy(clip.numpy(), net) for clip in frames])
    np.testing.assert_allclose(net(Padded.of(frames)).detach(), expected, atol=1e-12)


# --- fusion and predictors (Eqs. 4, 5)


def two_layers(x: np.ndarray, module: nn.Module) -> np.ndarray:
    """W₂ · max(W₁ x + b₁, 0) + b₂ from a module's weights."""
    w1, b1, w2, b2 = (p.detach().numpy() for p in module.parameters())
    return np.maximum(x @ w1.T + b1, 0) @ w2.T + b2


def test_fusion_equals_numpy_in_order_language_acoustic_visual() -> None:
    torch.manual_seed(0)
    fusion = Fusion((3, 5, 2), 7, 4, dropout=0.0).double()
    parts = [torch.randn(6, dim, dtype=torch.float64) for dim in (3, 5, 2)]
    expected = two_layers(np.concatenate([x.numpy() for x in parts], axis=1), fusion)
    np.testing.assert_allclose(fusion(*parts).detach(), expected, atol=1e-12)


def test_predictor_equals_numpy_one_number_a_clip() -> None:
    torch.manual_seed(0)
    predictor, x = Predictor(6, 2, dropout=0.0).double(), torch.randn(4, 6, dtype=torch.float64)
    assert [tuple(p.shape) for p in predictor.parameters()] == [(3, 6), (3,), (1, 3), (1,)]
    expected = two_layers(x.numpy(), predictor)[:, 0]
    assert predictor(x).shape == (4,)
    np.testing.assert_allclose(predictor(x).detach(), expected, atol=1e-12)


# --- MUCN (Eq. 28)


def double(values: list) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def by_hand(residual: str, rho: float = 3.0, bias: float | None = None) -> MUCN:
    """Two hidden units whose values for x = (0.5, −1) and the noisy label 0.2 are 0.5 and −1.6 (so 0)."""
    mucn = MUCN(2, 2, rho, residual, output_bias=bias is not None).double()
    hidden, last = mucn.layers[0], mucn.layers[2]
    with torch.no_grad():
        hidden.weight.copy_(double([[1.0, 0.5, 2.0], [-1.0, 1.0, 0.5]]))
        hidden.bias.copy_(double([0.1, -0.2]))
        last.weight.copy_(double([[0.6, 9.0]]))
        if bias is not None:
            last.bias.copy_(double([bias]))
    return mucn


def correct(mucn: MUCN, noisy: float = 0.2) -> float:
    return mucn(double([[0.5, -1.0]]), double([noisy])).item()


@pytest.mark.parametrize(
    ("residual", "rho", "inside"),
    [
        ("paper", 3.0, 0.2 + 0.3),  # y′ = 0.6 · 0.5 = 0.3
        ("paper", 1.0, 0.2 + 0.3),
        ("scaled", 3.0, 0.2 / 3 + 0.3),
        ("scaled", 1.0, 0.2 + 0.3),
    ],
)
def test_mucn_residual_by_hand(residual: str, rho: float, inside: float) -> None:
    assert correct(by_hand(residual, rho)) == pytest.approx(rho * math.tanh(inside), abs=1e-12)


def test_mucn_output_bias_shifts_inside_tanh() -> None:
    assert correct(by_hand("paper", bias=-0.4)) == pytest.approx(3 * math.tanh(0.2 + 0.3 - 0.4), abs=1e-12)
