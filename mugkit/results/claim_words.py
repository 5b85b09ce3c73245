"""A claim's numbers in words and short lines. No sentence here knows which claim it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mugkit.results.verdicts import Verdict

FEW = 3  # comparisons that are spelled out; of more, the clearest are


def number(metric: str, value: float | None, signed: bool = False) -> str:
    """A number with the digits of its metric: counts whole, percentages one, everything else three."""
    if value is None:
        return "undefined"
    if metric == "Parameters":
        return f"{value:+,.0f}" if signed else f"{value:,.0f}"
    digits = 1 if metric.startswith(("Acc", "F1", "sign")) else 3
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def result(one: Mapping[str, Any]) -> str:
    """`MAE −0.015 [−0.054, +0.020], p 0.81`: one comparison."""
    metric, is_difference = one.get("metric", ""), "difference" in one
    text = f"{one['of']} {number(metric, one['difference' if is_difference else 'value'], signed=is_difference)}"
    low, high = (one.get("clips_low"), one.get("clips_high")) if is_difference else (one.get("low"), one.get("high"))
    if low is not None and high is not None:
        text += f" [{number(metric, low, is_difference)}, {number(metric, high, is_difference)}]"
    if one.get("p") is not None:
        text += f", p {one['p']:.2g}"
    if "paper" in one:
        text += f" (paper {number(metric, one['paper'])})"
    return text


def clearest(results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The few comparisons that say most: those to the contrary, then those with the smallest p."""
    rank = {"opposite": 0, "as claimed": 1, "open": 2}
    ordered = sorted(results, key=lambda one: (rank[one["outcome"]], 1.0 if one.get("p") is None else one["p"]))
    return ordered[:FEW]


def compactly(results: Sequence[Mapping[str, Any]]) -> str:
    """All comparisons if they are few, else the clearest and how many more there are."""
    if not results:
        return "–"
    shown = results if len(results) <= FEW else clearest(results)
    more = len(results) - len(shown)
    return "; ".join(result(one) for one in shown) + (f"; {more} more" if more else "")


def why(verdict: Verdict, results: Sequence[Mapping[str, Any]], needs: str) -> str:
    """The reason of a verdict, from the outcomes of its comparisons."""
    if verdict == "needs data":
        return f"needs {needs}"
    counts, total = Counter(one["outcome"] for one in results), len(results)
    if total == 1:
        told = {"as claimed": "it is as claimed", "opposite": "it is the other way round", "open": "it could be chance"}
        return told[results[0]["outcome"]]
    parts = [
        f"{counts['as claimed']} of {total} comparisons as claimed",
        f"{counts['opposite']} the other way round" if counts["opposite"] else "",
        f"{counts['open']} could be chance" if counts["open"] else "",
    ]
    return ", ".join(part for part in parts if part)


def paper_numbers(one: Mapping[str, Any]) -> str:
    """The paper's numbers of a claim: amounts of the text, cells of its tables, or where they stand."""
    if one["stated"]:
        return "; ".join(map(_amount, one["stated"]))
    if one["said"]:
        return ", ".join(f"{name} {value:g}" if value < 1e5 else f"{value:,.0f}" for name, value in one["said"].items())
    rows = list(dict.fromkeys((cell["row"], cell["dataset"]) for cell in one["paper"]))
    if not rows:
        return "–"
    if len(rows) > 2 and one["kind"] not in ("SameCount", "InOrder"):
        return " and ".join(f"Table {n}" for n in dict.fromkeys(cell["table"] for cell in one["paper"]))
    by_metric: dict[str, list[str]] = {}
    for cell in one["paper"]:
        by_metric.setdefault(cell["metric"], []).append(
            f"{cell['value']:,g}" if cell["value"] < 1e5 else f"{cell['value']:,.0f}"
        )
    return ", ".join(f"{metric} {' / '.join(values)}" for metric, values in by_metric.items())


def _amount(amount: Mapping[str, Any]) -> str:
    """A stated difference, with the table's own where that is another."""
    how = {"over": "> ", "about": "≈ "}.get(amount["how"], "")
    text = f"{amount['metric']} {how}{amount['text']:+g}"
    return text if amount["agrees"] else f"{text} (its Table {amount['table']}: {amount['found']:+g})"
