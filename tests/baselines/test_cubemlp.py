"""CubeMLP: mixing along each axis against einsum, and the cube's filling."""

import math

import pytest
import torch
from batches import SHAPES, random, token_batch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mugkit.baselines.cubemlp import AxisMLP, CubeMLP, CubeMLPConfig, Frames
from mugkit.models.tokens import aligned

SMALL = CubeMLPConfig(d=4, length=7, blocks=((5, 3, 4), (3, 2, 2)))
EINSUM = {1: "btmc,ut->bumc", 2: "btmc,um->btuc", 3: "btmc,uc->btmu"}


@pytest.fixture
def cubemlp() -> CubeMLP:
    torch.manual_seed(0)
    return CubeMLP(SHAPES, None, SMALL).eval()


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def shaped(vector: Tensor, axis: int) -> Tensor:
    """A vector along one axis of the cube."""
    return vector.reshape([-1 if i == axis else 1 for i in range(4)])


def along(axis: int, x: Tensor, layer: nn.Linear) -> Tensor:
    mixed = torch.einsum(EINSUM[axis], x, layer.weight)
    return mixed if layer.bias is None else mixed + shaped(layer.bias, axis)


def mixed_by_hand(mlp: AxisMLP, x: Tensor) -> Tensor:
    norm, first, _, second, _ = mlp.layers
    centred = x - x.mean(mlp.axis, keepdim=True)
    normed = centred / (centred.square().mean(mlp.axis, keepdim=True) + norm.eps).sqrt()
    normed = normed * shaped(norm.weight, mlp.axis) + shaped(norm.bias, mlp.axis)
    return along(mlp.axis, gelu(along(mlp.axis, normed, first)), second) + along(mlp.axis, x, mlp.residual)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_axis_mlp_mixes_along_its_axis_alone(axis: int) -> None:
    torch.manual_seed(0)
    sizes = (5, 3, 4)
    mlp = AxisMLP(axis, sizes[axis - 1], 6, 0.0)
    nn.init.normal_(mlp.layers[0].weight)
    nn.init.normal_(mlp.layers[0].bias)
    x = random(2, *sizes)
    found = mlp(x)
    assert found.shape == tuple(6 if i == axis else n for i, n in enumerate((2, *sizes)))
    torch.testing.assert_close(found, mixed_by_hand(mlp, x))


def test_prediction_averages_time_and_joins_modalities(cubemlp: CubeMLP) -> None:
    clips = token_batch((4, 2, 6))
    x = cubemlp.cube(clips)
    for mlp in cubemlp.blocks:
        x = mixed_by_hand(mlp, x)
    weight = cubemlp.output.weight.reshape(2, 2)  # modality, channel
    expected = torch.einsum("btmc,mc->b", x, weight) / 3 + cubemlp.output.bias
    torch.testing.assert_close(cubemlp(clips), expected)


def test_cube_holds_text_sound_and_video_in_this_order(cubemlp: CubeMLP) -> None:
    clips = token_batch((4, 2, 6))
    cube = cubemlp.cube(clips)
    text = clips.text.values @ cubemlp.text.weight.T * clips.text.mask[..., None]
    torch.testing.assert_close(cube[:, :6, 0], text)
    for place, m in ((1, "a"), (2, "v")):
        torch.testing.assert_close(cube[:, :6, place], cubemlp.sequences[m](clips.frames[m], clips.text.mask))


def test_cube_cuts_clips_of_more_than_its_length(cubemlp: CubeMLP) -> None:
    clips = token_batch((9, 7))
    cube = cubemlp.cube(clips)
    assert cube.shape[1] == 7
    torch.testing.assert_close(cube[0, :, 0], clips.text.values[0, :7] @ cubemlp.text.weight.T)
    assert torch.isfinite(cubemlp(clips)).all()


@pytest.mark.parametrize(("name", "cell"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_frames_equal_pytorchs_two_layers_with_directions_summed(name: str, cell: type[nn.GRU] | type[nn.LSTM]) -> None:
    torch.manual_seed(0)
    made, clips = Frames(5, 4, 2, name), token_batch((4, 2, 6))
    own = cell(5, 4, 2, bidirectional=True, batch_first=True)
    for number, layer in enumerate(made.layers):
        for suffix, direction in (("", layer.onward), ("_reverse", layer.returning)):
            for key, value in direction.state_dict().items():
                getattr(own, key.replace("l0", f"l{number}") + suffix).data.copy_(value)
    mask = clips.text.mask
    packed = pack_padded_sequence(aligned(clips.frames["a"], mask), mask.sum(1), batch_first=True, enforce_sorted=False)
    states, _ = pad_packed_sequence(own(packed)[0], batch_first=True)
    both = states[..., :4] + states[..., 4:]
    expected = torch.relu(torch.nn.functional.layer_norm(both, (4,))) * mask[..., None]
    torch.testing.assert_close(made(clips.frames["a"], mask), expected)


def test_blocks_mix_time_then_modality_then_channel(cubemlp: CubeMLP) -> None:
    assert [mlp.axis for mlp in cubemlp.blocks] == [1, 2, 3, 1, 2, 3]
    assert [mlp.residual.weight.shape for mlp in cubemlp.blocks] == [(5, 7), (3, 3), (4, 4), (3, 5), (2, 3), (2, 4)]
