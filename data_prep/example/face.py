"""A drawn face: 68 landmarks moved by action units, seen by a camera, written as OpenFace would write them.

OpenFace may not be redistributed, so the example needs faces whose landmarks are known without it: the geometry that
draws a face replaces the tracker. Everything that OpenFace would measure is computed from it (landmarks, head pose,
gaze, action units), with a little jitter, as trackers have. Only the 34 shape modes stay 0: they belong to OpenFace's
trained model. Units: mm in front of the camera, pixels in the picture; x points right, y down, z away from the camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from features.openface import COLUMNS, INTENSITIES, PRESENCES
from jaxtyping import Float64, UInt8
from scipy.spatial.transform import Rotation

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

FPS = 10  # pictures a second
WIDTH, HEIGHT, FOCAL = 320, 240, 500.0  # pixels
DISTANCE = 450.0  # mm from the camera
STRONGEST = 5.0  # the largest intensity in OpenFace
PRESENT_FROM = 1.0  # intensity from which a unit counts as present
_EYES = ((-32.0, -18.0), (32.0, -18.0))  # centres

Points = Float64[np.ndarray, "points 3"]
Columns = Float64[np.ndarray, "frames 709"]


def _template() -> Points:
    """The resting face, in the order of the 68-point markup."""
    turn = np.linspace(0, np.pi, 17)
    jaw = np.column_stack([-70 * np.cos(turn), -5 + 85 * np.sin(turn), 45 - 45 * np.sin(turn)])
    arch = np.linspace(0, np.pi, 5)
    right = np.column_stack([np.linspace(-58, -15, 5), -40 - 7 * np.sin(arch), np.full(5, -2.0)])
    left = (right * (-1, 1, 1))[::-1]
    bridge = np.column_stack([np.zeros(4), np.linspace(-20, 14, 4), np.linspace(-6, -24, 4)])
    base = np.column_stack([np.linspace(-14, 14, 5), (22, 24, 26, 24, 22), (-8, -12, -15, -12, -8)])
    eyes = [_ring(centre, 13, 5, 5, 6, 2) for centre in _EYES]
    mouth = [_ring((0, 47), 25, 8, 10, 12, -8), _ring((0, 47), 19, 1.5, 1.5, 8, -8)]
    return np.vstack([jaw, right, left, bridge, base, *eyes, *mouth])


def _ring(centre: tuple[float, float], across: float, up: float, down: float, count: int, depth: float) -> Points:
    """Points around an ellipse with unequal halves, from the left corner over the top."""
    turn = 2 * np.pi * np.arange(count) / count
    height = np.sin(turn) * np.where(np.sin(turn) > 0, up, down)
    return np.column_stack([centre[0] - across * np.cos(turn), centre[1] - height, np.full(count, depth)])


# What an action unit at full intensity moves: points, mm outwards (away from the middle), mm down.
_MOVES: Mapping[str, tuple[tuple[tuple[int, ...], float, float], ...]] = {
    "AU01_r": (((20, 21, 22, 23), 0, -8), ((19, 24), 0, -4)),
    "AU02_r": (((17, 18, 25, 26), 0, -8), ((19, 24), 0, -5)),
    "AU04_r": ((tuple(range(17, 27)), 0, 5), ((20, 21, 22, 23), -4, 3)),
    "AU06_r": (((40, 41, 46, 47), 0, -3),),
    "AU12_r": (((48, 54, 60, 64), 7, -9), ((49, 59, 53, 55, 61, 67, 63, 65), 3, -4)),
    "AU15_r": (((48, 54, 60, 64), 1, 9), ((49, 59, 53, 55, 61, 67, 63, 65), 0, 4)),
    "AU25_r": (((55, 56, 57, 58, 59, 65, 66, 67), 0, 5), ((61, 62, 63), 0, -1)),
    "AU26_r": ((tuple(range(4, 13)), 0, 9), ((55, 56, 57, 58, 59, 65, 66, 67), 0, 8)),
    "AU45_r": (((37, 38, 43, 44), 0, 8), ((40, 41, 46, 47), 0, -1)),
}


@dataclass(frozen=True)
class Performance:
    """What a face does in a clip, picture by picture."""

    units: Float64[np.ndarray, "frames 17"]  # intensities 0–5 in the order of OpenFace's 17 units
    rotation: Float64[np.ndarray, "frames 3"]  # pitch, yaw, roll in radians
    place: Float64[np.ndarray, "frames 3"]  # the position of the head in front of the camera, in mm
    gaze: Float64[np.ndarray, "frames 2"]  # where the eyes point, left-right and up-down, in radians


def landmarks(performance: Performance) -> Float64[np.ndarray, "frames 68 3"]:
    """The 68 points in front of the camera, in mm."""
    rest = _template()
    moved = np.tile(rest, (len(performance.units), 1, 1))
    for unit, moves in _MOVES.items():
        strength = performance.units[:, INTENSITIES.index(unit), None] / STRONGEST
        for points, outwards, down in moves:
            moved[:, points, 0] += strength * outwards * np.sign(rest[list(points), 0])
            moved[:, points, 1] += strength * down
    return _before_camera(moved, performance)


def _before_camera(points: Float64[np.ndarray, "frames points 3"], performance: Performance) -> np.ndarray:
    turned = np.einsum("fij,fpj->fpi", Rotation.from_euler("XYZ", performance.rotation).as_matrix(), points)
    return turned + performance.place[:, None]


def project(points: Float64[np.ndarray, "... 3"]) -> Float64[np.ndarray, "... 2"]:
    """Projects points in front of the camera onto the picture (pinhole camera)."""
    return FOCAL * points[..., :2] / points[..., 2:] + (WIDTH / 2, HEIGHT / 2)


def _eye_landmarks(performance: Performance) -> Float64[np.ndarray, "frames 56 3"]:
    """28 points per eye: eight around the iris, twelve on the lids, eight around the pupil."""
    eyes = [(_ring(c, 6, 6, 6, 8, 1), _ring(c, 13, 5, 5, 12, 2), _ring(c, 2.5, 2.5, 2.5, 8, 1)) for c in _EYES]
    points = np.tile(np.vstack([part for eye in eyes for part in eye]), (len(performance.gaze), 1, 1))
    moving = np.r_[0:8, 20:36, 48:56]  # iris and pupil follow the gaze
    points[:, moving, :2] += 12 * np.tan(performance.gaze)[:, None]
    return _before_camera(points, performance)


def as_openface(performance: Performance, jitter: Columns) -> Columns:
    """The 709 columns that a perfect OpenFace would write, plus jitter.

    Args:
        jitter: standard normal numbers; they move landmarks by half a pixel or mm and intensities by 0.15.
    """
    points, eyes = landmarks(performance), _eye_landmarks(performance)
    located = [name for name in COLUMNS if name[0] in "xyXYZ" or name.startswith("eye_lmk")]
    nudge = dict.fromkeys(located, 0.5) | dict.fromkeys(INTENSITIES, 0.15)
    parts = (_gaze(performance), _flat(project(eyes)), _flat(eyes), performance.place, performance.rotation)
    rigid = np.column_stack([FOCAL / performance.place[:, 2], performance.rotation, project(performance.place)])
    frames = np.hstack([*parts, _flat(project(points)), _flat(points), rigid, np.zeros((len(points), 34))])
    units = np.hstack([performance.units, np.zeros((len(points), len(PRESENCES)))])
    frames = np.hstack([frames, units]) + jitter * [nudge.get(name, 0.0) for name in COLUMNS]
    return _with_presences(frames)


def _flat(points: Float64[np.ndarray, "frames points axes"]) -> Float64[np.ndarray, "frames columns"]:
    """All x, then all y, then all z."""
    return points.transpose(0, 2, 1).reshape(len(points), -1)


def _gaze(performance: Performance) -> Float64[np.ndarray, "frames 8"]:
    """Both eyes' unit vectors and the angle they share."""
    across, down = performance.gaze.T
    vector = np.column_stack([np.tan(across), np.tan(down), -np.ones(len(across))])
    vector /= np.linalg.norm(vector, axis=1, keepdims=True)
    return np.column_stack([vector, vector, performance.gaze])


