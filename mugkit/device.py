"""The device that networks and batches lie on."""

from __future__ import annotations

import torch
from torch import Tensor


def choose_device(name: str = "auto") -> torch.device:
    """`auto` is the first GPU if there is one, else the CPU."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """On the device. A GPU fetches them from pinned memory by itself, without anybody waiting."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
