"""How ratios are written, in the terminal and in the README."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mugkit import files
from mugkit.errors import UserError
from mugkit.evaluation.tables import markdown


def _number(value: float, unit: str) -> str:
    """Three digits; the sign of a multiplication directly behind, other units after a space."""
    return f"{value:.3g}" + (unit if unit in ("×", "") else f" {unit}")


def value(ratio: Mapping[str, Any]) -> str:
    return _number(ratio["median"], ratio["unit"])


def spread(ratio: Mapping[str, Any]) -> str:
    """The quartiles over rounds; nothing for a single value."""
    if ratio["rounds"] < 2:
        return "–"
    return f"{ratio['lower_quartile']:.3g} – {ratio['upper_quartile']:.3g}"


def bar(ratio: Mapping[str, Any]) -> str:
    if ratio["bar"] is None:
        return "–"
    return ("≥ " if ratio["at_least"] else "≤ ") + _number(ratio["bar"], ratio["unit"])


def verdict(ratio: Mapping[str, Any]) -> str:
    """`ok`, or which side of the bar it is on; a dash for what is not judged."""
    if ratio["bar"] is None:
        return "–"
    return "ok" if ratio["ok"] else "under" if ratio["at_least"] else "over"


def table(record: Mapping[str, Any]) -> str:
    """`bench.json` as a GitHub table with its caption: ratios only."""
    rows = [ratio for one in record.values() for ratio in one["ratios"]]
    columns = {
        "what is compared": [ratio["what"] for ratio in rows],
        "median": [value(ratio) for ratio in rows],
        "quartiles": [spread(ratio) for ratio in rows],
        "bar": [bar(ratio) for ratio in rows],
    }
    shown = pd.DataFrame(columns, index=pd.Index([ratio["name"] for ratio in rows], name="ratio"))
    return f"{markdown(shown)}\n{caption(record)}\n"


def caption(record: Mapping[str, Any]) -> str:
    """What each benchmark says about itself; the machine and the versions, each as often as they differ."""
    about = " ".join(f"{name}: {one['about']}" for name, one in record.items() if one["about"])
    machines = dict.fromkeys(f"{one['cores']} cores, torch {one['versions']['torch']}" for one in record.values())
    told = f"Medians and quartiles over rounds in which both sides take turns; {'; '.join(machines)} (`make bench`)."
    return f"{told} {about}".strip()


def saved_table(path: Path) -> str:
    """`table` of a `bench.json`.

    Raises:
        UserError: it is not there.
    """
    if not path.is_file():
        raise UserError("the README shows a table that does not exist", file=path, fix="run `make bench`")
    return table(files.read_json(path))
