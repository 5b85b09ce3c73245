"""The look of all figures: legible, labelled, safe for colour-blind readers."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mugkit.data.schema import MODALITIES, MODALITY_NAMES

# Okabe and Ito's colours: distinct for every common form of colour vision.
MODALITY_COLORS = {"l": "#0072B2", "a": "#D55E00", "v": "#009E73", "M": "#444444"}
ACCENT = "#CC79A7"


def apply_style() -> None:
    """Sets matplotlib's defaults for this process."""
    seaborn.set_theme(style="whitegrid", palette="colorblind", context="notebook")
    matplotlib.rcParams.update({"figure.dpi": 100, "font.family": "DejaVu Sans", "legend.fontsize": 9})
    matplotlib.rcParams.update({"axes.titlesize": 11, "axes.labelsize": 10})


def canvas(size: tuple[float, float], rows: int = 1, columns: int = 1, **shared: Any) -> tuple[Figure, Any]:
    """A figure of `size` inches and its panels, which do not overlap; `shared` goes to `Figure.subplots`."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, **shared)


def bars_by_modality(
    axes: Axes, heights: Mapping[str, ArrayLike], colors: Sequence[str], errors: Mapping[str, ArrayLike]
) -> None:
    """Draws a group of bars per modality, one bar per name in `heights`; `errors` has matplotlib's `yerr` for some."""
    width = 0.8 / len(heights)
    for i, ((name, values), color) in enumerate(zip(heights.items(), colors, strict=False)):
        at = np.arange(len(MODALITIES)) + (i - (len(heights) - 1) / 2) * width
        axes.bar(at, values, width, color=color, label=name, yerr=errors.get(name), capsize=2)
    axes.set_xticks(range(len(MODALITIES)), [MODALITY_NAMES[m] for m in MODALITIES])
