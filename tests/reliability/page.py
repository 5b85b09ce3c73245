"""The counts of `figures/reliability.json` as the table in this folder's README; `make soak` writes both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mugkit import files

README = Path(__file__).with_name("README.md")
COUNTS = Path(__file__).resolve().parents[2] / "figures" / "reliability.json"
_BETWEEN = re.compile(r"(<!-- counts -->\n).*?(<!-- /counts -->)", re.DOTALL)


def table(counts: Mapping[str, Any]) -> str:
    """One row a scenario."""
    rows = ["| scenario | tried | passed | lost |", "| --- | --- | --- | --- |"]
    for name, count in counts["scenarios"].items():
        cells = (count["tried"], count["passed"], count["lost"]) if "tried" in count else (count["not tried"], "–", "–")
        rows.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join(rows) + "\n"


def rewritten(text: str, counts: Mapping[str, Any]) -> str:
    return _BETWEEN.sub(lambda found: found[1] + table(counts) + found[2], text)


if __name__ == "__main__":
    page = rewritten(README.read_text(encoding="utf-8"), files.read_json(COUNTS))
    with files.atomic_path(README) as temporary:
        temporary.write_text(page, encoding="utf-8")