def _with_presences(frames: Columns) -> Columns:
    """Clips intensities to 0–5 and derives which units are present (never AU28, lips sucked in)."""
    first = COLUMNS.index(INTENSITIES[0])
    intensities = frames[:, first : first + len(INTENSITIES)].clip(0, STRONGEST)
    frames[:, first : first + len(INTENSITIES)] = intensities
    for column, name in enumerate(PRESENCES, start=first + len(INTENSITIES)):
        if (intensity := f"{name[:-1]}r") in INTENSITIES:
            frames[:, column] = intensities[:, INTENSITIES.index(intensity)] >= PRESENT_FROM
    return frames


# --- drawing ----------------------------------------------------------------------------------------


def draw(points: Float64[np.ndarray, "68 2"]) -> UInt8[np.ndarray, "height width 3"]:
    """Draws a picture of the face from its 68 points in pixels."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (WIDTH, HEIGHT), "#DDE6EE")
    pen = ImageDraw.Draw(picture)
    outline = [tuple(p) for p in points[:17]]
    left, right, top = points[0, 0], points[16, 0], points[17:27, 1].min() - 35
    pen.ellipse((left, top, right, 2 * points[[0, 16], 1].mean() - top), fill="#F2CDA8")  # the forehead
    pen.polygon(outline, fill="#F2CDA8")
    for first, last in ((17, 22), (22, 27)):
        pen.line([tuple(p) for p in points[first:last]], fill="#553311", width=4)
    pen.line([tuple(p) for p in (*points[27:31], points[33])], fill="#B98A5E", width=2)
    for first in (36, 42):
        _draw_eye(pen, points[first : first + 6])
    pen.polygon([tuple(p) for p in points[48:60]], fill="#B5484B")
    pen.polygon([tuple(p) for p in points[60:68]], fill="#3B1212")
    return np.asarray(picture)


def _draw_eye(pen: ImageDraw, lids: Float64[np.ndarray, "6 2"]) -> None:
    """Draws the white of the eye, the line of the lids, and the iris in the middle if the lids leave room."""
    pen.polygon([tuple(p) for p in lids], fill="white", outline="#553311")
    (x, y), open_by = lids.mean(axis=0), (lids[4:6, 1] - lids[1:3, 1]).mean()
    radius = min(4.0, open_by / 2)
    if radius > 0.5:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill="#2B4A6F")
