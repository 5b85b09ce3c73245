"""What was found, in one or two sentences written from the numbers: the last cell of a notebook.

Every sentence begins with the data that it holds for. Brackets are the interval that decides (`verdicts.hull`), and
every word comes from `verdicts`, so a sentence cannot say more than the table and the ledger do.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mugkit.data.schema import MODALITY_NAMES, Dataset
from mugkit.evaluation import comparison
from mugkit.evaluation.formats import estimate, known, number, span
from mugkit.evaluation.tables import records
from mugkit.evaluation.verdicts import Difference, hull, judge, size_of, small, word, written
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import SYSTEMS
from mugkit.studies import embedding
from mugkit.studies.hyperparameter_curves import DEFAULT, SYMBOLS
from mugkit.studies.search_analysis import MATTERS
from mugkit.training.label_sources import source

STEPS: Mapping[str, tuple[str, str]] = {  # name → system, and what it is compared with
    "copies": ("copy", "mug-without-unimodal"),
    "MUG": ("mug", "mug-without-unimodal"),
    "MUG over copies": ("mug", "copy"),
    "true labels over MUG": ("mug-true-labels", "mug"),
}


def effect(difference: Difference) -> str:
    """`lowers MAE by 0.060 [0.049, 0.071]`, or has no effect above the size of interest, or an undecided one."""
    metric, value, (low, high) = difference["metric"], difference["difference"], hull(difference)
    if judge(difference, 1) in ("as claimed", "opposite") and low is not None and high is not None:
        verb, ends = ("raises", (low, high)) if value > 0 else ("lowers", (-high, -low))
        tiny = f", less than {size_of(metric):g}" if small(difference) else ""
        return f"{verb} {metric} by {number(metric, abs(value))} {span(metric, *ends, signed=False)}{tiny}"
    found = "no" if small(difference) else "an undecided"
    limit = f" above {size_of(metric):g}" if small(difference) else ""
    return f"has {found} effect on {metric}{limit} ({_value(difference)})"


def _value(row: Mapping[str, Any]) -> str:
    if not known(row["difference"]):
        return ""
    return estimate(row["metric"], row["difference"], row["low"], row["high"]) if "low" in row else written(row)


def listed(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = list(parts)
    return f"{', '.join(first)} and {last}" if first else last


def grouped(rows: pd.DataFrame, place: str, joint: str = "for") -> str:
    """`closer for language (-0.2 [-0.3, -0.1]) and visual (…); undecided for acoustic (…)`.

    Rows are differences with their `verdict`; `place` is the column that says where they hold (a modality, another name
    or a number), and `joint` stands between the word and the places.
    """
    by_word: dict[str, list[str]] = {}
    for row in records(rows):
        where, value = row[place], _value(row)
        name = format(where, "g") if isinstance(where, float) else MODALITY_NAMES.get(where, where)
        by_word.setdefault(row["verdict"], []).append(name + (f" ({value})" if value else ""))
    return "; ".join(f"{name} {joint} {listed(where)}" for name, where in by_word.items())


def steps(dataset: Dataset, runs: Mapping[str, Sequence[Run]]) -> dict[str, list[Difference]]:
    """The comparisons from no unimodal tasks to true labels, in MAE and Acc2, of those systems that ran (Table 5)."""
    return {
        name: [comparison.of_runs(runs[ours], runs[theirs], dataset, metric) for metric in ("MAE", "Acc2")]
        for name, (ours, theirs) in STEPS.items()
        if ours in runs and theirs in runs
    }


def ablations(data: str, found: Mapping[str, Sequence[Difference]]) -> str:
    """Does MUG work? No unimodal tasks, copies, MUG, true labels: `found` is of `steps`, `data` the caption."""
    heads = {
        "copies": "training them on copies of the clip's label", "MUG": "training them on MUG's labels",
        "MUG over copies": "compared with copies, learning labels with MUG",
        "true labels over MUG": "compared with MUG, knowing the true labels",
    }  # fmt: skip
    said = {name: f"{heads[name]} {listed(map(effect, changes))}" for name, changes in found.items()}
    told = [said[name] for name in STEPS if name in said]
    if {"copies", "MUG"} & said.keys():
        told[0] = f"compared with no unimodal tasks, {told[0]}"
    return f"On {data}: {'; '.join(told)}."


def answer(data: str, settings: Mapping[str, Mapping[str, Sequence[Difference]]], beta: float) -> str:
    """Does MUG work? At how many settings of the data each step has which verdict: name → what `steps` says there."""
    heads = {
        "MUG": "MUG's labels against none", "MUG over copies": "MUG's labels against copies of the clip's label",
        "copies": "Copies against none", "true labels over MUG": "True labels against MUG's",
    }  # fmt: skip
    rows = {name: [found[name][0] for found in settings.values() if name in found] for name in heads}
    said = [f"{heads[name]}: {_counted(of_step)}." for name, of_step in rows.items() if of_step]
    return f"{_at_settings(data, len(settings))}, test MAE with β = {beta:g}. {' '.join(said)}"


def _at_settings(data: str, count: int) -> str:
    others = f" and {count - 1} other settings of its dials" if count > 1 else ""
    return f"On {data}{others}"


def _counted(rows: Sequence[Difference]) -> str:
    """`better at 2 (by 0.012 to 0.044) and undecided at 1`."""
    by_word: dict[str, list[float]] = {}
    for row in rows:
        by_word.setdefault(word(row, "better", "worse"), []).append(abs(row["difference"]))
    told = []
    for name, sizes in by_word.items():
        ends = " to ".join(dict.fromkeys(number("MAE", size) for size in (min(sizes), max(sizes))))
        told.append(f"{name} at {len(sizes)}" + (f" (by {ends})" if name in ("better", "worse") else ""))
    return listed(told)


def parts(data: str, table: pd.DataFrame) -> str:
    """What leaving a part of MUG out does to its test MAE; `table` is of `comparison.against`, Table 5's rows."""
    rows = table[table["metric"] == "MAE"]
    rows = rows.assign(verdict=[word(row, "better than MUG", "worse than MUG") for row in records(rows)])
    return f"On {data}, test MAE minus MUG's: {grouped(rows, 'system')}."


