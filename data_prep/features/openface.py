"""OpenFace 2's CSV files: CH-SIMS's 709 visual columns, one row per picture.

`FeatureExtraction -f clip.mp4 -gaze -pose -2Dfp -3Dfp -pdmparams -aus` (or no option: everything) tracks the face in a
video and writes 714 columns. The first five identify a row and say whether to trust it; the other 709 are features:

    gaze                   288   two unit vectors (6), their angle (2), 56 eye landmarks in 2-D (112) and 3-D (168)
    head pose                6   position in mm, rotation in radians
    landmarks in 2-D       136   68 points, pixels
    landmarks in 3-D       204   68 points, mm
    face shape              40   scale, rotation and translation (6), 34 modes of the point distribution model
    action units            35   intensity 0–5 of 17 units, presence 0/1 of 18

CH-SIMS's authors give the same sum for 709 (288 + 6 + 340 + 40 + 35). OpenFace is free for academic use only and may
not be redistributed, so it is not part of this suite. Facet, the source of MOSI's 47 and MOSEI's 35 columns, is
commercial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64

from mugkit import files
from mugkit.errors import UserError


def _points(prefix: str, axes: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{axis}_{i}" for axis in axes for i in range(count))


INTENSITIES: tuple[str, ...] = tuple(
    f"AU{unit:02d}_r" for unit in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
)
PRESENCES: tuple[str, ...] = tuple(sorted({name[:-1] + "c" for name in INTENSITIES} | {"AU28_c"}))
_GAZE = (*(f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"), "gaze_angle_x", "gaze_angle_y")
_RIGID = tuple(f"p_{name}" for name in ("scale", "rx", "ry", "rz", "tx", "ty"))
# Option of FeatureExtraction → the columns that it writes, in OpenFace's order.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "-gaze": (*_GAZE, *_points("eye_lmk_", "xyXYZ", 56)),
    "-pose": ("pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"),
    "-2Dfp": _points("", "xy", 68),
    "-3Dfp": _points("", "XYZ", 68),
    "-pdmparams": (*_RIGID, *(f"p_{mode}" for mode in range(34))),
    "-aus": (*INTENSITIES, *PRESENCES),
}
COLUMNS: tuple[str, ...] = tuple(name for group in GROUPS.values() for name in group)
KEYS: tuple[str, ...] = ("frame", "face_id", "timestamp", "confidence", "success")
LEAST_CONFIDENCE = 0.5  # our choice; OpenFace's own `success` requires more in videos of one face
_AGAIN = "write the file again with OpenFace 2's FeatureExtraction"
_NO_FACE = "check that the video shows a face, large enough and lit"
_NO_NUMBERS = ["-nan(ind)", "nan(ind)", "-nan", "inf", "-inf"]  # how C++ prints NaN and infinity


@dataclass(frozen=True)
class Track:
    """One face through a clip.

    Attributes:
        frames: the 709 columns, one row per picture; a row without a trusted face copies the nearest trusted row.
        timestamps: the time of each row, in seconds.
        tracked: whether the row is the face of its own picture.
        face: OpenFace's number of the face.
    """

    frames: Float32[np.ndarray, "frames 709"]
    timestamps: Float64[np.ndarray, " frames"]
    tracked: Bool[np.ndarray, " frames"]
    face: int


def read_openface(path: Path, face: int | None = None) -> Track:
    """Reads one face of an OpenFace 2 CSV file; columns are found by name, in any order.

    A row counts as tracked if `success` is 1, its confidence is at least 0.5 and its numbers are finite. Any other row
    gets the numbers of the nearest tracked row in time (of two, the earlier): zeros would be a face at the camera's
    centre, far from all real rows, and leaving rows out would change the frame rate.

    Args:
        path: a file written by FeatureExtraction or FaceLandmarkVidMulti.
        face: the face's number; by default the face that is tracked in most pictures. OpenFace does not guarantee that
            a face keeps its number through a video of several people.

    Raises:
        UserError: if the file or columns are missing (it names them), a cell is not a number, or no face is tracked.
    """
    table = _read(path)
    columns = table[list(COLUMNS)].to_numpy(dtype=np.float32)
    trusted = (table["success"] == 1) & (table["confidence"] >= LEAST_CONFIDENCE)
    good = trusted.to_numpy() & np.isfinite(columns).all(axis=1)
    known = sorted(table["face_id"].dropna().astype(int).unique().tolist())
    if face is not None and face not in known:
        raise UserError(f"face {face} is not in the file", file=path, field="face_id", fix=f"one of: {known}")
    if face is None:
        face = max(known, key=lambda number: (int(good[table["face_id"] == number].sum()), -number))
    rows = table[table["face_id"] == face].sort_values("frame", kind="stable")
    tracked = good[rows.index]
    if not tracked.any():
        raise UserError(f"face {face} is tracked in no picture", file=path, field="success", fix=_NO_FACE)
    if repeated := rows["frame"][rows["frame"].duplicated()].tolist():
        fix = "keep one row per picture and face"
        raise UserError(f"face {face} comes twice in picture {repeated[0]:.0f}", file=path, field="frame", fix=fix)
    frames = columns[rows.index[_nearest(rows["frame"].to_numpy(), tracked)]]
    return Track(frames, rows["timestamp"].to_numpy(dtype=np.float64), tracked, face)


def _read(path: Path) -> pd.DataFrame:
    """The file's table, with every column that is read as numbers; OpenFace writes a space after each comma."""
    if not path.is_file():
        raise UserError("no such file", file=path, fix="run OpenFace's FeatureExtraction on the video")
    try:
        table = pd.read_csv(path, skipinitialspace=True, na_values=_NO_NUMBERS).rename(columns=str.strip)
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"not a CSV file: {error}", file=path, fix="give the CSV file that OpenFace wrote") from error
    if missing := [name for name in (*KEYS, *COLUMNS) if name not in table.columns]:
        named = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        options = [option for option, group in GROUPS.items() if set(missing) & set(group)]
        fix = f"run FeatureExtraction with {' '.join(options)}" if options else _AGAIN
        raise UserError(f"{len(missing)} columns are missing: {named}", file=path, field="header", fix=fix)
    if table.empty:
        raise UserError("holds no rows", file=path, fix=_NO_FACE)
    for name in (*KEYS, *COLUMNS):
        if table[name].dtype.kind not in "if":
            bad = pd.to_numeric(table[name], errors="coerce").isna() & table[name].notna()
            row = int(bad.to_numpy().argmax())
            problem, where = f"'{table[name][row]}' is no number", f"{name}, line {row + 2}"
            raise UserError(problem, file=path, field=where, fix=_AGAIN)
    return table


