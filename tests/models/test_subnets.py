"""The subnetworks of TFN and LMF."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from mugkit.data.batch import Padded
from mugkit.models.subnets import FrameSubnet, TextSubnet


def test_text_subnet_reads_each_clips_last_token() -> None:
    torch.manual_seed(0)
    subnet = TextSubnet(4, 3, 2, dropout=0.5).eval()
    states, mask = torch.randn(3, 5, 4), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
    packed = pack_padded_sequence(states, torch.tensor([3, 5, 1]), batch_first=True, enforce_sorted=False)
    last = subnet.lstm(packed)[1][0][0]
    linear = subnet.linear[1]
    assert isinstance(linear, nn.Linear)
    torch.testing.assert_close(subnet(states, mask), last @ linear.weight.T + linear.bias)


def test_frame_subnet_is_three_layers_over_the_mean_frame() -> None:
    torch.manual_seed(0)
    subnet = FrameSubnet(3, 16, dropout=0.5).eval()
    clips = [torch.randn(4, 3), torch.randn(1, 3)]
    expected = torch.stack([clip.mean(0) for clip in clips])
    linears = [layer for layer in subnet.layers if isinstance(layer, nn.Linear)]
    assert len(linears) == 3
    for linear in linears:
        expected = (expected @ linear.weight.T + linear.bias).clamp(min=0)
    assert expected.any(1).all()  # not all units are off
    torch.testing.assert_close(subnet(Padded.of(clips)), expected)
