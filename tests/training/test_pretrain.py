"""Stage 1: Eq. 12 by hand, where each of its terms may move weights, and what is saved for stage 2."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import make_dataset
from safetensors.torch import load_file
from small import small, train_jointly
from torch import Tensor

from mugkit import files
from mugkit.config import Pretraining
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES
from mugkit.models.mug import MUGNetwork, build
from mugkit.training import pretrain as stage
from mugkit.training.label_sources.source import FixedLabels
from mugkit.training.pretrain import Losses, SavedRepresentations, losses, pretrain

HP = small()


DATASET = make_dataset((40, 8, 8))


@pytest.fixture
def parts() -> tuple[MUGNetwork, Batch]:
    clips = ClipLoader(DATASET.train, HP.network)
    torch.manual_seed(0)
    return build(HP.network, DATASET.dims, clips.text_width), clips.batch(torch.arange(12))


def touched(network: MUGNetwork, loss: Tensor) -> set[str]:
    """The parts of the network that a gradient arrives in."""
    network.zero_grad()
    loss.backward(retain_graph=True)
    parts = {
        **{"language": network.language, "fusion": network.fusion, "P^M": network.predictor},
        **dict(network.sequences.items()),
        **{f"CPM {m}": network.projections[m] for m in MODALITIES},
        **{f"P^{m}": network.unimodal_predictors[m] for m in MODALITIES},
    }
    return {name for name, part in parts.items() if any(p.grad is not None and p.grad.any() for p in part.parameters())}


SHARED = {"language", "a", "v", "fusion"}

# --- Eqs. 6, 9, 12


def test_total_by_hand() -> None:
    values = {m: torch.tensor(v, dtype=torch.float64) for m, v in zip(MODALITIES, (1.0, 2.0, 4.0), strict=True)}
    contrastive = {m: 10 * v for m, v in values.items()}
    parts = Losses(torch.tensor(0.5, dtype=torch.float64), values, contrastive)
    total = parts.total(Pretraining(eta=0.1, gamma=0.02))
    assert total.item() == pytest.approx(0.5 + 0.1 * 7 + 0.02 * 70, abs=1e-12)
    assert parts.values()["contrastive_v"] == 40.0


def test_losses_equal_numpy(parts: tuple[MUGNetwork, Batch]) -> None:
    network, batch = parts
    found = losses(network, batch, HP.pretraining)
    reps, y = network.represent(batch), batch.labels.numpy()
    prediction = network.predictor.layers(reps.multimodal)[:, 0].detach().numpy()
    assert found.multimodal.item() == pytest.approx(np.abs(y - prediction).mean(), rel=1e-5)
    for m in MODALITIES:
        projected = torch.tanh(network.projections[m].linear(reps.multimodal))
        prediction = network.unimodal_predictors[m].layers(projected)[:, 0].detach().numpy()
        assert found.projected[m].item() == pytest.approx(np.abs(y - prediction).mean(), rel=1e-5)
        a, b = (v.detach().double().numpy() for v in (projected, reps.unimodal[m]))
        a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
        similar = np.exp(a @ b.T / HP.pretraining.temperature)
        expected = -np.log(np.diag(similar) / similar.sum(1)).mean()
        assert found.contrastive[m].item() == pytest.approx(expected, rel=1e-4)


def test_each_loss_trains_its_own_parts(parts: tuple[MUGNetwork, Batch]) -> None:
    network, batch = parts
    near, far = (
        losses(network, batch, dataclasses.replace(HP.pretraining, contrastive_gradient_scope=scope))
        for scope in ("projection", "network")
    )
    assert HP.pretraining.contrastive_gradient_scope == "network"  # what Eq. 11 does unless said otherwise
    assert touched(network, far.multimodal) == {*SHARED, "P^M"}
    for m in MODALITIES:
        assert touched(network, far.projected[m]) == {*SHARED, f"CPM {m}", f"P^{m}"}
        assert far.contrastive[m].item() == near.contrastive[m].item()  # the same number, another gradient
        assert touched(network, far.contrastive[m]) == {*SHARED, f"CPM {m}"}
        assert touched(network, near.contrastive[m]) == {f"CPM {m}"}


def test_save_representations_equals_clips_one_by_one_without_dropout() -> None:
    config = dataclasses.replace(HP.network, dropout=0.5)
    clips = ClipLoader(DATASET.train, config)
    torch.manual_seed(0)
    network = build(config, DATASET.dims, clips.text_width).train()
    saved = stage.save_representations(network, clips, batch_size=7)
    assert saved.labels.tolist() == DATASET.train.labels.tolist()
    for clip in (0, 13, 39):
        reps = network.represent(clips.batch(torch.tensor([clip])))
        projected = network.project(reps)
        for m in MODALITIES:
            torch.testing.assert_close(saved.unimodal[m][clip], reps.unimodal[m][0])
            torch.testing.assert_close(saved.projected[m][clip], projected[m][0])
            expected = network.unimodal_predictors[m](projected[m])[0]
            torch.testing.assert_close(saved.projected_prediction[m][clip], expected)
            assert not saved.unimodal[m].requires_grad


def test_pretrain_learns_and_saves_what_it_returns(tmp_path: Path) -> None:
    hp = small(pretrain_epochs=12, learning_rate=1e-2, eta=1.0)
    saved = pretrain(DATASET, hp, 1111, tmp_path)
    history = files.read_json(tmp_path / "history.json")
    assert [row["epoch"] for row in history] == list(range(12))
    assert history[-1]["multimodal"] < 0.6 * history[0]["multimodal"]
    for m in MODALITIES:
        assert history[-1][f"projected_{m}"] < 0.7 * history[0][f"projected_{m}"]
    loaded = SavedRepresentations.load(tmp_path / "representations.safetensors")
    assert torch.equal(loaded.labels, saved.labels)
    for part in ("unimodal", "projected", "projected_prediction"):
        for m in MODALITIES:
            assert torch.equal(getattr(loaded, part)[m], getattr(saved, part)[m])


def test_stages_1_and_3_of_the_same_seed_start_from_other_weights(tmp_path: Path) -> None:
    hp = small(pretrain_epochs=0, max_epochs=1, learning_rate=0.0)  # weights stay where they start
    pretrain(DATASET, hp, 1111, tmp_path)
    first = load_file(tmp_path / "weights.safetensors")
    train_jointly(DATASET, hp, FixedLabels(), 1111, tmp_path)
    third = load_file(tmp_path / "weights.safetensors")
    assert first.keys() == third.keys()
    assert not any(torch.equal(value, third[name]) for name, value in first.items())
