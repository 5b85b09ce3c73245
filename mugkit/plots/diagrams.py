"""The paper's Figs. 2 and 3, drawn from the modules that run, so that they cannot show what the code does not do.

parts = architecture.assemble(hp, dataset.dims, dataset.label_scale, text_width)
figure, numbers = draw_stage(1, parts)
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure
from torch import nn

from mugkit.data.schema import MODALITIES
from mugkit.plots.architecture import Layer, Parts, layers, side_by_side
from mugkit.plots.drawing import Arrow, Box, BoxKind, Diagram, Point, draw

_LEGEND: Mapping[BoxKind, str] = {
    "network": "network", "representation": "representation", "label": "label or prediction", "loss": "loss",
    "update": "update of $\\theta$, the parameters of MUCN$_m$",
}  # fmt: skip


def draw_structures(parts: Parts) -> tuple[Figure, dict[str, Any]]:
    """Fig. 3: structures of unimodal predictor, multimodal predictor, fusion network and MUCN, and their JSON.

    One column per network, one box per layer, data flowing down.
    """
    network = parts.network
    columns = [
        ("unimodal predictor $P^m$", "$x_m$ or $x_{m'}$", _each(network.unimodal_predictors), "$\\hat{y}_m$"),
        ("multimodal predictor $P^M$", "$x$", layers(network.predictor), "$\\hat{y}$"),
        ("fusion network $F^M$", "$[x_l, x_a, x_v]$", layers(network.fusion), "$x$"),
        ("MUCN$_m$", "$[x_m, \\bar{y}]$", _each(parts.mucns), "$y_{mc}$"),
    ]
    boxes: dict[str, Box] = {}
    arrows: list[Arrow] = []
    for i, (title, given, stack, result) in enumerate(columns):
        x = 1.3 + 2.5 * i
        column = _column(x, title, [given, *(layer.text for layer in stack), result])
        boxes |= {title: Box((x, 4.15), title, kind="heading", width=2.2), **column}
        arrows += [Arrow(above, below) for above, below in pairwise(column)]
    legend: Mapping[BoxKind, str] = {"network": "layer (dims of l/a/v where they differ)", "representation": "data"}
    return draw(Diagram("Structures of the networks, read off the modules", boxes, arrows, legend))


def draw_stage(number: int, parts: Parts) -> tuple[Figure, dict[str, Any]]:
    """Stage 1, 2 or 3 of Fig. 2 with the modules' own dims, and its JSON."""
    return draw(_STAGES[number](parts))


def draw_method(parts: Parts) -> tuple[Figure, dict[str, Any]]:
    """Fig. 2: the three stages below each other, each in a panel, with what is saved between them; and its JSON.

    Boxes and arrows are those of the single stages; their names start with the stage's number: `1/x_m`.
    """
    boxes: dict[str, Box] = {}
    arrows: list[Arrow] = []
    bottom = 0.1
    for number in reversed(_STAGES):
        diagram = _STAGES[number](parts)
        placed, bottom = _panel(number, diagram, bottom)
        boxes = placed | boxes
        arrows += [replace(a, start=f"{number}/{a.start}", end=f"{number}/{a.end}") for a in diagram.arrows]
        bottom += _GAP
    given, handing = _handed_on(boxes)
    boxes |= given
    return draw(Diagram("MUG in three stages", boxes, [*arrows, *handing], _legend_of(boxes)))


# --- Fig. 3 -----------------------------------------------------------------------------------------


def _column(x: float, title: str, texts: list[str]) -> dict[str, Box]:
    boxes = {}
    for i, text in enumerate(texts):
        kind: BoxKind = "representation" if i in (0, len(texts) - 1) else "network"
        boxes[f"{title}/{i}"] = Box((x, 3.6 - 0.62 * i), text, kind=kind, width=2.2)
    return boxes


def _each(modules: Any) -> list[Layer]:
    """The layers of a network that exists for every modality, with the dims of l/a/v side by side."""
    return side_by_side([layers(modules[m]) for m in MODALITIES])


# --- Fig. 2, stage by stage -------------------------------------------------------------------------


def _network(at: Point, title: str, module: nn.Module | list[Layer], width: float = 1.75) -> Box:
    stack = layers(module) if isinstance(module, nn.Module) else module
    return Box(at, title, tuple(layer.text for layer in stack), width=width)


def _legend_of(boxes: Mapping[str, Box]) -> dict[BoxKind, str]:
    used = {box.kind for box in boxes.values()}
    return {kind: meaning for kind, meaning in _LEGEND.items() if kind in used}


def _dims(parts: Parts) -> dict[str, str]:
    return {m: layers(parts.network.projections[m])[0].dims[1] for m in MODALITIES}


