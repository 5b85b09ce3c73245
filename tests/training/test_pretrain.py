"""Stage 1: Eq. 12 by hand, where each of its terms may move weights, and what is saved for stage 2."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import StopAt, hashes, small, tiny_bert, tiny_t5, train_jointly
from torch import Tensor

from mugkit import files
from mugkit.config import Hyperparameters, Pretraining
from mugkit.data import text
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset, Split
from mugkit.models.losses import contrastive_loss
from mugkit.models.mug import MUGNetwork, Representations, build
from mugkit.training import pretrain as stage
from mugkit.training import trainer
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.label_sources.source import FixedLabels
from mugkit.training.pretrain import Losses, SavedRepresentations, losses, pretrain

HP = small()


@pytest.fixture(scope="module")
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up((40, 8, 8))


@pytest.fixture
def parts(dataset: Dataset) -> tuple[MUGNetwork, Batch]:
    clips = ClipLoader(dataset.train, HP.network)
    torch.manual_seed(0)
    return build(HP.network, dataset.dims, clips.text_width), clips.batch(torch.arange(12))


def touched(network: MUGNetwork, loss: Tensor) -> set[str]:
    """The parts of the network that a gradient arrives in."""
    network.zero_grad()
    loss.backward()
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


# --- who learns from what


def test_multimodal_loss_leaves_projections_and_unimodal_predictors(parts: tuple[MUGNetwork, Batch]) -> None:
    network, batch = parts
    assert touched(network, losses(network, batch, HP.pretraining).multimodal) == {*SHARED, "P^M"}


@pytest.mark.parametrize("m", MODALITIES)
def test_projected_loss_trains_unimodal_predictor_through_its_projection(
    parts: tuple[MUGNetwork, Batch], m: str
) -> None:
    network, batch = parts
    assert touched(network, losses(network, batch, HP.pretraining).projected[m]) == {*SHARED, f"CPM {m}", f"P^{m}"}


NEAR = dataclasses.replace(HP.pretraining, contrastive_gradient_scope="projection")
FAR = dataclasses.replace(HP.pretraining, contrastive_gradient_scope="network")


@pytest.mark.parametrize("m", MODALITIES)
def test_contrastive_loss_trains_its_projection_and_in_scope_network_what_lies_before(
    parts: tuple[MUGNetwork, Batch], m: str
) -> None:
    network, batch = parts
    far, near = (losses(network, batch, config).contrastive[m] for config in (FAR, NEAR))
    assert far.item() == near.item()  # the same number, another gradient
    assert HP.pretraining == FAR  # what Eq. 11 does unless said otherwise
    assert touched(network, near) == {f"CPM {m}"}
    assert touched(network, far) == {*SHARED, f"CPM {m}"}


def test_contrastive_loss_stops_at_unimodal_representations(
    parts: tuple[MUGNetwork, Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, batch = parts
    reps = network.represent(batch)
    leaves = Representations(
        {m: x.detach().requires_grad_() for m, x in reps.unimodal.items()}, reps.multimodal.detach().requires_grad_()
    )
    monkeypatch.setattr(network, "represent", lambda _: leaves)
    torch.stack(list(losses(network, batch, FAR).contrastive.values())).sum().backward()
    assert all(x.grad is None for x in leaves.unimodal.values())
    assert leaves.multimodal.grad is not None
    assert leaves.multimodal.grad.abs().max() > 0


# --- what is saved


def test_save_representations_equals_clips_one_by_one_without_dropout(dataset: Dataset) -> None:
    config = dataclasses.replace(HP.network, dropout=0.5)
    clips = ClipLoader(dataset.train, config)
    torch.manual_seed(0)
    network = build(config, dataset.dims, clips.text_width).train()
    saved = stage.save_representations(network, clips, batch_size=7)
    assert saved.labels.tolist() == dataset.train.labels.tolist()
    for clip in (0, 13, 39):
        reps = network.represent(clips.batch(torch.tensor([clip])))
        projected = network.project(reps)
        for m in MODALITIES:
            torch.testing.assert_close(saved.unimodal[m][clip], reps.unimodal[m][0])
            torch.testing.assert_close(saved.projected[m][clip], projected[m][0])
            expected = network.unimodal_predictors[m](projected[m])[0]
            torch.testing.assert_close(saved.projected_prediction[m][clip], expected)
            assert not saved.unimodal[m].requires_grad


def test_saved_representations_round_trip(dataset: Dataset, tmp_path: Path) -> None:
    saved = pretrain(dataset, HP, 1111, tmp_path)
    loaded = SavedRepresentations.load(tmp_path / "representations.safetensors")
    assert torch.equal(loaded.labels, saved.labels)
    for part in ("unimodal", "projected", "projected_prediction"):
        for m in MODALITIES:
            assert torch.equal(getattr(loaded, part)[m], getattr(saved, part)[m])


# --- the whole stage


def run(dataset: Dataset, folder: Path, hp: Hyperparameters = HP, seed: int = 1111) -> dict[str, str]:
    folder.mkdir(parents=True)
    pretrain(dataset, hp, seed, folder)
    return hashes(folder)


def test_pretrain_learns(dataset: Dataset, tmp_path: Path) -> None:
    hp = small(pretrain_epochs=12, learning_rate=1e-2, eta=1.0)
    pretrain(dataset, hp, 1111, tmp_path)
    history = files.read_json(tmp_path / "history.json")
    assert [row["epoch"] for row in history] == list(range(12))
    assert history[-1]["multimodal"] < 0.6 * history[0]["multimodal"]
    for m in MODALITIES:
        assert history[-1][f"projected_{m}"] < 0.7 * history[0][f"projected_{m}"]


def test_pretrain_contrastive_loss_draws_projections_near(dataset: Dataset, tmp_path: Path) -> None:
    def last(gamma: float) -> float:
        folder = tmp_path / str(gamma)
        folder.mkdir()
        saved = pretrain(dataset, small(pretrain_epochs=8, gamma=gamma, learning_rate=5e-3), 1111, folder)
        return sum(contrastive_loss(saved.projected[m], saved.unimodal[m], 0.1).item() for m in MODALITIES)

    assert last(1.0) < 0.8 * last(0.0)


def test_pretrain_same_seed_same_bytes_other_seed_others(dataset: Dataset, tmp_path: Path) -> None:
    hp = small(dropout=0.2)  # so that random state matters inside epochs, too
    one, two = run(dataset, tmp_path / "1", hp), run(dataset, tmp_path / "2", hp)
    other = run(dataset, tmp_path / "3", hp, seed=1112)
    assert one == two
    assert set(one) == {"representations.safetensors", "weights.safetensors", "history.json"}
    assert all(one[name] != other[name] for name in one)


def test_pretrain_and_stage_3_of_the_same_seed_start_from_other_weights(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Tensor] = []

    def first_weights(network: torch.nn.Module, *_: Any) -> Any:
        started.append(next(p.detach().clone() for p in network.parameters() if p.ndim > 1))
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "train_epoch", first_weights)
    monkeypatch.setattr(trainer, "train_epoch", first_weights)
    with pytest.raises(KeyboardInterrupt):
        pretrain(dataset, HP, 1111, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train_jointly(dataset, HP, FixedLabels(), 1111, tmp_path)
    one, other = started
    assert one.shape == other.shape
    assert not torch.equal(one, other)


def test_pretrain_interrupted_then_resumed_equals_uninterrupted(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hp, checkpoint, folder = small(dropout=0.2), Checkpoint(tmp_path / "checkpoint.pt"), tmp_path / "resumed"
    whole = run(dataset, tmp_path / "whole", hp)
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(stage, "train_epoch", StopAt(stage.train_epoch, 3))
        with pytest.raises(KeyboardInterrupt):
            pretrain(dataset, hp, 1111, folder, checkpoint)
    rest = StopAt(stage.train_epoch, 1000)
    monkeypatch.setattr(stage, "train_epoch", rest)
    torch.manual_seed(99)  # another process has another random state
    pretrain(dataset, hp, 1111, folder, checkpoint)
    assert 1000 - rest.left == 1  # finished epochs are not done again
    assert hashes(folder) == whole


def poisoned(split: Split) -> Split:
    """A split that breaks whoever reads it."""
    return dataclasses.replace(split, text=None, labels=None, sequences=None, true_labels=None)


def test_pretrain_reads_training_split_without_true_labels_only(dataset: Dataset, tmp_path: Path) -> None:
    train = dataclasses.replace(dataset.train, true_labels={})
    splits = {"train": train, "valid": poisoned(dataset.valid), "test": poisoned(dataset.test)}
    assert run(dataclasses.replace(dataset, splits=splits), tmp_path / "1") == run(dataset, tmp_path / "2")


# --- a text encoder that is trained along


@pytest.mark.parametrize("make", [tiny_bert, tiny_t5])
def test_pretrain_trains_text_encoder(dataset: Dataset, tmp_path: Path, make: Callable[[Path], Path]) -> None:
    from safetensors.torch import load_file

    encoder = str(make(tmp_path / "encoder"))
    hp = small(freeze_text=False, text_encoder=encoder, pretrain_epochs=2, pooling="mean", learning_rate=5e-3)
    assert run(dataset, tmp_path / "1", hp) == run(dataset, tmp_path / "2", hp)
    trained = load_file(tmp_path / "1" / "weights.safetensors")
    original = text.load_encoder(encoder).state_dict()
    # T5 shares its embedding under two names; the file holds it once.
    stored = {
        name: trained[f"language.encoder.encoder.{name}"]
        for name in original
        if f"language.encoder.encoder.{name}" in trained
    }
    assert len(stored) >= len(original) - 1
    moved = [name for name in stored if not torch.equal(stored[name], original[name])]
    assert len(moved) > len(original) // 2
