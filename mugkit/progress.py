"""Progress of long work: a bar in terminals and notebooks, a line a minute in logs."""

import os
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

Item = TypeVar("Item")
LOG_SECONDS = 60.0
_IN_LOGS = "{desc}: {n_fmt} of {total_fmt} after {elapsed}, about {remaining} left"


class _Log:
    """Where a bar writes in logs: each of its states is a separate line."""

    def write(self, text: str) -> None:
        if line := text.strip("\r\n "):
            sys.stderr.write(line + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterable[Item]:
    """Shows how far a loop over the items is; `MUGKIT_PROGRESS=0` turns it off."""
    if os.environ.get("MUGKIT_PROGRESS") == "0":
        return items
    from tqdm.auto import tqdm

    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()  # none outside of notebooks
    style: dict[str, Any] = {}
    if shell is None and not sys.stderr.isatty():
        seconds = {"delay": LOG_SECONDS, "mininterval": LOG_SECONDS}
        style = {"file": _Log(), "bar_format": _IN_LOGS, "miniters": 1, **seconds}
    bar: Iterable[Item] = tqdm(items, desc=label, total=total, leave=False, **style)
    return bar
