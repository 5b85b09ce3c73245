"""MMIM, MultiModal InfoMax: mutual information is maximised at two levels.

Han, Chen, Poria: Improving Multimodal Fusion with Hierarchical Mutual Information Maximization for Multimodal
Sentiment Analysis. EMNLP 2021.

A fusion network Z = F(h_l, h_a, h_v) reads a text vector h_l and the last states h_a, h_v of two bidirectional LSTMs.

Between modalities, for m = a, v, the Barber-Agakov bound I(h_l; h_m) ≥ H(h_m) + E[log q(h_m | h_l)] is maximised:
    q        a Gaussian; networks compute its mean and diagonal variance from h_l
    H        ¼ (log det Σ⁺ + log det Σ⁻): a mixture of one Gaussian for positive and one for negative clips, fitted to
             a projection of h_m over this batch and the previous batch
Between Z and each modality, it is contrastive predictive coding: a network G_m predicts h_m from Z, and among the clips
of the batch the prediction should be nearest to its own clip.

Every step has two halves: first only q is fitted to the features, which stay fixed; then all other parts minimise
    L = L_task + α L_CPC − β Σ_m (log q(h_m | h_l) + H(h_m)).

Departures:
- The two halves alternate by batch; the published code runs a whole epoch of the first, then one of the second.
- log q is the Gaussian's log-likelihood without its constant, with log σ² limited to (−1, 1) by a tanh; the published
  code leaves out −½ log σ² and the limit, so its q can reach the maximum with an infinite variance.
- Σ⁺ and Σ⁻ get a ridge of 10⁻³.
- H is left out if this and the previous batch together have fewer than two clips of a class; published code would fail.
- Matrices have torch's default initialisation; the published code has Xavier's.
- H counts from the first batch on, not the third, and its projection is trained; the published code does not train it.
- The gradient of q is not clipped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mugkit.baselines.base import Baseline, Shapes
from mugkit.data.batch import Batch, Padded
from mugkit.data.loader import ClipLoader
from mugkit.models.losses import info_nce, l1
from mugkit.models.mug import TextEncoder
from mugkit.models.tokens import Bidirectional

RIDGE = 1e-3


@dataclass(frozen=True)
class MMIMConfig:
    """Sizes that give the MUG paper's Table 6; loss weights and rates as published for MOSI."""

    visual: int = 64  # width of each direction of the visual LSTM
    acoustic: int = 16
    d: int = 16  # dims of h_a and h_v
    fusion: int = 128  # dims of Z
    dropout: float = 0.1  # before fusion
    cpc_weight: float = 0.1  # α
    bound_weight: float = 0.1  # β
    q_learning_rate: float = 1e-3
    q_weight_decay: float = 1e-4


class SequenceEncoder(nn.Module):
    """h_m: one linear layer over the last states of both directions of an LSTM."""

    def __init__(self, d_in: int, width: int, d: int) -> None:
        super().__init__()
        self.lstm = Bidirectional(d_in, width)
        self.down = nn.Linear(2 * width, d)

    def forward(self, frames: Padded) -> Float[Tensor, "batch d"]:
        return self.down(self.lstm(frames.values, frames.mask)[1])


class Conditional(nn.Module):
    """q(y | x) = N(y; μ(x), diag σ²(x))."""

    def __init__(self, d_x: int, d_y: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(d_x, d_y), nn.ReLU(), nn.Linear(d_y, d_y))
        self.log_variance = nn.Sequential(nn.Linear(d_x, d_y), nn.ReLU(), nn.Linear(d_y, d_y))

    def forward(self, x: Float[Tensor, "batch d_x"], y: Float[Tensor, "batch d_y"]) -> Float[Tensor, ""]:
        """Mean of log q(y | x) over the batch, without its constant."""
        log_variance = self.log_variance(x).tanh()
        return -0.5 * ((y - self.mean(x)) ** 2 / log_variance.exp() + log_variance).sum(-1).mean()


