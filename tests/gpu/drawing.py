"""The same random numbers on every device: drawn on the CPU, then moved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_DRAWS = {torch.rand, torch.randn, torch.randint, torch.randperm}
_LIKE = {torch.rand_like: torch.rand, torch.randn_like: torch.randn}
_DROPS = {functional.dropout, torch.dropout}


class SameDraws(TorchFunctionMode):
    """Dropout and draws as the CPU's generator has them. Attention drops nothing: its kernels draw by themselves.

    Attributes:
        drawing: whether it is at it.
    """

    drawing = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _LIKE:
            return self._drawn(_LIKE[func], args[0].device, tuple(args[0].shape), dtype=args[0].dtype)
        if func in _DRAWS and "generator" not in kwargs:
            return self._drawn(func, torch.device(kwargs.pop("device", None) or "cpu"), *args, **kwargs)
        if func in _DROPS:
            return self._dropped(*args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            kwargs["dropout_p"] = 0.0
            args = args[:4]
        return func(*args, **kwargs)

    def _drawn(self, func: Any, device: torch.device, *args: Any, **kwargs: Any) -> Tensor:
        self.drawing = True
        try:
            return func(*args, device="cpu", **kwargs).to(device)
        finally:
            self.drawing = False

    def _dropped(self, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or not p:
            return x
        kept = self._drawn(torch.rand, x.device, tuple(x.shape)) >= p
        return x * kept / (1 - p)


@contextmanager
def same_draws(network: nn.Module) -> Iterator[SameDraws]:
    """Around the training of a network, whose recurrent layers then drop nothing between them."""
    for module in network.modules():
        if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
            module.dropout = 0.0
    with SameDraws() as draws:
        yield draws
