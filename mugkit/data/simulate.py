"""Simulates sound and vision for sentences with human ratings: labels that disagree, and frame sequences.

`joint_labels` draws the acoustic, visual and multimodal label of each clip given its real language label, so that they
agree and disagree as the labels of CH-SIMS do, or disagree more (`DISAGREEMENT`). `frame_sequence` turns a clip's own
unimodal label into frames in which emotion shows in short bursts.

The same seed gives the same bytes on every machine. Each clip has its own generator, seeded by SHA-256 of (seed,
names), so no clip's numbers depend on another clip. Only raw PCG64 words are used, whose sequence numpy guarantees (the
methods of `Generator` may change between versions). Gaussians are sums of integers. They are then changed only by
elementwise +, −, ×, ÷, √ and rounding: IEEE 754 fixes every bit of these, while exp, log, a matrix product or a float
sum may differ in the last bit. Labels and frames are then rounded to coarse grids (fifths of the scale; multiples of
2⁻⁸), so even a different last bit could matter only within about 10⁻¹³ of a rounding edge.
"""

import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64

STEPS = 5  # CH-SIMS's resolution: multiples of 1/5 of the scale (there: the mean of five votes −1, 0, 1)
FRAME_GRID = 256.0  # frames are multiples of 1/256


class Draws:
    """Random numbers that depend only on the given names.

    Args:
        names: what the numbers are for, e.g. (seed, clip, modality); order matters.
    """

    def __init__(self, *names: object) -> None:
        key = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
        self._words = np.random.PCG64(int.from_bytes(key, "big"))

    def uniform(self, *shape: int) -> Float64[np.ndarray, "..."]:
        """Uniform on [0, 1): the upper 53 bits of a word."""
        words = self._words.random_raw(math.prod(shape))
        return ((words >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def gaussian(self, *shape: int) -> Float64[np.ndarray, "..."]:
        """Nearly standard normal: the exact sum of twelve 16-bit uniforms (Irwin–Hall; variance 1, range ±6)."""
        words = self._words.random_raw(3 * math.prod(shape))
        total = words.view(np.uint16).reshape(-1, 12).sum(axis=1, dtype=np.int64)
        return ((total - 6 * 65535) / 65536.0).reshape(shape)


@dataclass(frozen=True)
class LabelStructure:
    """How the labels of a clip depend on each other; every number is on a ±1 scale.

    Acoustic and visual labels depend on the language label and on each other, and are sometimes neutral. The multimodal
    label follows one leading modality, or combines all three, which reinforce each other.
    """

    acoustic_from_language: float  # loading of the acoustic label on the language label
    acoustic_spread: float  # standard deviation of the voice's own part
    visual_from_language: float  # loading of the visual label on the language label
    visual_from_acoustic: float  # standard deviation of the part that the face shares with the voice beyond language
    visual_spread: float  # standard deviation of the face's own part
    acoustic_neutral: float  # probability that this modality is neutral
    visual_neutral: float
    lead_language: float  # probability that y is exactly this modality's label
    lead_acoustic: float
    lead_visual: float
    blend: float  # weight of each modality if none leads; above 1/3, agreeing modalities reinforce each other

    @classmethod
    def of(cls, disagreement: str) -> "LabelStructure":
        """The constants of a setting of DISAGREEMENT; the fit is that of `data_prep/calibrate_reviews.py`."""
        constants = sims_agreement()["constants"]
        factors, others = DISAGREEMENT[disagreement]
        return cls(**constants | {name: factor * constants[name] for name, factor in factors.items()} | others)


# Setting of the disagreement dial → changes to the constants that were fitted to CH-SIMS: factors, and other values.
# `strong`: voice and face depend less on language and on each other, and seldom determine the multimodal label alone.
DISAGREEMENT: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]] = {
    "sims": ({}, {}),
    "strong": (
        {"acoustic_from_language": 0.4, "visual_from_language": 0.4, "visual_from_acoustic": 0.4},
        {"acoustic_spread": 0.8, "visual_spread": 0.9, "lead_language": 0.1, "lead_acoustic": 0.08, "lead_visual": 0.1},
    ),
}


