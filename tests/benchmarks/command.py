"""What `mugkit bench` does: measures, keeps what was found, and shows it in the terminal, the README and a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks import measures
from mugkit import files
from mugkit.errors import UserError
from mugkit.evaluation.tables import markdown
from mugkit.experiments.outputs import save_figure
from mugkit.plots.style import ACCENT, MODALITY_COLORS, apply_style

console = Console(soft_wrap=True)
_TICKS = (0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


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
        apply_style()
        save_figure(plot(record), out, "bench")
        for ratio in record[name]["ratios"]:
            table.add_row(name, ratio["name"], *cells(ratio), verdict(ratio))
            ok &= ratio["ok"]
    console.print(table)
    console.print(f"numbers and figure: {out / measures.NAME}", markup=False)
    return ok


def cells(ratio: Mapping[str, Any]) -> tuple[str, str, str]:
    """Median, quartiles over rounds (of several values) and bar; a dash for what there is not."""
    unit = ratio["unit"] if ratio["unit"] in ("×", "") else f" {ratio['unit']}"
    quartiles = f"{ratio['lower_quartile']:.3g} – {ratio['upper_quartile']:.3g}" if ratio["rounds"] > 1 else "–"
    bar = "–" if ratio["bar"] is None else f"{'≥' if ratio['at_least'] else '≤'} {ratio['bar']:.3g}{unit}"
    return f"{ratio['median']:.3g}{unit}", quartiles, bar


def verdict(ratio: Mapping[str, Any]) -> str:
    """`ok`, or which side of the bar it is on; a dash for what is not judged."""
    if ratio["bar"] is None:
        return "–"
    return "ok" if ratio["ok"] else "under" if ratio["at_least"] else "over"


def saved_table(path: Path) -> str:
    """A `bench.json` as a GitHub table, with the machine, the versions and what each benchmark says about itself.

    Raises:
        UserError: it is not there.
    """
    if not path.is_file():
        raise UserError("the README shows a table that does not exist", file=path, fix="run `make bench`")
    record = files.read_json(path)
    rows = [(ratio["name"], ratio["what"], *cells(ratio)) for found in record.values() for ratio in found["ratios"]]
    shown = pd.DataFrame(rows, columns=["ratio", "what is compared", "median", "quartiles", "bar"]).set_index("ratio")
    about = " ".join(f"{name}: {found['about']}" for name, found in record.items() if found["about"])
    machines = dict.fromkeys(f"{each['cores']} cores, torch {each['versions']['torch']}" for each in record.values())
    told = f"Medians and quartiles over rounds in which both sides take turns; {'; '.join(machines)} (`make bench`)."
    return f"{markdown(shown)}\n{told} {about}".strip() + "\n"


def plot(record: Mapping[str, Any]) -> Figure:
    """Of every ratio of speed in `bench.json`, a dot for the median, a line for the quartiles, a stroke for the bar."""
    ratios = [ratio for found in record.values() for ratio in found["ratios"] if ratio["unit"] == "×"]
    figure = Figure(figsize=(7, max(3.0, 0.6 * len(ratios) + 1.4)), layout="constrained")
    axes = figure.subplots()
    for place, ratio in enumerate(ratios):
        axes.plot([ratio["lower_quartile"], ratio["upper_quartile"]], [place] * 2, color=MODALITY_COLORS["l"], lw=2)
        axes.plot(ratio["median"], place, "o", color=MODALITY_COLORS["l"])
        if ratio["bar"] is not None:
            axes.plot([ratio["bar"]] * 2, [place - 0.3, place + 0.3], color=ACCENT, lw=2)
    axes.axvline(1, color=MODALITY_COLORS["M"], lw=1, ls=":")
    axes.set_yticks(range(len(ratios)), [ratio["name"] for ratio in ratios])
    axes.set(xscale="log", xlabel="times as fast (line: quartiles; stroke: least allowed)")
    axes.set_ylim(len(ratios) - 0.4, -0.6)
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    high = max([1.0, *(x for r in ratios for x in (r["upper_quartile"], r["bar"] or 1))])
    axes.set_xlim(min([0.9, *(0.9 * ratio["lower_quartile"] for ratio in ratios)]), 1.2 * high)
    return figure
