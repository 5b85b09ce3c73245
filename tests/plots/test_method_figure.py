"""Fig. 2 is its three stages' pictures, no more and no less, and follows the modules as they do."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest

from mugkit.config import hyperparameters, override
from mugkit.plots import diagrams, drawing, method_figure
from mugkit.plots.architecture import Parts, assemble


def parts(changes: Mapping[str, Any]) -> Parts:
    return assemble(override(hyperparameters("reviews", "quick"), changes), {"a": 74, "v": 47}, 3.0, 384)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_method_holds_every_box_and_arrow_of_each_stage(stage: int) -> None:
    alone = diagrams.draw_stage(stage, parts({}))[1]
    whole = method_figure.draw_method(parts({}))[1]
    for name, box in alone["boxes"].items():
        assert whole["boxes"][f"{stage}/{name}"] == box
    kept = [a for a in whole["arrows"] if a["start"].startswith(f"{stage}/")]
    assert [a["label"] for a in kept] == [a["label"] for a in alone["arrows"]]
    assert [a["end"] for a in kept] == [f"{stage}/{a['end']}" for a in alone["arrows"]]


def test_method_hands_on_what_is_saved_from_stage_to_stage() -> None:
    numbers = method_figure.draw_method(parts({}))[1]
    pairs = [(a["start"], a["end"]) for a in numbers["arrows"] if a["start"].startswith(("stage", "from"))]
    assert pairs == [
        ("stage 1", "from 1 to 2"), ("from 1 to 2", "stage 2"), ("stage 2", "from 2 to 3"), ("from 2 to 3", "stage 3"),
    ]  # fmt: skip
    assert "y_{mc}" in numbers["boxes"]["from 2 to 3"]["lines"][0]


def edges(box: drawing.Box) -> tuple[float, float, float, float]:
    (x, y), w, h = box.at, box.width, box.tall
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def test_method_panels_hold_their_boxes_and_boxes_do_not_overlap() -> None:
    boxes = method_figure.method(parts({})).boxes
    for stage in (1, 2, 3):
        left, low, right, high = edges(boxes[f"stage {stage}"])
        for name in (name for name in boxes if name.startswith(f"{stage}/")):
            x0, y0, x1, y1 = edges(boxes[name])
            assert left < x0, name
            assert low < y0, name
            assert x1 < right, name
            assert y1 < high - 0.4, f"{name} covers the title"
    solid = {name: edges(box) for name, box in boxes.items() if box.kind not in ("panel", "heading")}
    for (one, a), (other, b) in combinations(solid.items(), 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one} overlaps {other}"


def test_method_arrows_join_boxes_and_panels_lie_behind_them() -> None:
    figure, numbers = method_figure.draw_method(parts({}))
    assert {a[end] for a in numbers["arrows"] for end in ("start", "end")} <= set(numbers["boxes"])
    patches = [p for p in figure.axes[0].patches if isinstance(p, drawing.FancyBboxPatch)]
    arrows = [t.arrow_patch.get_zorder() for t in figure.axes[0].texts if getattr(t, "arrow_patch", None)]
    orders = sorted({patch.get_zorder() for patch in patches})
    assert orders[0] < min(arrows) <= max(arrows) < orders[-1], "arrows run over panels and end at boxes"
