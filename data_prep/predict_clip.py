"""Predicts the scores of a clip with a trained run: one multimodal and three unimodal scores.

    FeatureExtraction -f clip.mp4 -out_dir .        # OpenFace 2, writes clip.csv
    python data_prep/predict_clip.py --audio clip.mp4 --openface clip.csv --text "what is said" --run FOLDER

FOLDER is the folder of a finished run, as `mugkit run` prints it. The run must have been trained on 33 acoustic and 709
visual columns (CH-SIMS, or the corpus of `from_media_to_frames.ipynb`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from features.clips import clip_frames
from features.prediction import TrainedRun

from mugkit.data.schema import MODALITY_NAMES
from mugkit.errors import UserError


def predict(audio: Path, openface: Path, text: str, run: Path) -> None:
    """Prints the clip's numbers of frames and its four scores."""
    trained = TrainedRun.open(run)
    frames = clip_frames(audio, openface)
    scores = trained.predict(text, frames)
    print(f"{len(frames['a'])} acoustic and {len(frames['v'])} visual frames; run on '{trained.dataset.name}'")
    rho = trained.dataset.label_scale
    for name, score in scores.items():
        print(f"{MODALITY_NAMES.get(name, 'multimodal'):10} {score:+.2f}  (scale −{rho:g} … +{rho:g})")


def command(
    audio: Annotated[Path, typer.Option(help="the clip's sound: WAV, FLAC, OGG, MP3, or a video (needs ffmpeg)")],
    openface: Annotated[Path, typer.Option(help="the CSV file that OpenFace 2's FeatureExtraction made of the video")],
    text: Annotated[str, typer.Option(help="what is said in the clip")],
    run: Annotated[Path, typer.Option(help="the folder of a finished run of the system mug")],
) -> None:
    """Predicts sentiment from the sound, face track and transcript of a clip: one multimodal, three unimodal scores."""
    try:
        predict(audio, openface, text, run)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    typer.run(command)
