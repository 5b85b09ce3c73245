"""The structure of the networks, read from the modules themselves: layers, shapes on a batch, parameter counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from mugkit.config import Hyperparameters
from mugkit.data.batch import Batch, Padded, Tokens
from mugkit.data.schema import MODALITIES, MODALITY_NAMES
from mugkit.evaluation.paper_tables import count
from mugkit.models.mug import MUCN, MUGNetwork, TextEncoder


@dataclass(frozen=True)
class Parts:
    """All networks of MUG: what stages 1 and 3 train, and stage 2's correction networks by modality."""

    network: MUGNetwork
    mucns: Mapping[str, MUCN]
    contrastive_gradient_scope: str  # what Eq. 11 trains, see `config.Pretraining`


def assemble(hp: Hyperparameters, frame_dims: Mapping[str, int], rho: float, text: int | TextEncoder) -> Parts:
    """All networks of a configuration, untrained; `text` is the encoder if it is trained too, else its width."""
    width, encoder = (text, None) if isinstance(text, int) else (text.width, text)
    network = MUGNetwork(hp.network, frame_dims, width, encoder)
    meta, dims = hp.meta, {"l": hp.network.d_l, "a": hp.network.d_a, "v": hp.network.d_v}
    mucns = {m: MUCN(dims[m], meta.mucn_width, rho, meta.residual, meta.mucn_output_bias) for m in MODALITIES}
    return Parts(network, mucns, hp.pretraining.contrastive_gradient_scope)


def paper_parts(hp: Hyperparameters, frame_dims: Mapping[str, int], rho: float) -> Parts:
    """As `assemble`, with BERT-base trained too, on torch's meta device: shapes without memory or weights."""
    from transformers import BertConfig, BertModel

    with torch.device("meta"):
        return assemble(hp, frame_dims, rho, TextEncoder(BertModel(BertConfig()), hp.network.pooling))


@dataclass(frozen=True)
class Layer:
    """One layer: its type, its dims from input to output, a note, its parameter count."""

    kind: str
    dims: tuple[str, ...] = ()
    note: str = ""
    parameters: int = 0

    @property
    def text(self) -> str:
        return f"{self.kind} {' → '.join(self.dims)}".rstrip() + self.note


def layers(module: nn.Module) -> list[Layer]:
    """The layers of a module in the order it registers them; dropout with probability 0 is left out."""
    size = count(module)
    match module:
        case nn.Linear():
            note = "" if module.bias is not None else ", no bias"
            return [Layer("Linear", (str(module.in_features), str(module.out_features)), note, size)]
        case nn.LSTM():
            return [Layer("LSTM", (str(module.input_size), str(module.hidden_size)), "", size)]
        case nn.Dropout():
            return [Layer(f"Dropout {module.p:g}")] if module.p else []
        case TextEncoder():
            return [Layer(type(module.encoder).__name__, ("tokens", str(module.width)), "", size)]
        case MUCN():
            noisy = "ȳ" if module.scale == 1 else f"{module.scale:.2g}·ȳ"
            return [*layers(module.layers), Layer(f"{module.rho:g}·tanh({noisy} + y′)")]
    children = list(module.children())
    return [layer for child in children for layer in layers(child)] if children else [Layer(type(module).__name__)]


def side_by_side(columns: Sequence[Sequence[Layer]]) -> list[Layer]:
    """Merges equal stacks of layers, e.g. the three unimodal predictors; dims that differ are joined by slashes."""
    joined = []
    for row in zip(*columns, strict=True):
        dims = [list(places) for places in zip(*(layer.dims for layer in row), strict=True)]
        texts = tuple("/".join(places if len(set(places)) > 1 else places[:1]) for places in dims)
        joined.append(replace(row[0], dims=texts, parameters=sum(layer.parameters for layer in row)))
    return joined


# Part → (its modalities, its equation, the stages that use it, how to find it).
_PARTS: Mapping[str, tuple[str, str, str, Callable[[Parts, str], nn.Module | None]]] = {
    "text encoder": ("l", "Eq. 1", "1, 3", lambda parts, m: parts.network.language.encoder),
    "layer after it": ("l", "Eq. 1", "1, 3", lambda parts, m: parts.network.language.down),
    "LSTM": ("av", "Eq. 2", "1, 3", lambda parts, m: parts.network.sequences[m]),
    "fusion network": ("M", "Eq. 4", "1, 3", lambda parts, m: parts.network.fusion),
    "multimodal predictor": ("M", "Eq. 5", "1, 3", lambda parts, m: parts.network.predictor),
    "projection (CPM)": ("lav", "Eq. 7", "1", lambda parts, m: parts.network.projections[m]),
    "unimodal predictor": ("lav", "Eqs. 8, 24", "1, 3", lambda parts, m: parts.network.unimodal_predictors[m]),
    "MUCN": ("lav", "Eqs. 13, 19, 28", "2", lambda parts, m: parts.mucns[m]),
}


def parameter_table(configurations: Mapping[str, Parts]) -> pd.DataFrame:
    """Parameters of every part, one column per configuration, with totals in the last row."""
    rows: list[dict[str, Any]] = []
    for name, (modalities, equation, stages, find) in _PARTS.items():
        for m in modalities:
            part = f"{name}, {MODALITY_NAMES[m]}" if len(modalities) > 1 else name
            # A frozen encoder is not part of the network and counts 0.
            counts = {title: count(*filter(None, [find(parts, m)])) for title, parts in configurations.items()}
            rows.append({"part": part, "equation": equation, "stages": stages, **counts})
    totals = {title: sum(row[title] for row in rows) for title in configurations}
    return pd.DataFrame([*rows, {"part": "all", "equation": "", "stages": "", **totals}])


# Module → symbol of its output, in the order of the forward pass.
_STEPS: Mapping[str, str] = {
    "language": "x_l (Eq. 1)", "sequences.a": "x_a (Eq. 2)", "sequences.v": "x_v (Eq. 2)", "fusion": "x (Eq. 4)",
    "predictor": "ŷ (Eq. 5)", **{f"projections.{m}": f"x_{m}′ (Eq. 7)" for m in MODALITIES},
    **{f"unimodal_predictors.{m}": f"ŷ_{m}′ (Eq. 8)" for m in MODALITIES},
}  # fmt: skip


@torch.no_grad()
def trace(network: MUGNetwork, batch: Batch) -> pd.DataFrame:
    """Shapes after each step of stage 1's forward pass on a batch, in the order of the steps."""
    rows: list[dict[str, str]] = []

    def note(step: str, module: nn.Module, given: tuple[Any, ...], result: Tensor) -> None:
        reads = ", ".join(map(shape, given))
        rows.append({"step": step, "reads": reads, "gives": _STEPS[step], "shape": shape(result)})

    hooks = [network.get_submodule(step).register_forward_hook(partial(note, step)) for step in _STEPS]
    try:
        reps = network.represent(batch)
        network.predict(reps)
        network.predict_unimodal(network.project(reps))
    finally:
        for hook in hooks:
            hook.remove()
    return pd.DataFrame(rows).set_index("step")


def shape(value: Tensor | Padded | Tokens) -> str:
    """A shape as text, `3 × 64`; for frames with the length of every clip, `(12 + 7 + 30) × 74`."""
    if isinstance(value, Padded):
        return f"({' + '.join(map(str, value.lengths.tolist()))}) × {value.values.shape[2]}"
    tensor = value.ids if isinstance(value, Tokens) else value
    return " × ".join(map(str, tensor.shape))
