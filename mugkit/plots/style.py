"""The look of all figures: legible, labelled, safe for colour-blind readers."""

from __future__ import annotations

import matplotlib
import seaborn

# Okabe and Ito's colours: distinct for every common form of colour vision.
MODALITY_COLORS = {"l": "#0072B2", "a": "#D55E00", "v": "#009E73", "M": "#444444"}
ACCENT = "#CC79A7"


def apply_style() -> None:
    """Sets matplotlib's defaults for this process."""
    seaborn.set_theme(style="whitegrid", palette="colorblind", context="notebook")
    matplotlib.rcParams.update(
        {
            "figure.dpi": 100,
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "legend.fontsize": 9,
            "font.family": "DejaVu Sans",
        }
    )
