"""Boxes and arrows: a diagram as data, drawn with matplotlib. Other modules decide what is in the boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch, PathPatch

from mugkit.plots.style import ACCENT

BoxKind = Literal["network", "representation", "label", "loss", "update", "heading", "panel"]
ArrowKind = Literal["forward", "stopped", "update"]
Point = tuple[float, float]

# Edges in Okabe and Ito's colours; tints of the same, light enough for black text.
_EDGES: Mapping[BoxKind, str] = {
    "network": "#0072B2", "representation": "#444444", "label": "#009E73", "loss": "#D55E00", "update": ACCENT,
    "heading": "none", "panel": "#BBBBBB",
}  # fmt: skip
_FILLS: Mapping[BoxKind, str] = {
    "network": "#D9EAF4", "representation": "#F2F2F2", "label": "#DDF1EA", "loss": "#FBE4D5", "update": "#F7E6F0",
    "heading": "none", "panel": "#FCFCFC",
}  # fmt: skip
_LINES: Mapping[ArrowKind, dict[str, Any]] = {
    "forward": {"color": "#333333", "linestyle": "-"},
    "stopped": {"color": _EDGES["loss"], "linestyle": "--"},
    "update": {"color": ACCENT, "linestyle": ":"},
}


@dataclass(frozen=True)
class Box:
    """One box, in inches: `at` is its centre from the lower left corner of the drawing; `kind` decides the colour."""

    at: Point
    title: str  # in bold; may hold mathtext
    lines: tuple[str, ...] = ()  # below it, one per layer
    kind: BoxKind = "network"
    width: float = 1.55
    height: float | None = None  # None: what the lines need

    @property
    def tall(self) -> float:
        return self.height or 0.2 + 0.19 * (len(self.lines) + bool(self.title))

    def anchor(self, other: "Box") -> Point:
        """Where an arrow from or to `other` ends: the centre, moved level with `other` if this box reaches that far."""
        (x, y), (there_x, there_y) = self.at, other.at
        level = abs(there_y - y) < self.tall / 2 and self.tall > other.tall
        above = abs(there_x - x) < self.width / 2 and self.width > other.width
        return (there_x if above else x, there_y if level else y)


@dataclass(frozen=True)
class Arrow:
    """An arrow between two boxes; `bend` curves it, `label` stands at its middle."""

    start: str
    end: str
    label: str = ""
    kind: ArrowKind = "forward"
    bend: float = 0.0


@dataclass(frozen=True)
class Diagram:
    """Boxes by name, the arrows between them, and what the colours mean."""

    title: str
    boxes: Mapping[str, Box]
    arrows: Sequence[Arrow]
    legend: Mapping[BoxKind, str]


def draw(diagram: Diagram) -> tuple[Figure, dict[str, Any]]:
    """The diagram as a figure, one inch per unit, and as JSON: the text of every box and every arrow."""
    boxes = diagram.boxes.values()
    right = max(box.at[0] + box.width / 2 for box in boxes) + 0.1
    top = max(box.at[1] + box.tall / 2 for box in boxes) + 0.1
    figure = Figure(figsize=(right, top + 0.75))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, right), ylim=(-0.3, top + 0.45), aspect="equal")
    axes.axis("off")
    axes.set_title(diagram.title, fontsize=11, y=(top + 0.4) / (top + 0.75))  # a little above the boxes
    patches = {name: _draw_box(axes, box) for name, box in diagram.boxes.items()}
    for arrow in diagram.arrows:
        _draw_arrow(axes, arrow, diagram.boxes, patches)
    handles = [Patch(facecolor=_FILLS[k], edgecolor=_EDGES[k], label=text) for k, text in diagram.legend.items()]
    axes.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=8.5, borderpad=0)
    texts = {name: {"title": box.title, "lines": list(box.lines)} for name, box in diagram.boxes.items()}
    return figure, {"title": diagram.title, "boxes": texts, "arrows": [asdict(arrow) for arrow in diagram.arrows]}


def _draw_box(axes: Axes, box: Box) -> PathPatch:
    """Draws a box; returns its outline. Arrows need it hundreds of times, and the box would recompute it every time."""
    corner = (box.at[0] - box.width / 2, box.at[1] - box.tall / 2)
    look: dict[str, Any] = {"facecolor": _FILLS[box.kind], "edgecolor": _EDGES[box.kind], "linewidth": 1.3}
    behind = 0 if box.kind == "panel" else 2  # arrows, at 1, run over panels and end at boxes
    rounded = "round,pad=0,rounding_size=0.06"
    patch = axes.add_patch(FancyBboxPatch(corner, box.width, box.tall, boxstyle=rounded, zorder=behind, **look))
    lines = [line for line in (box.title, *box.lines) if line]
    for i, line in enumerate(lines):
        y = box.at[1] + 0.19 * ((len(lines) - 1) / 2 - i)
        bold = "bold" if i == 0 and (box.lines or box.kind == "heading") else "normal"
        axes.text(box.at[0], y, line, ha="center", va="center", fontsize=8.5, fontweight=bold, zorder=3)
    return PathPatch(patch.get_path(), transform=patch.get_transform(), **look)


def _draw_arrow(axes: Axes, arrow: Arrow, boxes: Mapping[str, Box], patches: Mapping[str, PathPatch]) -> None:
    start, end = boxes[arrow.start], boxes[arrow.end]
    here, there = start.anchor(end), end.anchor(start)
    look = {"arrowstyle": "-|>", "patchA": patches[arrow.start], "patchB": patches[arrow.end], "shrinkA": 0}
    look |= {"shrinkB": 1, "linewidth": 1.3, "connectionstyle": f"arc3,rad={arrow.bend}", **_LINES[arrow.kind]}
    axes.annotate("", xy=there, xytext=here, arrowprops=look, zorder=1)
    if arrow.label:
        # The middle of an arc3 curve lies half its bend beside the middle of the straight line.
        x = (here[0] + there[0]) / 2 + arrow.bend / 2 * (there[1] - here[1])
        y = (here[1] + there[1]) / 2 - arrow.bend / 2 * (there[0] - here[0])
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(x, y, arrow.label, ha="center", va="center", fontsize=8, bbox=white, zorder=4)