def _nearest(pictures: np.ndarray, tracked: Bool[np.ndarray, " frames"]) -> np.ndarray:
    """For each row, the position of the nearest tracked row; distances are counted in pictures."""
    positions = np.flatnonzero(tracked)
    return positions[np.abs(pictures[:, None] - pictures[positions]).argmin(axis=1)]


def write_openface(
    path: Path, frames: Float64[np.ndarray, "frames 709"], keys: Float64[np.ndarray, "frames 5"]
) -> Path:
    """Writes columns in the order of COLUMNS and KEYS in OpenFace 2's format: its header, a space after each comma, its
    numbers of decimals.
    """
    names = (*KEYS, *COLUMNS)
    decimals = {"frame": 0, "face_id": 0, "timestamp": 3, "confidence": 2, "success": 0}
    decimals |= dict.fromkeys((*_GAZE[6:], *GROUPS["-pose"][3:], *GROUPS["-pdmparams"]), 3)
    decimals |= dict.fromkeys(_GAZE[:6], 6) | dict.fromkeys(INTENSITIES, 2)
    formats = [f"%.{decimals.get(name, 1)}f" for name in names]
    with files.atomic_path(path) as temporary:
        rows = np.hstack([keys, frames])
        np.savetxt(temporary, rows, fmt=formats, delimiter=", ", header=", ".join(names), comments="")
    return path