def _backbone(parts: Parts) -> tuple[dict[str, Box], list[Arrow]]:
    """What stages 1 and 3 share: unimodal networks, their representations, fusion, multimodal predictor, L_M."""
    network, dims = parts.network, _dims(parts)
    listed = tuple(f"$x_{m}$: {dims[m]}" for m in MODALITIES)
    boxes = {
        "language": _network((0.95, 3.3), "language network", network.language),
        "acoustic": _network((0.95, 2.3), "acoustic network", network.sequences["a"]),
        "visual": _network((0.95, 1.3), "visual network", network.sequences["v"]),
        "x_m": Box((2.75, 2.0), "$x_m$", listed, "representation", width=0.85, height=3.2),
        "fusion": _network((4.4, 3.3), "fusion $F^M$", network.fusion),
        "x": Box((6.05, 3.3), "$x$", (layers(network.fusion)[-1].dims[1],), "representation", width=0.6),
        "P^M": _network((7.85, 3.3), "predictor $P^M$", network.predictor),
        "L_M": Box((11.8, 3.3), "$\\mathcal{L}_M$", ("$|y - \\hat{y}|$",), "loss", width=1.4),
    }
    chain = ["x_m", "fusion", "x", "P^M"]
    arrows = [Arrow(name, "x_m") for name in ("language", "acoustic", "visual")]
    arrows += [Arrow(a, b) for a, b in pairwise(chain)]
    return boxes, [*arrows, Arrow("P^M", "L_M", "$\\hat{y}$")]


def stage_1(parts: Parts) -> Diagram:
    """Fig. 2, pre-training (Eqs. 1–12): y trains the network, the contrastive loss moves the projections.

    The gradient of Eq. 11 stops at its target x_m; under the other reading also at x, the input of the projection.
    """
    network, dims = parts.network, _dims(parts)
    boxes, arrows = _backbone(parts)
    listed = ("/".join(dims[m] for m in MODALITIES),)
    boxes |= {
        "CPM": _network((6.05, 1.95), "projection CPM$_m$", _each(network.projections), width=1.85),
        "x_m'": Box((7.85, 1.95), "$x_{m'}$", listed, "representation", width=0.95),
        "P^m": _network((9.65, 1.95), "predictor $P^m$", _each(network.unimodal_predictors), width=2.2),
        "L_m'": Box((11.8, 1.95), "$\\mathcal{L}_{m'}$ (Eq. 9)", ("$|y - \\hat{y}_{m'}|$",), "loss", width=1.4),
        "L^c_m": Box((7.85, 0.75), "$\\mathcal{L}^c_m$ (Eq. 11)", ("contrastive",), "loss", width=1.4),
    }
    arrows += [
        Arrow("x", "CPM"), Arrow("CPM", "x_m'"), Arrow("x_m'", "P^m"), Arrow("P^m", "L_m'"),
        Arrow("x_m'", "L^c_m", "anchor"), Arrow("x_m", "L^c_m", "target: gradient stopped  ✕", "stopped"),
    ]  # fmt: skip
    if parts.contrastive_gradient_scope == "projection":
        arrows.append(Arrow("x", "CPM", "$\\mathcal{L}^c_m$: stopped  ✕", "stopped", bend=1.05))
    title = "Stage 1, for each $m$ in l, a, v: $\\mathcal{L} = \\mathcal{L}_M + \\sum_m"
    title += " (\\eta\\,\\mathcal{L}_{m'} + \\gamma\\,\\mathcal{L}^c_m)$ (Eq. 12)"
    return Diagram(title, boxes, arrows, _legend_of(boxes))