def baselines(data: str, table: pd.DataFrame, number: int) -> str:
    """Tables 3 and 4: how many baselines MUG beats; `table` is of `comparison.against`, other rows do not count."""
    names = {system.row for system in SYSTEMS.values() if system.baseline or system.labels in source.ONLINE}
    rows = table[(table["metric"] == "MAE") & table["system"].isin(names)]
    if rows.empty:
        return f"On {data}, no baseline has run."
    rows = rows.assign(verdict=[word(row, "worse", "better") for row in records(rows)])  # theirs minus MUG's
    firm = sum(word(row, "worse", "better", len(rows)) == "better" for row in records(rows))
    others = rows[rows["verdict"] != "better"]
    against = grouped(others, "system", "against")
    return (
        f"On {data}, MUG's test MAE is better than that of {len(rows) - len(others)} of Table {number}'s {len(rows)} "
        f"baselines, and than that of {firm} after Bonferroni's correction for {len(rows)} comparisons."
        + (f" MUG compared with the others (their MAE minus MUG's): {against}." if against else "")
    )


def label_quality(
    data: str, table: pd.DataFrame, ours: str = "MUG's labels", theirs: str = "copies of the clip's label"
) -> str:
    """Are learned labels closer to the truth than copies, or others? `table` is of `label_quality.compare`."""
    said = [f"by {name}, {grouped(rows, 'modality')}" for name, rows in table.groupby("measure", sort=False)]
    return f"On {data}, how close {ours} are to the true labels, compared with {theirs}: {'. And '.join(said)}."


def labels_elsewhere(data: str, settings: Mapping[str, pd.DataFrame]) -> str:
    """In which modalities labels are closer in MAE, at each setting of the data: name → of `label_quality.compare`."""
    wordy = {name: table[table["measure"] == "MAE"].assign(difference=None) for name, table in settings.items()}
    said = [f"On {name}: {grouped(rows, 'modality')}" for name, rows in wordy.items()]
    place = _at_settings(data, len(settings))
    return f"{place}, how close MUG's labels are to the true labels by MAE, compared with copies. {'. '.join(said)}."


def curves(data: str, table: pd.DataFrame) -> str:
    """What α and β do to the test MAE, against the default; `table` is of `hyperparameter_curves.curves`."""
    fields = table[(table["metric"] == "MAE") & (table["verdict"] != DEFAULT)].groupby("field", sort=False)
    said = [f"{SYMBOLS[str(field)]}: {grouped(rows, 'value', 'at')}" for field, rows in fields]
    return f"On {data}, test MAE compared with that at the values MUG uses here. {'. '.join(said)}."


def embedding_gap(data: str, table: pd.DataFrame, moved: pd.DataFrame | None = None) -> str:
    """What contrastive learning does to the gap, after section 4.9; of `embedding.claims` and `embedding.drift`."""
    claims = table.rename(columns={"mean": "difference"}).groupby("claim", sort=False)
    said = [f"That {embedding.CLAIMS[str(name)].sentence} is {grouped(rows, 'modality')}." for name, rows in claims]
    if moved is not None:
        means = moved.groupby("modality", sort=False)["cosine"].mean()
        cosines = listed(f"{mean:.2f} for {MODALITY_NAMES[str(m)]}" for m, mean in means.items())
        said.append(f"The mean cosine of x_m without and with it is {cosines}.")
    return f"On {data}, measured by MMD² and, in points, by a probe. {' '.join(said)}"


