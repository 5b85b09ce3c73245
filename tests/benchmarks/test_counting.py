"""Counts of a step against counts by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.counting import count


def test_flops_of_a_linear_layer_forwards_and_backwards() -> None:
    layer, x = nn.Linear(5, 7, bias=False), torch.randn(3, 5)
    assert count(lambda: layer(x)).flops == 2 * 3 * 5 * 7
    assert count(lambda: layer(x).sum().backward()).flops == 2 * (2 * 3 * 5 * 7)  # no gradient of x


@pytest.mark.parametrize("batch_first", [True, False])
def test_flops_of_an_lstm_are_those_of_its_products(batch_first: bool) -> None:
    lstm = nn.LSTM(6, 8, batch_first=batch_first)
    x = torch.randn(2, 9, 6) if batch_first else torch.randn(9, 2, 6)
    by_hand = 2 * 2 * 9 * (4 * 8) * (6 + 8)
    assert count(lambda: lstm(x)).flops == by_hand
    with torch.backends.mkldnn.flags(enabled=False):  # taken apart into products that torch itself counts
        assert count(lambda: lstm(x)).flops == by_hand
    assert count(lambda: lstm(x)[0].sum().backward()).flops == 3 * by_hand


def test_operators_are_counted_without_views() -> None:
    x = torch.randn(4, 4)
    assert count(lambda: (x.view(2, 8).t()[1:] + 1).relu()).operators == 2