def stage_2(parts: Parts) -> Diagram:
    """Fig. 2, meta-learning (Eqs. 13–23): one bi-level step of MUCN_m on saved representations."""
    dims = "/".join(_dims(parts).values())
    mucn = _each(parts.mucns)
    boxes = {
        "x_m": Box((0.95, 3.2), "$x_m$, saved", (dims,), "representation", width=1.7),
        "noisy": Box((0.95, 2.5), "$y + \\epsilon_m$ (Eq. 13)", kind="label", width=1.7),
        "MUCN": _network((3.2, 2.85), "MUCN$_m$", mucn, width=2.0),
        "y_mc": Box((3.2, 4.0), "after each epoch: $y_{mc}$", kind="label", width=2.2),
        "L": Box((5.6, 2.85), "unimodal denoising", ("$|y - y_{mc}|$", "Eq. 14, later Eq. 16"), "loss", width=1.8),
        "θ′": Box((8.0, 2.85), "tentative step", ("$\\theta' = \\theta - \\alpha\\nabla\\mathcal{L}$ (Eq. 15)",),
                  "update", width=1.9),
        "x_m'": Box((0.95, 1.15), "$x_{m'}$, saved", (dims,), "representation", width=1.7),
        "corrupted": Box((0.95, 0.45), "$\\hat{y}_{m'} + \\epsilon_{m'}$ (Eq. 21)", kind="label", width=1.7),
        "same": _network((3.2, 0.8), "MUCN$_m$ (the same)", mucn, width=2.0),
        "pre": Box((5.6, 1.15), "$\\mathcal{L}^{pre}$ at $\\theta$ (Eq. 20)", kind="loss", width=1.8),
        "post": Box((5.6, 0.45), "$\\mathcal{L}^{post}$ at $\\theta'$ (Eq. 20)", kind="loss", width=1.8),
        "gate": Box((8.0, 0.8), "gate", ("$\\mathcal{L}^{post} < \\mathcal{L}^{pre}$ ?",), "update", width=1.9),
        "keep": Box((11.1, 1.4), "keep the step", ("$\\theta \\leftarrow \\theta'$ (Eq. 22)",), "update", width=2.3),
        "mend": Box((11.1, 0.35), "mend it through Eq. 15",
                    ("$\\theta \\leftarrow \\theta - \\alpha'\\nabla_{\\theta}\\mathcal{L}^{post}$ (Eq. 23)",),
                    "update", width=2.3),
    }  # fmt: skip
    forward = [
        ("x_m", "MUCN"), ("noisy", "MUCN"), ("MUCN", "L"), ("MUCN", "y_mc"), ("x_m'", "same"), ("corrupted", "same"),
        ("same", "pre"), ("same", "post"), ("pre", "gate"), ("post", "gate"),
    ]  # fmt: skip
    arrows = [Arrow(start, end) for start, end in forward]
    arrows += [
        Arrow("L", "θ′", kind="update"), Arrow("θ′", "same", "try $\\theta'$", "update"),
        Arrow("gate", "keep", "yes", "update"), Arrow("gate", "mend", "no", "update"),
    ]  # fmt: skip
    title = "Stage 2, for each $m$ in l, a, v: a bi-level step of MUCN$_m$"
    return Diagram(title, boxes, arrows, _legend_of(boxes))


def stage_3(parts: Parts) -> Diagram:
    """Fig. 2, joint training (Eqs. 24–27): y for the fused prediction, learned labels for the unimodal ones."""
    boxes, arrows = _backbone(parts)
    boxes |= {
        "P^m": _network((7.85, 1.7), "predictor $P^m$", _each(parts.network.unimodal_predictors), width=2.2),
        "L_m": Box((11.8, 1.7), "$\\mathcal{L}_m$ (Eq. 25)", ("$|y_{mc} - \\hat{y}_m|$",), "loss", width=1.4),
        "y_mc": Box((11.8, 0.6), "$y_{mc}$ of stage 2", kind="label", width=1.6),
    }
    arrows += [Arrow("x_m", "P^m"), Arrow("P^m", "L_m", "$\\hat{y}_m$ (Eq. 24)"), Arrow("y_mc", "L_m")]
    title = "Stage 3, from scratch: $\\mathcal{L} = \\mathcal{L}_M + \\sum_m \\beta\\,\\mathcal{L}_m$ (Eq. 27)"
    return Diagram(title, boxes, arrows, _legend_of(boxes))


# --- Fig. 2, whole ----------------------------------------------------------------------------------

_STAGES = {1: stage_1, 2: stage_2, 3: stage_3}
_WIDTH = 12.7  # of a stage's panel, in inches
_TITLE = 0.55  # room for a stage's title above its boxes
_GAP = 1.0  # between panels: what one stage hands to the next

# What is saved between two stages, from the upper panel to the lower one.
_HANDED_ON = (
    ("saved once", "$x_m$, $x_{m'}$, $\\hat{y}_{m'}$, $y$ of every training clip"),
    ("learned labels", "$y_{mc}$ of every training clip"),
)


def _panel(number: int, diagram: Diagram, bottom: float) -> tuple[dict[str, Box], float]:
    """A stage's boxes in a panel that starts at height `bottom`, and the height at which it ends."""
    low = min(box.at[1] - box.tall / 2 for box in diagram.boxes.values())
    high = max(box.at[1] + box.tall / 2 for box in diagram.boxes.values())
    top = bottom + high - low + 0.3 + _TITLE
    middle = _WIDTH / 2 + 0.1
    placed = {
        f"stage {number}": Box((middle, (top + bottom) / 2), "", (), "panel", _WIDTH, top - bottom),
        f"title {number}": Box((middle, top - _TITLE / 2 - 0.05), diagram.title, kind="heading", width=_WIDTH),
    }
    lift = bottom + 0.15 - low
    shifted = {f"{number}/{n}": replace(b, at=(b.at[0] + 0.1, b.at[1] + lift)) for n, b in diagram.boxes.items()}
    return placed | shifted, top


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
