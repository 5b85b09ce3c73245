"""SUGRM's own network: recalibrated frames, a sparse phased transformer, one width for all features.

Y. Hwang, J.-H. Kim: "Self-Supervised Unimodal Label Generation Strategy Using Recalibrated Modality Representations
for Multimodal Sentiment Analysis", Findings of EACL 2023. The transformer is J. Cheng, I. Fostiropoulos, B. Boehm,
M. Soleymani: "Multimodal Phased Transformer for Sentiment Analysis", EMNLP 2021. Sizes, and what the papers leave open,
are the authors' code's.

1. Recalibration. The modalities' means over time go through a bottleneck of a quarter of their dims, which gives every
   dim of every modality a gate between 0 and 2; all its tokens or frames are multiplied by it.
2. Sparse phased transformer. For every five elements of a modality there is one hidden state. In each of four layers
   (of the same weights) the states read windows of their elements, then windows of the two other modalities' states,
   then windows of their own kind. A window that leaves the sequence goes on at its other end.
3. The common space. The last states, and all three side by side for the fusion, are projected to 32 dims, and a linear
   layer predicts from those. What the module calls representations are these F, from which
   `mugkit.training.label_sources.sugrm` makes its labels. Nothing but their width is common: every projection has
   weights of its own.

All of it is trained by |ŷ − y| + Σ_s tanh|y_s − y|·|ŷ_s − y_s|, which is Eq. 27 with β = 1 and the source's weights.

Departures:
- Means, windows and the last state are over each clip's own elements; published: over the padded batch.
- Windows over states shift by one state a layer, as in the authors' code; the transformer's paper has further phases.
- One learning rate for all but BERT; published are 1e-2 (MOSI), 1e-3 (MOSEI) for recalibration and common space.
- Batches are of 128, for which the published code adds up four of 32.
- One weight decay for all; published is 1e-2 on MOSEI for what is not BERT.
- The gates of each modality are multiplied with that modality; the published call has sound and vision exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from mugkit.baselines.base import FeatureNetwork
from mugkit.config import Network
from mugkit.data.batch import Batch, Padded
from mugkit.data.schema import MODALITIES
from mugkit.device import to_device
from mugkit.models.mug import Representations
from mugkit.models.precision import trained_encoder
from mugkit.models.tokens import TokenLanguage, last_step, sinusoids

PAIRS = (("a", "l"), ("l", "v"), ("v", "a"))  # each reads the other; the second with the roles of weights exchanged
Keys = tuple[Float[Tensor, "batch heads source d_head"], Float[Tensor, "batch heads source d_head"]]


@dataclass(frozen=True)
class Config:
    """Published sizes for MOSI.

    Attributes:
        d: dims of hidden states and of the common space.
        stride: elements to a hidden state.
        windows: what a hidden state reads: elements, states of another modality, states of its own.
        embedding_dropout: of elements with their positions.
        dropout: inside the transformer.
        head_dropout: inside the projections.
        reduction: of the recalibration's bottleneck.
    """

    d: int = 32
    heads: int = 8
    layers: int = 4
    stride: int = 5
    windows: tuple[int, int, int] = (17, 9, 7)
    embedding_dropout: float = 0.3
    dropout: float = 0.3
    head_dropout: float = 0.3
    reduction: int = 4


PUBLISHED = Config()
MOSEI = replace(PUBLISHED, heads=4, embedding_dropout=0.2, dropout=0.1, head_dropout=0.1)


class Recalibration(nn.Module):
    """U_m ← 2σ(W_m z) ⊙ U_m with z = ReLU(W[mean U_l; mean U_a; mean U_v]): what all say decides which dims count."""

    def __init__(self, dims: Mapping[str, int], reduction: int) -> None:
        super().__init__()
        total = sum(dims.values())
        self.squeeze = nn.Sequential(nn.Linear(total, total // reduction), nn.ReLU())
        self.excite = nn.ModuleDict({m: nn.Linear(total // reduction, dim) for m, dim in dims.items()})

    def forward(self, x: Mapping[str, Padded]) -> dict[str, Padded]:
        means = [(x[m].values * x[m].mask[..., None]).sum(1) / x[m].lengths[:, None] for m in MODALITIES]
        z = self.squeeze(torch.cat(means, dim=-1))
        return {m: Padded(2 * self.excite[m](z).sigmoid()[:, None] * x[m].values, x[m].mask) for m in MODALITIES}


def window(
    states: int, lengths: Int64[Tensor, "batch"], longest: int, stride: int, width: int, shift: int = 0
) -> Float[Tensor, "batch 1 states longest"]:
    """What to add to attention weights so that state i sees the `width` elements up to stride·(i + 1) + shift alone.

    Positions are taken modulo a clip's own length. An element that a window meets n times counts n times: log n.
    """
    ends = torch.arange(1, states + 1) * stride + shift
    position = to_device(ends[:, None] - width + torch.arange(width), lengths.device) % lengths[:, None, None]
    counts = torch.zeros(len(lengths), states, longest, device=lengths.device)
    return counts.scatter_add_(2, position, torch.ones_like(position, dtype=counts.dtype)).log()[:, None]


class Block(nn.Module):
    """Attention to windows of a source and a feed-forward layer, each after a normalisation, around a residual path.

    Args:
        source: dims of the source's elements; None: the states read themselves, normalised once.
    """

    def __init__(self, config: Config, source: int | None = None) -> None:
        super().__init__()
        d = config.d
        self.heads = config.heads
        self.norm, self.norm_inner = nn.LayerNorm(d), nn.LayerNorm(d)
        self.norm_source = self.norm if source is None else nn.LayerNorm(source)
        self.query, self.output = nn.Linear(d, d), nn.Linear(d, d)
        self.key, self.value = nn.Linear(source or d, d), nn.Linear(source or d, d)
        self.dropout = nn.Dropout(config.dropout)
        self.inner = nn.Sequential(nn.Linear(d, 4 * d), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(4 * d, d))

    def _split(self, x: Float[Tensor, "batch length d"]) -> Float[Tensor, "batch heads length d_head"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys(self, source: Float[Tensor, "batch source d_source"], exchanged: bool = False) -> Keys:
        """Keys and values of a source; exchanged, the query's weights make the keys."""
        source = self.norm_source(source)
        return self._split((self.query if exchanged else self.key)(source)), self._split(self.value(source))

    def forward(
        self,
        x: Float[Tensor, "batch states d"],
        keys: Keys,
        seen: Float[Tensor, "batch 1 states source"],
        exchanged: bool = False,
    ) -> Float[Tensor, "batch states d"]:
        query = self._split((self.key if exchanged else self.query)(self.norm(x)))
        read = scaled_dot_product_attention(query, *keys, attn_mask=seen).transpose(1, 2).flatten(2)
        x = x + self.dropout(self.output(read))
        return x + self.dropout(self.inner(self.norm_inner(x)))


