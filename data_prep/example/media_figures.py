"""Figures from media to a prediction: a clip's sound and face as frames, and the quality of the scores.

Every figure is drawn from a dict of plain numbers, so the JSON file next to it holds exactly what it shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from features import acoustic
from features.acoustic import FRAME_SECONDS, MFCCS
from features.media import RATE, read_audio
from features.openface import COLUMNS, read_openface
from features.prediction import Scores
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from example import face
from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Split
from mugkit.metrics import corr
from mugkit.plots.style import MODALITY_COLORS

PICTURES = 5
WAVE_POINTS = 600  # enough for a figure's width
# Landmarks: mouth corner, inner upper and lower lip, inner brow, inner eye corner.
_CORNER, _UPPER, _LOWER, _BROW, _LID = 54, 62, 66, 21, 39
_MOTION: Mapping[str, tuple[str, str, str]] = {
    "smile": ("mouth corner above upper lip", "-", "#009E73"),
    "mouth": ("lips apart", "--", "#0072B2"),
    "brow": ("brow above eye", ":", "#444444"),
}
NAMES: Mapping[str, str] = {"M": "multimodal", **MODALITY_NAMES}


# --- a clip ----------------------------------------------------------------------------------------


def clip_numbers(audio: Path, openface: Path) -> dict[str, Any]:
    """What `clip_figure` draws.

    Returns:
        `seconds`; `wave`: largest absolute sample in each of 600 parts; `f0` in Hz by frame (0: unvoiced); `mfcc` by
        frame, the 20 of CH-SIMS, each standardized over the clip; `times` of pictures; `smile`, `mouth` and `brow` in
        pixels; `points`: 68 landmarks of five pictures, and `at`, the times of these pictures.
    """
    samples, track = read_audio(audio), read_openface(openface)
    frames = acoustic.sims_frames(samples)
    f0, mfcc = np.exp(frames[:, 0]) * (frames[:, 0] > 0), frames[:, 1 : 1 + MFCCS]
    first = COLUMNS.index("x_0")
    points = track.frames[:, first : first + 136].reshape(-1, 2, 68).transpose(0, 2, 1).astype(np.float64)
    chosen = np.linspace(0, len(points) - 1, PICTURES).round().astype(int)
    parts = np.array_split(np.abs(samples), min(WAVE_POINTS, len(samples)))
    return {
        "seconds": len(samples) / RATE,
        "wave": _plain(np.array([part.max() for part in parts])),
        "f0": _plain(f0),
        "mfcc": _plain((mfcc - mfcc.mean(0)) / np.maximum(mfcc.std(0), 1e-6)),
        "times": _plain(track.timestamps),
        "smile": _plain(points[:, _UPPER, 1] - points[:, _CORNER, 1]),
        "mouth": _plain(points[:, _LOWER, 1] - points[:, _UPPER, 1]),
        "brow": _plain(points[:, _LID, 1] - points[:, _BROW, 1]),
        "points": _plain(points[chosen]),
        "at": _plain(track.timestamps[chosen]),
    }


def clip_figure(numbers: Mapping[str, Any]) -> Figure:
    """Waveform, F0, MFCC and landmark motion over the same seconds, and five pictures of the face above them."""
    figure = Figure(figsize=(9.5, 10))
    figure.set_layout_engine("constrained")
    above, below = np.ravel(figure.subfigures(2, 1, height_ratios=(1, 4)))  # type: ignore[arg-type]
    for axes, points, at in zip(above.subplots(1, PICTURES), numbers["points"], numbers["at"], strict=True):
        axes.imshow(face.draw(np.array(points)))
        axes.set_title(f"{at:.1f} s")
        axes.axis("off")
    wave, pitch, cepstrum, motion = below.subplots(4, 1, sharex=True)
    _draw_sound(wave, pitch, numbers)
    _draw_cepstrum(cepstrum, numbers, below)
    for key, (label, line, colour) in _MOTION.items():
        motion.plot(numbers["times"], numbers[key], line, color=colour, label=label)
    motion.set(ylabel="pixels", title="Three distances between landmarks")
    motion.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.35), frameon=False)
    motion.set(xlabel="seconds", xlim=(0, numbers["seconds"]))
    return figure


def _draw_sound(wave: Axes, pitch: Axes, numbers: Mapping[str, Any]) -> None:
    size, f0 = np.array(numbers["wave"]), np.array(numbers["f0"])
    times = (np.arange(len(size)) + 0.5) / len(size) * numbers["seconds"]
    wave.fill_between(times, -size, size, color=MODALITY_COLORS["a"], linewidth=0)
    wave.set(ylabel="amplitude", title="Sound")
    pitch.plot(np.arange(len(f0)) * FRAME_SECONDS, np.where(f0 > 0, f0, np.nan), ".", color=MODALITY_COLORS["a"])
    pitch.set(ylabel="F0 (Hz)", title="Column 1: fundamental frequency; gaps are unvoiced")


def _draw_cepstrum(axes: Axes, numbers: Mapping[str, Any], figure: Any) -> None:
    mfcc = np.array(numbers["mfcc"])
    extent = (-FRAME_SECONDS / 2, (len(mfcc) - 0.5) * FRAME_SECONDS, MFCCS - 0.5, -0.5)
    image = axes.imshow(mfcc.T, aspect="auto", cmap="cividis", vmin=-3, vmax=3, extent=extent, interpolation="nearest")
    axes.grid(visible=False)
    axes.set(ylabel="coefficient", title="Columns 2–21: MFCC, each in its own standard deviations")
    figure.colorbar(image, ax=axes, pad=0.01)


# --- scores ----------------------------------------------------------------------------------------


def chance(clips: int) -> float:
    """The absolute correlation that unrelated numbers stay below in 19 of 20 cases (Student's t, two-sided)."""
    from scipy.stats import t

    quantile = float(t.ppf(0.975, clips - 2))
    return quantile / float(np.sqrt(clips - 2 + quantile**2))


def score_numbers(
    split: Split, scores: Scores, clip: Mapping[str, float], labels: Mapping[str, float]
) -> dict[str, Any]:
    """What `score_figure` draws, by name of the score ("M", "l", "a", "v").

    Args:
        split: clips that training has not seen, with true labels.
        scores: the scores of these clips.
        clip, labels: the scores and the labels of one clip.
    """
    truth = {"M": split.labels, **split.true_labels}
    return {
        name: {
            "truth": _plain(truth[name]),
            "score": _plain(scores[name]),
            "corr": corr(scores[name], truth[name]),
            "corr_with_y": corr(scores[name], split.labels),
            "chance": chance(len(split)),
            "clip": clip[name],
            "label": labels[name],
        }
        for name in ("M", *MODALITIES)
    }


def score_figure(numbers: Mapping[str, Any], scale: float) -> Figure:
    """One panel per score: held-out clips by true label and score, the example as a star."""
    figure = Figure(figsize=(11, 3.6))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, len(numbers), sharex=True, sharey=True)
    for axes, (name, row) in zip(panels, numbers.items(), strict=True):
        axes.plot((-scale, scale), (-scale, scale), color="#AAAAAA", linewidth=1)
        axes.plot(row["truth"], row["score"], "o", color=MODALITY_COLORS[name], markersize=4, alpha=0.7)
        axes.plot(row["label"], row["clip"], "*", color="#CC79A7", markersize=16, markeredgecolor="black")
        title = f"{NAMES[name]}: r = {row['corr']:.2f}\n(chance: within ±{row['chance']:.2f})"
        axes.set(title=title, xlabel="true label")
    panels[0].set_ylabel("score")
    return figure


def _plain(values: Float[np.ndarray, "..."]) -> list[Any]:
    return np.round(np.asarray(values, dtype=np.float64), 4).tolist()
