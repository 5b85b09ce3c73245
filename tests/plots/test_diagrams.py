"""Diagrams and counts must follow the modules: change a module, and what is drawn changes with it."""

from itertools import combinations, pairwise
from typing import Any

import pytest
import torch
from made_up import make_dataset
from small import small
from torch import nn

from mugkit.config import hyperparameters
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import Dataset
from mugkit.evaluation import published
from mugkit.models.mug import MUCN, Predictor, SequenceNetwork
from mugkit.overrides import override
from mugkit.plots import architecture, diagrams, drawing
from mugkit.plots.architecture import Parts, assemble, layers, parameter_table


@pytest.fixture
def parts() -> Parts:
    torch.manual_seed(0)
    return assemble(hyperparameters("reviews", "quick"), {"a": 74, "v": 47}, 3.0, 384)


def words(numbers: dict[str, Any]) -> str:
    return "\n".join(line for box in numbers["boxes"].values() for line in [box["title"], *box["lines"]])


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Predictor(32, 2, 0.0), ["Linear 32 → 16", "ReLU", "Linear 16 → 1"]),
        (Predictor(32, 2, 0.1), ["Dropout 0.1", "Linear 32 → 16", "ReLU", "Linear 16 → 1"]),
        (MUCN(8, 16, 3.0), ["Linear 9 → 16", "ReLU", "Linear 16 → 1, no bias", "3·tanh(ȳ + y′)"]),
        (
            MUCN(8, 16, 3.0, "scaled", output_bias=True),
            ["Linear 9 → 16", "ReLU", "Linear 16 → 1", "3·tanh(0.33·ȳ + y′)"],
        ),
        (SequenceNetwork(74, 32), ["LSTM 74 → 32"]),
        (nn.Sequential(nn.Linear(2, 3), nn.GELU()), ["Linear 2 → 3", "GELU"]),
    ],
)
def test_layers_are_read_off_the_modules(module: nn.Module, expected: list[str]) -> None:
    assert [layer.text for layer in layers(module)] == expected


def test_layers_and_table_account_for_every_parameter(parts: Parts) -> None:
    modules = (parts.network, *parts.mucns.values())
    for module in modules:
        assert sum(layer.parameters for layer in layers(module)) == sum(p.numel() for p in module.parameters())
    table = parameter_table({"quick": parts})["quick"]
    assert table.iloc[-1] == table.iloc[:-1].sum() == sum(p.numel() for module in modules for p in module.parameters())


def test_parameter_table_at_mosei_is_table_6() -> None:
    found = architecture.paper_parts(hyperparameters("mosei", "paper"), {"a": 74, "v": 35}, 3.0)
    table = parameter_table({"paper": found}).set_index("part")["paper"]
    assert table["all"] == 110_089_956 == published.TABLE6["MUG"]["mosei"]["Parameters"]
    assert table["text encoder"] == 109_482_240
    assert table["LSTM, acoustic"] == 4 * 128 * (74 + 128 + 2)
    assert table["MUCN, language"] == 65 * 1024 + 1024 + 1024


@pytest.mark.usefixtures("cheap_text")
def test_trace_on_a_batch_of_unequal_lengths() -> None:
    dataset: Dataset = make_dataset((6, 2, 2))
    clips = ClipLoader(dataset.train, small().network)
    network = assemble(small(), dataset.dims, 3.0, clips.text_width).network
    table = architecture.trace(network, clips.batch(torch.tensor([0, 1, 2])))
    lengths = " + ".join(map(str, dataset.train.sequences["a"].lengths[:3]))
    assert table.loc["sequences.a", "reads"] == f"({lengths}) × 5"
    assert table.loc["fusion", "reads"] == "3 × 64, 3 × 8, 3 × 8"
    assert table.loc["projections.v", "shape"] == "3 × 8"
    assert all(not module._forward_hooks for module in network.modules()), "hooks must not outlive the call"


