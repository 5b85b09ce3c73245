"""The colours of figures: colour-blind readers can tell them apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mugkit.data.schema import MODALITIES
from mugkit.plots.style import ACCENT, MODALITY_COLORS

# Machado, Oliveira and Fernandes (2009), complete dichromacy, on linear RGB.
DICHROMACY = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
RGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def lab(color: str, vision: str) -> np.ndarray:
    """CIELAB of a colour as somebody with that vision sees it."""
    srgb = np.array(to_rgb(color))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(RGB_TO_XYZ @ np.clip(DICHROMACY[vision] @ linear, 0, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", DICHROMACY)
def test_colours_stay_apart_for_every_vision(vision: str) -> None:
    assert set(MODALITY_COLORS) == {*MODALITIES, "M"}
    colors = {**MODALITY_COLORS, "accent": ACCENT}
    distances = {
        pair: float(np.linalg.norm(lab(colors[pair[0]], vision) - lab(colors[pair[1]], vision)))
        for pair in itertools.combinations(colors, 2)
    }
    assert min(distances.values()) > 12, distances  # about 2 can just be noticed, 10 at a glance
