"""`figures/gpu-hours.json` and `figures/tables/gpu_hours.md`: what a full reproduction costs in GPU hours.

`python .ci/upkeep/gpu_hours.py` counts every system's steps (ten minutes) and writes both. With `again` it reuses
the written counts, after `make gpu` has measured another card.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from mugkit import files
from mugkit.config import profile
from mugkit.evaluation.tables import markdown
from mugkit.experiments.registry import SYSTEMS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from benchmarks.hours import EPOCHS, NAME, TRIALS, card_of, hours, measured, trials  # noqa: E402


def write(rows: Sequence[Mapping[str, Any]], figures: Path) -> pd.DataFrame:
    """Writes `gpu-hours.json` and `tables/gpu_hours.md`; returns the table of hours."""
    card, seeds = card_of(figures), len(profile("paper").seeds)
    table, search = hours(rows, card, seeds), trials(rows, card)
    table.loc[f"{TRIALS} trials of MUG"] = {**search, "total": sum(search.values())}
    table.loc["all of it"] = table.loc["total"] + table.loc[f"{TRIALS} trials of MUG"]
    about = {"card": asdict(card), "epochs_assumed": EPOCHS, "seeds": seeds, "trials": TRIALS}
    values = {str(name): {str(k): round(float(v), 3) for k, v in row.items()} for name, row in table.iterrows()}
    files.write_json(figures / NAME, {**about, "hours": values, "counted": list(rows)})
    shown = table.map("{:.2f}".format)
    shown.index.name = "GPU hours"
    caption = (
        f"One {card.name}, one run at a time, {seeds} seeds. Counted: operations of every system's step at the paper's "
        f"sizes (encoders with random weights, clips of mean length), and steps from clips, batches and epochs. "
        f"Of the card: {card.about}. Assumed: early stopping after {EPOCHS} epochs; no cost of reading data. Stages 1 "
        "and 2 are counted for each system; those that share them pay once. Without the studies of Fig. 5 and of "
        "assumptions (`python .ci/upkeep/gpu_hours.py`)."
    )
    with files.atomic_path(figures / "tables" / "gpu_hours.md") as temporary:
        temporary.write_text(f"{markdown(shown)}\n{caption}\n", encoding="utf-8")
    return table


if __name__ == "__main__":
    kept = ROOT / "figures" / NAME
    again = "again" in sys.argv[1:] and kept.is_file()
    rows = files.read_json(kept)["counted"] if again else measured([n for n, system in SYSTEMS.items() if system.rows])
    print(write(rows, kept.parent).round(1).to_string())
