"""Tables: our numbers (mean ± std over seeds) beside the paper's, as JSON, CSV and Markdown."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mugkit import files
from mugkit.errors import UserError
from mugkit.evaluation import formats
from mugkit.evaluation.formats import COUNT
from mugkit.evaluation.statistics import mean_std
from mugkit.experiments.experiment import Run
from mugkit.metrics import HEADLINE

COLUMNS = 7  # maximum in a displayed table, row names included; files hold the rest
FIRST = ("MAE", "Acc2", "Corr", "F1", "Acc7", COUNT)  # metrics by priority, if not all fit


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        system: the row's name in the paper, or our name if the paper has none.
        dataset: the data set of our numbers.
        metrics: name → mean, std and n over seeds; empty for a row that is only quoted.
        paper: name → the paper's number, on the paper's data set.
        origin: 'run' (computed here) or 'quoted' (the paper's number only).
        needs: what is missing to compute our numbers, and the command that provides it.
        comparable: whether the paper's numbers are on the same data, so that a difference means something.
        differences: another row's system → metric → this row's value minus that one's, with intervals (`comparison`).
    """

    system: str
    dataset: str
    metrics: Mapping[str, Mapping[str, float | int | None]]
    paper: Mapping[str, float] = field(default_factory=dict)
    origin: Literal["run", "quoted"] = "run"
    needs: str = ""
    comparable: bool = True
    differences: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The row as stored in `NAME.json`; the first five keys are always present."""
        row = {name: value for name, value in vars(self).items() if name != "comparable"}
        return {name: value for name, value in row.items() if value or name not in ("needs", "differences")}

    def ours(self, name: str) -> str:
        """Mean and deviation of a metric."""
        level = self.metrics.get(name)
        return formats.spread(name, level["mean"], level["std"]) if level else "–"

    def quoted(self, name: str) -> str:
        """The paper's number, not rounded."""
        if name not in self.paper:
            return "–"
        return f"{self.paper[name]:,.0f}" if name == COUNT else f"{self.paper[name]:g}"

    def change(self, name: str) -> str:
        """Our mean minus the paper's number."""
        mean = self.metrics.get(name, {}).get("mean")
        if mean is None or name not in self.paper or not self.comparable:
            return "–"
        return formats.number(name, mean - self.paper[name], signed=True)


_CELLS = {"ours": Row.ours, "paper": Row.quoted, "Δ": Row.change}


def summarise(runs: Sequence[Run], row: str, paper: Mapping[str, float] | None = None, comparable: bool = True) -> Row:
    """A row from one system's runs over seeds; a metric undefined for any seed is undefined in the row."""
    metrics: dict[str, dict[str, float | int | None]] = {}
    for name in runs[0].metrics:
        found = mean_std([run.metrics[name] for run in runs])._asdict()
        metrics[name] = {key: value if formats.known(value) else None for key, value in found.items()}
    return Row(row, runs[0].spec.dataset, metrics, paper or {}, comparable=comparable)


def brief_table(rows: Sequence[Row], metrics: Sequence[str]) -> pd.DataFrame:
    """The table for display: rows that ran, our numbers beside the paper's, and as many metrics as fit `COLUMNS`."""
    ran = [row for row in rows if row.metrics]
    sides = _sides(ran, metrics) if 3 * len(metrics) < COLUMNS else _sides(ran, metrics)[:2]
    room = (COLUMNS - 1 - (len({row.dataset for row in ran}) > 1)) // len(sides)
    chosen = sorted(metrics, key=FIRST.index)[:room]
    return _table(ran, [name for name in metrics if name in chosen], sides)


def whole_table(rows: Sequence[Row], metrics: Sequence[str]) -> pd.DataFrame:
    """Every row and metric: ours, the paper's, their difference if the data are the same; what is missing last."""
    table = _table(rows, metrics, _sides(rows, metrics))
    if any(row.needs for row in rows):
        table["needs", ""] = [row.needs or "–" for row in rows]
    return table


