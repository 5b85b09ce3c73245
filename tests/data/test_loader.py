"""Batches against the split they came from: every clip once, its own frames, text and label, and no padding."""

import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import make_dataset
from small import bag_of_words, small, tiny_bert

from mugkit.config import Network
from mugkit.data import store, text
from mugkit.data.batch import Padded
from mugkit.data.loader import ClipLoader, prefetch

pytestmark = pytest.mark.usefixtures("cheap_text")


DATASET = make_dataset((11, 4, 4))


def unpad(frames: Padded) -> list[np.ndarray]:
    return [clip[mask.bool()].numpy() for clip, mask in zip(frames.values, frames.mask, strict=True)]


def test_batch_holds_chosen_clips_in_order() -> None:
    clips, chosen = ClipLoader(DATASET.train, small().network), [7, 0, 3]
    batch = clips.batch(torch.tensor(chosen))
    assert batch.index.tolist() == chosen
    assert batch.labels.tolist() == DATASET.train.labels[chosen].tolist()
    assert torch.equal(batch.text, bag_of_words([DATASET.train.text[i] for i in chosen]))
    for m in ("a", "v"):
        frames = unpad(batch.frames[m])
        for clip, i in zip(frames, chosen, strict=True):
            np.testing.assert_array_equal(clip, DATASET.train.sequences[m][i])
        lengths = DATASET.train.sequences[m].lengths[chosen]
        assert batch.frames[m].lengths.tolist() == lengths.tolist()
        assert batch.frames[m].values.shape[1] == lengths.max()
        assert not batch.frames[m].values[~batch.frames[m].mask.bool()].any()
    assert clips.text_width == batch.text.shape[1]


def test_clips_token_states_are_those_of_their_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    states, offsets = torch.randn(40, 3), torch.tensor([0, 2, 5, 6, 10, 14, 20, 22, 25, 30, 33, 40])
    monkeypatch.setattr(text, "frozen_states", lambda *_: (states, offsets))
    batch = ClipLoader(DATASET.train, small().network, level="tokens").batch(torch.tensor([3, 2]))
    assert isinstance(batch.text, Padded)
    assert batch.text.mask.tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert torch.equal(batch.text.values[0], states[6:10])
    assert torch.equal(batch.text.values[1, :1], states[5:6])


def test_batches_hold_every_clip_once_and_drop_none() -> None:
    clips, order = ClipLoader(DATASET.train, small().network), torch.randperm(11)
    batches = list(clips.batches(order.split(4)))
    assert [len(batch.labels) for batch in batches] == [4, 4, 3]
    assert torch.cat([batch.index for batch in batches]).tolist() == order.tolist()
    labels = torch.cat([batch.labels for batch in clips.in_order(8)])
    assert labels.tolist() == DATASET.train.labels.tolist()


def test_clips_tokens_belong_to_their_clips(tmp_path: Path) -> None:
    folder = str(tiny_bert(tmp_path / "bert"))
    clips = ClipLoader(DATASET.train, Network(text_encoder=folder, freeze_text=False))
    tokens = clips.batch(torch.tensor([4, 1])).text
    tokenizer = text.load_tokenizer(folder)
    for row, i in enumerate((4, 1)):
        ids = tokens.ids[row][tokens.mask[row].bool()]
        assert tokenizer.decode(ids, skip_special_tokens=True) == DATASET.train.text[i]
    assert clips.text_width == 0  # the encoder knows its own width


def test_clips_from_memory_map_neither_warn_nor_write(tmp_path: Path) -> None:
    stored = store.load(store.save(DATASET, tmp_path / "made-up"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns when it is given read-only memory
        batch = ClipLoader(stored.train, small().network).batch(torch.tensor([2, 0]))
    batch.frames["a"].values.zero_()
    batch.labels.zero_()
    np.testing.assert_array_equal(stored.train.sequences["a"].frames, DATASET.train.sequences["a"].frames)
    np.testing.assert_array_equal(stored.train.labels, DATASET.train.labels)


@pytest.mark.parametrize("level", ["pooled", "tokens"])
def test_by_length_has_every_clip_once_and_shorter_ones_first(level: Any) -> None:
    """A frozen encoder's tokens count too."""
    clips = ClipLoader(DATASET.train, small().network, level=level)
    batches = list(clips.by_length(1))
    cost = [sum(int(frames.mask.sum()) for frames in batch.frames.values()) for batch in batches]
    if level == "tokens":
        cost = [frames + int(batch.text.mask.sum()) for frames, batch in zip(cost, batches, strict=True)]
    assert cost == sorted(cost)
    assert sorted(int(batch.index) for batch in batches) == list(range(len(clips)))
    assert all(batch.labels == DATASET.train.labels[int(batch.index)] for batch in batches)


def test_lengths_are_tokens_where_the_encoder_is_trained_and_frames_where_not(tmp_path: Path) -> None:
    folder = str(tiny_bert(tmp_path / "bert"))
    trained = ClipLoader(DATASET.train, Network(text_encoder=folder, freeze_text=False))
    assert trained.lengths.tolist() == [len(ids) for ids in text.token_ids(DATASET.train.text, folder)]
    frames = DATASET.train.sequences["a"].lengths + DATASET.train.sequences["v"].lengths
    assert ClipLoader(DATASET.train, small().network).lengths.tolist() == frames.tolist()


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
