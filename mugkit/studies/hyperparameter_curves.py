"""Fig. 5 (section 4.10): performance over α, the meta-training learning rate, and β, the weight of unimodal losses.

The paper draws the curves and prints no values; its text says that a small β and a large α are much worse. Every value
is compared on the same seeds with the run's own default, which a search on the validation split chose.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mugkit.config import RunSpec, hyperparameters, repeated
from mugkit.config import profile as of_profile
from mugkit.data.schema import Dataset
from mugkit.evaluation import comparison, formats
from mugkit.evaluation.statistics import mean_std
from mugkit.evaluation.verdicts import word
from mugkit.experiments import experiment, scheduler
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import flat
from mugkit.experiments.search import finished
from mugkit.plots.style import ACCENT, MODALITY_COLORS, canvas
from mugkit.studies.study import by_setting, grid, over_seeds

# Decades around Table 2's values: β's from MOSEI's 0.0001 to the largest of section 4.10. The default is added.
GRID: Mapping[str, tuple[float, ...]] = {
    "alpha": (5e-5, 5e-4, 5e-3, 5e-2, 5e-1),
    "beta": (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
}
SYMBOLS: Mapping[str, str] = {"alpha": "α", "beta": "β"}
METRICS = ("MAE", "Corr", "Acc2")
SEEDS = 10  # of every value: five leave most values undecided, and those of α cost all three stages
BETTER, WORSE = "better", "worse"
DEFAULT, FAILED = "the default", "training failed"


def defaults(dataset: str, profile: str) -> dict[str, float]:
    """Field → the value that MUG uses by default."""
    own = flat(experiment.work(repeated("mug", dataset, profile, {})[0]).hp)
    return {field: float(own[field]) for field in GRID}


def table_2(family: str, profile: str) -> dict[str, float]:
    """Field → Table 2's value for a family of data sets."""
    preset = flat(hyperparameters(family, profile))
    return {field: float(preset[field]) for field in GRID}


def specifications(dataset: str, profile: str) -> dict[tuple[str, float], list[RunSpec]]:
    """(field, value) → one run per seed; all that does not depend on the value is shared."""
    return {
        (field, value): repeated("mug", dataset, profile, {field: value}, of_profile(profile).all_seeds[:SEEDS])
        for field, own in defaults(dataset, profile).items()
        for value in sorted({*GRID[field], own})
    }


def beside_table_2(dataset: Dataset, profile: str) -> pd.DataFrame:
    """MUG with Table 2's β and MUG with the chosen one, a row each: beta, mean, std and n of the test MAE; in the first
    also the difference, its intervals and a verdict. Both are points of the curve over β."""
    specs = specifications(dataset.name, profile)
    betas = [of["beta"] for of in (table_2(dataset.family, profile), defaults(dataset.name, profile))]
    wanted = {name: specs["beta", beta] for name, beta in zip(("Table 2", "chosen"), betas, strict=True)}
    theirs, chosen = by_setting(scheduler.run_all, wanted).values()
    used = [{"beta": beta, **over_seeds(runs)} for beta, runs in zip(betas, (theirs, chosen), strict=True)]
    found = comparison.of_runs(theirs, chosen, dataset)
    return pd.DataFrame([{**used[0], **found, "verdict": word(found, BETTER, WORSE)}, {**used[1], "verdict": DEFAULT}])


def beta_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats `beside_table_2`."""
    errors = formats.spreads("MAE", table["mean"], table["std"])
    against = pd.DataFrame(comparison.columns(table.assign(metric="MAE"))).replace("undefined", "–")
    shown = {"test MAE": errors, **against, "verdict": table["verdict"]}
    names = [f"β = {value:g}{said}" for value, said in zip(table["beta"], (", as in Table 2", ""), strict=True)]
    return pd.DataFrame(shown).set_index(pd.Index(names, name="MUG with"))


def curves(dataset: Dataset, profile: str) -> pd.DataFrame:
    """One row per field, value and metric: mean, std and n over seeds; for MAE also the difference to the default as
    `comparison.of_runs` returns it, and a verdict. A value whose training diverged with any seed has no mean.
    """
    groups = by_setting(finished, specifications(dataset.name, profile))
    done = {place: [run for run in runs if run] for place, runs in groups.items()}
    default = done["alpha", defaults(dataset.name, profile)["alpha"]]
    rows = []
    for (field, value), runs in done.items():
        whole = len(runs) == len(groups[field, value]) == len(default)
        for metric in METRICS:
            summary = over_seeds(runs, metric) if whole else mean_std([None])._asdict()
            against = _against(runs if whole else [], default, dataset) if metric == "MAE" else {}
            rows.append({"field": field, "value": value, "metric": metric, **summary, **against})
    return pd.DataFrame(rows)


def _against(runs: Sequence[Run], default: Sequence[Run], dataset: Dataset) -> dict[str, Any]:
    """The difference in MAE to the default, with its verdict; empty `runs` mean that training failed."""
    if not runs:
        return {"verdict": FAILED}
    found = comparison.of_runs(runs, default, dataset)
    same = [run.folder for run in runs] == [run.folder for run in default]
    return {**found, "verdict": DEFAULT if same else word(found, BETTER, WORSE)}


def curve_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats the numbers of Fig. 5."""
    verdicts = table[table["metric"] == "MAE"].set_index(["field", "value"])["verdict"]
    rows = zip(table["metric"], table["mean"], table["std"], strict=True)
    cells = [formats.spread(*row) if formats.known(row[1]) else "failed" for row in rows]
    wide = grid(table.assign(cell=cells), ["field", "value"], "metric")
    wide["MAE against the default"] = verdicts
    names = [f"{SYMBOLS[field]} = {value:g}" for field, value in wide.index]
    return wide.set_index(pd.Index(names, name="")).rename_axis(columns=None)


def draw(table: pd.DataFrame, own: Mapping[str, float], paper: Mapping[str, float]) -> Figure:
    """Fig. 5: (a) α and (b) β; MAE above, Acc2 below; mean ± std over seeds, defaults and Table 2's values."""
    figure, axes = canvas((9, 5.2), 2, 2, sharex="col", sharey="row")
    for column, (field, letter) in enumerate(zip(GRID, "ab", strict=True)):
        axes[0, column].set_title(f"({letter}) {SYMBOLS[field]}")
        axes[1, column].set_xlabel(f"{SYMBOLS[field]} (logarithmic)")
        for row, metric in enumerate(("MAE", "Acc2")):
            chosen = table[(table["field"] == field) & (table["metric"] == metric)]
            _curve(axes[row, column], chosen, own[field], paper[field])
    axes[0, 0].set_ylabel("test MAE (less is better)")
    axes[1, 0].set_ylabel("test Acc2 (%, more is better)")
    named = {name: line for panel in axes[0] for line, name in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(named))
    return figure


def _curve(axes: Axes, rows: pd.DataFrame, own: float, paper: float) -> None:
    if own == paper:  # one line would hide the other
        axes.axvline(own, color="black", linestyle="-.", label="default = Table 2")
    else:
        axes.axvline(own, color=ACCENT, linestyle=":", label="default")
        axes.axvline(paper, color="gray", linestyle="--", label="Table 2")
    look: dict[str, Any] = {"fmt": "o-", "color": MODALITY_COLORS["l"], "capsize": 3, "label": "mean ± std"}
    axes.errorbar(rows["value"], rows["mean"], yerr=rows["std"].fillna(0), **look)
    axes.set_xscale("log")
