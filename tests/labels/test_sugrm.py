"""SUGRM's shifts by hand, its common space against loops, and that it touches nothing but labels."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from label_cases import Given, batch_of, labelled
from small import small

from mugkit.data.schema import MODALITIES, Dataset
from mugkit.labels.sugrm import COMMON, SUGRM, CommonSpace, Recalibration, extremes, proximity, shifted
from mugkit.nets.mug import Representations

Y = [0.5, 3.0, -1.0, -3.0]
SIGNED = torch.tensor([3.0, 0.0]), torch.tensor([-3.0, 0.0])
DIMS = {"l": 4, "a": 3, "v": 5, "m": 6}
HP = small(d_l=4, d_a=3, d_v=5, d=6)


class Train:
    """All that a source asks of the training split when it begins."""

    device = torch.device("cpu")


def begun(made_up: Callable[..., Dataset], y: list[float] = Y, seed: int = 1) -> SUGRM:
    source = SUGRM(labelled(made_up, y), HP)
    source.begin_epoch(Train(), 0, seed)
    return source


def random_reps(count: int, seed: int = 0) -> Representations:
    draw = torch.Generator().manual_seed(seed)
    x = {m: torch.randn(count, d, generator=draw) for m, d in DIMS.items()}
    return Representations({m: x[m] for m in MODALITIES}, x["m"])


# --- the shift


def test_proximity_by_hand() -> None:
    assert proximity(torch.tensor([[3.0, 8.0], [-3.0, 8.0]]), *SIGNED).tolist() == pytest.approx([0.8, 1.25])


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ([3.0, 6.0], 0.5 + 1.5),  # two away, of D = 8: 6·2/8; r = 6/√72 < 0.8: up
        ([-3.0, 8.0], 0.5 - 4.5),  # six away; r = 10/8 > 0.8: down
        ([3.0, -3.0], 0.5 + 6.0),  # eleven away count as D
        ([3.0, 8.0], 0.5),  # where the fusion is
    ],
)
def test_shifted_by_hand(features: list[float], expected: float) -> None:
    fused = torch.tensor([[3.0, 8.0]])
    made = shifted(torch.tensor([0.5]), fused, torch.tensor([features]), SIGNED, torch.tensor(8.0), 3.0)
    assert made.tolist() == pytest.approx([expected])


def test_shifted_scales_with_rho() -> None:
    given = torch.tensor([0.5]), torch.tensor([[3.0, 8.0]]), torch.tensor([[3.0, 6.0]]), SIGNED, torch.tensor(8.0)
    assert shifted(*given, 1.0).tolist() == pytest.approx([0.5 + 0.5])


def test_shifted_at_both_centres_is_finite() -> None:
    fused = torch.stack(SIGNED)
    assert torch.isfinite(shifted(torch.zeros(2), fused, fused.flip(0), SIGNED, torch.tensor(6.0), 3.0)).all()


def test_extremes_are_the_largest_labels() -> None:
    high, low = extremes(torch.tensor([3.0, 2.9, -3.0, 3.0, 0.0]), 3.0)
    assert high.tolist() == [True, False, False, True, False]
    assert low.tolist() == [False, False, True, False, False]


def test_extremes_without_largest_labels_are_the_outermost_twentieth() -> None:
    labels = torch.linspace(-2, 2, 101)
    high, low = extremes(labels, 3.0)
    assert high.nonzero().flatten().tolist() == [95, 96, 97, 98, 99, 100]
    assert low.nonzero().flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_extremes_side_by_side() -> None:
    high, low = extremes(torch.tensor([3.0, 1.0, 0.0, -1.0, -2.0]), 3.0)
    assert (high.tolist(), low.tolist()) == ([True, *[False] * 4], [*[False] * 4, True])


def wide(features: list[list[float]]) -> torch.Tensor:
    """Two-dim features in the common space."""
    values = torch.zeros(len(features), COMMON)
    values[:, :2] = torch.tensor(features)
    return values


def test_labels_by_hand(made_up: Callable[..., Dataset]) -> None:
    # C⁺ = (3, 0) and C⁻ = (−3, 0) over all clips, D = 8 between clips 1 and 3, which are labelled 3 and −3.
    source = begun(made_up)
    source.fused = wide([[2.0, 0.0], [4.0, 0.0], [-2.0, 0.0], [-4.0, 0.0]])
    seen = {"m": wide([[3.0, 8.0]]), "l": wide([[3.0, 6.0]]), "a": wide([[-3.0, 8.0]]), "v": wide([[3.0, -3.0]])}
    source._generate(seen, batch_of([0], source.y), 1)
    expected = {"l": 0.5 / 3 + 2 / 3 * 2.0, "a": 0.5 / 3 - 2 / 3 * 3.0, "v": 0.5 / 3 + 2 / 3 * 3.0}
    for m in MODALITIES:
        assert source.values[m].tolist() == pytest.approx([expected[m], *Y[1:]])


@pytest.mark.parametrize("y", [[1.0, 3.0, 0.0, 2.0], [-1.0, -3.0, -0.5, -2.0]])
def test_one_class_alone_moves_nothing(made_up: Callable[..., Dataset], y: list[float]) -> None:
    source = begun(made_up, y)
    for epoch in (0, 1):
        source.after_step(Given(), random_reps(4, epoch), batch_of([0, 1, 2, 3], source.y), epoch)
    assert all(source.values[m].tolist() == y for m in MODALITIES)


def test_extremes_on_one_spot_move_nothing(made_up: Callable[..., Dataset]) -> None:
    source = begun(made_up)
    seen = {m: wide([[float(i), 1.0]]) for i, m in enumerate("mlav")}
    source._generate(seen, batch_of([0], source.y), 1)  # all stored features are zero: D = 0
    assert all(source.values[m].tolist() == Y for m in MODALITIES)


# --- the common space


def test_recalibration_equals_loops() -> None:
    torch.manual_seed(0)
    dims = {m: DIMS[m] for m in MODALITIES}
    layer, x = Recalibration(dims), random_reps(2).unimodal
    made = layer(x)
    weight, bias = (p.detach().numpy() for p in (layer.squeeze[0].weight, layer.squeeze[0].bias))
    assert weight.shape == (3, 12)
    for row in range(2):
        joined = np.concatenate([x[m][row].numpy() for m in "lav"])
        z = np.maximum(weight @ joined + bias, 0)
        for m in MODALITIES:
            gate = 2 / (
                1 + np.exp(-(layer.excite[m].weight.detach().numpy() @ z + layer.excite[m].bias.detach().numpy()))
            )
            np.testing.assert_allclose(made[m][row].detach().numpy(), gate * x[m][row].numpy(), rtol=1e-5)


def test_recalibration_with_closed_bottleneck_is_identity() -> None:
    layer, x = Recalibration({m: DIMS[m] for m in MODALITIES}), random_reps(2).unimodal
    for excite in layer.excite.values():
        torch.nn.init.zeros_(excite.weight)
        torch.nn.init.zeros_(excite.bias)
    assert all(torch.equal(layer(x)[m], x[m]) for m in MODALITIES)


def test_common_space_projects_every_modality_alike() -> None:
    space, reps = CommonSpace(DIMS).eval(), random_reps(2)
    features = space(reps)
    assert {m: f.shape for m, f in features.items()} == dict.fromkeys("lavm", (2, COMMON))
    first, last = space.projections["m"][0], space.projections["m"][3]
    hidden = (reps.multimodal @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(features["m"], hidden @ last.weight.T + last.bias)
    predicted = (features["a"] @ space.predictors["a"].weight.T + space.predictors["a"].bias)[:, 0]
    torch.testing.assert_close(space.predict(features)["a"], predicted)


def test_common_space_fusion_is_not_recalibrated() -> None:
    space, reps = CommonSpace(DIMS).eval(), random_reps(2)
    other = Representations({m: x + 1 for m, x in reps.unimodal.items()}, reps.multimodal)
    assert torch.equal(space(reps)["m"], space(other)["m"])
    assert not torch.equal(space(reps)["a"], space(other)["a"])


def test_loss_by_hand(made_up: Callable[..., Dataset]) -> None:
    source = begun(made_up)
    source.values["a"][0] = 1.5  # one away from y = 0.5
    predicted = {"m": torch.tensor([1.5, 1.0]), "l": torch.tensor([9.0, 9.0])}
    predicted |= {"a": torch.tensor([1.0, 9.0]), "v": torch.tensor([9.0, 9.0])}
    loss = source._loss(predicted, batch_of([0, 2], source.y))
    # |1.5 − 0.5| and |1 + 1| of the fusion; of all others only clip 0's a has a weight: tanh 1 · |1 − 1.5|
    assert loss.item() == pytest.approx(1.5 + 0.7615942 * 0.5 / 2)


def test_fused_features_learn_the_label(made_up: Callable[..., Dataset]) -> None:
    source, reps = begun(made_up), random_reps(4)
    for _ in range(60):
        source.after_step(Given(), reps, batch_of([0, 1, 2, 3], source.y), 0)
    space = source._own.networks.eval()
    assert (space.predict(space(reps))["m"] - source.y).abs().mean() < 0.5


def test_unimodal_heads_rest_in_the_first_epoch(made_up: Callable[..., Dataset]) -> None:
    source = begun(made_up)
    space = source._own.networks
    loss = source._loss(space.predict(space(random_reps(4))), batch_of([0, 1, 2, 3], source.y))
    gradients = dict(
        zip(dict(space.named_parameters()), torch.autograd.grad(loss, list(space.parameters())), strict=True)
    )
    assert gradients["predictors.m.weight"].any()
    assert not any(gradients[f"predictors.{m}.weight"].any() for m in MODALITIES)


def test_first_epoch_leaves_labels_and_later_ones_move_them(made_up: Callable[..., Dataset]) -> None:
    source = begun(made_up)
    batch = batch_of([0, 1, 2, 3], source.y)
    source.after_step(Given(), random_reps(4), batch, 0)
    assert all(source.values[m].tolist() == Y for m in MODALITIES)
    assert source.fused.any(dim=1).all()
    source.after_step(Given(), random_reps(4, 1), batch, 1)
    for m in MODALITIES:
        assert source.values[m].tolist() != Y
        assert (source.values[m].abs() <= 3).all()


def test_seed_decides_the_common_space(made_up: Callable[..., Dataset]) -> None:
    weights = [begun(made_up, seed=seed)._own.networks.predictors["a"].weight for seed in (1, 1, 2)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_restored_goes_on_as_before(made_up: Callable[..., Dataset]) -> None:
    whole, batch = begun(made_up), batch_of([0, 1, 2, 3], torch.tensor(Y))
    whole.after_step(Given(), random_reps(4), batch, 0)
    resumed = SUGRM(labelled(made_up, Y), HP)
    resumed.restore(copy.deepcopy(whole.state()))
    for source in (whole, resumed):
        source.begin_epoch(Train(), 1, 7)
        torch.manual_seed(5)  # dropout, as `train_epoch` does
        source.after_step(Given(), random_reps(4, 1), batch, 1)
        source.after_step(Given(), random_reps(4, 2), batch, 1)
    assert all(torch.equal(whole.values[m], resumed.values[m]) for m in MODALITIES)
    assert torch.equal(whole.fused, resumed.fused)
