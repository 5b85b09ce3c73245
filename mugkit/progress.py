"""Progress bars of long work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterable[Item]:
    """A progress bar in terminals and notebooks, nothing in logs; `MUGKIT_PROGRESS=0` turns it off."""
    if os.environ.get("MUGKIT_PROGRESS") == "0":
        return items
    from tqdm.auto import tqdm

    # disable=None: only where there is no terminal, and a notebook is not a terminal.
    hidden = False if "ipykernel" in sys.modules else None
    bar: Iterable[Item] = tqdm(items, desc=label, total=total, leave=False, disable=hidden)
    return bar
