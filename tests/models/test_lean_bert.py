"""BERT without padding and unread states against transformers' own in float64: outputs, gradients, what falls back."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small import tiny_bert, tiny_t5
from torch import Tensor

from mugkit.data import text
from mugkit.data.batch import Tokens, pad
from mugkit.models import lean_bert
from mugkit.models.lean_bert import Layout
from mugkit.models.mug import TextEncoder


@pytest.fixture
def bert(tmp_path: Path) -> Any:
    return text.load_encoder(str(tiny_bert(tmp_path / "bert"))).double()


def tokens() -> Tokens:
    """Rows of 5, 1, 8 and 3 tokens; ids of [CLS] and of words."""
    generator = torch.Generator().manual_seed(0)
    return pad([[2, *torch.randint(5, 20, (n,), generator=generator).tolist()] for n in (4, 0, 7, 2)])


def whole(encoder: Any, batch: Tokens, first_only: bool) -> Tensor:
    """What transformers computes, with zeros on padding."""
    states = encoder(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
    return states[:, :1] if first_only else states * batch.mask[..., None]


def gradients(encoder: Any, states: Tensor) -> dict[str, Tensor]:
    """Of a sum with unequal weights, by parameter."""
    weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(1), dtype=states.dtype)
    names, parameters = zip(*encoder.named_parameters(), strict=True)
    found = torch.autograd.grad((states * weights).sum(), parameters, allow_unused=True)
    return {name: g for name, g in zip(names, found, strict=True) if g is not None}


@pytest.mark.parametrize("first_only", [True, False])
def test_states_and_gradients_equal_the_whole_encoders(bert: Any, first_only: bool) -> None:
    batch = tokens()
    expected = whole(bert, batch, first_only)
    found = lean_bert.last_states(bert, batch.ids, Layout.of(batch.mask), first_only)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    theirs, ours = gradients(bert, expected), gradients(bert, found)
    assert theirs.keys() == ours.keys()
    assert len(ours) > 30
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=0, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_text_encoder_is_lean_and_pools_as_before(bert: Any, pooling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, batch = TextEncoder(bert, pooling), tokens()
    lean = encoder(batch)
    monkeypatch.setattr(lean_bert, "applies", lambda _: False)
    torch.testing.assert_close(lean, encoder(batch), rtol=0, atol=1e-12)
    monkeypatch.undo()
    monkeypatch.setattr(bert, "forward", None)  # not called
    assert torch.equal(encoder(batch), lean)


def test_other_encoders_are_run_as_they_come(bert: Any, tmp_path: Path) -> None:
    from transformers import RobertaConfig, RobertaModel

    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    roberta = RobertaModel(RobertaConfig(vocab_size=30, **shape)).eval()
    t5 = text.load_encoder(str(tiny_t5(tmp_path / "t5")))
    assert [lean_bert.applies(encoder) for encoder in (bert, roberta, t5)] == [True, False, False]
    batch = tokens()
    expected = roberta(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state[:, 0]
    assert torch.equal(TextEncoder(roberta, "first")(batch), expected)
    bert.config._attn_implementation = "flash_attention_2"
    assert not lean_bert.applies(bert)