class Fusion(nn.Module):
    """Computes Z and ŷ."""

    def __init__(self, d_in: int, d: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential(nn.Linear(d_in, d), nn.Tanh(), nn.Linear(d, d), nn.Tanh())
        self.output = nn.Linear(d, 1)

    def forward(self, x: Float[Tensor, "batch d_in"]) -> tuple[Float[Tensor, "batch d"], Float[Tensor, "batch"]]:
        z = self.layers(self.dropout(x))
        return z, self.output(z).squeeze(-1)


def mixture_entropy(x: Float[Tensor, "clips dim"], labels: Float[Tensor, "clips"]) -> Float[Tensor, ""]:
    """¼ (log det Σ⁺ + log det Σ⁻) of the clips with y > 0 and y < 0; zero if a class has fewer than two clips.

    Sums run over all clips, with a weight of 0 outside the class: selecting clips would make Python wait for a GPU.
    """
    members = torch.stack([labels > 0, labels < 0]).to(x.dtype)[..., None]  # (class, clip, 1)
    counts = members.sum(1, keepdim=True)
    share = members / counts.clamp(min=1)
    centred = x - (share * x).sum(1, keepdim=True)
    covariances = (share * centred).mT @ centred + RIDGE * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    entropy = 0.25 * torch.logdet(covariances).sum()
    return torch.where((counts >= 2).all(), entropy, torch.zeros_like(entropy))


class MMIM(Baseline):
    """ŷ from a fusion that shares information with its inputs, which share information with each other."""

    Config = MMIMConfig
    light = MMIMConfig(visual=16, fusion=64)

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: MMIMConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.language = None if encoder is None else TextEncoder(encoder, shapes.pooling)
        d, text = config.d, shapes.text
        sizes = {"a": (shapes.acoustic, config.acoustic), "v": (shapes.visual, config.visual)}
        self.sequences = nn.ModuleDict({m: SequenceEncoder(*size, d) for m, size in sizes.items()})
        self.fusion = Fusion(text + 2 * d, config.fusion, config.dropout)
        self.guesses = nn.ModuleDict({m: nn.Linear(config.fusion, text if m == "l" else d) for m in ("l", "a", "v")})
        self.projections = nn.ModuleDict({m: nn.Sequential(nn.Linear(d, d // 4), nn.Tanh()) for m in ("a", "v")})
        self.q = nn.ModuleDict({m: Conditional(text, d) for m in ("a", "v")}).requires_grad_(False)
        self.trained_apart = tuple(f"q.{name}" for name, _ in self.q.named_parameters())
        self.q_optimizer = torch.optim.AdamW(
            self.q.parameters(), lr=config.q_learning_rate, weight_decay=config.q_weight_decay, fused=True
        )
        self.memory: dict[str, tuple[Tensor, Tensor]] = {}  # projections and labels of the previous batch

    def features(self, batch: Batch) -> dict[str, Float[Tensor, "batch dim"]]:
        """h_l, h_a, h_v."""
        text = batch.text if self.language is None else self.language(batch.text)
        return {"l": text, **{m: self.sequences[m](batch.frames[m]) for m in ("a", "v")}}

    def log_likelihood(self, h: Mapping[str, Float[Tensor, "batch dim"]]) -> Float[Tensor, ""]:
        """Σ_m E[log q(h_m | h_l)]."""
        return torch.stack([self.q[m](h["l"], h[m]) for m in ("a", "v")]).sum()

    def entropy(self, h: Mapping[str, Float[Tensor, "batch dim"]], labels: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
        """Σ_m H(h_m), from this batch and the stored previous batch; stores this batch."""
        found = []
        for m, before in ((m, self.memory.get(m)) for m in ("a", "v")):
            now = self.projections[m](h[m]), labels
            self.memory[m] = now[0].detach(), labels
            both = now if before is None else (torch.cat([before[0], now[0]]), torch.cat([before[1], now[1]]))
            found.append(mixture_entropy(*both))
        return torch.stack(found).sum()

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        return self.fusion(torch.cat([*self.features(batch).values()], dim=-1))[1]

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        self.memory = {}

    def fit_q(self, h: Mapping[str, Float[Tensor, "batch dim"]]) -> None:
        """The first half of a step: fits q, whose parameters get gradients only here."""
        self.q.requires_grad_(True)
        (-self.log_likelihood({m: x.detach() for m, x in h.items()})).backward()
        self.q_optimizer.step()
        self.q_optimizer.zero_grad(set_to_none=True)
        self.q.requires_grad_(False)

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        """L_task + α L_CPC − β (log q + H), after fitting q to the same features."""
        h = self.features(batch)
        self.fit_q(h)
        z, predicted = self.fusion(torch.cat([*h.values()], dim=-1))
        cpc = torch.stack([info_nce(h[m], self.guesses[m](z), 1.0) for m in h]).sum()
        bound = self.log_likelihood(h) + self.entropy(h, batch.labels)
        return l1(predicted, batch.labels) + self.config.cpc_weight * cpc - self.config.bound_weight * bound

    def state(self) -> dict[str, Any]:
        return {"q_optimizer": self.q_optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.q_optimizer.load_state_dict(state["q_optimizer"])
