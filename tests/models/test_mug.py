"""The whole network: Table 6's parameter count, and that every box of Fig. 3 is fed from the right place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from small import bag_of_words, small
from torch.nn.utils.rnn import pack_padded_sequence

from mugkit.config import Network
from mugkit.data import text
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.models import mug
from mugkit.models.mug import MUGNetwork, build


@pytest.fixture(autouse=True)
def cheap_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_encode", bag_of_words)


@pytest.fixture
def parts(made_up: Callable[..., Dataset]) -> tuple[MUGNetwork, Batch]:
    dataset = made_up((12, 4, 4))
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


def zero(modules: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter in modules.parameters():
            parameter.zero_()


@pytest.mark.parametrize("modality", MODALITIES)
def test_unimodal_predictor_reads_its_own_modality_only(parts: tuple[MUGNetwork, Batch], modality: str) -> None:
    network, batch = parts
    x = dict(network.represent(batch).unimodal)
    before = network.predict_unimodal(x)
    after = network.predict_unimodal(x | {modality: x[modality] + 1})
    changed = {m for m in MODALITIES if not torch.equal(before[m], after[m])}
    assert changed == {modality}


@pytest.mark.parametrize("modality", MODALITIES)
def test_projection_of_each_modality_has_weights_of_its_own(parts: tuple[MUGNetwork, Batch], modality: str) -> None:
    network, batch = parts
    zero(network.projections[modality])
    projected = network.project(network.represent(batch))
    assert {m for m in MODALITIES if not projected[m].any()} == {modality}


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
