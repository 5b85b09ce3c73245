"""When do learned unimodal labels pay off? Compares label sources as three things vary: how well sound and vision can
be read, how far the modalities disagree, and how much the unimodal tasks weigh.

On `reviews` two dials control the data (`mugkit.data.simulate`), and every modality's true label is known. At each
setting stage 3 is trained without unimodal tasks, with copies of the clip's label, with MUG's labels and with the true
ones. The effect of a source is its test MAE minus that without unimodal tasks, paired over clips and seeds. The true
labels show how much there is to gain, and a source's share of that gain shows how much of it the source reaches.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mugkit import files
from mugkit.config import RunSpec, repeated
from mugkit.data import prepare, simulate
from mugkit.data.reviews import Dials
from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.data.store import available, load
from mugkit.evaluation import comparison
from mugkit.evaluation.comparison import Rows
from mugkit.evaluation.tables import records
from mugkit.evaluation.verdicts import judge, size_of, word, written
from mugkit.experiments import experiment, scheduler
from mugkit.experiments.experiment import Run
from mugkit.metrics import corr
from mugkit.plots.style import ACCENT, MODALITY_COLORS, canvas
from mugkit.studies.sentences import listed
from mugkit.studies.study import by_setting

WITHOUT, TRUE = "mug-without-unimodal", "mug-true-labels"
SOURCES: Mapping[str, str] = {"copy": "copies of y", "mug": "MUG's labels", TRUE: "true labels"}
BETA = 0.01  # Table 2's for MOSI
DATA = "reviews (real text, simulated sound and vision) at the settings of its dials that rows name"
_LOOKS: Mapping[str, tuple[str, str, str]] = {  # source → color (Okabe and Ito's, no modality's), marker, line
    "copy": ("#E69F00", "s", "--"),
    "mug": ("#000000", "o", "-"),
    TRUE: (ACCENT, "^", ":"),
}
CORRELATIONS = [f"corr_{m}" for m in MODALITIES]
SETTINGS = tuple(Dials(e, d) for d in reversed(list(simulate.DISAGREEMENT)) for e in simulate.EXPRESSION)


def settings(profile: str) -> tuple[Dials, ...]:
    """The whole map; under `smoke`, whose numbers mean nothing, only the default, which is prepared anyway."""
    return (Dials(),) if profile == "smoke" else SETTINGS


def betas(profile: str) -> tuple[float, ...]:
    """The weights of the unimodal tasks to compare: the chosen weight, and Table 2's."""
    chosen = experiment.work(repeated("mug", "reviews", profile, {})[0]).hp.joint.beta
    return tuple(dict.fromkeys((chosen, BETA)))


def specifications(setting: Dials, profile: str) -> dict[tuple[str, float], list[RunSpec]]:
    """(system, β) → its runs, one per study seed, which is the seed of all stages; prepares the data if needed.

    Without unimodal tasks β has no effect, so these runs serve every β.
    """
    name, weights = prepare.simulated(setting), betas(profile)
    pairs = [(WITHOUT, weights[0]), *((system, beta) for beta in weights for system in SOURCES)]
    return {(system, beta): repeated(system, name, profile, {"beta": beta}) for system, beta in pairs}


def study(profile: str) -> pd.DataFrame:
    """One row per setting, β and source: the effect of the source, and how good its labels are.

    Columns: expression, disagreement, noise (standard deviation, on ±1, of what sound shows besides its label), beta,
    source; `comparison.of_runs` with no unimodal tasks, of the test MAE; share (of the true labels' gain; None if they
    gain nothing); corr_l, corr_a, corr_v (of the training labels with the true ones, mean over seeds).
    """
    runs = by_setting(scheduler.run_all, _wanted(profile))
    rows = []
    for setting in settings(profile):
        rows += _rows(setting, {(system, beta): done for (at, system, beta), done in runs.items() if at == setting})
    return pd.DataFrame(rows)


def _wanted(profile: str) -> dict[tuple[Dials, str, float], list[RunSpec]]:
    by_place = {setting: specifications(setting, profile) for setting in settings(profile)}
    return {(setting, *key): specs for setting, groups in by_place.items() for key, specs in groups.items()}


def at_hand(profile: str, folder: Path) -> list[dict[str, Any]]:
    """The map's rows without training: from finished runs, else from what notebook 14 wrote to `folder`, else []."""
    prepared = all(setting.stored_as in available() for setting in settings(profile))
    if prepared and all(experiment.work(spec).finished() for specs in _wanted(profile).values() for spec in specs):
        return records(study(profile))
    path = folder / "label_payoff.json"
    return files.read_json(path) if path.is_file() else []


def _rows(setting: Dials, runs: Mapping[tuple[str, float], Sequence[Run]]) -> list[dict[str, Any]]:
    dataset = load(setting.stored_as)
    without = next(found for (system, _), found in runs.items() if system == WITHOUT)
    place = {**asdict(setting), "noise": simulate.EXPRESSION[setting.expression]["a"]}
    worth = {key: comparison.of_runs(found, without, dataset) for key, found in runs.items() if key[0] != WITHOUT}
    return [
        {**place, "beta": beta, "source": source, **found, "share": _share(found, worth[TRUE, beta])}
        | correlations(comparison.training_labels([experiment.work(run.spec) for run in runs[source, beta]]), dataset)
        for (source, beta), found in worth.items()
    ]


