"""Batches against the split they came from: every clip once, its own frames, text and label, and no padding."""

from __future__ import annotations

import dataclasses
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import bag_of_words, small, tiny_bert

from mugkit.baselines import self_mm
from mugkit.config import Network
from mugkit.data import store, text
from mugkit.data.batch import Padded
from mugkit.data.loader import ClipLoader, prefetch
from mugkit.data.schema import Dataset
from mugkit.models import mug
from mugkit.training.seeding import similar_lengths

pytestmark = pytest.mark.usefixtures("cheap_text")


@pytest.fixture
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up((11, 4, 4))


def unpad(frames: Padded) -> list[np.ndarray]:
    return [clip[mask.bool()].numpy() for clip, mask in zip(frames.values, frames.mask, strict=True)]


def test_batch_holds_chosen_clips_in_order(dataset: Dataset) -> None:
    clips, chosen = ClipLoader(dataset.train, small().network), [7, 0, 3]
    batch = clips.batch(torch.tensor(chosen))
    assert batch.index.tolist() == chosen
    assert batch.labels.tolist() == dataset.train.labels[chosen].tolist()
    assert torch.equal(batch.text, bag_of_words([dataset.train.text[i] for i in chosen]))
    for m in ("a", "v"):
        frames = unpad(batch.frames[m])
        for clip, i in zip(frames, chosen, strict=True):
            np.testing.assert_array_equal(clip, dataset.train.sequences[m][i])
        lengths = dataset.train.sequences[m].lengths[chosen]
        assert batch.frames[m].lengths.tolist() == lengths.tolist()
        assert batch.frames[m].values.shape[1] == lengths.max()
        assert not batch.frames[m].values[~batch.frames[m].mask.bool()].any()
    assert clips.text_width == batch.text.shape[1]


