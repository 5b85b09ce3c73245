"""Clips without a modality: found in frames of zeros, counted with their ids, and told by `describe`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import numpy as np
import pytest

from mugkit.data import missing
from mugkit.data.prepare import describe
from mugkit.data.schema import Dataset, RaggedFrames
from mugkit.data.validate import validate
from mugkit.errors import UserError


def without(dataset: Dataset, modality: str, clips: Collection[int], value: float = 0.0) -> Dataset:
    """The data set with another value for every frame of some training clips."""
    sequences = dataset.train.sequences[modality]
    frames = np.array(sequences.frames)
    for clip in clips:
        frames[sequences.offsets[clip] : sequences.offsets[clip + 1]] = value
    changed = {**dataset.train.sequences, modality: RaggedFrames(frames, sequences.offsets)}
    train = dataclasses.replace(dataset.train, sequences=changed)
    return dataclasses.replace(dataset, splits={**dataset.splits, "train": train})


def test_silent_finds_clips_whose_frames_are_all_zero_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.zeros((7, 3), np.float32)
    frames[1, 2] = 1e-30  # the second frame of clip 0
    frames[5, 0] = -1
    sequences = RaggedFrames(frames, np.array([0, 2, 3, 5, 6, 7]))
    assert missing.silent(sequences) == [1, 2, 4]
    monkeypatch.setattr(missing, "_BLOCK_BYTES", 12)  # a frame at a time
    assert missing.silent(sequences) == [1, 2, 4]


def test_lacking_is_empty_for_a_whole_data_set(made_up: Callable[..., Dataset]) -> None:
    assert missing.lacking(made_up()) == {}
    assert "but zeros" not in describe(made_up())


def test_describe_says_how_many_clips_lack_a_modality_and_which_first(made_up: Callable[..., Dataset]) -> None:
    dataset = without(without(made_up(), "a", range(3, 10)), "v", [2])
    validate(dataset, "x")
    text = describe(dataset)
    assert (
        "no acoustic frames but zeros in 7 of 48 clips of train: train_3, train_4, train_5, train_6, train_7, …" in text
    )
    assert "no visual frames but zeros in 1 of 48 clips of train: train_2\n" in text + "\n"
    assert "of valid" not in text


def test_validate_clip_of_nan_is_refused_with_its_id(made_up: Callable[..., Dataset]) -> None:
    with pytest.raises(UserError, match=r"train\.visual frames\[2\] \(clip 'train_2'\): frame 0 is not finite"):
        validate(without(made_up(), "v", [2], np.nan), "x")


def test_validate_clip_without_frames_is_refused_with_its_id(made_up: Callable[..., Dataset]) -> None:
    dataset = made_up()
    sequences = dataset.train.sequences["a"]
    offsets = sequences.offsets.copy()
    offsets[3] = offsets[2]
    changed = {**dataset.train.sequences, "a": RaggedFrames(sequences.frames, offsets)}
    train = dataclasses.replace(dataset.train, sequences=changed)
    with pytest.raises(UserError, match=r"clip 'train_2'\): the clip has no frames\n  fix: give it at least one"):
        validate(dataclasses.replace(dataset, splits={**dataset.splits, "train": train}), "x")