def _sides(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """The columns of a metric: ours, and the paper's number and the difference if any row has them."""
    return [
        side
        for side, cell in _CELLS.items()
        if side == "ours" or any(cell(row, name) != "–" for row in rows for name in metrics)
    ]


def _table(rows: Sequence[Row], metrics: Sequence[str], sides: Sequence[str]) -> pd.DataFrame:
    columns = {(name, side): [_CELLS[side](row, name) for row in rows] for name in metrics for side in sides}
    if len({row.dataset for row in rows}) > 1:
        columns = {("data", ""): [row.dataset for row in rows], **columns}
    return pd.DataFrame(columns, index=pd.Index([row.system for row in rows], name="system"))


def rest(rows: Sequence[Row], metrics: Sequence[str], name: str) -> str:
    """States where to find what `brief_table` leaves out, and what rows without our numbers need; '' if nothing is."""
    count = Counter(row.needs for row in rows if not row.metrics)
    listed = "; ".join(f"{number} need {needs}" for needs, number in count.items())
    told = f"Rows that did not run here: {listed}. " if listed else ""
    hidden = set(metrics) - set(brief_table(rows, metrics).columns.get_level_values(0))
    return f"{told}All rows and metrics: tables/{name}.md." if told or hidden else ""


def seeds(counts: Iterable[tuple[str, int]]) -> str:
    """`20 seeds`, or `5 seeds, but 20 of MUG (BERT)` if rows differ; the number that most rows have comes first."""
    names: dict[int, dict[str, None]] = {}  # a name that recurs, on another data set, is listed once
    for name, n in counts:
        names.setdefault(int(n), {})[name] = None
    (most, _), *others = sorted(names.items(), key=lambda found: -len(found[1])) or [(0, {})]
    apart = " and ".join(f"{n} of {', '.join(some)}" for n, some in others)
    return f"{most} seeds" + (f", but {apart}" if apart else "")


# --- files ------------------------------------------------------------------------------------------------


def _blocks(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Splits `whole_table` into tables of at most `COLUMNS` columns; those of one metric stay together."""
    heads = list(dict.fromkeys(table.columns.get_level_values(0)))
    first = [name for name in heads if name == "data"]
    parts: list[list[str]] = [[]]
    for name in heads[len(first) :]:
        if len(first) + table[[*parts[-1], name]].shape[1] >= COLUMNS:
            parts.append([])
        parts[-1].append(name)
    return [table[[*first, *part]] for part in parts]


def _lines(rows: Sequence[Row]) -> pd.DataFrame:
    """The table as in the CSV: one line per row and metric, with our mean, std and n, and the paper's value."""
    none = {"mean": None, "std": None, "n": 0}
    lines = [
        {"system": row.system, "dataset": row.dataset, "metric": name, **row.metrics.get(name, none)}
        | {"paper": row.paper.get(name), "origin": row.origin, "needs": row.needs}
        for row in rows
        for name in dict.fromkeys([*row.metrics, *row.paper])
    ]
    return pd.DataFrame(lines)


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table for GitHub; merges a two-line header into one line, and several index columns into one."""
    header = [" ".join(c).strip() if isinstance(c, tuple) else str(c) for c in table.columns]
    corner = ", ".join(str(name) for name in table.index.names if name)
    index = [", ".join(map(str, row)) if isinstance(row, tuple) else str(row) for row in table.index]
    lines = ["| " + " | ".join([corner, *header]) + " |", "|" + " --- |" * (len(header) + 1)]
    for row, values in zip(index, table.astype(object).to_numpy(), strict=True):  # whole numbers stay whole
        lines.append("| " + " | ".join(str(value).replace("|", r"\|") for value in [row, *values]) + " |")
    return "\n".join(lines) + "\n"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as JSON records; NaN, which JSON does not have, becomes null."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def write(rows: Sequence[Row], metrics: Sequence[str], folder: Path, name: str, caption: str) -> list[Path]:
    """Writes `name.json` (rows as in `Row.as_json`), `name.csv` and `name.md`, each atomically."""
    files.write_json(folder / f"{name}.json", [row.as_json() for row in rows])
    shown = "\n".join(map(markdown, _blocks(whole_table(rows, metrics))))
    return [folder / f"{name}.json", *write_text(_lines(rows), shown, folder, name, caption)]


def write_frame(table: pd.DataFrame, shown: pd.DataFrame, folder: Path, name: str, caption: str) -> list[Path]:
    """Like `write`, for a table of any shape: `table` holds the numbers, `shown` their formatted version."""
    files.write_json(folder / f"{name}.json", records(table))
    return [folder / f"{name}.json", *write_text(table, markdown(shown), folder, name, caption)]


def write_text(table: pd.DataFrame, shown: str, folder: Path, name: str, caption: str) -> list[Path]:
    """Writes the CSV and the Markdown of a table."""
    with files.atomic_path(folder / f"{name}.csv") as temporary:
        table.to_csv(temporary, index=False)
    with files.atomic_path(folder / f"{name}.md") as temporary:
        temporary.write_text(f"{shown}\n{caption}\n", encoding="utf-8")
    return [folder / f"{name}.csv", folder / f"{name}.md"]


def page(folder: Path, name: str) -> str:
    """A written table for pages of text: of a table of systems its `brief_table`, else the whole table.

    Raises:
        UserError: if there is no such table.
    """
    path = folder / f"{name}.md"
    if not path.is_file():
        raise UserError("a page shows a table that does not exist", file=path, fix="run `make reproduce`")
    text, numbers = path.read_text(encoding="utf-8"), folder / f"{name}.json"
    found = files.read_json(numbers) if numbers.is_file() else []
    if not (found and "origin" in found[0]):
        return text
    rows = [Row(**row) for row in found]
    known = next((row.metrics for row in rows if row.metrics), {})
    metrics = [name for name in (*HEADLINE["mosi"], COUNT) if name in known]
    below = [text.strip().rpartition("\n\n")[2], rest(rows, metrics, name)]
    return f"{markdown(brief_table(rows, metrics))}\n{' '.join(filter(None, below))}\n"
