"""The drawn face: geometry by hand, and OpenFace's columns consistent with each other."""

import numpy as np
import pytest
from example import face
from features.openface import COLUMNS, INTENSITIES
from scipy.spatial.transform import Rotation

MIRROR = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46]
MIRROR += [39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]


def still(frames: int = 1, **units: float) -> face.Performance:
    """A face straight before the camera with constant action units."""
    strengths = np.tile([units.get(name, 0.0) for name in INTENSITIES], (frames, 1))
    place = np.tile((0.0, 0.0, 500.0), (frames, 1))
    return face.Performance(strengths, np.zeros((frames, 3)), place, np.zeros((frames, 2)))


def points(**units: float) -> np.ndarray:
    return face.landmarks(still(**units))[0] - (0, 0, 500)


def columns(performance: face.Performance) -> dict[str, np.ndarray]:
    frames = face.as_openface(performance, np.zeros((len(performance.units), 709)))
    return dict(zip(COLUMNS, frames.T, strict=True))


@pytest.mark.parametrize(
    ("unit", "point", "down"),
    [("AU12_r", 48, -9), ("AU15_r", 54, 9), ("AU01_r", 21, -8), ("AU04_r", 22, 8), ("AU26_r", 8, 9), ("AU25_r", 66, 5)],
)
def test_landmarks_are_symmetric_and_action_units_move_what_they_should(unit: str, point: int, down: float) -> None:
    full, half, rest = (points(**{unit: strength}) for strength in (5.0, 2.5, 0.0))
    assert full.shape == (68, 3)
    assert np.allclose(full, full[MIRROR] * (-1, 1, 1))
    assert full[point, 1] - rest[point, 1] == pytest.approx(down)
    assert half[point, 1] - rest[point, 1] == pytest.approx(down / 2)


def test_as_openface_columns_agree_with_each_other() -> None:
    rotation, place = np.array([[0.1, -0.2, 0.05]]), np.array([[12.0, -8.0, 470.0]])
    moved = face.Performance(still(AU12_r=3.0).units, rotation, place, np.array([[0.1, -0.05]]))
    found = columns(moved)
    deep = np.column_stack([[found[f"{axis}_{i}"][0] for i in range(68)] for axis in "XYZ"])
    flat = np.column_stack([[found[f"{axis}_{i}"][0] for i in range(68)] for axis in "xy"])
    assert np.allclose(flat, 500 * deep[:, :2] / deep[:, 2:] + (160, 120))
    # Kabsch: the rotation and translation that take the face before the camera to where it is
    turned, _ = Rotation.align_vectors(deep - deep.mean(0), points(AU12_r=3.0) - points(AU12_r=3.0).mean(0))
    assert np.allclose(turned.as_euler("XYZ"), [found[f"pose_R{axis}"][0] for axis in "xyz"])
    assert [found[f"pose_T{axis}"][0] for axis in "xyz"] == place[0].tolist()
    assert found["p_scale"][0] == pytest.approx(500 / 470)
    assert (found["p_tx"][0], found["p_ty"][0]) == pytest.approx((160 + 500 * 12 / 470, 120 - 500 * 8 / 470))
