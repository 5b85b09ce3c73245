"""A small corpus made on the spot: sentences of `reviews`, with the voice of espeak-ng and a drawn face.

Text and labels are those of `reviews`. The voice follows a clip's acoustic label and the face its visual label, each
with its own expression noise, so that frames are extracted from media instead of computed by a formula. Every clip is
recorded to a WAV file and an OpenFace CSV file, and feature extraction sees only these two files.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import features
import numpy as np
from features.clips import Frames, Scaling, clip_frames
from features.media import RATE, read_audio
from features.openface import COLUMNS, INTENSITIES, write_openface
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d

from example import face, speech
from mugkit import files
from mugkit.data import store
from mugkit.data.schema import FRAME_MODALITIES, MODALITIES, Dataset, RaggedFrames, Split, SplitName
from mugkit.data.simulate import Draws
from mugkit.errors import UserError
from mugkit.progress import progress

NAME = "made-on-the-spot"
SIZES: Mapping[SplitName, int] = {"train": 120, "valid": 30, "test": 50}
WORDS = (4, 11)  # short sentences, because the user waits for the corpus
EXPRESSION_NOISE = 0.3  # on a ±1 scale: what a clip expresses besides its label
LOST = 0.04  # share of pictures in which the tracker loses the face


@dataclass(frozen=True)
class Clip:
    """A clip to record."""

    id: str  # `speaker_sentence`; the speaker determines the voice
    text: str
    acoustic: float  # the labels that voice and face express, −1 … 1
    visual: float

    def expressed(self, modality: str) -> float:
        """The label plus the expression noise of this clip."""
        label = {"a": self.acoustic, "v": self.visual}[modality]
        return label + EXPRESSION_NOISE * float(Draws("expressed", self.id, modality).gaussian(1)[0])

    @property
    def voice(self) -> str:
        """The speaker's voice."""
        return speech.VOICES[int(8 * Draws("voice", self.id.split("_")[0]).uniform(1)[0])]


def record(clip: Clip, folder: Path) -> tuple[Path, Path]:
    """Records a clip's sound (`id.wav`) and face track (`id.csv`).

    Raises:
        UserError: if espeak-ng is missing.
    """
    sound = folder / f"{clip.id}.wav"
    speech.speak(clip.text, sound, clip.voice, speech.Prosody.of(clip.expressed("a")))
    played = perform(clip, loudness(sound))
    count, draws = len(played.units), Draws("tracker", clip.id)
    frames = face.as_openface(played, draws.gaussian(count, len(COLUMNS)))
    lost = draws.uniform(count) < LOST
    lost[0] = False  # a track begins with a face
    frames[lost] = 0.0
    pictures = np.arange(count)
    keys = np.column_stack([pictures + 1, 0 * pictures, pictures / face.FPS, np.where(lost, 0.02, 0.98), ~lost])
    return sound, write_openface(folder / f"{clip.id}.csv", frames, keys)


def loudness(sound: Path) -> Float64[np.ndarray, " pictures"]:
    """The loudness of the voice in each picture, relative to the clip's loudest picture."""
    samples = read_audio(sound)
    step = RATE // face.FPS
    padded = np.pad(samples, (0, -len(samples) % step)).reshape(-1, step)
    level = np.sqrt((padded**2).mean(axis=1))
    return level / max(level.max(), 1e-9)


def perform(clip: Clip, loud: Float64[np.ndarray, " pictures"]) -> face.Performance:
    """What the face does: the mouth opens with the voice, smiles and frowns come and go, eyes blink, the head moves."""
    count, draws = len(loud), Draws("face", clip.id)
    shown = clip.expressed("v") * _bursts(count, draws)
    strength = {
        "AU12_r": 4 * shown, "AU06_r": 3 * shown, "AU02_r": 1.5 * shown,
        "AU15_r": -4 * shown, "AU04_r": -4 * shown,
        "AU25_r": 4 * loud, "AU26_r": 2.5 * loud, "AU45_r": 5.0 * (draws.uniform(count) < 0.04),
    }  # fmt: skip
    units = np.column_stack([strength.get(name, np.zeros(count)) for name in INTENSITIES])
    return face.Performance(
        units=units.clip(0, face.STRONGEST),
        rotation=0.06 * _drift(count, 3, draws),
        place=(0, 0, face.DISTANCE) + 12 * _drift(count, 3, draws),
        gaze=0.08 * _drift(count, 2, draws),
    )


