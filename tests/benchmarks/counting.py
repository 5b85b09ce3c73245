"""What a training step computes: floating-point operations, and operators that a GPU would be handed one by one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

_aten = torch.ops.aten
# Views and bookkeeping, which hand nothing to a device.
_FREE = (
    "view", "reshape", "t.", "transpose", "permute", "expand", "slice", "select", "split", "unsqueeze", "squeeze",
    "detach", "alias", "as_strided", "unbind", "_unsafe_view", "empty", "is_same_size", "_local_scalar",
)  # fmt: skip


@dataclass(frozen=True)
class Count:
    """Of one step."""

    flops: float  # of matrix products and recurrent layers; an addition and a multiplication are two
    operators: int  # other than views; a recurrent layer is one operator, as it is on a GPU


def _lstm(x: Any, w: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """A layer over all steps: 4·width dot products over the input and the state, for every element."""
    steps, batch, given = x
    return 2 * steps * batch * w[0] * (given + w[0] // 4)


def _lstm_backward(x: Any, w: Any, *rest: Any, out_shape: Any = None, **__: Any) -> int:
    return 2 * _lstm(x, w)  # for the input and for the weights


# torch does not count what oneDNN's LSTM computes.
_RECURRENT = {_aten.mkldnn_rnn_layer: _lstm, _aten.mkldnn_rnn_layer_backward: _lstm_backward}


class _Operators(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::")
        self.seen += not (name + ".").startswith(_FREE)
        return func(*args, **(kwargs or {}))


def count(step: Callable[[], object]) -> Count:
    """Makes the step once and counts."""
    flops, operators = FlopCounterMode(display=False, custom_mapping=_RECURRENT), _Operators()
    with flops, operators:
        step()
    return Count(float(flops.get_total_flops()), operators.seen)
