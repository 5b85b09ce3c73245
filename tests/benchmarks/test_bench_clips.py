"""Clips as long as MOSI's: quantiles, and that the chosen keep what is theirs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import clips
from benchmarks.clips import MOSI_TOKENS
from mugkit.data.schema import Dataset


def test_chosen_lengths_have_mosis_quantiles() -> None:
    lengths = np.random.default_rng(0).integers(4, 80, 4000)
    chosen = clips.like_mosi(lengths, 200)
    assert len(set(chosen.tolist())) == 200
    assert (np.diff(chosen) > 0).all()
    assert lengths[chosen].max() <= MOSI_TOKENS[-1]
    quantiles = np.quantile(lengths[chosen], np.linspace(0, 1, len(MOSI_TOKENS)))
    np.testing.assert_allclose(quantiles[1:-1], MOSI_TOKENS[1:-1], atol=1)
    assert abs(lengths[chosen].mean() - 14.9) < 0.5  # MOSI's mean


def test_chosen_of_longer_clips_are_the_nearest_there_are() -> None:
    assert clips.like_mosi(np.array([60, 30, 20, 40, 25]), 2).tolist() == [2, 4]


def test_only_keeps_text_frames_and_labels_together(made_up: Callable[..., Dataset]) -> None:
    dataset, index = made_up((9, 3, 3)), np.array([7, 0, 4])
    taken = clips.only(dataset, index)
    assert taken.valid is dataset.valid
    assert taken.train.ids == [dataset.train.ids[i] for i in index]
    assert taken.train.text == [dataset.train.text[i] for i in index]
    np.testing.assert_array_equal(taken.train.labels, dataset.train.labels[index])
    for m in ("a", "v"):
        np.testing.assert_array_equal(taken.train.true_labels[m], dataset.train.true_labels[m][index])
        for clip, i in enumerate(index):
            np.testing.assert_array_equal(taken.train.sequences[m][clip], dataset.train.sequences[m][i])
