"""The paper's Fig. 2: the whole method in one picture, put together from the pictures of its three stages.

figure, numbers = draw_method(architecture.assemble(hp, dataset.dims, dataset.label_scale, text_width))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from mugkit.plots.architecture import Parts
from mugkit.plots.diagrams import legend_of, stage_1, stage_2, stage_3
from mugkit.plots.drawing import Arrow, Box, Diagram, draw

_WIDTH = 12.7  # of a stage's panel, in inches
_TITLE = 0.55  # room for a stage's title above its boxes
_GAP = 1.0  # between panels: what one stage hands to the next

# What is saved between two stages, from the upper panel to the lower one.
_HANDED_ON = (
    ("saved once", "$x_m$, $x_m'$, $\\hat{y}_m'$, $y$ of every training clip"),
    ("learned labels", "$y_{mc}$ of every training clip"),
)


def draw_method(parts: Parts) -> tuple[Figure, dict[str, Any]]:
    """Fig. 2 with the modules' own dims, and its JSON."""
    diagram = method(parts)
    return draw(diagram), diagram.numbers()


def method(parts: Parts) -> Diagram:
    """The three stages below each other, each in a panel, with what is saved between them.

    Boxes and arrows are those of the single stages; their names carry the stage's number: `1/x_m`.
    """
    boxes: dict[str, Box] = {}
    arrows: list[Arrow] = []
    bottom = 0.1
    stages = [stage_1(parts), stage_2(parts), stage_3(parts)]
    for number, diagram in reversed(list(enumerate(stages, 1))):
        placed, bottom = _panel(str(number), diagram, bottom)
        boxes = placed | boxes
        arrows += [replace(a, start=f"{number}/{a.start}", end=f"{number}/{a.end}") for a in diagram.arrows]
        bottom += _GAP
    given, handing = _handed_on(boxes)
    boxes |= given
    return Diagram("MUG in three stages", boxes, [*arrows, *handing], legend_of(boxes))


def _panel(number: str, diagram: Diagram, bottom: float) -> tuple[dict[str, Box], float]:
    """A stage's boxes in a panel that starts at this height, and where the panel ends."""
    low, high = _extent(list(diagram.boxes.values()))
    top = bottom + high - low + 0.3 + _TITLE
    middle = _WIDTH / 2 + 0.1
    placed = {
        f"stage {number}": Box((middle, (top + bottom) / 2), "", (), "panel", _WIDTH, top - bottom),
        f"title {number}": Box((middle, top - _TITLE / 2 - 0.05), diagram.title, kind="heading", width=_WIDTH),
    }
    lift = bottom + 0.15 - low
    shifted = {f"{number}/{n}": replace(b, at=(b.at[0] + 0.1, b.at[1] + lift)) for n, b in diagram.boxes.items()}
    return placed | shifted, top


def _extent(boxes: Sequence[Box]) -> tuple[float, float]:
    """The lowest and the highest edge."""
    return min(box.at[1] - box.tall / 2 for box in boxes), max(box.at[1] + box.tall / 2 for box in boxes)


def _handed_on(boxes: dict[str, Box]) -> tuple[dict[str, Box], list[Arrow]]:
    """A box for what each stage saves for the next, midway between their panels, and the arrows through it."""
    given: dict[str, Box] = {}
    arrows: list[Arrow] = []
    for number, (title, content) in enumerate(_HANDED_ON, 1):
        above, below = boxes[f"stage {number}"], boxes[f"stage {number + 1}"]
        height = (above.at[1] - above.tall / 2 + below.at[1] + below.tall / 2) / 2
        kind = boxes["1/x_m"].kind if number == 1 else boxes["2/y_mc"].kind
        name = f"from {number} to {number + 1}"
        given[name] = Box((above.at[0], height), title, (content,), kind, width=3.4)
        arrows += [Arrow(f"stage {number}", name), Arrow(name, f"stage {number + 1}")]
    return given, arrows
