"""Frames of a clip from two files, and the scaling that goes with a data set."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from features import acoustic
from features.clips import Scaling, clip_frames
from made_up import make_dataset
from tones import openface_rows, tone, write_rows


def test_clip_frames_are_the_two_extractors_output(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", tone(200, 0.5), 22_050, subtype="FLOAT")
    frames = clip_frames(tmp_path / "clip.wav", write_rows(tmp_path / "clip.csv", openface_rows(4)))
    assert {m: values.shape for m, values in frames.items()} == {"a": (22, 33), "v": (4, 709)}
    assert np.allclose(frames["a"], acoustic.sims_frames(tone(200, 0.5)), atol=1e-3)


def test_scaling_gives_mean_0_and_deviation_1_leaves_constants_and_survives_json() -> None:
    rng = np.random.default_rng(0)
    frames = {"a": 500 + 20 * rng.standard_normal((400, 3)), "v": rng.standard_normal((300, 2))}
    frames["a"][:, 1], frames["v"][:, 0] = 345.6, 0.0  # columns that never change
    frames = {m: values.astype(np.float32) for m, values in frames.items()}
    scaling = Scaling.of(frames)
    scaled = scaling(frames)
    moments = {m: (values.mean(axis=0, dtype=float), values.std(axis=0, dtype=float)) for m, values in scaled.items()}
    assert np.allclose(moments["a"][0], 0, atol=1e-4)
    assert np.allclose(moments["a"][1], (1, 0, 1), atol=1e-4)
    assert np.allclose(moments["v"][1], (0, 1), atol=1e-4)
    assert all(values.dtype == np.float32 for values in scaled.values())
    about = json.loads(json.dumps({"scaling": scaling.plain()}))
    found = Scaling.of_dataset(replace(make_dataset((2, 1, 1)), about=about))
    assert found is not None
    assert all(np.array_equal(found(frames)[m], scaled[m]) for m in "av")
    assert Scaling.of_dataset(make_dataset((2, 1, 1))) is None
