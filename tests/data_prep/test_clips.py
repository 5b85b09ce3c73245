"""Frames of a clip from two files, and the scaling that goes with a data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from features import acoustic
from features.clips import Scaling, clip_frames
from tones import openface_rows, tone, write_rows

from mugkit.data.schema import Dataset


def test_clip_frames_are_the_two_extractors_output(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", tone(200, 0.5), 22_050, subtype="FLOAT")
    frames = clip_frames(tmp_path / "clip.wav", write_rows(tmp_path / "clip.csv", openface_rows(4)))
    assert {m: values.shape for m, values in frames.items()} == {"a": (22, 33), "v": (4, 709)}
    assert np.allclose(frames["a"], acoustic.sims_frames(tone(200, 0.5)), atol=1e-3)


def train_frames() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    frames = {"a": 500 + 20 * rng.standard_normal((400, 3)), "v": rng.standard_normal((300, 2))}
    frames["a"][:, 1], frames["v"][:, 0] = 345.6, 0.0  # columns that never change
    return {m: values.astype(np.float32) for m, values in frames.items()}


def test_scaling_gives_mean_0_and_deviation_1_and_leaves_constants() -> None:
    frames = train_frames()
    scaled = Scaling.of(frames)(frames)
    moments = {m: (values.mean(axis=0, dtype=float), values.std(axis=0, dtype=float)) for m, values in scaled.items()}
    assert np.allclose(moments["a"][0], 0, atol=1e-4)
    assert np.allclose(moments["a"][1], (1, 0, 1), atol=1e-4)
    assert np.allclose(moments["v"][1], (0, 1), atol=1e-4)
    assert all(values.dtype == np.float32 for values in scaled.values())


def test_scaling_of_a_new_clip_uses_the_training_splits_numbers() -> None:
    scaling = Scaling({"a": np.float32([10, 0])}, {"a": np.float32([2, 4])})
    assert scaling({"a": np.float32([[14, 2]])})["a"].tolist() == [[2, 0.5]]


def test_scaling_survives_json_in_a_data_set(made_up: Callable[..., Dataset]) -> None:
    scaling = Scaling.of(train_frames())
    about = json.loads(json.dumps({"scaling": scaling.plain()}))
    found = Scaling.of_dataset(replace(made_up((2, 1, 1)), about=about))
    assert found is not None
    assert all(np.array_equal(found.mean[m], scaling.mean[m]) for m in "av")
    assert all(np.array_equal(found.std[m], scaling.std[m]) for m in "av")
    assert found.std["a"].dtype == np.float32
    assert Scaling.of_dataset(made_up((2, 1, 1))) is None