def test_clips_token_states_are_those_of_their_clips(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    states, offsets = torch.randn(40, 3), torch.tensor([0, 2, 5, 6, 10, 14, 20, 22, 25, 30, 33, 40])
    monkeypatch.setattr(text, "frozen_states", lambda *_: (states, offsets))
    batch = ClipLoader(dataset.train, small().network, level="tokens").batch(torch.tensor([3, 2]))
    assert isinstance(batch.text, Padded)
    assert batch.text.mask.tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert torch.equal(batch.text.values[0], states[6:10])
    assert torch.equal(batch.text.values[1, :1], states[5:6])


def test_batches_hold_every_clip_once_and_drop_none(dataset: Dataset) -> None:
    clips, order = ClipLoader(dataset.train, small().network), torch.randperm(11)
    batches = list(clips.batches(order.split(4)))
    assert [len(batch.labels) for batch in batches] == [4, 4, 3]
    assert torch.cat([batch.index for batch in batches]).tolist() == order.tolist()
    labels = torch.cat([batch.labels for batch in clips.in_order(8)])
    assert labels.tolist() == dataset.train.labels.tolist()


def test_clips_tokens_belong_to_their_clips(dataset: Dataset, tmp_path: Path) -> None:
    folder = str(tiny_bert(tmp_path / "bert"))
    clips = ClipLoader(dataset.train, Network(text_encoder=folder, freeze_text=False))
    tokens = clips.batch(torch.tensor([4, 1])).text
    tokenizer = text.load_tokenizer(folder)
    for row, i in enumerate((4, 1)):
        ids = tokens.ids[row][tokens.mask[row].bool()]
        assert tokenizer.decode(ids, skip_special_tokens=True) == dataset.train.text[i]
    assert clips.text_width == 0  # the encoder knows its own width


def test_clips_from_memory_map_neither_warn_nor_write(dataset: Dataset, tmp_path: Path) -> None:
    stored = store.load(store.save(dataset, tmp_path / "made-up"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns when it is given read-only memory
        batch = ClipLoader(stored.train, small().network).batch(torch.tensor([2, 0]))
    batch.frames["a"].values.zero_()
    batch.labels.zero_()
    np.testing.assert_array_equal(stored.train.sequences["a"].frames, dataset.train.sequences["a"].frames)
    np.testing.assert_array_equal(stored.train.labels, dataset.train.labels)


@pytest.mark.parametrize("level", ["pooled", "tokens"])
def test_by_length_has_every_clip_once_and_shorter_ones_first(level: Any, dataset: Dataset) -> None:
    """A frozen encoder's tokens count too."""
    clips = ClipLoader(dataset.train, small().network, level=level)
    batches = list(clips.by_length(1))
    cost = [sum(int(frames.mask.sum()) for frames in batch.frames.values()) for batch in batches]
    if level == "tokens":
        cost = [frames + int(batch.text.mask.sum()) for frames, batch in zip(cost, batches, strict=True)]
    assert cost == sorted(cost)
    assert sorted(int(batch.index) for batch in batches) == list(range(len(clips)))
    assert all(batch.labels == dataset.train.labels[int(batch.index)] for batch in batches)


# --- what a batch's company decides


def test_lengths_are_tokens_where_the_encoder_is_trained_and_frames_where_not(dataset: Dataset, tmp_path: Path) -> None:
    folder = str(tiny_bert(tmp_path / "bert"))
    trained = ClipLoader(dataset.train, Network(text_encoder=folder, freeze_text=False))
    assert trained.lengths.tolist() == [len(ids) for ids in text.token_ids(dataset.train.text, folder)]
    frames = dataset.train.sequences["a"].lengths + dataset.train.sequences["v"].lengths
    assert ClipLoader(dataset.train, small().network).lengths.tolist() == frames.tolist()


@pytest.mark.parametrize("build", [mug.build, self_mm.build], ids=["mug", "self-mm"])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_bucketing_and_trimming_change_no_clips_output(
    made_up: Callable[..., Dataset], tmp_path: Path, build: Callable[..., Any], pooling: str
) -> None:
    """A clip alone, among clips of similar length, and among all, padded to the longest."""
    dataset, together = made_up((23, 4, 4)), torch.arange(23)
    config = small(text_encoder=str(tiny_bert(tmp_path / "bert")), freeze_text=False, pooling=pooling).network
    clips = ClipLoader(dataset.train, config)
    torch.manual_seed(0)
    network = build(config, dataset.dims, 0).double().eval()
    found = []
    for batches in (together.split(1), similar_lengths(clips.lengths, 4, 1, 0, span=23), [together]):
        outputs = torch.empty(23, 4, dtype=torch.float64)
        for batch in clips.batches(batches):
            frames = {m: Padded(padded.values.double(), padded.mask) for m, padded in batch.frames.items()}
            reps = network.represent(dataclasses.replace(batch, frames=frames, labels=batch.labels.double()))
            unimodal = network.predict_unimodal(reps.unimodal)
            outputs[batch.index] = torch.stack([network.predict(reps), *unimodal.values()], dim=1).detach()
        found.append(outputs)
    assert found[0].std(0).min() > 0  # clips do differ
    for outputs in found[1:]:
        torch.testing.assert_close(outputs, found[0], rtol=0, atol=1e-10)


# --- the next batch while this batch is used


def test_ahead_makes_the_next_while_the_present_one_is_used_and_no_more() -> None:
    made: list[int] = []
    following = threading.Event()

    def make(item: int) -> int:
        made.append(item)
        if item == 1:
            following.set()
        return item

    assert list(prefetch(make, [])) == []
    items = prefetch(make, range(5))
    assert next(items) == 0
    assert following.wait(timeout=60)  # nobody asked for it yet
    assert made == [0, 1]
    assert list(items) == [1, 2, 3, 4]


def test_ahead_raises_where_the_item_would_come_and_left_early_leaves_no_thread() -> None:
    before = threading.active_count()
    items = prefetch(lambda x: 1 // x, [1, 1, 0, 2])
    assert next(items) == 1
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)
    items = prefetch(lambda x: x, range(100))
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