class SparsePhasedTransformer(nn.Module):
    """Sequences of three modalities, each to one vector that has seen the others."""

    def __init__(self, dims: Mapping[str, int], config: Config) -> None:
        super().__init__()
        self.config = config
        self.initial = nn.ParameterDict({m: nn.Parameter(torch.empty(1, config.d)) for m in MODALITIES})
        self.elements = nn.ModuleDict({m: Block(config, dims[m]) for m in MODALITIES})
        self.others = nn.ModuleDict({"".join(pair): Block(config, config.d) for pair in PAIRS})
        self.own = nn.ModuleDict({m: Block(config) for m in MODALITIES})
        self.dropout, self.norm = nn.Dropout(config.embedding_dropout), nn.LayerNorm(config.d)
        for name, parameter in self.named_parameters():
            if "norm" not in name:
                (nn.init.xavier_uniform_ if parameter.dim() > 1 else nn.init.zeros_)(parameter)

    def _embed(self, x: Float[Tensor, "batch length dim"]) -> Float[Tensor, "batch length dim"]:
        """√d x + positions."""
        return self.dropout(self.config.d**0.5 * x + to_device(sinusoids(*x.shape[1:]), x.device))

    def forward(self, x: Mapping[str, Padded]) -> dict[str, Float[Tensor, "batch d"]]:
        stride, (wide, between, within) = self.config.stride, self.config.windows
        count = {m: (x[m].lengths + stride - 1) // stride for m in MODALITIES}  # hidden states of a clip
        most = {m: (x[m].mask.shape[1] + stride - 1) // stride for m in MODALITIES}
        keys = {m: self.elements[m].keys(self._embed(x[m].values)) for m in MODALITIES}  # type: ignore[operator]
        seen = {m: window(most[m], x[m].lengths, x[m].mask.shape[1], stride, wide) for m in MODALITIES}
        h = {m: self._embed(self.initial[m].expand(len(count[m]), most[m], -1)) for m in MODALITIES}
        for layer in range(self.config.layers):
            h = {m: self.elements[m](h[m], keys[m], seen[m]) for m in MODALITIES}
            h = self._exchange(h, count, most, partial(window, stride=1, width=between, shift=layer))
            for m in MODALITIES:
                own = window(most[m], count[m], most[m], 1, within, layer)
                h[m] = self.own[m](h[m], self.own[m].keys(h[m]), own)  # type: ignore[operator]
        masks = {m: (to_device(torch.arange(most[m]), count[m].device) < count[m][:, None]).long() for m in MODALITIES}
        return {m: self.norm(last_step(h[m], masks[m])) for m in MODALITIES}

    def _exchange(
        self,
        h: Mapping[str, Float[Tensor, "batch states d"]],
        count: Mapping[str, Int64[Tensor, "batch"]],
        most: Mapping[str, int],
        seen: Callable[[int, Tensor, int], Tensor],
    ) -> dict[str, Float[Tensor, "batch states d"]]:
        """Each modality's states after they read the two others', added up."""
        read: dict[str, list[Tensor]] = {m: [] for m in MODALITIES}
        for one, other in PAIRS:
            block = self.others[one + other]
            for to, of, exchanged in ((one, other, False), (other, one, True)):
                keys = block.keys(h[of], exchanged)  # type: ignore[operator]
                read[to].append(block(h[to], keys, seen(most[to], count[of], most[of]), exchanged))
        return {m: first + second for m, (first, second) in read.items()}


class SUGRM(FeatureNetwork):
    """Recalibration, sparse phased transformer, four projections with a prediction each; made as `MUGNetwork` is."""

    def __init__(
        self,
        frame_dims: Mapping[str, int],
        text_width: int,
        encoder: nn.Module | None = None,
        config: Config = PUBLISHED,
    ) -> None:
        super().__init__()
        d, dims = config.d, {"l": text_width, "a": frame_dims["a"], "v": frame_dims["v"]}
        self.language = TokenLanguage(encoder)
        self.recalibration = Recalibration(dims, config.reduction)
        self.transformer = SparsePhasedTransformer(dims, config)
        widths = {**dict.fromkeys(MODALITIES, d), "m": len(MODALITIES) * d}
        self.projections = nn.ModuleDict({m: _projection(width, config) for m, width in widths.items()})
        self.predictors = nn.ModuleDict({m: nn.Linear(d, 1) for m in widths})

    def represent(self, batch: Batch) -> Representations:
        x = {"l": Padded(*self.language(batch.text)), **batch.frames}
        h = self.transformer(self.recalibration(x))
        fused = self.projections["m"](torch.cat([h[m] for m in MODALITIES], dim=-1))
        return Representations({m: self.projections[m](h[m]) for m in MODALITIES}, fused)

    def head(self, modality: str) -> nn.Module:
        return self.predictors[modality]


def _projection(width: int, config: Config) -> nn.Sequential:
    d = config.d
    return nn.Sequential(nn.Linear(width, d), nn.ReLU(), nn.Dropout(config.head_dropout), nn.Linear(d, d))


def build(config: Network, frame_dims: Mapping[str, int], text_width: int, sizes: Config = PUBLISHED) -> SUGRM:
    """The network for a configuration; loads the text encoder's weights only when it is to be trained."""
    encoder = None if config.freeze_text else trained_encoder(config)
    width = text_width if encoder is None else int(encoder.config.hidden_size)  # type: ignore[arg-type,union-attr]
    return SUGRM(frame_dims, width, encoder, sizes)


def sizes(family: str, light: bool) -> Config:
    """Those published for a family of data sets; light, with one layer, one head and no dropout, as MulT's."""
    published = MOSEI if family == "mosei" else PUBLISHED
    return (
        replace(published, layers=1, heads=1, embedding_dropout=0.0, dropout=0.0, head_dropout=0.0)
        if light
        else published
    )
