"""What `mugkit bench` does: measures, keeps what was found, prints it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import figure, measures
from benchmarks.wording import cells, verdict

console = Console(soft_wrap=True)


def measure(names: Sequence[str], out: Path) -> bool:
    """The named benchmarks, all if none is named; each is kept as soon as it ends.

    Returns:
        Whether every ratio keeps to its bar.

    Raises:
        UserError: there is no such benchmark, or a benchmark cannot be run here.
    """
    table, ok = Table("benchmark", "ratio", "median", "quartiles", "bar", "", box=None), True
    for name, benchmark in measures.chosen(names).items():
        console.print(f"{name} …", markup=False, highlight=False)
        record = measures.keep(out, name, benchmark())
        figure.write(record, out)
        for ratio in record[name]["ratios"]:
            table.add_row(name, ratio["name"], *cells(ratio), verdict(ratio))
            ok &= ratio["ok"]
    console.print(table)
    console.print(f"numbers and figure: {out / measures.NAME}", markup=False)
    return ok