def test_structures_draw_the_modules_dims(parts: Parts) -> None:
    _, numbers = diagrams.draw_structures(parts)
    drawn = words(numbers)
    for line in ("Linear 128 → 512", "Linear 512 → 32", "Linear 64/32/32 → 32/16/16", "Linear 65/33/33 → 256"):
        assert line in drawn
    # Stacks of 5, 5, 5 and 6 boxes: an arrow between neighbours, none between columns or from a title.
    assert len(numbers["arrows"]) == 4 + 4 + 4 + 5
    assert all(a["start"].split("/")[0] == a["end"].split("/")[0] for a in numbers["arrows"])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_stages_follow_a_changed_module(number: int) -> None:
    changed = override(hyperparameters("reviews", "quick"), {"d_a": 48, "fusion_width": 77, "mucn_width": 99})
    after = words(diagrams.draw_stage(number, assemble(changed, {"a": 74, "v": 47}, 3.0, 384))[1])
    assert {1: "LSTM 74 → 48", 2: "Linear 65/49/33 → 99", 3: "Linear 144 → 77"}[number] in after


@pytest.mark.parametrize("number", [1, 2, 3])
def test_arrows_join_boxes_and_text_fits(number: int, parts: Parts) -> None:
    figure, numbers = diagrams.draw_stage(number, parts)
    assert {a[end] for a in numbers["arrows"] for end in ("start", "end")} <= set(numbers["boxes"])
    stopped = [(a["start"], a["end"]) for a in numbers["arrows"] if a["kind"] == "stopped"]
    assert stopped == ([("x_m", "L^c_m")] if number == 1 else [])
    figure.canvas.draw()
    (axes,) = figure.axes
    boxes = [patch.get_window_extent() for patch in axes.patches if isinstance(patch, drawing.FancyBboxPatch)]
    for label in (found for found in axes.texts if found.get_text()):
        inside = label.get_window_extent()
        for box in (box for box in boxes if box.contains(*((inside.p0 + inside.p1) / 2))):
            assert box.x0 < inside.x0 < inside.x1 < box.x1, label.get_text()


def test_stage_1_stops_the_gradient_at_x_too_where_the_configuration_says() -> None:
    hp = override(hyperparameters("reviews", "quick"), {"contrastive_gradient_scope": "projection"})
    arrows = diagrams.draw_stage(1, assemble(hp, {"a": 74, "v": 47}, 3.0, 384))[1]["arrows"]
    assert {(a["start"], a["end"]) for a in arrows if a["kind"] == "stopped"} == {("x_m", "L^c_m"), ("x", "CPM")}


def test_method_holds_every_box_and_arrow_of_each_stage_and_what_they_hand_on(parts: Parts) -> None:
    _, whole = diagrams.draw_method(parts)
    pairs = [(a["start"], a["end"], a["label"]) for a in whole["arrows"]]
    for stage in (1, 2, 3):
        alone = diagrams.draw_stage(stage, parts)[1]
        assert {name: whole["boxes"][f"{stage}/{name}"] for name in alone["boxes"]} == alone["boxes"]
        expected = [(f"{stage}/{a['start']}", f"{stage}/{a['end']}", a["label"]) for a in alone["arrows"]]
        assert [pair for pair in pairs if pair[0].startswith(f"{stage}/")] == expected
    chain = ["stage 1", "from 1 to 2", "stage 2", "from 2 to 3", "stage 3"]
    assert [pair[:2] for pair in pairs if pair[0] in chain] == list(pairwise(chain))
    assert "y_{mc}" in whole["boxes"]["from 2 to 3"]["lines"][0]


def edges(box: drawing.Box) -> tuple[float, float, float, float]:
    (x, y), w, h = box.at, box.width, box.tall
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def test_method_panels_hold_their_boxes_and_boxes_do_not_overlap(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[drawing.Diagram] = []
    monkeypatch.setattr(diagrams, "draw", drawn.append)
    diagrams.draw_method(parts)
    boxes = drawn[0].boxes
    for name in (name for name in boxes if name[1] == "/"):
        left, low, right, high = edges(boxes[f"stage {name[0]}"])
        x0, y0, x1, y1 = edges(boxes[name])
        assert left < x0 < x1 < right, name
        assert low < y0 < y1 < high - 0.4, name  # a title stands above
    solid = {name: edges(box) for name, box in boxes.items() if box.kind not in ("panel", "heading")}
    for (first, a), (second, b) in combinations(solid.items(), 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{first} overlaps {second}"
