"""What was found, in one or two sentences written from the numbers: the last cell of a notebook.

Every sentence begins with the data that it holds for. Brackets are the interval that decides (`verdicts.hull`), and
every word comes from `verdicts`, so a sentence cannot say more than the table and the ledger do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mugkit.data.schema import MODALITY_NAMES, Dataset
from mugkit.engine import Run
from mugkit.labels import source
from mugkit.results import comparison, embedding, hyperparameter_curves
from mugkit.results.formats import estimate, number, span
from mugkit.results.noise_robustness import ENDS
from mugkit.results.search_analysis import MATTERS
from mugkit.results.tables import records
from mugkit.results.verdicts import Difference, hull, judge, size_of, small, word
from mugkit.systems import SYSTEMS

Changes = Sequence[Difference]  # of one pair of systems, a metric each
NOUNS: Mapping[str, str] = {"mug": "MUG's learning of labels", "copy": "copying the clip's label", "ulgm": "ULGM"}


def effect(one: Difference) -> str:
    """`lowers MAE by 0.060 [0.049, 0.071]`, or has no effect above the size of interest, or an undecided one."""
    metric, value, (low, high) = one["metric"], one["difference"], hull(one)
    if judge(one, 1) in ("as claimed", "opposite") and low is not None and high is not None:
        verb, ends = ("raises", (low, high)) if value > 0 else ("lowers", (-high, -low))
        tiny = f", less than {size_of(metric):g}" if small(one) else ""
        return f"{verb} {metric} by {number(metric, abs(value))} {span(metric, *ends, signed=False)}{tiny}"
    if small(one):
        return f"has no effect on {metric} above {size_of(metric):g} ({estimate(metric, value, low, high)})"
    return f"has an undecided effect on {metric} ({estimate(metric, value, low, high)})"


def listed(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = list(parts)
    return f"{', '.join(first)} and {last}" if first else last


def grouped(places: Iterable[tuple[str, str, str]], joint: str = "for") -> str:
    """`closer for language (-0.2 [-0.3, -0.1]) and visual (…); undecided for acoustic (…)`.

    Args:
        places: the word, where it holds, and its number.
        joint: between the word and the places.
    """
    by_word: dict[str, list[str]] = {}
    for name, place, value in places:
        by_word.setdefault(name, []).append(f"{place} ({value})" if value else place)
    return "; ".join(f"{name} {joint} {listed(where)}" for name, where in by_word.items())


# --- does MUG work? ---------------------------------------------------------------------------------------

STEPS: Mapping[str, tuple[str, str]] = {  # name → system, and what it is compared with
    "copies": ("copy", "mug-without-unimodal"),
    "MUG": ("mug", "mug-without-unimodal"),
    "MUG over copies": ("mug", "copy"),
    "true labels over MUG": ("mug-true-labels", "mug"),
}


def steps(
    dataset: Dataset, runs: Mapping[str, Sequence[Run]], metrics: Sequence[str] = ("MAE", "Acc2")
) -> dict[str, Changes]:
    """The comparisons from no unimodal tasks to true labels, of those systems that ran (Table 5)."""
    return {
        name: [comparison.of_runs(runs[ours], runs[theirs], dataset, metric) for metric in metrics]
        for name, (ours, theirs) in STEPS.items()
        if ours in runs and theirs in runs
    }


def ablations(data: str, found: Mapping[str, Changes]) -> str:
    """Does MUG work: no unimodal tasks, copies, MUG, true labels.

    Args:
        data: the data set's caption.
        found: of `steps`.
    """
    said = {name: listed(map(effect, changes)) for name, changes in found.items()}
    first = [f"{NOUNS['copy']} {said['copies']}"] if "copies" in said else []
    first += [f"{NOUNS['mug']} {said['MUG']}"] if "MUG" in said else []
    second = [f"Over copies, {NOUNS['mug']} {said['MUG over copies']}"] if "MUG over copies" in said else []
    if "true labels over MUG" in said:
        second.append(f"over MUG, knowing the true labels {said['true labels over MUG']}")
    sentences = [f"over no unimodal tasks, {'; '.join(first)}"] if first else []
    return f"On {data}: " + ". ".join([*sentences, *(["; ".join(second)] if second else [])]) + "."


def baselines(data: str, table: pd.DataFrame, metric: str = "MAE") -> str:
    """Tables 3 and 4: against how many baselines MUG is decidedly better.

    Args:
        table: of `comparison.against`; rows that are no baselines do not count.
    """
    names = {one.row for one in SYSTEMS.values() if one.baseline or one.labels in source.ONLINE}
    rows = [one for one in records(table) if one["metric"] == metric and one["system"] in names]
    if not rows:
        return f"On {data}, no baseline has run."
    words = [word(one, "worse", "better") for one in rows]  # a row is theirs minus MUG's
    others = [(said, one["system"], _value(one)) for said, one in zip(words, rows, strict=True) if said != "better"]
    firm = sum(word(one, "worse", "better", len(rows)) == "better" for one in rows)
    rest = f" MUG against the others, theirs minus MUG's: {grouped(others, 'against')}." if others else ""
    return (
        f"On {data}, MUG's test {metric} is better than that of {words.count('better')} of {len(rows)} baselines, of "
        f"{firm} of them also when all are judged together.{rest}"
    )


def _value(one: Mapping[str, Any]) -> str:
    return estimate(one["metric"], one["difference"], *hull(one))


# --- labels, representations, studies ---------------------------------------------------------------------


def label_quality(data: str, table: pd.DataFrame) -> str:
    """Are learned labels closer to the truth than copies?

    Args:
        table: of `label_quality.compare`.
    """
    by_measure = [
        f"in {measure} {grouped((one['verdict'], one['modality'], _value(one)) for one in records(rows))}"
        for measure, rows in table.groupby("measure", sort=False)
    ]
    said = ". And ".join(by_measure)
    return f"On {data}, MUG's labels against copies of the clip's label, by distance to the truth: {said}."


def curves(data: str, table: pd.DataFrame) -> str:
    """What α and β do to the test MAE, against Table 2's value.

    Args:
        table: of `hyperparameter_curves.curves`.
    """
    sentences = []
    for field, rows in table[table["metric"] == "MAE"].groupby("field", sort=False):
        others = [one for one in records(rows) if one["verdict"] != hyperparameter_curves.DEFAULT]
        failed = hyperparameter_curves.FAILED
        places = [(w := one["verdict"], f"{one['value']:g}", "" if w == failed else _value(one)) for one in others]
        sentences.append(f"{hyperparameter_curves.SYMBOLS[str(field)]}: {grouped(places, 'at')}")
    return f"On {data}, test MAE against that at Table 2's value. {'. '.join(sentences)}."


def embedding_gap(data: str, table: pd.DataFrame) -> str:
    """What contrastive learning does to the gap, sentence by sentence of section 4.9.

    Args:
        table: of `embedding.claims`.
    """
    parts = []
    for claim, rows in table.groupby("claim", sort=False):
        values = zip(rows["verdict"], rows["modality"], rows["mean"], rows["low"], rows["high"], strict=True)
        places = [(name, MODALITY_NAMES[m], estimate("MMD²", *numbers)) for name, m, *numbers in values]
        parts.append(f"“{embedding.CLAIMS[str(claim)].sentence}” is {grouped(places)}")
    return f"On {data}, measured by MMD²: {'. '.join(parts)}."


def search(data: str, peeking: Mapping[str, float], importance: pd.DataFrame) -> str:
    """What the trials of a search tell.

    Args:
        peeking: of `search_analysis.peeking`.
        importance: of `search_analysis.importance`.
    """
    gain = estimate("MAE", peeking["gain"], peeking["low"], peeking["high"], signed=False)
    matter = importance[importance["verdict"] == MATTERS]
    named = [f"{name} (ρ {rho:+.2f})" for name, rho in zip(matter["field"], matter["rho"], strict=True)]
    rest = f"of {len(importance) - len(named)} other fields no effect is seen"
    moved = f"{listed(named)} can be seen to move it; {rest}" if named else "no field can be seen to move it"
    return (
        f"On {data}, with {peeking['trials']:g} trials, choosing by test MAE would have reported {gain} less than "
        f"choosing by validation. Of validation MAE: {moved}."
    )


def noise(data: str, table: pd.DataFrame) -> str:
    """How sources of labels take noisier labels of clips.

    Args:
        table: of `noise_robustness.robustness`.
    """
    heads = {
        "against_copy": "labels against copies of the same noisy labels, by distance to the truth",
        "test_change": "test MAE against that without noise",
    }
    parts = []
    for column, head in heads.items():
        judged = table[table[f"{column}_verdict"] != ""]
        by_source = [
            f"{NOUNS.get(str(name), name)}, {grouped(_levels(rows, column), 'at')}"
            for name, rows in judged.groupby("source", sort=False)
        ]
        parts.append(f"{head}: {'. '.join(by_source)}")
    return f"On {data}, {'. As to '.join(parts)}."


def _levels(rows: pd.DataFrame, column: str) -> list[tuple[str, str, str]]:
    levels = []
    for row in records(rows):
        one = {"metric": "MAE", **{key: row[f"{column}_{key}"] for key in ENDS}}
        levels.append((row[f"{column}_verdict"], f"k = {row['k']:g}", _value(one)))
    return levels
