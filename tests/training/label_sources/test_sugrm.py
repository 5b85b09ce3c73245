"""SUGRM's shifts by hand, and where features must lie for them to move labels the right way."""

import pytest
import torch
from label_cases import Given, batch_of, labelled, reps_of
from small import small
from torch import Tensor

from mugkit.data.schema import MODALITIES
from mugkit.training.label_sources.sugrm import SUGRM, extremes, shifted

Y = [0.5, 3.0, -1.0, -3.0]
SIGNED = torch.tensor([3.0, 0.0]), torch.tensor([-3.0, 0.0])
HP = small()


class Train:
    """All that a source asks of the training split when it begins."""

    device = torch.device("cpu")


def begun(y: list[float] = Y) -> SUGRM:
    source = SUGRM(labelled(y), HP)
    source.begin_epoch(Train(), 0, 1)
    return source


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
    third = shifted(torch.tensor([0.5]), fused, torch.tensor([features]), SIGNED, torch.tensor(8.0), 1.0)
    assert third.tolist() == pytest.approx([0.5 + (expected - 0.5) / 3])  # shifts scale with ρ


def test_extremes_are_the_largest_labels_or_the_outermost_twentieth() -> None:
    high, low = extremes(torch.tensor([3.0, 2.9, -3.0, 3.0, 0.0]), 3.0)
    assert high.tolist() == [True, False, False, True, False]
    assert low.tolist() == [False, False, True, False, False]
    high, low = extremes(torch.linspace(-2, 2, 101), 3.0)
    assert high.nonzero().flatten().tolist() == [95, 96, 97, 98, 99, 100]
    assert low.nonzero().flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_labels_by_hand() -> None:
    # C⁺ = (3, 0) and C⁻ = (−3, 0) over all clips, D = 8 between clips 1 and 3, which are labelled 3 and −3.
    source = begun()
    source.features["m"] = torch.tensor([[2.0, 0.0], [4.0, 0.0], [-2.0, 0.0], [-4.0, 0.0]])
    seen = {
        "m": torch.tensor([[3.0, 8.0]]),
        "l": torch.tensor([[3.0, 6.0]]),
        "a": torch.tensor([[-3.0, 8.0]]),
        "v": torch.tensor([[3.0, -3.0]]),
    }
    proposed = {m: labels.tolist() for m, labels in source.proposed(seen, torch.tensor([0])).items()}
    assert proposed == {"l": [0.5 + 1.5], "a": [0.5 - 4.5], "v": [0.5 + 6.0]}


def test_extremes_on_one_spot_propose_nothing() -> None:
    source = begun()
    source.features["m"] = torch.zeros(4, 2)  # D = 0
    seen = {m: torch.tensor([[float(i), 1.0]]) for i, m in enumerate("mlav")}
    assert all(labels.isnan().all() for labels in source.proposed(seen, torch.tensor([0])).values())


def correlation(x: Tensor, y: Tensor) -> float:
    return torch.corrcoef(torch.stack([x, y]))[0, 1].item()


def moved(place: Tensor) -> tuple[SUGRM, dict[str, Tensor]]:
    """Six epochs on features that tell sentiments without error, and the sentiments.

    The fusion says y along the first of four axes. Each modality says its own sentiment, about as much its own as y's,
    along the same axis, and all modalities lie `place` away from there.
    """
    draw = torch.Generator().manual_seed(0)
    y = torch.linspace(-3, 3, 61)
    true = {m: (0.7 * y + torch.randn(61, generator=draw)).clamp(-3, 3) for m in MODALITIES}

    def along(sentiment: Tensor) -> Tensor:
        return sentiment[:, None] * torch.eye(4)[0]

    reps = reps_of({"m": along(y).tolist(), **{m: (along(true[m]) + place).tolist() for m in MODALITIES}})
    source = begun(y.tolist())
    for epoch in range(6):
        source.after_step(Given(), reps, batch_of(list(range(61)), source.y), epoch)
    return source, true


def test_separable_features_in_the_fusions_place_move_labels_to_the_truth() -> None:
    source, true = moved(torch.zeros(4))
    for m in MODALITIES:
        between = (source.y.abs() < 1.5) & (true[m].abs() < 1.5)  # the centres lie at ±1.5
        assert between.sum() > 15
        # After n = 2 to 6, (1·2·3·4·5)/(3·4·5·6·7) of the way from y is left.
        expected = true[m] + (source.y - true[m]) * 2 / 42
        torch.testing.assert_close(source.values[m][between], expected[between], rtol=0, atol=1e-4)


def test_the_same_features_in_a_place_of_their_own_turn_labels_round() -> None:
    source, true = moved(torch.tensor([0.0, 30.0, 0.0, 0.0]))  # as far from either class
    for m in MODALITIES:
        assert correlation(source.values[m], true[m]) < -0.4
        assert correlation(source.values[m], source.y) < -0.8
