"""The rule behind every verdict of the ledger and every verdict in tables, studies and sentences.

A difference has two 95 % intervals: over clips, and over seeds. It must hold with other clips *and* with other seeds.
Therefore the smallest interval that contains both (`hull`) decides, together with an effect size of interest:

    as claimed   the interval lies beyond zero on the claimed side
    opposite     it lies beyond zero on the other side
    no effect    it ends below the size of interest: any effect is too small to matter
    open         it contains both zero and that size: too few clips or seeds

A claim may also say how large the effect is (`Amount`). "About" requires the interval to reach the size (a larger
effect is no contradiction). "Over" (considerably) requires all of it to lie beyond the size. "Under" (slightly)
requires all of it to lie between zero and the size; an interval beyond the size is then opposite, too.

Each comparison is judged by itself, so it has the same outcome wherever it appears. A claim about many comparisons
needs no correction to be supported, but the more there are, the likelier one of them fails by chance. A comparison
therefore refutes such a claim only if its outcome is the same with both intervals as wide as Bonferroni's correction
(the first step of Holm's) requires. Studies that look for any difference among many use the same widths.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from scipy.stats import norm, t

from mugkit.evaluation.formats import estimate, known
from mugkit.metrics import HIGHER_IS_BETTER

Outcome = Literal["as claimed", "opposite", "no effect", "open"]
Amount = Literal["any", "about", "over", "under"]  # what a claim says about an effect's size; "any": nothing
Verdict = Literal["supported", "not supported", "undecided", "needs data"]
Difference = Mapping[str, Any]  # what `comparison.compare` returns
VERDICTS: tuple[Verdict, ...] = ("supported", "not supported", "undecided", "needs data")
LEVEL = 0.05
OPEN = "undecided"  # the word for an open difference

# The smallest effect of interest if the paper names none, for predictions and labels alike.
SIZES: Mapping[str, float] = {"MAE": 0.01, "Corr": 0.005, "MMD²": 0.01}
POINTS = 0.5  # for every percentage: accuracies, F1, the share of labels with the right sign, a probe's accuracy


def size_of(metric: str) -> float:
    """The effect size of interest, in the metric's unit."""
    return SIZES.get(metric, POINTS)


def better(metric: str) -> int:
    """+1 if more of a metric is better, −1 if less is."""
    return 1 if HIGHER_IS_BETTER.get(metric, True) else -1


def hull(difference: Difference, together: int = 1) -> tuple[float | None, float | None]:
    """The ends of the smallest interval that contains a difference's interval over clips and that over seeds.

    Both are None if either interval is undefined, as over a single seed.

    Args:
        together: number of comparisons to correct for (Bonferroni); widens both intervals.
    """
    value, each, freedom = difference["difference"], LEVEL / together / 2, max((difference["seeds"] or 1) - 1, 1)
    widths = {"clips": norm.isf(each) / norm.isf(LEVEL / 2), "seeds": t.isf(each, freedom) / t.isf(LEVEL / 2, freedom)}
    ends = [(width, difference[f"{of}_{end}"]) for of, width in widths.items() for end in ("low", "high")]
    if not known(value) or not all(known(end) for _, end in ends):
        return None, None
    found = [value + width * (end - value) for width, end in ends]
    return min(found), max(found)


def interval(
    low: float | None, high: float | None, sign: int, size: float = 0.0, limit: float = 0.0, amount: Amount = "any"
) -> Outcome:
    """The outcome of a claim for an interval; it is open if an end is undefined (None or NaN).

    Args:
        sign: +1 if the claim says above the limit, −1 if below.
        size: the effect size of interest; with 0 no effect is too small.
        amount: what the claim says about the effect's size.
    """
    if not (known(low) and known(high)):
        return "open"
    near, far = sorted((sign * (low - limit), sign * (high - limit)))
    if far < 0 or (amount == "under" and near >= size):
        return "opposite"
    enough = {"any": near > 0, "about": near > 0 and far >= size, "over": near > size, "under": near > 0 and far < size}
    if enough[amount]:
        return "as claimed"
    return "no effect" if far < size and amount != "under" else "open"


def judge(
    difference: Difference, sign: int, size: float | None = None, together: int = 1, amount: Amount = "any"
) -> Outcome:
    """The outcome of a claim about a difference's sign; the size of interest defaults to its metric's."""
    size = size_of(difference["metric"]) if size is None else size
    return interval(*hull(difference, together), sign, size, amount=amount)


def written(difference: Difference) -> str:
    """`-0.012 [-0.027, +0.003]`: a difference with the interval that decides."""
    return estimate(difference["metric"], difference["difference"], *hull(difference))


def small(difference: Difference, together: int = 1) -> bool:
    """Whether a difference is smaller than its metric's size of interest in both directions."""
    low, high = hull(difference, together)
    return low is not None and high is not None and max(-low, high) < size_of(difference["metric"])


def word(difference: Difference, good: str, bad: str, together: int = 1) -> str:
    """A difference in words: `good` or `bad` (noting if below the size of interest), no difference, or undecided."""
    metric = difference["metric"]
    outcome, size = judge(difference, better(metric), together=together), f"{size_of(metric):g}"
    said = {"as claimed": good, "opposite": bad}.get(outcome)
    if small(difference, together):
        return f"{said}, by less than {size}" if said else f"no difference above {size}"
    return said or OPEN


def as_good(difference: Difference, together: int = 1) -> Outcome:
    """The outcome of a claim that something is as good as another, i.e. not worse by the size of interest."""
    outcome = judge(difference, -better(difference["metric"]), together=together)
    if outcome == "as claimed":  # it is worse
        return "as claimed" if small(difference, together) else "opposite"
    return "open" if outcome == "open" else "as claimed"


def ordering(tau: float | None, p: float | None) -> Outcome:
    """The outcome of Kendall's τ of two orders: equal beyond chance, reversed beyond chance, or open."""
    return "open" if tau is None or p is None or p >= LEVEL else interval(tau, tau, 1)


def within(value: float, low: float | None, high: float | None) -> Outcome:
    """Whether a number quoted by the paper lies in our interval for it."""
    if low is None or high is None:
        return "open"
    return "as claimed" if low <= value <= high else "opposite"


def every(outcomes: Sequence[Outcome], firm: Sequence[bool] = ()) -> Verdict:
    """The verdict on a claim that all of its comparisons must support; a single contrary one refutes it.

    Args:
        firm: whether each outcome stays the same after correction for the number of comparisons; () if all do.
    """
    if not outcomes:
        return "needs data"
    stays = firm or [True] * len(outcomes)
    if any(sure and outcome in ("opposite", "no effect") for outcome, sure in zip(outcomes, stays, strict=True)):
        return "not supported"
    return "supported" if set(outcomes) == {"as claimed"} else "undecided"


def most(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim that more than half of its parts must support, from the verdicts of its parts."""
    if not verdicts:
        return "needs data"
    if 2 * verdicts.count("supported") > len(verdicts):
        return "supported"
    return "not supported" if 2 * verdicts.count("not supported") >= len(verdicts) else "undecided"
