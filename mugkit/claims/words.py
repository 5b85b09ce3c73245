"""A claim's numbers as short texts. The code is the same for every claim."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mugkit.evaluation import formats
from mugkit.evaluation.verdicts import Verdict

# By `verdicts.Amount`: what a claim requires beyond its sign, and what else counts against it.
ASKED: Mapping[str, str] = {"over": " (by more than is of interest)", "under": " (by less than is of interest)"}
AGAINST: Mapping[str, str] = {"under": "by more than is of interest, or the other way round"}
FEW = 3  # comparisons that are spelled out; if there are more, the clearest


def result(comparison: Mapping[str, Any]) -> str:
    """`MAE -0.015 [-0.054, +0.020]`: one comparison, with the interval that decides."""
    metric, signed = comparison.get("metric", ""), "difference" in comparison
    value = comparison["difference" if signed else "value"]
    estimate = formats.estimate(metric, value, comparison.get("low"), comparison.get("high"), signed)
    text = f"{comparison['of']} {estimate}"
    if comparison.get("p") is not None:
        text += f", p {comparison['p']:.2g}"
    if "paper" in comparison:
        text += f" (paper {formats.number(metric, comparison['paper'])})"
    return text


def _clarity(comparison: Mapping[str, Any]) -> tuple[int, float]:
    """Sorts contrary outcomes first; among equal outcomes, those farthest from zero, in widths of the interval."""
    rank = {"opposite": 0, "no effect": 1, "as claimed": 2, "open": 3}[comparison["outcome"]]
    low, high = comparison.get("low"), comparison.get("high")
    if low is None or high is None or high <= low:
        return rank, 0.0
    return rank, -abs(low + high) / (high - low)


def compactly(results: Sequence[Mapping[str, Any]]) -> str:
    """All comparisons if there are few, else the clearest and how many more there are."""
    if len(results) <= FEW:
        return "; ".join(map(result, results)) or "–"
    shown = sorted(results, key=_clarity)[:FEW]
    return "; ".join(map(result, shown)) + f"; {len(results) - FEW} more"


def why(verdict: Verdict, results: Sequence[Mapping[str, Any]], needs: str) -> str:
    """The reason for a verdict, from the outcomes of its comparisons."""
    if verdict == "needs data":
        return f"needs {needs}"
    counts = Counter(comparison["outcome"] for comparison in results)
    tiny = sum(map(_is_tiny, results))
    amount = next((comparison["amount"] for comparison in results if "amount" in comparison), "any")
    sizes = " or ".join(dict.fromkeys(f"{r['size']:g}" for r in results if r["outcome"] == "no effect" and "size" in r))
    loose = sum(r["outcome"] in ("opposite", "no effect") and not r.get("firm", True) for r in results)
    held = ASKED.get(amount, f" ({tiny} of them by less than is of interest)" if tiny else "")
    parts = {
        AGAINST.get(amount, "the other way round"): counts["opposite"],
        "without an effect" + (f" above {sizes}" if sizes else ""): counts["no effect"],
        "undecided": counts["open"],
        "of those against it could be chance among so many": loose,
    }
    said = [f"{count} {what}" for what, count in parts.items() if count]
    return ", ".join([f"{counts['as claimed']} of {len(results)} as claimed{held}", *said])


def _is_tiny(comparison: Mapping[str, Any]) -> bool:
    """Whether a comparison is as claimed, but smaller than the effect size of interest."""
    if comparison["outcome"] != "as claimed" or not comparison.get("size") or "said to be as good" in comparison["of"]:
        return False
    return max(-comparison["low"], comparison["high"]) < comparison["size"]


def paper_numbers(claim: Mapping[str, Any]) -> str:
    """The paper's numbers for a claim: amounts in the text, cells of its tables, or the tables' names."""
    if claim["stated"]:
        return "; ".join(map(_amount, claim["stated"]))
    if claim["said"]:
        return ", ".join(f"{name} {_plain(value)}" for name, value in claim["said"].items())
    rows = {(cell["row"], cell["dataset"]) for cell in claim["paper"]}
    if len(rows) > 2 and claim["kind"] not in ("SameCount", "InOrder"):
        return " and ".join(f"Table {n}" for n in dict.fromkeys(cell["table"] for cell in claim["paper"]))
    by_metric: dict[str, list[str]] = {}
    for cell in claim["paper"]:
        by_metric.setdefault(cell["metric"], []).append(_plain(cell["value"]))
    return ", ".join(f"{metric} {' / '.join(values)}" for metric, values in by_metric.items()) or "–"


def _plain(value: float) -> str:
    return f"{value:,g}" if value < 1e5 else f"{value:,.0f}"


def _amount(amount: Mapping[str, Any]) -> str:
    """A difference stated in the text, with the table's own if the two disagree."""
    how = {"over": "> ", "about": "≈ "}.get(amount["how"], "")
    text = f"{amount['metric']} {how}{amount['text']:+g}"
    return text if amount["agrees"] else f"{text} (its Table {amount['table']}: {amount['found']:+g})"