def _bursts(count: int, draws: Draws) -> Float64[np.ndarray, " pictures"]:
    """Strength of an expression, 0.5 to 1: always present, with at least one peak for every two seconds."""
    centres = draws.uniform(1 + count // (2 * face.FPS)) * count
    distance = np.abs(np.arange(count)[:, None] - centres).min(axis=1)
    return np.clip(1.5 - distance / face.FPS, 0.5, 1)


def _drift(count: int, axes: int, draws: Draws) -> Float64[np.ndarray, "pictures axes"]:
    """Slow movement: smoothed noise with a deviation of about 1."""
    smooth = gaussian_filter1d(draws.gaussian(count, axes), sigma=5, axis=0, mode="reflect")
    return smooth * np.sqrt(2 * 5 * np.sqrt(np.pi))


# --- the corpus -------------------------------------------------------------------------------------


def choose(split: Split, count: int, scale: float) -> tuple[Split, list[Clip]]:
    """The first `count` short sentences of a split, as a split without frames and as clips to record."""
    short = [i for i, text in enumerate(split.text) if WORDS[0] <= len(text.split()) <= WORDS[1]][:count]
    if len(short) < count:
        fix = "use the data set reviews"
        raise UserError(f"{len(short)} sentences of {WORDS[0]} to {WORDS[1]} words in {split.name}", fix=fix)
    labels = {m: split.true_labels[m][short] for m in MODALITIES}
    ids, text = [split.ids[i] for i in short], [split.text[i] for i in short]
    clips = [
        Clip(name, line, float(a) / scale, float(v) / scale)
        for name, line, a, v in zip(ids, text, labels["a"], labels["v"], strict=True)
    ]
    return Split(split.name, ids, text, split.labels[short], {}, labels), clips


def make(clip: Clip, folder: Path) -> dict[str, np.ndarray]:
    """Records a clip and extracts its frames from the two files."""
    return clip_frames(*record(clip, folder))


def media_folder(name: str = NAME) -> Path:
    """The folder of the recordings."""
    return files.home() / "media" / name


def prepare(source: Dataset, name: str = NAME, sizes: Mapping[SplitName, int] = SIZES, workers: int = 2) -> Dataset:
    """The corpus as a prepared data set, made if it is not stored yet for this source, code and espeak-ng.

    Args:
        source: a data set with English text and true unimodal labels: `reviews`.
        workers: number of processes; with 1, everything runs in this process.

    Returns:
        Clips with 33 acoustic and 709 visual columns, scaled by the training split's `Scaling` (in `about`).

    Raises:
        UserError: if espeak-ng is missing, or the source has too few short sentences.
    """
    folders = (Path(__file__), Path(features.__file__))
    code = {path.name: files.sha256(path) for folder in folders for path in sorted(folder.parent.glob("*.py"))}
    recipe = files.digest([source.fingerprint, dict(sizes), speech.version(), code])
    if name in store.available() and store.read_manifest(store.folder_of(name))["about"].get("recipe") == recipe:
        return store.load(name)
    chosen = {split: choose(source.splits[split], count, source.label_scale) for split, count in sizes.items()}
    frames = _make_all([clip for _, clips in chosen.values() for clip in clips], media_folder(name), workers)
    scaling = Scaling.of({m: np.concatenate([frames[c.id][m] for c in chosen["train"][1]]) for m in FRAME_MODALITIES})
    splits = {}
    for split, (bare, _) in chosen.items():
        scaled = [scaling(frames[clip]) for clip in bare.ids]
        sequences = {m: RaggedFrames.of([clip[m].astype(np.float32) for clip in scaled]) for m in FRAME_MODALITIES}
        splits[split] = replace(bare, sequences=sequences)
    about = _about(source) | {"recipe": recipe, "scaling": scaling.plain()}
    store.save(Dataset(name, source.family, splits, about=about), store.folder_of(name), replace=True)
    return store.load(name)


def _make_all(clips: list[Clip], folder: Path, workers: int) -> dict[str, Frames]:
    """Frames of every clip by its id."""
    folder.mkdir(parents=True, exist_ok=True)
    make_clip = partial(make, folder=folder)
    # The first clip is made in this process, so that numba compiles and caches what librosa needs. Workers that write
    # this cache at the same time can damage it permanently.
    done = [make_clip(clip) for clip in (progress(clips, "recording") if workers == 1 else clips[:1])]
    if workers > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_single_threaded) as pool:
            done += progress(pool.map(make_clip, clips[1:], chunksize=8), "recording", total=len(clips) - 1)
    return {clip.id: frames for clip, frames in zip(clips, done, strict=True)}


def _single_threaded() -> None:
    """Gives each worker one thread, because workers share the cores."""
    os.environ["OMP_NUM_THREADS"] = "1"


def _about(source: Dataset) -> dict[str, object]:
    return {
        "source": f"sentences and labels of {source.name}, spoken by {speech.version()}, said by a drawn face",
        "caption": f"{NAME} (real text, synthetic speech, drawn faces)",
        "variant": "33/709, unaligned, from media",
        "caveats": [
            "Voice and face follow a convention (positive: higher, livelier, faster, louder, smiling); people do not.",
            "The geometry that draws the face takes the place of OpenFace.",
            "Scores say nothing about real recordings.",
        ],
    }