def two_readings(data: str, claims: pd.DataFrame, validation: pd.DataFrame) -> str:
    """Which reading of Eq. 11 reproduces which observation of section 4.9, and what it does to validation; `claims` are
    those of every `reading`."""
    observed = claims[claims["claim"].isin(embedding.OBSERVATIONS)].assign(mean=float("nan"))  # numbers are in a table
    said, every = [], []
    for name, rows in observed.groupby("reading", sort=False):
        text = embedding_gap("", rows).partition(". ")[2]
        said.append(f"With the gradient {name}: {text[0].lower()}{text[1:]}")
        every += [f"the gradient {name}"] if set(rows["verdict"]) == {"supported"} else []
    whole = "With neither reading does all of it hold in every modality."
    if every:
        whole = f"All of it holds in every modality with {listed(every)}."
    against = grouped(validation[validation["verdict"] != ""], "reading", "with the gradient")
    return (
        f"On {data}, measured by MMD². {' '.join(said)} {whole} "
        f"Validation MAE of stage 3, against no contrastive learning: {against}."
    )


def gap(data: str, table: pd.DataFrame) -> str:
    """What a probe and retrieval see of the gap; `table` is of `stage_figures.gap_measures`."""
    said = []
    for name, rows in table.groupby("network", sort=False):
        parts = []
        for row in records(rows):
            probe = estimate("probe", row["probe"], row["probe_low"], row["probe_high"], signed=False)
            parts.append(f"{probe} % ({row['retrieval']:.0f} %) for {MODALITY_NAMES[row['modality']]}")
        said.append(f"{name}: {listed(parts)}")
    return (
        f"On {data}, a linear probe tells x_m from x_m′ (and a projection finds its own clip), {'; '.join(said)}. "
        "50 % would mean that the probe sees no gap."
    )


def cases(data: str, table: pd.DataFrame) -> str:
    """Section 4.11 asked of all clips: rates beside those of the reference; `table` is of `case_study.table`."""
    said = []
    for name, rows in table.groupby("question", sort=False):
        asked = [row for row in records(rows) if known(row["share"]) and known(row["reference"])]
        finds = str(name).endswith("found") and bool(asked)  # a detector: its reference is false alarms
        alarms = " false alarms" if finds else ""
        rates = [
            f"{MODALITY_NAMES[row['modality']]} {row['share']:.0f} % against {row['reference']:.0f} %{alarms}"
            for row in asked
        ]
        missed = [100 - row["share"] for row in asked]
        of_those = f" ({min(missed):.0f} to {max(missed):.0f} % are missed)" if finds else ""
        asks = f"{str(name)[0].upper()}{str(name)[1:]}"
        said.append(f"{asks}: {', '.join(rates) or 'no clip'}{of_those}; in points, {grouped(rows, 'modality')}.")
    return f"On {data}, MUG's labels against the reference of each question. {' '.join(said)}"


def cost(times: pd.DataFrame, stages: pd.DataFrame) -> str:
    """Section 4.12 on this machine; tables of `cost.step_times`, over steps of ULGM and Self-MM, and `stage_shares`."""
    ratios = {
        (row["system"], row["over"]): f"{row['ratio']:.2f} [{row['lower_quartile']:.2f}, {row['upper_quartile']:.2f}]"
        for row in records(times)
    }
    before = stages.set_index("stage")["share"].iloc[:-1].sum()
    return (
        f"On this machine, a step of MUG's stage 3 takes {ratios['mug', 'self-mm']} times as long as a step of Self-MM "
        f"with its own networks, and {ratios['mug', 'ulgm']} times as long as a step that computes Self-MM's labels "
        f"(ULGM) on MUG's networks (median and quartiles of alternating steps; the paper has 0.86 s against 1.16 s). "
        f"Stages 1 and 2 take {100 * before:.0f} % of the time of a run with one seed."
    )


def search(data: str, peeking: Mapping[str, float], importance: pd.DataFrame) -> str:
    """What the trials of a search tell; `peeking` and `importance` are of `search_analysis`."""
    gain = estimate("MAE", peeking["gain"], peeking["low"], peeking["high"], signed=False)
    matter = importance[importance["verdict"] == MATTERS]
    trials, others = f"the {peeking['trials']:g} trials cannot tell about", len(importance) - len(matter)
    moved = f"No field is clearly related to validation MAE: {trials} any of the {others}"
    if len(matter):
        correlated = f"validation MAE (ρ {', '.join(map('{:+.2f}'.format, matter['rho']))})"
        moved = f"Only {listed(matter['field'])} {'is' if len(matter) == 1 else 'are'} clearly related to {correlated}"
        moved += f"; {trials} the {others} other fields"
    return (
        f"On {data}, with {peeking['trials']:g} trials, choosing by test MAE would have reported {gain} less than "
        f"choosing by validation. {moved}."
    )