def _share(found: Mapping[str, Any], true: Mapping[str, Any]) -> float | None:
    """The share of the true labels' gain; None unless that gain is beyond chance and at least the size of interest."""
    gains = judge(true, -1) == "as claimed" and -true["difference"] >= size_of("MAE")
    return found["difference"] / true["difference"] if gains else None


def correlations(labels: Mapping[str, Rows], dataset: Dataset) -> dict[str, float]:
    """Pearson's r of training labels with the true ones, by modality, mean over seeds."""
    true = dataset.train.true_labels
    return {f"corr_{m}": float(np.mean([corr(row, true[m]) for row in labels[m]])) for m in MODALITIES}


def payoff_table(table: pd.DataFrame, beta: float) -> pd.DataFrame:
    """One row per setting: the effect of each source at one β, MUG's share of the gain, and r of the labels."""
    rows = table[np.isclose(table["beta"], beta)]
    shown = []
    for (disagreement, expression), group in rows.groupby(["disagreement", "expression"], sort=False):
        by_source = {row["source"]: row for row in records(group)}
        share, means = by_source["mug"]["share"], group.set_index("source")[CORRELATIONS].mean(axis=1)
        cells = {name: written(by_source[source]) for source, name in SOURCES.items()}
        # A share without an interval says no more than `all` from 100 % on.
        cells["MUG's share"] = "–" if share is None else f"{100 * share:.0f} %" if share < 1 else "all"
        cells["label r, copies → MUG"] = f"{means['copy']:.2f} → {means['mug']:.2f}"
        shown.append({"modalities": disagreement, "expression": expression, **cells})
    return pd.DataFrame(shown).set_index(["modalities", "expression"])


def draw(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """One column per disagreement; rows: the effects of the sources at each β, then the correlation of their labels.

    The records of `study` are also the figure's JSON.
    """
    table = pd.DataFrame(rows)
    weights, columns = list(dict.fromkeys(table["beta"])), list(dict.fromkeys(table["disagreement"]))
    down = len(weights) + 1
    figure, grid = canvas((8.6, 2.5 * down), down, len(columns), sharex=True, sharey="row", squeeze=False)
    for column, disagreement in enumerate(columns):
        parts = [rows for _, rows in table[table["disagreement"] == disagreement].groupby("beta", sort=False)]
        for axes, part in zip(grid[:-1, column], parts, strict=True):
            _draw_worth(axes, part)
        _draw_labels(grid[-1, column], parts[0])
        grid[0, column].set_title(f"modalities disagree: {disagreement}")
        grid[-1, column].set_xlabel("expression: ← can be read · cannot be read →")
    for row, beta in enumerate(weights):
        grid[row, 0].set_ylabel(f"test MAE minus that\nwithout unimodal tasks\n(β = {beta:g})")
    grid[-1, 0].set_ylabel("correlation of labels\nwith the true ones")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(SOURCES))
    labels = grid[-1, 0].get_legend_handles_labels()
    figure.legend(*labels, loc="outside lower center", ncols=2, fontsize=8.5, handlelength=3.5)
    return figure


def _draw_worth(axes: Axes, rows: pd.DataFrame) -> None:
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    for offset, (source, name) in zip((-0.08, 0.0, 0.08), SOURCES.items(), strict=True):
        part = rows[rows["source"] == source]
        color, marker, line = _LOOKS[source]
        x, y = np.arange(len(part)) + offset, part["difference"].to_numpy()
        spread = [y - part["seeds_low"].to_numpy(float), part["seeds_high"].to_numpy(float) - y]
        axes.errorbar(x, y, spread, color=color, marker=marker, linestyle=line, capsize=2, markersize=4, label=name)
    axes.set_xticks(range(len(part)), part["expression"])


def _draw_labels(axes: Axes, rows: pd.DataFrame) -> None:
    """Draws MUG's labels in the modality's colour, and copies as dashed lines in the same colour."""
    for source, line in (("copy", "--"), ("mug", "-")):
        part = rows[rows["source"] == source]
        for m in MODALITIES:
            look: dict[str, Any] = {"color": MODALITY_COLORS[m], "label": f"{MODALITY_NAMES[m]}, {SOURCES[source]}"}
            axes.plot(range(len(part)), part[f"corr_{m}"], f".{line}", **look)
    axes.set_xticks(range(len(part)), part["expression"])


def sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """States when learned labels pay off, from the numbers; `rows` as for `draw`."""
    table = pd.DataFrame(rows)
    parts = [f"With β = {beta:g}: {_at(rows)}." for beta, rows in table.groupby("beta", sort=False)]
    settings, seeds = len(table.drop_duplicates(["expression", "disagreement"])), max(table["seeds"])
    return (
        f"On reviews (real text, simulated sound and vision), test MAE against no unimodal tasks at {settings} "
        f"settings of the dials, {seeds} seeds each. {' '.join(parts)}"
    )


def _at(rows: pd.DataFrame) -> str:
    """For each source of labels, the number of settings with each verdict against no unimodal tasks."""
    said = []
    for source, of_source in rows.groupby("source", sort=False):
        words = Counter(word(row, "better", "worse") for row in records(of_source))
        said.append(f"{SOURCES[str(source)]} {listed(f'{name} at {count}' for name, count in words.most_common())}")
    return "; ".join(said)