def sims_agreement() -> Mapping[str, Any]:
    """The number of `clips` of CH-SIMS v1, their agreement `statistics`, and the `constants` fitted to these."""
    text = resources.files("mugkit.data").joinpath("sims_agreement.json").read_text(encoding="utf-8")
    return json.loads(text)


@dataclass(frozen=True)
class LabelDraws:
    """Random numbers for the labels; drawn separately, so that they stay fixed while constants are fitted."""

    gaussian: Float64[np.ndarray, "clips 2"]
    uniform: Float64[np.ndarray, "clips 3"]

    @classmethod
    def of(cls, clips: Sequence[str], seed: int) -> "LabelDraws":
        """Two Gaussians and three uniforms for each clip, from (seed, clip) alone."""
        gaussian, uniform = np.empty((len(clips), 2)), np.empty((len(clips), 3))
        for row, clip in enumerate(clips):
            draws = Draws(seed, clip, "labels")
            gaussian[row], uniform[row] = draws.gaussian(2), draws.uniform(3)
        return cls(gaussian, uniform)


def on_grid(values: Float64[np.ndarray, "clips"]) -> Float64[np.ndarray, "clips"]:
    """The nearest multiple of 1/5 within ±1 (ties to even, and never −0)."""
    return np.clip(np.round(values * STEPS), -STEPS, STEPS) / STEPS + 0.0


def joint_labels(language: Float64[np.ndarray, "clips"], draws: LabelDraws, structure: LabelStructure) -> pd.DataFrame:
    """Draws acoustic, visual and multimodal labels given the language label y_l, which is on the grid of `on_grid`.

    Returns:
        A table with columns y, y_l, y_a, y_v on a ±1 scale, all multiples of 1/5.
    """
    s = structure
    voice, face = draws.gaussian.T
    flat_a, flat_v, leader = draws.uniform.T
    acoustic = on_grid(s.acoustic_from_language * language + s.acoustic_spread * voice)
    acoustic = np.where(flat_a < s.acoustic_neutral, 0.0, acoustic)
    visual = s.visual_from_language * language + s.visual_from_acoustic * voice + s.visual_spread * face
    visual = np.where(flat_v < s.visual_neutral, 0.0, on_grid(visual))
    together = on_grid(s.blend * (language + acoustic + visual))
    upto_l, upto_a = s.lead_language, s.lead_language + s.lead_acoustic
    leads = [leader < upto_l, leader < upto_a, leader < upto_a + s.lead_visual]
    whole = np.select(leads, [language, acoustic, visual], default=together)
    return pd.DataFrame({"y": whole, "y_l": language, "y_a": acoustic, "y_v": visual})


@dataclass(frozen=True)
class StreamStyle:
    """Properties of the frames of one modality; frame noise has standard deviation 1."""

    modality: str  # "a" or "v"
    dim: int  # numbers per frame
    frames_per_word: float  # mean number of frames per word of the sentence
    shortest: int  # bounds of the length in frames
    longest: int
    smoothness: float  # φ, the correlation of a frame's noise with that of the previous frame (AR(1))
    speaker_spread: float  # standard deviation of a speaker's constant offset
    emotional: float  # share of the dims in which emotion shows
    gain: float  # size of the emotion in these dims for a label at the end of the scale
    expression_noise: float  # std on a ±1 scale of what a clip expresses besides its label: bounds what can be read
    burst: int  # length of a burst in frames
    burst_every: int  # mean frames from one burst to the next


# Dims are those of MOSI's COVAREP (74) and Facet (47); lengths are chosen for fast training. With this gain and noise,
# models of frames alone are weak and text is far better, as on MOSI (Corr with y of about .2 by pooled ridge).
ACOUSTIC = StreamStyle(
    modality="a", dim=74, frames_per_word=0.72, shortest=4, longest=40, smoothness=0.7, speaker_spread=0.5,
    emotional=0.25, gain=1.5, expression_noise=2.5, burst=3, burst_every=7,
)  # fmt: skip
VISUAL = StreamStyle(
    modality="v", dim=47, frames_per_word=0.55, shortest=3, longest=32, smoothness=0.85, speaker_spread=0.5,
    emotional=0.25, gain=1.5, expression_noise=3.0, burst=3, burst_every=5,
)  # fmt: skip

