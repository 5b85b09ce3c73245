"""What tests of sound and faces share: tones, and OpenFace files written out by the format's documentation."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def tone(hertz: float, seconds: float = 1.0, rate: int = 22_050, size: float = 0.5) -> np.ndarray:
    """A tone with a few weaker harmonics, as voices have them: a pitch tracker may take a pure sine for its octave."""
    times = np.arange(round(seconds * rate)) / rate
    return size * sum(np.sin(2 * np.pi * k * hertz * times) / 2**k for k in (1, 2, 3, 4))


def header() -> list[str]:
    """The 714 columns of an OpenFace 2 video file, spelt out after the "Output Format" page of its documentation."""
    names = ["frame", "face_id", "timestamp", "confidence", "success"]
    names += ["gaze_0_x", "gaze_0_y", "gaze_0_z", "gaze_1_x", "gaze_1_y", "gaze_1_z", "gaze_angle_x", "gaze_angle_y"]
    for axis in ("x", "y", "X", "Y", "Z"):
        names += [f"eye_lmk_{axis}_{i}" for i in range(56)]
    names += ["pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"]
    for axis in ("x", "y", "X", "Y", "Z"):
        names += [f"{axis}_{i}" for i in range(68)]
    names += ["p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty", *(f"p_{i}" for i in range(34))]
    units = [1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26]
    names += [f"AU{unit:02d}_r" for unit in (*units, 45)]
    return [*names, *(f"AU{unit:02d}_c" for unit in (*units, 28, 45))]


def openface_rows(count: int, face: int = 0) -> list[dict[str, str]]:
    """Rows of cells: in picture i every feature is i + 1, except where a test changes it."""
    keys = ("frame", "face_id", "timestamp", "confidence", "success")
    return [
        dict(zip(keys, (str(i + 1), str(face), f"{i / 10:.3f}", "0.98", "1"), strict=True))
        | dict.fromkeys(header()[5:], f"{i + 1}.0")
        for i in range(count)
    ]


def write_rows(path: Path, rows: list[Mapping[str, str]], names: list[str] | None = None, comma: str = ", ") -> Path:
    """A CSV file with a space after each comma, as OpenFace writes it."""
    names = names or header()
    lines = [comma.join(names), *(comma.join(row[name] for name in names) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path
