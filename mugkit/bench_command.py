"""`mugkit bench`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mugkit.bench.measures import Found

console = Console(soft_wrap=True)


def bench(
    only: Annotated[list[str] | None, typer.Option(help="one benchmark by its name; repeat for several")] = None,
    out: Annotated[Path, typer.Option(help="where bench.json and the figure go")] = Path("figures"),
    gpu: Annotated[bool, typer.Option("--gpu", help="measure the GPU here instead, into gpu.json")] = False,
) -> None:
    """Measure how fast this is beside what it is compared with: ratios side by side in one run, each with its bar.

    Exits with 1 if a ratio falls under its bar. What `bench.json` holds of other benchmarks stays there.

    Example: mugkit bench --only mmsa
    """
    from mugkit.bench import figure, measures

    if gpu:
        _measure_gpu(out)
        return
    found = {}
    for name, measure in measures.chosen(only or []).items():
        console.print(f"{name} …", markup=False, highlight=False)
        found[name] = measure()
        figure.write(measures.keep(out, name, found[name]), out)
    console.print(_table(found))
    console.print(f"numbers and figure: {out / measures.NAME}", markup=False)
    if not all(ratio.ok for one in found.values() for ratio in one.ratios):
        raise typer.Exit(1)


def _measure_gpu(out: Path) -> None:
    """A line a step, on the device that it names."""
    from mugkit.bench import gpu

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
    from mugkit.bench.wording import bar, spread, value, verdict

    table = Table("benchmark", "ratio", "median", "quartiles", "bar", "", box=None)
    for name, one in found.items():
        for ratio in (each.as_json() for each in one.ratios):
            table.add_row(name, ratio["name"], value(ratio), spread(ratio), bar(ratio), verdict(ratio))
    return table