# Setting of the expression dial → standard deviation, on a ±1 scale, of what voice and face show besides their labels.
EXPRESSION: Mapping[str, Mapping[str, float]] = {
    "vivid": {"a": 0.3, "v": 0.3},
    "clear": {"a": 0.6, "v": 0.6},
    "middle": {"a": 1.0, "v": 1.0},
    "weak": {"a": 1.7, "v": 1.7},
    "faint": {"a": ACOUSTIC.expression_noise, "v": VISUAL.expression_noise},  # as hard to read as MOSI's features
}


def stream_styles(expression: str) -> tuple[StreamStyle, StreamStyle]:
    """The acoustic and the visual style of a setting of the expression dial."""
    noise = EXPRESSION[expression]
    acoustic, visual = (replace(style, expression_noise=noise[style.modality]) for style in (ACOUSTIC, VISUAL))
    return acoustic, visual


def frame_sequence(
    label: float, words: int, clip: str, speaker: str, style: StreamStyle, seed: int
) -> Float32[np.ndarray, "length dim"]:
    """Frames of one clip in one modality: smooth noise, the speaker's offset, and emotion in bursts.

    Args:
        label: the clip's own label of this modality (not y), on a ±1 scale.
        words: number of words in the sentence; longer sentences take more frames.
        clip, speaker: names that seed the random numbers of the clip and of the speaker.
    """
    draws = Draws(seed, clip, style.modality)
    tempo = 0.75 + 0.5 * float(draws.uniform(1)[0])  # clips have 0.75 to 1.25 times the mean number of frames
    length = min(max(round(words * style.frames_per_word * tempo), style.shortest), style.longest)
    offset = _offset(speaker, style, seed)
    expressed = label + style.expression_noise * float(draws.gaussian(1)[0])
    emotion = (style.gain * expressed) * _bursts(length, style, draws)[:, None] * _pattern(style, seed)
    frames = _smooth(draws.gaussian(length, style.dim), style.smoothness) + offset + emotion
    return (np.round(frames * FRAME_GRID) / FRAME_GRID).astype(np.float32)


@functools.lru_cache(maxsize=512)
def _offset(speaker: str, style: StreamStyle, seed: int) -> Float64[np.ndarray, "dim"]:
    return style.speaker_spread * Draws(seed, speaker, style.modality).gaussian(style.dim)


@functools.lru_cache(maxsize=16)
def _pattern(style: StreamStyle, seed: int) -> Float64[np.ndarray, "dim"]:
    """The direction in which emotion moves a frame: zero in most dims, the same for all speakers."""
    draws = Draws(seed, "pattern", style.modality)
    return np.where(draws.uniform(style.dim) < style.emotional, draws.gaussian(style.dim), 0.0)


def _bursts(length: int, style: StreamStyle, draws: Draws) -> Float64[np.ndarray, "length"]:
    """1 inside bursts at random places, 0 elsewhere, with rising and falling edges; at least one burst."""
    count = 1 + length // style.burst_every
    half = style.burst / 2
    centres = half + draws.uniform(count) * max(length - style.burst, 0)
    distance = np.abs(np.arange(length)[:, None] + 0.5 - centres).min(axis=1)
    return np.clip(2 * (1 - distance / half), 0.0, 1.0)


def _smooth(noise: Float64[np.ndarray, "length dim"], phi: float) -> Float64[np.ndarray, "length dim"]:
    """AR(1) noise with standard deviation 1 at every frame."""
    fresh = math.sqrt(1 - phi * phi)
    frames = np.empty_like(noise)
    frames[0] = noise[0]
    for i in range(1, len(noise)):
        frames[i] = phi * frames[i - 1] + fresh * noise[i]
    return frames
