"""What numbers say: the one rule behind every verdict of the ledger and every word of tables, studies and sentences.

A difference has two 95 % intervals: over clips, and over seeds. It would have to be there with other clips *and* with
other seeds, so what decides is the smallest interval that holds both (`hull`), and an effect size of interest:

    as claimed   the interval lies beyond zero on the claimed side
    opposite     it lies beyond zero on the other side
    no effect    it ends below the size of interest: whatever there is, is too small to matter
    open         it holds both zero and that size: too few clips or seeds

A claim may say how much (`Amount`). "By about so much" asks the interval to reach the size (more is no contradiction),
"considerably" asks all of it to lie beyond the size, and "slightly" all of it between zero and the size: to lie beyond
it is opposite, too.

A single comparison is judged by itself, and so has the same outcome wherever it stands. Many of them enter one
statement in two ways. "All of these hold" is no likelier by chance than any one of them, and needs no correction. "One
of these does not" is likelier the more there are: so a comparison refutes a claim of many only if it stays what it is
in intervals, over clips and over seeds, as wide as Holm's correction asks for the first to be rejected of so many
(Bonferroni's). The same widths are used where a study looks for whatever differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from scipy.stats import norm, t

from mugkit.evaluation.formats import estimate, known
from mugkit.metrics import HIGHER_IS_BETTER

Outcome = Literal["as claimed", "opposite", "no effect", "open"]
Amount = Literal["any", "about", "over", "under"]  # what a claim says of an effect's size: nothing, or ...
Verdict = Literal["supported", "not supported", "undecided", "needs data"]
Difference = Mapping[str, Any]  # what `comparison.compare` returns
VERDICTS: tuple[Verdict, ...] = ("supported", "not supported", "undecided", "needs data")
LEVEL = 0.05
OPEN = "undecided"  # a difference in words where it is open

# The smallest effect of interest where the paper names none, on predictions and on labels alike.
SIZES: Mapping[str, float] = {"MAE": 0.01, "Corr": 0.005, "MMD²": 0.01}
POINTS = 0.5  # of every percentage: accuracies, F1, the share of labels with the right sign, a probe's accuracy


def size_of(metric: str) -> float:
    """The effect size of interest, in the metric's unit."""
    return SIZES.get(metric, POINTS)


def better(metric: str) -> int:
    """+1 if more of a metric is better, −1 if less is."""
    return 1 if HIGHER_IS_BETTER.get(metric, True) else -1


def hull(difference: Difference, together: int = 1) -> tuple[float | None, float | None]:
    """The smallest interval that holds a difference's interval over clips and that over seeds.

    Args:
        together: of how many comparisons the difference that stands out is looked for; widens both intervals.

    Returns:
        Its ends; None where either interval is undefined, as over a single seed.
    """
    value, each = difference["difference"], LEVEL / together / 2
    freedom = max((difference["seeds"] or 1) - 1, 1)
    widths = {"clips": norm.isf(each) / norm.isf(LEVEL / 2), "seeds": t.isf(each, freedom) / t.isf(LEVEL / 2, freedom)}
    ends = {f"{of}_{end}": difference[f"{of}_{end}"] for of in widths for end in ("low", "high")}
    if not all(map(known, (value, *ends.values()))):
        return None, None
    found = [value + widths[name.partition("_")[0]] * (end - value) for name, end in ends.items()]
    return min(found), max(found)


def interval(
    low: float | None, high: float | None, sign: int, size: float = 0.0, limit: float = 0.0, amount: Amount = "any"
) -> Outcome:
    """What an interval says of a claim.

    Args:
        low, high: its ends; None or NaN where it is undefined.
        sign: +1 if the claim says above the limit, −1 if below.
        size: the effect size of interest; with 0 no effect is too small.
        limit: zero unless given.
        amount: what the claim says of the effect's size.
    """
    if low is None or high is None or not (known(low) and known(high)):
        return "open"
    low, high = sorted((sign * (low - limit), sign * (high - limit)))
    if high < 0 or (amount == "under" and low >= size):
        return "opposite"
    enough = {"any": low > 0, "about": low > 0 and high >= size, "over": low > size, "under": low > 0 and high < size}
    if enough[amount]:
        return "as claimed"
    return "no effect" if high < size and amount != "under" else "open"


def judge(
    difference: Difference, sign: int, size: float | None = None, together: int = 1, amount: Amount = "any"
) -> Outcome:
    """What a difference says of a claim about its sign; the size of interest is its metric's unless given."""
    size = size_of(difference["metric"]) if size is None else size
    return interval(*hull(difference, together), sign, size, amount=amount)


def written(difference: Difference) -> str:
    """`-0.012 [-0.027, +0.003]`: a difference with the interval that decides."""
    return estimate(difference["metric"], difference["difference"], *hull(difference))


def small(difference: Difference, together: int = 1) -> bool:
    """Whether a difference is smaller than its metric's size of interest, to either side."""
    low, high = hull(difference, together)
    return low is not None and high is not None and max(-low, high) < size_of(difference["metric"])


def word(difference: Difference, good: str, bad: str, together: int = 1) -> str:
    """A difference in a word: `good` or `bad`, by less than the size of interest or not; no such difference; or open.

    Args:
        good: the word if the metric is better, such as "closer".
        bad: if it is worse.
        together: as in `hull`.
    """
    metric = difference["metric"]
    outcome, size = judge(difference, better(metric), together=together), f"{size_of(metric):g}"
    said = {"as claimed": good, "opposite": bad}.get(outcome)
    if small(difference, together):
        return f"{said}, by less than {size}" if said else f"no difference above {size}"
    return said or OPEN


def as_good(difference: Difference, together: int = 1) -> Outcome:
    """A claim that something is as good as another: it is not worse by the size of interest."""
    outcome = judge(difference, -better(difference["metric"]), together=together)
    if outcome == "as claimed":  # it is worse
        return "as claimed" if small(difference, together) else "opposite"
    return "open" if outcome == "open" else "as claimed"


def ordering(tau: float | None, p: float | None) -> Outcome:
    """Kendall's τ of two orders: the same order beyond chance, the reverse, or neither."""
    return "open" if tau is None or p is None or p >= LEVEL else interval(tau, tau, 1)


def within(value: float, low: float | None, high: float | None) -> Outcome:
    """Whether a number quoted by the paper lies in our interval for it."""
    if low is None or high is None:
        return "open"
    return "as claimed" if low <= value <= high else "opposite"


def every(outcomes: Sequence[Outcome], firm: Sequence[bool] = ()) -> Verdict:
    """A claim that all its comparisons must bear out; one to the contrary refutes it.

    Args:
        firm: whether each outcome stays what it is among so many; () if all do.
    """
    if not outcomes:
        return "needs data"
    stays = firm or [True] * len(outcomes)
    if any(sure and outcome in ("opposite", "no effect") for outcome, sure in zip(outcomes, stays, strict=True)):
        return "not supported"
    return "supported" if set(outcomes) == {"as claimed"} else "undecided"


def most(verdicts: Sequence[Verdict]) -> Verdict:
    """A claim that more than half of its parts must bear out, each of which has a verdict of its own."""
    if not verdicts:
        return "needs data"
    if 2 * verdicts.count("supported") > len(verdicts):
        return "supported"
    return "not supported" if 2 * verdicts.count("not supported") >= len(verdicts) else "undecided"
