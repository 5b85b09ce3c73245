"""Simulated labels and frames: deterministic to the byte, and with the structure they are documented to have."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mugkit.data.simulate import (
    ACOUSTIC,
    VISUAL,
    Draws,
    LabelDraws,
    LabelStructure,
    frame_sequence,
    joint_labels,
    on_grid,
)

CLIPS = [f"clip{i:03d}" for i in range(400)]
LANGUAGE = on_grid(np.linspace(-1.0, 1.0, len(CLIPS)))
SILENT = LabelStructure(
    acoustic_from_language=1.0, acoustic_spread=0.0, visual_from_language=-1.0, visual_from_acoustic=0.0,
    visual_spread=0.0, acoustic_neutral=0.0, visual_neutral=0.0, lead_language=0.0, lead_acoustic=0.0,
    lead_visual=0.0, blend=0.5,
)  # fmt: skip


def labels(structure: LabelStructure, seed: int = 7) -> pd.DataFrame:
    return joint_labels(LANGUAGE, LabelDraws.of(CLIPS, seed), structure)


def test_draws_first_words_are_those_of_numpy_seeded_by_hand() -> None:
    key = int.from_bytes(hashlib.sha256(b"7\0clip\0a").digest(), "big")
    words = [int(word) for word in np.random.PCG64(key).random_raw(4)]
    draws = Draws(7, "clip", "a")
    assert draws.uniform(1)[0] == (words[0] >> 11) / 2**53
    sixteens = [(word >> shift) & 0xFFFF for word in words[1:] for shift in (0, 16, 32, 48)]
    assert not np.array_equal(Draws("1", "23").uniform(4), Draws("12", "3").uniform(4))
    assert draws.gaussian(1)[0] == (sum(sixteens) - 6 * 65535) / 65536


def test_joint_labels_without_noise_follow_language_on_a_grid_without_negative_zero() -> None:
    found = on_grid(np.array([-1.7, -0.29, -0.05, 0.1, 0.31, 0.99]))
    assert found.tolist() == [-1.0, -0.2, 0.0, 0.0, 0.4, 1.0]
    assert not np.signbit(found[2])
    table = labels(SILENT)
    np.testing.assert_array_equal(table["y_a"], LANGUAGE)
    np.testing.assert_array_equal(table["y_v"], -LANGUAGE)
    np.testing.assert_array_equal(table["y"], on_grid(0.5 * LANGUAGE))


@pytest.mark.parametrize("modality", ["language", "acoustic", "visual"])
def test_joint_labels_leading_modality_decides_and_neutral_probability_is_met(modality: str) -> None:
    # All three modalities are given different labels, so y equals the leader's only where it leads.
    table = labels(replace(SILENT, acoustic_spread=0.4, visual_spread=0.4, **{f"lead_{modality}": 1.0}))
    np.testing.assert_array_equal(table["y"], table[f"y_{modality[0]}"])
    assert (table["y_a"] != table["y_v"]).mean() > 0.5
    table = labels(replace(SILENT, acoustic_neutral=1.0, visual_neutral=0.25))
    assert (table["y_a"] == 0).all()
    assert (table["y_v"] == 0).mean() == pytest.approx(0.25 + 0.75 * (LANGUAGE == 0).mean(), abs=0.06)


def test_joint_labels_of_one_clip_do_not_depend_on_the_others() -> None:
    structure = LabelStructure.of("sims")
    alone = joint_labels(LANGUAGE[100:110], LabelDraws.of(CLIPS[100:110], 7), structure)
    pd.testing.assert_frame_equal(alone, labels(structure).iloc[100:110].reset_index(drop=True))


@pytest.mark.parametrize(
    ("disagreement", "with_y", "opposite"),
    [("sims", (0.73, 0.85, 0.85), (0.04, 0.125)), ("strong", (0.55, 0.66, 0.70), (0.11, 0.21))],
)
def test_dial_of_disagreement_sets_how_far_modalities_lie_apart(
    disagreement: str, with_y: tuple[float, ...], opposite: tuple[float, float]
) -> None:
    clips = [f"clip{i}" for i in range(6000)]
    language = on_grid(0.5 * Draws("language").gaussian(len(clips)))
    table = joint_labels(language, LabelDraws.of(clips, 7), LabelStructure.of(disagreement))
    for modality, expected in zip("lav", with_y, strict=True):
        label = table[f"y_{modality}"]
        assert label.corr(table["y"]) == pytest.approx(expected, abs=0.06)
        assert opposite[0] < (label * table["y"] < 0).mean() < opposite[1]


def frames(label: float = 1.0, clip: str = "c", speaker: str = "s", words: int = 18, **style: float) -> np.ndarray:
    return frame_sequence(label, words, clip, speaker, replace(ACOUSTIC, **style), seed=3)  # type: ignore[arg-type]


def test_frame_sequence_emotion_is_the_label_in_some_dims_of_some_frames() -> None:
    # Two labels share all noise, so the difference of their frames is emotion alone.
    shown = frames(1.0, words=40) - frames(0.0, words=40)
    assert 0.05 < (np.abs(shown) > 0.1).any(axis=0).mean() < 0.5
    assert 0.1 < (np.abs(shown) > 0.1).any(axis=1).mean() < 0.8
    opposite = frames(-1.0, words=40) - frames(0.0, words=40)
    np.testing.assert_allclose(opposite, -shown, atol=2 / 256)


def test_frame_sequence_noise_is_autocorrelated_with_unit_spread_and_lengths_follow_words_within_bounds() -> None:
    for words, low, high in ((1, 4, 4), (18, 10, 16), (200, 40, 40)):
        assert all(low <= len(frames(words=words, clip=f"c{i}")) <= high for i in range(40))
    clips = [frames(words=60, clip=f"c{i}", gain=0.0, speaker_spread=0.0) for i in range(20)]
    assert np.concatenate(clips).std() == pytest.approx(1.0, abs=0.03)
    products = np.concatenate([clip[1:] * clip[:-1] for clip in clips])
    assert products.mean() == pytest.approx(ACOUSTIC.smoothness, abs=0.04)


def test_simulation_is_byte_identical_to_the_pinned_hash() -> None:
    # A change of this hash changes everybody's data: it needs a new seed, a new name, or a very good reason.
    content = hashlib.sha256()
    noisy = replace(SILENT, acoustic_spread=0.5, visual_spread=0.5)
    for structure in (noisy, LabelStructure.of("sims"), LabelStructure.of("strong")):
        content.update(labels(structure, seed=11).to_numpy().astype("<f4").tobytes())
    for style in (ACOUSTIC, VISUAL):
        for clip in CLIPS[:20]:
            content.update(frame_sequence(0.6, 15, clip, "s", style, seed=11).astype("<f4").tobytes())
    assert content.hexdigest() == "d5e5e5e92ba47fa2c513df6d1ed0d2169e3d6d5c25f8c45bd3aff8eab1357ce6"
