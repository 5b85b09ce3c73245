"""What the tests of claims read and return: the output folder of a reproduction as evidence.

Tests read what a notebook or `comparisons.measure` has written, and do not compute it again. Missing input raises
`Missing`, which the ledger turns into "needs data" with the command that produces the input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mugkit import files
from mugkit.evaluation import verdicts

Result = dict[str, Any]

# File that a test reads → the notebook that writes it.
WRITERS: Mapping[str, str] = {
    "table3": "07_table3_mosi_mosei", "table3_order": "07_table3_mosi_mosei",
    "table4": "08_table4_sims", "table4_order": "08_table4_sims", "table5": "09_table5_ablations",
    "table6": "10_table6_cost", "step_times": "10_table6_cost", "stage_shares": "10_table6_cost",
    "embedding_claims": "11_embedding_space", "fig5": "12_hyperparameters", "case_claims": "13_case_study",
    "label_sources": "14_beyond_the_paper",
}  # fmt: skip


class Missing(Exception):
    """Raised if something that a test reads is missing: what it is, and the command that produces it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}: {fix}")


@dataclass(frozen=True)
class Finding:
    """What a test found.

    Attributes:
        results: one per comparison: `of` (what), numbers, `outcome` (and `firm`, whether the outcome is the same when
            corrected for all comparisons of the claim); `low` and `high` are the ends of the interval that decides.
        compares: one sentence on what is compared and by which rule.
        data: what it was measured on, if not on the data set at hand.
        brackets: what its intervals are, if they do not cover both clips and seeds.
        clips, seeds: their numbers; None if they have no meaning here.
        most: whether the claim is about most metrics; else it is about every result.
    """

    results: list[Result]
    compares: str
    data: str = ""
    brackets: str = ""
    clips: int | None = None
    seeds: int | None = None
    most: bool = False

    @property
    def verdict(self) -> verdicts.Verdict:
        """The verdict on all results; a claim about most metrics counts a metric if it holds against every system."""
        if not self.most:
            return _every(self.results)
        metrics = dict.fromkeys(result["metric"] for result in self.results)
        return verdicts.most([_every([r for r in self.results if r["metric"] == metric]) for metric in metrics])


def _every(results: Sequence[Result]) -> verdicts.Verdict:
    return verdicts.every([result["outcome"] for result in results], [result.get("firm", True) for result in results])


def judged(
    of: str, difference: Mapping[str, Any], sign: int, size: float, together: int, amount: verdicts.Amount = "any"
) -> Result:
    """A difference as a result, judged by itself; `firm` is whether correction for all of the claim changes nothing."""
    numbers = {key: difference[key] for key in ("difference", "clips_low", "clips_high", "seeds_low", "seeds_high")}
    by_itself, among_all = (verdicts.judge(difference, sign, size, k, amount) for k in (1, together))
    low, high = verdicts.hull(difference)
    result = {"of": of, "metric": difference["metric"], **numbers, "low": low, "high": high, "size": size}
    said = {} if amount == "any" else {"amount": amount}
    return {**result, **said, "outcome": by_itself, "firm": by_itself == among_all}


def measured(
    of: str, value: float, ends: Sequence[float | None], sign: int, limit: float = 0, size: float = 0, **more: Any
) -> Result:
    """A number with a single interval as a result: whether it lies above (sign +1) or below (−1) a limit."""
    low, high = ends
    outcome = verdicts.interval(low, high, sign, size, limit)
    return {"of": of, "value": value, "low": low, "high": high, **more, "outcome": outcome}


@dataclass
class Evidence:
    """The outputs of a reproduction.

    Attributes:
        folder: the folder of figures and tables.
        tests: the result of `comparisons.measure`.
        again: the command that regenerates all of it.
        sizes: effect sizes of interest that the paper names; `verdicts` has those of other metrics.
        amount: what the current claim says about an effect's size; if there are `sizes`, only for their metrics.
    """

    folder: Path
    tests: Mapping[str, Any]
    again: str = "mugkit reproduce"
    sizes: Mapping[str, float] = field(default_factory=dict)
    amount: verdicts.Amount = "any"

    def table(self, name: str, **wanted: Any) -> list[dict[str, Any]]:
        """The records of `tables/NAME.json`, or of a figure's numbers, that have these values.

        Raises:
            Missing: if there is none, or the file cannot be read.
        """
        fix = f"{self.again} (notebook {WRITERS[name]})"
        folder = self.folder if name.startswith("fig") else self.folder / "tables"
        try:
            records = files.read_json(folder / f"{name}.json")
        except (OSError, ValueError) as error:
            raise Missing(f"{name}.json, which a notebook writes", fix) from error
        found = [record for record in records if has(record, wanted)]
        if not found:
            raise Missing(f"the row of {', '.join(map(str, wanted.values()))} in {name}.json", fix)
        return found

    def size_of(self, metric: str) -> float:
        """The effect size of interest for the current claim."""
        return self.sizes.get(metric, verdicts.size_of(metric))

    def amount_of(self, metric: str) -> verdicts.Amount:
        """What the current claim says about an effect's size in this metric."""
        return self.amount if metric in (self.sizes or {metric}) else "any"

    @property
    def seeds(self) -> int:
        """The smallest number of seeds of a row of Table 3: the paper's five, or more if a run takes seconds."""
        counts = [m["n"] for row in self.table("table3") for m in row["metrics"].values()]
        return min(counts, default=1)


def has(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a record has these values."""
    return all(record.get(key) == value for key, value in wanted.items())
