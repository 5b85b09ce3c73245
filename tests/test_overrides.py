"""Overrides: one field of one section changes, and what no training can use is refused."""

import dataclasses
import math

import pytest

from mugkit.config import Hyperparameters
from mugkit.errors import UserError
from mugkit.overrides import override, parse_overrides

BASE = Hyperparameters()
SECTIONS = {section.name: getattr(BASE, section.name) for section in dataclasses.fields(BASE)}
SECTION_OF = {f.name: name for name, section in SECTIONS.items() for f in dataclasses.fields(section)}


def test_override_reaches_every_field_and_changes_no_other() -> None:
    changed = override(BASE, {"beta": 0.5})
    assert changed.joint.beta == 0.5
    assert dataclasses.replace(changed, joint=BASE.joint) == BASE == Hyperparameters()
    assert len(SECTION_OF) == sum(len(dataclasses.fields(section)) for section in SECTIONS.values())  # names are unique
    same = {name: getattr(SECTIONS[section], name) for name, section in SECTION_OF.items()}
    assert override(BASE, same) == BASE


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
        override(BASE, {name: wrong})
    assert name in (caught.value.field or caught.value.problem)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("beta", 1),  # an int is a number
        *(("text_learning_rate", rate) for rate in (None, 1e-5)),
        *(("gate", "sample"), ("freeze_text", True), ("text_encoder", "a/folder")),
        *(("pretrain_epochs", 0), ("patience", 0), ("dropout", 1.0)),
    ],
)
def test_override_right_value_is_taken(name: str, right: object) -> None:
    taken = getattr(getattr(override(BASE, {name: right}), SECTION_OF[name]), name)
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
    with pytest.raises(UserError, match="beta is given twice"):
        parse_overrides(["beta=1", "d=16", "beta=2"])
