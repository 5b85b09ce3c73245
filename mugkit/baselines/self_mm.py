"""Self-MM's own network.

W. Yu, H. Xu, Z. Yuan, J. Wu: "Learning Modality-Specific Representations with Self-Supervised Multi-Task Learning for
Multimodal Sentiment Analysis", AAAI 2021, section 3.2. Text is BERT's sentence vector; sound and video each go through
an LSTM, whose last state goes through one linear layer. The fusion is the concatenation of the three vectors. Fusion
and modalities have heads of the same form:

    F = ReLU(W₁·dropout(input) + b₁)        ŷ = W₃·ReLU(W₂F + b₂) + b₃

Its representations are F, from which ULGM computes labels (`mugkit.training.label_sources.ulgm`).
Loss: |ŷ − y| + Σ_s tanh|y_s − y|·|ŷ_s − y_s|, which is Eq. 27 with β = 1 and ULGM's weights.

Departures:
- "Published" is the configuration in MMSA, the authors' later toolbox; the article's own repository has other sizes.
- All parts except BERT share one learning rate; the published rate of the two LSTMs is 5e-3 (1e-4 for MOSEI's video).
- All parts share one weight decay; the published values are 0 to 1e-2, by part, on MOSEI and SIMS.
- MOSEI has MOSI's dropout; the published dropout is 0.1 before the fusion's head and none elsewhere.
- Gradients are not accumulated; the published code does so over 4 batches (of 16 on MOSI, of 32 elsewhere).
- Pooling is as configured (the default is the first token, as published).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mugkit.baselines.base import FeatureNetwork
from mugkit.config import Network
from mugkit.data.batch import Batch, Padded, Tokens
from mugkit.data.schema import MODALITIES
from mugkit.models.mug import Representations, SequenceNetwork, TextEncoder
from mugkit.models.precision import trained_encoder


@dataclass(frozen=True)
class Config:
    """Published sizes for MOSI and MOSEI; with BERT-base and MOSEI's dims they give Table 6's parameter count."""

    lstm: Mapping[str, int]  # dims of an LSTM's state, by modality
    out: Mapping[str, int]  # dims of the linear layer after it
    head: Mapping[str, int]  # dims of F by modality and, under "m", of the fusion
    dropout: Mapping[str, float]  # before each head


PUBLISHED = Config(
    lstm={"a": 16, "v": 32},
    out={"a": 16, "v": 32},
    head={"m": 128, "l": 32, "a": 16, "v": 32},
    dropout={"m": 0.0, "l": 0.1, "a": 0.1, "v": 0.0},
)
SIMS = replace(PUBLISHED, lstm={"a": 16, "v": 64}, head={"m": 128, "l": 64, "a": 16, "v": 32})


class SentenceVector(nn.Module):
    """x̂_l: the pooled output of a trained encoder, or the input from a frozen encoder."""

    def __init__(self, encoder: TextEncoder | None) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, text: Tokens | Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch hidden"]:
        return text if isinstance(text, Tensor) else self.encoder(text)  # type: ignore[misc]


class FrameNetwork(nn.Module):
    """An LSTM's last state, of `hidden` dims, followed by one linear layer."""

    def __init__(self, d_in: int, hidden: int, d_out: int) -> None:
        super().__init__()
        self.sequence = SequenceNetwork(d_in, hidden)
        self.linear = nn.Linear(hidden, d_out)

    def forward(self, frames: Padded) -> Float[Tensor, "batch d_out"]:
        return self.linear(self.sequence(frames))


class SelfMM(FeatureNetwork):
    """Unimodal networks, concatenation, and four heads; built like `MUGNetwork`, but with the published sizes."""

    def __init__(
        self, dims: Mapping[str, int], text_width: int, encoder: TextEncoder | None = None, config: Config = PUBLISHED
    ) -> None:
        super().__init__()
        self.language = SentenceVector(encoder)
        self.sequences = nn.ModuleDict({m: FrameNetwork(dims[m], config.lstm[m], config.out[m]) for m in "av"})
        inputs = {"l": text_width, **config.out}
        inputs["m"] = sum(inputs.values())
        self.first, self.rest = nn.ModuleDict(), nn.ModuleDict()
        for m, d in config.head.items():
            self.first[m] = nn.Sequential(nn.Dropout(config.dropout[m]), nn.Linear(inputs[m], d), nn.ReLU())
        for m, d in config.head.items():
            self.rest[m] = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1))

    def represent(self, batch: Batch) -> Representations:
        x = {"l": self.language(batch.text), **{m: self.sequences[m](batch.frames[m]) for m in "av"}}
        fused = self.first["m"](torch.cat([x[m] for m in MODALITIES], dim=-1))
        return Representations({m: self.first[m](x[m]) for m in MODALITIES}, fused)

    def head(self, modality: str) -> nn.Module:
        return self.rest[modality]


def build(config: Network, frame_dims: Mapping[str, int], text_width: int, sizes: Config = PUBLISHED) -> SelfMM:
    """Builds the network of a configuration; loads the text encoder's weights only if the encoder is trained."""
    encoder = None if config.freeze_text else TextEncoder(trained_encoder(config), config.pooling)
    return SelfMM(frame_dims, encoder.width if encoder else text_width, encoder, sizes)


def sizes(family: str, light: bool) -> Config:
    """The sizes published for a family of data sets; they are small enough for every profile."""
    return SIMS if family == "sims" else PUBLISHED
