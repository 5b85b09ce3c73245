"""The optimizer's groups, and clipping by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mugkit.config import Network, Optimization
from mugkit.errors import UserError
from mugkit.models.mug import MUGNetwork, TextEncoder
from mugkit.training import optim


class Encoder(nn.Module):
    """The least that `TextEncoder` asks of an encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(model_type="bert")
        self.embedding = nn.Embedding(10, 6)


def network(trained: bool) -> MUGNetwork:
    encoder = TextEncoder(Encoder(), "first") if trained else None
    return MUGNetwork(Network(d_a=8, d_v=8, fusion_width=16), {"a": 5, "v": 4}, 6, encoder)


@pytest.mark.parametrize(("given", "text_rate"), [(None, 1e-3), (5e-5, 5e-5), (0.0, 0.0)])
def test_adamw_text_encoder_has_group_of_its_own(given: float | None, text_rate: float) -> None:
    net = network(trained=True)
    config = Optimization(learning_rate=1e-3, text_learning_rate=given, weight_decay=0.2)
    other, text = optim.adamw(net, config).param_groups
    assert [id(p) for p in text["params"]] == [id(p) for p in net.language.encoder.parameters()]
    assert len(other["params"]) + len(text["params"]) == len(list(net.parameters()))
    assert (other["lr"], text["lr"]) == (1e-3, text_rate)
    assert other["weight_decay"] == text["weight_decay"] == 0.2
    frozen = network(trained=False)
    (group,) = optim.adamw(frozen, Optimization()).param_groups
    assert {id(p) for p in group["params"]} == {id(p) for p in frozen.parameters()}


def test_adamw_first_step_by_hand() -> None:
    # Decoupled decay: w(1 − lr·wd), then lr·g/(|g| + ε) because both moments are bias-corrected to g and g².
    layer = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(layer.weight, 2.0)
    optimizer = optim.adamw(layer, Optimization(learning_rate=0.1, weight_decay=0.5))
    optim.step(layer, optimizer, 0.3 * layer.weight.sum(), clip_norm=100.0)
    assert layer.weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1 * 0.3 / (0.3 + 1e-8), abs=1e-9)


@pytest.mark.parametrize(
    ("clip_norm", "scale", "after"),
    [(10.0, 0.1, [2.7, 3.6]), (1.0, 1.0, [2.4, 3.2])],  # gradients (0.3, 0.4), and (3, 4) of norm 5: (0.6, 0.8)
)
def test_step_scales_a_gradient_above_the_norm_to_it(clip_norm: float, scale: float, after: list[float]) -> None:
    layer = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0]]))
    loss = 0.5 * scale * layer.weight.square().sum()
    value = optim.step(layer, torch.optim.SGD(layer.parameters(), lr=1.0), loss, clip_norm)
    assert value.item() == pytest.approx(12.5 * scale)
    assert layer.weight[0].tolist() == pytest.approx(after, abs=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_step_loss_not_finite_is_user_error_and_changes_nothing(value: float) -> None:
    layer = nn.Linear(1, 1)
    before = layer.weight.item()
    with pytest.raises(UserError, match="learning_rate"):
        optim.step(layer, torch.optim.SGD(layer.parameters(), lr=1.0), layer.weight.sum() * value, 1.0)
    assert layer.weight.item() == before


def test_step_forgets_gradients_of_earlier_steps() -> None:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.grad = torch.full((1, 1), 1e6)
    nn.init.constant_(layer.weight, 1.0)
    optim.step(layer, torch.optim.SGD(layer.parameters(), lr=1.0), 0.25 * layer.weight.sum(), 10.0)
    assert layer.weight.item() == pytest.approx(0.75)
