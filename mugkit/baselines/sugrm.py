"""SUGRM's own network: recalibrated frames, a sparse phased transformer, one width for all features.

Y. Hwang, J.-H. Kim: "Self-Supervised Unimodal Label Generation Strategy Using Recalibrated Modality Representations
for Multimodal Sentiment Analysis", Findings of EACL 2023. The transformer is J. Cheng, I. Fostiropoulos, B. Boehm,
M. Soleymani: "Multimodal Phased Transformer for Sentiment Analysis", EMNLP 2021. Sizes, and choices that the papers
leave open, are from the authors' code.

1. Recalibration. The modalities' means over time go through a bottleneck of a quarter of their dims. It computes a gate
   between 0 and 2 for every dim of every modality, which multiplies this dim of all tokens or frames.
2. Sparse phased transformer. There is one hidden state for every five elements of a modality. In each of four layers
   (with the same weights), the states read windows of their elements, then windows of the two other modalities' states,
   then windows of their own modality's states. A window that leaves the sequence continues at its other end.
3. Common space. The last state of each modality, and the concatenation of all three for the fusion, are projected to
   32 dims, from which a linear layer predicts. These projections are the network's representations F, from which
   `mugkit.training.label_sources.sugrm` computes labels. Only their width is common; all have their own weights.

The loss is |ŷ − y| + Σ_s tanh|y_s − y|·|ŷ_s − y_s|, which is Eq. 27 with β = 1 and the weights of the label source.

Departures:
- Means, windows and the last state cover each clip's own elements; in the published code, the padded batch.
- Windows over states shift by one state per layer, as in the authors' code; the transformer's paper has further phases.
- All parts but BERT share one learning rate; published: 1e-2 (MOSI), 1e-3 (MOSEI) for recalibration and common space.
- Batches have 128 clips; the published code accumulates the gradients of four batches of 32.
- All parts share one weight decay; the published value on MOSEI is 1e-2 for all parts except BERT.
- The gates of each modality multiply that modality; the published call exchanges sound and vision.
"""

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

PAIRS = (("a", "l"), ("l", "v"), ("v", "a"))  # each reads the other; the second with query and key weights exchanged
Keys = tuple[Float[Tensor, "batch heads source d_head"], Float[Tensor, "batch heads source d_head"]]


@dataclass(frozen=True)
class Config:
    """Published sizes for MOSI."""

    d: int = 32  # dims of hidden states and of the common space
    heads: int = 8
    layers: int = 4
    stride: int = 5  # elements per hidden state
    windows: tuple[int, int, int] = (17, 9, 7)  # read: elements, states of another modality, states of its own
    embedding_dropout: float = 0.3  # on elements with their positions
    dropout: float = 0.3  # inside the transformer
    head_dropout: float = 0.3  # inside the projections
    reduction: int = 4  # of dims in the recalibration's bottleneck


PUBLISHED = Config()
MOSEI = replace(PUBLISHED, heads=4, embedding_dropout=0.2, dropout=0.1, head_dropout=0.1)


class Recalibration(nn.Module):
    """U_m ← 2σ(W_m z) ⊙ U_m with z = ReLU(W[mean U_l; mean U_a; mean U_v]): all modalities decide which dims count."""

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
    """Attention mask to add, with which state i sees only the `width` elements up to stride·(i + 1) + shift.

    Positions are taken modulo a clip's own length. An element that a window meets n times counts n times (log n).
    """
    ends = torch.arange(1, states + 1) * stride + shift
    position = to_device(ends[:, None] - width + torch.arange(width), lengths.device) % lengths[:, None, None]
    counts = torch.zeros(len(lengths), states, longest, device=lengths.device)
    return counts.scatter_add_(2, position, torch.ones_like(position, dtype=counts.dtype)).log()[:, None]


class Block(nn.Module):
    """Attention to windows of a source, then a feed-forward layer, each with normalisation before and a residual path.

    Without dims of a source, the states read themselves, with one shared normalisation.
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
        """Keys and values of a source; if `exchanged`, the query's weights compute the keys."""
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
    """Maps each modality's sequence to one vector, which depends on the other modalities, too."""

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
        """The sum of each modality's states after reading one other modality and after reading the other."""
        read: dict[str, list[Tensor]] = {m: [] for m in MODALITIES}
        for first, second in PAIRS:
            block = self.others[first + second]
            for to, of, exchanged in ((first, second, False), (second, first, True)):
                keys = block.keys(h[of], exchanged)  # type: ignore[operator]
                read[to].append(block(h[to], keys, seen(most[to], count[of], most[of]), exchanged))
        return {m: first + second for m, (first, second) in read.items()}


class SUGRM(FeatureNetwork):
    """Recalibration, sparse phased transformer, four projections with a predictor each; built like `MUGNetwork`."""

    def __init__(
        self, frames: Mapping[str, int], text_width: int, encoder: nn.Module | None = None, config: Config = PUBLISHED
    ) -> None:
        super().__init__()
        d, dims = config.d, {"l": text_width, "a": frames["a"], "v": frames["v"]}
        self.language = TokenLanguage(encoder)
        self.recalibration = Recalibration(dims, config.reduction)
        self.transformer = SparsePhasedTransformer(dims, config)
        widths = {**dict.fromkeys(MODALITIES, d), "m": len(MODALITIES) * d}
        self.projections = nn.ModuleDict()
        for m, width in widths.items():
            dropout = nn.Dropout(config.head_dropout)
            self.projections[m] = nn.Sequential(nn.Linear(width, d), nn.ReLU(), dropout, nn.Linear(d, d))
        self.predictors = nn.ModuleDict({m: nn.Linear(d, 1) for m in widths})

    def represent(self, batch: Batch) -> Representations:
        x = {"l": Padded(*self.language(batch.text)), **batch.frames}
        h = self.transformer(self.recalibration(x))
        fused = self.projections["m"](torch.cat([h[m] for m in MODALITIES], dim=-1))
        return Representations({m: self.projections[m](h[m]) for m in MODALITIES}, fused)

    def head(self, modality: str) -> nn.Module:
        return self.predictors[modality]


def build(config: Network, frame_dims: Mapping[str, int], text_width: int, sizes: Config = PUBLISHED) -> SUGRM:
    """Builds the network of a configuration; loads the text encoder's weights only if the encoder is trained."""
    encoder = None if config.freeze_text else trained_encoder(config)
    width = text_width if encoder is None else int(encoder.config.hidden_size)  # type: ignore[arg-type,union-attr]
    return SUGRM(frame_dims, width, encoder, sizes)


def sizes(family: str, light: bool) -> Config:
    """The sizes published for a family of data sets; if light, with one layer, one head and no dropout, as in MulT."""
    published = MOSEI if family == "mosei" else PUBLISHED
    if not light:
        return published
    return replace(published, layers=1, heads=1, embedding_dropout=0.0, dropout=0.0, head_dropout=0.0)
