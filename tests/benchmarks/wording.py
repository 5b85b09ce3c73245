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


def cells(ratio: Mapping[str, Any]) -> tuple[str, str, str]:
    """Median, quartiles over rounds (of several values) and bar; a dash for what there is not."""
    unit, several = ratio["unit"], ratio["rounds"] > 1
    quartiles = f"{ratio['lower_quartile']:.3g} – {ratio['upper_quartile']:.3g}" if several else "–"
    bar = "–" if ratio["bar"] is None else ("≥ " if ratio["at_least"] else "≤ ") + _number(ratio["bar"], unit)
    return _number(ratio["median"], unit), quartiles, bar


def verdict(ratio: Mapping[str, Any]) -> str:
    """`ok`, or which side of the bar it is on; a dash for what is not judged."""
    if ratio["bar"] is None:
        return "–"
    return "ok" if ratio["ok"] else "under" if ratio["at_least"] else "over"


def saved_table(path: Path) -> str:
    """A `bench.json` as a GitHub table with its caption: ratios only.

    Raises:
        UserError: it is not there.
    """
    if not path.is_file():
        raise UserError("the README shows a table that does not exist", file=path, fix="run `make bench`")
    record = files.read_json(path)
    rows = [(ratio["name"], ratio["what"], *cells(ratio)) for found in record.values() for ratio in found["ratios"]]
    shown = pd.DataFrame(rows, columns=["ratio", "what is compared", "median", "quartiles", "bar"]).set_index("ratio")
    return f"{markdown(shown)}\n{caption(record)}\n"


def caption(record: Mapping[str, Any]) -> str:
    """What each benchmark says about itself; the machine and the versions, each as often as they differ."""
    about = " ".join(f"{name}: {found['about']}" for name, found in record.items() if found["about"])
    machines = dict.fromkeys(f"{each['cores']} cores, torch {each['versions']['torch']}" for each in record.values())
    told = f"Medians and quartiles over rounds in which both sides take turns; {'; '.join(machines)} (`make bench`)."
    return f"{told} {about}".strip()
