"""Clips without a modality: found in frames of zeros, counted with their ids, and told by `describe`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import numpy as np
import pytest

from mugkit.data import missing
from mugkit.data.prepare import describe
from mugkit.data.schema import Dataset, RaggedFrames


def without(dataset: Dataset, modality: str, clips: Collection[int]) -> Dataset:
    """The data set with zeros for the frames of some training clips."""
    sequences = dataset.train.sequences[modality]
    frames = np.array(sequences.frames)
    for clip in clips:
        frames[sequences.offsets[clip] : sequences.offsets[clip + 1]] = 0
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


def test_describe_says_how_many_clips_lack_a_modality_and_which_first(made_up: Callable[..., Dataset]) -> None:
    dataset = without(without(made_up(), "a", range(3, 10)), "v", [2])
    text = describe(dataset)
    assert (
        "no acoustic frames but zeros in 7 of 48 clips of train: train_3, train_4, train_5, train_6, train_7, …" in text
    )
    assert "no visual frames but zeros in 1 of 48 clips of train: train_2\n" in text + "\n"
    assert "of valid" not in text
    assert "but zeros" not in describe(made_up())
