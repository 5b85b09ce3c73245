"""The networks of MUG (Fig. 3) in reading order: unimodal networks, fusion, predictors, projections, MUCN, MUG.

text ─▶ LanguageNetwork ─▶ x_l ─┐                    ┌─▶ P^M ─▶ ŷ
sound ─▶ SequenceNetwork ─▶ x_a ─┼─▶ Fusion ─▶ x ────┤
video ─▶ SequenceNetwork ─▶ x_v ─┘                    └─▶ CPM_m ─▶ x_m′ ─▶ P^m ─▶ ŷ_m′   (stage 1)
                            └────────────────────────────────────▶ P^m ─▶ ŷ_m            (stage 3)

In stage 2, MUCN_m reads x_m or x_m′ and a noisy label, and outputs a corrected label.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mugkit.config import Network
from mugkit.data.batch import Batch, Padded, Tokens
from mugkit.data.schema import MODALITIES
from mugkit.data.text import check_pooling
from mugkit.models import lean_bert
from mugkit.models.precision import as_weights, computing, is_compiled, trained_encoder
from mugkit.models.tokens import last_step, pool


def activation(name: str) -> nn.Module:
    """The activation f of Eqs. 1 and 7, by its name in the configuration."""
    return {"tanh": nn.Tanh, "relu": nn.ReLU}[name]()


class TextEncoder(nn.Module):
    """BERT(U_l; θ_BERT) and pooling, the first line of Eq. 1; or the encoder of T5 instead of BERT (section 4.3).

    Raises:
        UserError: if the encoder is a T5 and the pooling is "first".
    """

    def __init__(self, encoder: nn.Module, pooling: str) -> None:
        super().__init__()
        check_pooling(encoder.config.model_type, pooling)  # type: ignore[union-attr,arg-type]
        self.encoder = encoder
        self.pooling = pooling

    @property
    def width(self) -> int:
        return int(self.encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch hidden"]:
        with computing(self.encoder):
            if lean_bert.applies(self.encoder) and not is_compiled(self.encoder):
                layout = lean_bert.Layout.of(tokens.mask, tokens.places)
                states = lean_bert.last_states(self.encoder, tokens.ids, layout, self.pooling == "first")
            else:
                states = self.encoder(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state
        return pool(as_weights(states, self.encoder), tokens.mask, self.pooling)  # x̂_l


class LanguageNetwork(nn.Module):
    """x_l = f(W_down x̂_l + b_down) (Eq. 1); without an encoder, the input is x̂_l itself (a frozen one's features)."""

    def __init__(self, width: int, d_l: int, f: str, encoder: TextEncoder | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.down = nn.Linear(width, d_l)
        self.f = activation(f)

    def forward(self, text: Tokens | Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch d_l"]:
        hidden = text if isinstance(text, Tensor) else self.encoder(text)  # type: ignore[misc]
        return self.f(self.down(hidden))  # Eq. 1


class SequenceNetwork(nn.Module):
    """x_m = LSTM(U_m; θ_m): the state after each clip's own last frame.

    The LSTM runs over the padded array, which on a CPU is several times as fast as running over packed frames. Its
    states at padding come after the clip's last frame and are not read.
    """

    def __init__(self, d_frame: int, d_m: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(d_frame, d_m, batch_first=True)

    def forward(self, frames: Padded) -> Float[Tensor, "batch d_m"]:
        return last_step(self.lstm(frames.values)[0], frames.mask)  # Eq. 2


class Fusion(nn.Module):
    """x = F^M(x_l, x_a, x_v): concatenation, dropout, one hidden layer, and a linear layer down to d dims."""

    def __init__(self, dims: tuple[int, int, int], width: int, d: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(sum(dims), width), nn.ReLU(), nn.Linear(width, d)
        )  # fmt: skip

    def forward(
        self, x_l: Float[Tensor, "batch d_l"], x_a: Float[Tensor, "batch d_a"], x_v: Float[Tensor, "batch d_v"]
    ) -> Float[Tensor, "batch d"]:
        return self.layers(torch.cat([x_l, x_a, x_v], dim=-1))  # Eq. 4


class Predictor(nn.Module):
    """P^M or P^m: maps a representation to a sentiment score.

    P^M reads x (Eq. 5); each P^m reads x_m′ in stage 1 (Eq. 8) and x_m in stage 3 (Eq. 24).
    """

    def __init__(self, d: int, shrink: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(d, d // shrink), nn.ReLU(), nn.Linear(d // shrink, 1)
        )  # fmt: skip

    def hidden(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch width"]:
        """The output of the hidden layer, after its ReLU."""
        return self.layers[:-1](x)

    def forward(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        return self.layers(x).squeeze(-1)  # Eqs. 5, 8, 24


class Projection(nn.Module):
    """x_m′ = f(W_m x + b_m) (Eq. 7)."""

    def __init__(self, d: int, d_m: int, f: str) -> None:
        super().__init__()
        self.linear = nn.Linear(d, d_m)
        self.f = activation(f)

    def forward(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d_m"]:
        return self.f(self.linear(x))  # Eq. 7


class MUCN(nn.Module):
    """Maps a representation and a noisy label to a corrected label in (−ρ, ρ).

    Args:
        residual: 'paper' is Eq. 28 as printed; 'scaled' divides the noisy label by ρ inside tanh.
    """

    def __init__(self, d_m: int, width: int, rho: float, residual: str = "paper", output_bias: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(d_m + 1, width), nn.ReLU(), nn.Linear(width, 1, bias=output_bias)
        )  # fmt: skip
        self.rho = rho
        self.scale = 1.0 if residual == "paper" else 1.0 / rho

    def forward(self, x: Float[Tensor, "batch d_m"], noisy: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        correction = self.layers(torch.cat([x, noisy.unsqueeze(-1)], dim=-1)).squeeze(-1)  # y′_mc
        return self.rho * torch.tanh(noisy * self.scale + correction)  # Eq. 28


@dataclass(frozen=True)
class Representations:
    """x_m per modality ("l", "a", "v") and x, of one batch."""

    unimodal: Mapping[str, Float[Tensor, "batch d_m"]]
    multimodal: Float[Tensor, "batch d"]

    def detach(self) -> "Representations":
        """The same values; no gradient flows back through them."""
        return Representations({m: x.detach() for m, x in self.unimodal.items()}, self.multimodal.detach())


class MultiTaskNetwork(nn.Module):
    """What stage 3 and label sources need from a network; the networks of MUG, Self-MM and SUGRM implement it."""

    def represent(self, batch: Batch) -> Representations:
        """x_m of every modality, and x."""
        raise NotImplementedError

    def predict(self, reps: Representations) -> Float[Tensor, "batch"]:
        """ŷ, the multimodal prediction."""
        raise NotImplementedError

    def predict_unimodal(self, x: Mapping[str, Float[Tensor, "batch d_m"]]) -> dict[str, Float[Tensor, "batch"]]:
        """One prediction per modality, from its own representation."""
        raise NotImplementedError

    def features(self, reps: Representations) -> dict[str, Float[Tensor, "batch width"]]:
        """F of every modality and, under "m", of the fusion: the features that labels are computed from."""
        raise NotImplementedError

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        return self.predict(self.represent(batch))


class MUGNetwork(MultiTaskNetwork):
    """The whole network, which stages 1 and 3 train.

    Args:
        frame_dims: d′_a and d′_v by modality.
        text_width: dims of x̂_l.
        encoder: the text encoder if it is trained, else None.
    """

    def __init__(
        self, config: Network, frame_dims: Mapping[str, int], text_width: int, encoder: TextEncoder | None = None
    ) -> None:
        super().__init__()
        dims = {"l": config.d_l, "a": config.d_a, "v": config.d_v}
        self.language = LanguageNetwork(text_width, config.d_l, config.activation, encoder)
        self.sequences = nn.ModuleDict({m: SequenceNetwork(frame_dims[m], dims[m]) for m in ("a", "v")})
        self.fusion = Fusion((config.d_l, config.d_a, config.d_v), config.fusion_width, config.d, config.dropout)
        self.predictor = Predictor(config.d, config.predictor_shrink, config.dropout)
        self.projections = nn.ModuleDict({m: Projection(config.d, dims[m], config.activation) for m in MODALITIES})
        self.unimodal_predictors = nn.ModuleDict(
            {m: Predictor(dims[m], config.predictor_shrink, config.dropout) for m in MODALITIES}
        )

    def represent(self, batch: Batch) -> Representations:
        """x_l, x_a, x_v (Eq. 3) and x (Eq. 4)."""
        unimodal = {"l": self.language(batch.text)}  # Eqs. 1, 3
        unimodal |= {m: self.sequences[m](batch.frames[m]) for m in ("a", "v")}  # Eqs. 2, 3
        return Representations(unimodal, self.fusion(unimodal["l"], unimodal["a"], unimodal["v"]))

    def predict(self, reps: Representations) -> Float[Tensor, "batch"]:
        return self.predictor(reps.multimodal)  # Eq. 5

    def project(self, reps: Representations) -> dict[str, Float[Tensor, "batch d_m"]]:
        """x_m′ for every modality."""
        return {m: self.projections[m](reps.multimodal) for m in MODALITIES}  # Eq. 7

    def predict_unimodal(self, x: Mapping[str, Float[Tensor, "batch d_m"]]) -> dict[str, Float[Tensor, "batch"]]:
        """P^m of every modality: ŷ_m′ from projections (Eq. 8), ŷ_m from unimodal representations (Eq. 24)."""
        return {m: self.unimodal_predictors[m](x[m]) for m in MODALITIES}

    def features(self, reps: Representations) -> dict[str, Float[Tensor, "batch width"]]:
        """F of every modality and, under "m", of the fusion: the hidden layers of the predictors, as in Self-MM."""
        heads = self.unimodal_predictors
        unimodal = {m: heads[m].hidden(reps.unimodal[m]) for m in MODALITIES}  # type: ignore[operator]
        return {"m": self.predictor.hidden(reps.multimodal), **unimodal}


def build(config: Network, frame_dims: Mapping[str, int], text_width: int) -> MUGNetwork:
    """Builds the network of a configuration; loads the text encoder's weights only if the encoder is trained."""
    encoder = None if config.freeze_text else TextEncoder(trained_encoder(config), config.pooling)
    return MUGNetwork(config, frame_dims, encoder.width if encoder else text_width, encoder)
