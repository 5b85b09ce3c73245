"""Tables: ours (mean ± std over seeds) beside the paper's, as JSON, CSV and Markdown."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mugkit import files
from mugkit.engine import Run
from mugkit.results import formats
from mugkit.results.formats import COUNT
from mugkit.statistics import mean_std


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        system: the row's name in the paper, or ours where the paper has none.
        dataset: the data set of our numbers.
        metrics: name → mean, std and n over seeds; empty for a row that is only quoted.
        paper: name → the paper's number, on the paper's data set.
        origin: 'run' (computed here) or 'quoted' (the paper's number only).
        needs: what is missing for numbers of ours, e.g. a data set, and the command that brings it.
        unlike: metrics on another scale, or of another convention, than the paper's: their difference says nothing.
        differences: another row's system → metric → this row's minus that one's, with both intervals (`comparison`).
    """

    system: str
    dataset: str
    metrics: Mapping[str, Mapping[str, float | int | None]]
    paper: Mapping[str, float] = field(default_factory=dict)
    origin: Literal["run", "quoted"] = "run"
    needs: str = ""
    unlike: Collection[str] = ()
    differences: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        more: dict[str, Any] = {"needs": self.needs} if self.needs else {}
        more |= {"differences": dict(self.differences)} if self.differences else {}
        return {"system": self.system, "dataset": self.dataset, "metrics": dict(self.metrics)} | {
            "paper": dict(self.paper),
            "origin": self.origin,
            **more,
        }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value


def summarise(
    runs: Sequence[Run], row: str, paper: Mapping[str, float] | None = None, unlike: Collection[str] = ()
) -> Row:
    """A row from one system's runs over seeds; a metric undefined in any seed is undefined in the row."""
    names = runs[0].metrics
    metrics: dict[str, dict[str, float | int | None]] = {}
    for name in names:
        mean, std, n = mean_std([run.metrics[name] for run in runs])
        metrics[name] = {"mean": _number(mean), "std": _number(std), "n": n}
    return Row(row, runs[0].spec.dataset, metrics, paper or {}, unlike=unlike)


def format_metric(name: str, value: Mapping[str, float | int | None]) -> str:
    """`47.5 ± 0.6`; errors and correlations with three digits, percentages with one, counts whole and alone."""
    return formats.spread(name, value["mean"], None if name == COUNT else value["std"])


def display(rows: Sequence[Row], metrics: Sequence[str]) -> pd.DataFrame:
    """Ours, the paper's and their difference side by side for these metrics; what is missing comes last."""
    columns: dict[tuple[str, str], list[str]] = {}
    for name in metrics:
        columns[name, "ours"] = [format_metric(name, r.metrics[name]) if name in r.metrics else "–" for r in rows]
        columns[name, "paper"] = [_quoted(name, r.paper[name]) if name in r.paper else "–" for r in rows]
        columns[name, "Δ"] = [_difference(row, name) for row in rows]
    if len({row.dataset for row in rows}) > 1:
        columns = {("data", ""): [row.dataset for row in rows], **columns}
    if any(row.needs for row in rows):
        columns["needs", ""] = [row.needs or "–" for row in rows]
    return pd.DataFrame(columns, index=pd.Index([row.system for row in rows], name="system"))


def _difference(row: Row, name: str) -> str:
    """Ours minus the paper's."""
    mean = row.metrics.get(name, {}).get("mean")
    if mean is None or name not in row.paper or name in row.unlike:
        return "–"
    return formats.number(name, mean - row.paper[name], signed=True)


def _quoted(name: str, value: float) -> str:
    """The paper's number as it stands there."""
    return f"{value:,.0f}" if name == COUNT else f"{value:g}"


def flat(rows: Sequence[Row]) -> pd.DataFrame:
    """One line a row and metric, of ours or the paper's: mean, std, n, paper's value. The shape of the CSV."""
    none = {"mean": None, "std": None, "n": 0}
    lines = [
        {"system": row.system, "dataset": row.dataset, "metric": name, **row.metrics.get(name, none)}
        | {"paper": row.paper.get(name), "origin": row.origin, "needs": row.needs}
        for row in rows
        for name in dict.fromkeys([*row.metrics, *row.paper])
    ]
    return pd.DataFrame(lines)


def markdown(table: pd.DataFrame) -> str:
    """A GitHub table; a two-line header becomes one, and so do several columns of an index."""
    header = [" ".join(c).strip() if isinstance(c, tuple) else str(c) for c in table.columns]
    corner = ", ".join(str(name) for name in table.index.names if name)
    index = [", ".join(map(str, row)) if isinstance(row, tuple) else str(row) for row in table.index]
    lines = ["| " + " | ".join([corner, *header]) + " |", "|" + " --- |" * (len(header) + 1)]
    lines += [
        "| " + " | ".join(str(value).replace("|", r"\|") for value in [row, *values]) + " |"
        for row, values in zip(index, table.astype(object).to_numpy(), strict=True)  # whole numbers stay whole
    ]
    return "\n".join(lines) + "\n"


def write(rows: Sequence[Row], metrics: Sequence[str], folder: Path, name: str, caption: str) -> list[Path]:
    """`name.json` (rows, as `mugkit` promises them), `name.csv` and `name.md`, each atomically."""
    files.write_json(folder / f"{name}.json", [row.as_json() for row in rows])
    return [folder / f"{name}.json", *write_text(flat(rows), markdown(display(rows, metrics)), folder, name, caption)]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as JSON has them: NaN, which JSON does not know, becomes null."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def write_frame(table: pd.DataFrame, shown: pd.DataFrame, folder: Path, name: str, caption: str) -> list[Path]:
    """Like `write`, for a table of its own shape: `table` holds the numbers, `shown` their formatted version."""
    files.write_json(folder / f"{name}.json", records(table))
    return [folder / f"{name}.json", *write_text(table, markdown(shown), folder, name, caption)]


def write_text(table: pd.DataFrame, shown: str, folder: Path, name: str, caption: str) -> list[Path]:
    """The CSV and the Markdown of a table."""
    with files.atomic_path(folder / f"{name}.csv") as temporary:
        table.to_csv(temporary, index=False)
    with files.atomic_path(folder / f"{name}.md") as temporary:
        temporary.write_text(f"{shown}\n{caption}\n", encoding="utf-8")
    return [folder / f"{name}.csv", folder / f"{name}.md"]
