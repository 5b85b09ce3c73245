"""What `mugkit bench` does: measures, keeps what was found, prints it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import figure, measures
from benchmarks.measures import Found
from benchmarks.wording import bar, spread, value, verdict

console = Console(soft_wrap=True)


def measure(names: Sequence[str], out: Path) -> bool:
    """The named benchmarks, all if none is named; each is kept as soon as it ends.

    Returns:
        Whether every ratio keeps to its bar.

    Raises:
        UserError: there is no such benchmark, or one cannot be run here.
    """
    found = {}
    for name, one in measures.chosen(names).items():
        console.print(f"{name} …", markup=False, highlight=False)
        found[name] = one()
        figure.write(measures.keep(out, name, found[name]), out)
    console.print(_table(found))
    console.print(f"numbers and figure: {out / measures.NAME}", markup=False)
    return all(ratio.ok for one in found.values() for ratio in one.ratios)


def measure_gpu(out: Path) -> None:
    """A line a step, on the device that it names.

    Raises:
        UserError: there is no GPU.
    """
    from benchmarks import gpu

    found = gpu.write(out)
    table = Table("step", "ms", "share of the card's matrix products", box=None)
    for name, one in found["steps"].items():
        table.add_row(name, f"{one['seconds'] * 1e3:.1f}", f"{one['share_of_ceiling']:.0%}")
    console.print(f"{found['device']}, BERT-base, batch 32, MOSI's lengths", markup=False)
    console.print(table)
    if found["mosi_table_hours"] is not None:
        console.print(f"all systems on MOSI, all seeds: {found['mosi_table_hours']:.1f} hours", markup=False)
    console.print(f"numbers: {out / gpu.NAME}", markup=False)


def _table(found: dict[str, Found]) -> Table:
    """A line a ratio."""
    table = Table("benchmark", "ratio", "median", "quartiles", "bar", "", box=None)
    for name, one in found.items():
        for ratio in (each.as_json() for each in one.ratios):
            table.add_row(name, ratio["name"], value(ratio), spread(ratio), bar(ratio), verdict(ratio))
    return table
