"""What the tests of claims read, and what they return: the folder of a reproduction as evidence.

Nothing is computed that a notebook or `claim_tests` could have written; what is not there raises `Missing`, which the
ledger turns into "needs data" with the command that brings it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from pathlib import Path
from typing import Any

from mugkit import files
from mugkit.claims import kinds as kinds
from mugkit.evaluation.statistics import MeanStd
from mugkit.evaluation.verdicts import Verdict, size_of

# Which notebook writes a file that a test reads.
WRITERS: Mapping[str, str] = {
    "agreement": "01_data", "gap": "04_stage1_pretraining", "table3": "07_table3_mosi_mosei",
    "table3_order": "07_table3_mosi_mosei", "table4": "08_table4_sims", "table4_order": "08_table4_sims",
    "table5": "09_table5_ablations", "table6": "10_table6_cost", "step_times": "10_table6_cost",
    "stage_shares": "10_table6_cost", "embedding_claims": "11_embedding_space", "fig5": "12_hyperparameters",
    "case_claims": "13_case_study", "label_sources": "14_beyond_the_paper",
}  # fmt: skip


class Missing(Exception):
    """Something that a test reads is not there.

    Args:
        what: in the user's terms.
        fix: the command that brings it.
    """

    def __init__(self, what: str, fix: str) -> None:
        self.what, self.fix = what, fix
        super().__init__(f"{what} (fix: {fix})")


@dataclass(frozen=True)
class Finding:
    """What a test found.

    Attributes:
        verdict: from `verdicts`.
        results: one a comparison: `of` (what), numbers, `outcome` (and `firm`, whether it stays that among all of the
            claim); `low` and `high` are the ends of the interval that decides.
        compares: what is compared and when it counts, in a sentence.
        data: what it was measured on, where that is not the data set at hand.
        clips, seeds: how many; None where that means nothing.
    """

    verdict: Verdict
    results: list[dict[str, Any]]
    compares: str
    data: str = ""
    clips: int | None = None
    seeds: int | None = None


@dataclass
class Evidence:
    """What a reproduction left below its folder.

    Attributes:
        folder: of figures and tables.
        tests: what `comparisons.measure` found.
        again: the command that makes all of it anew.
        sizes: effect sizes of interest that the paper names; of other metrics `verdicts` has them.
    """

    folder: Path
    tests: Mapping[str, Any]
    again: str = "mugkit reproduce"
    sizes: Mapping[str, float] = field(default_factory=dict)
    read: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def table(self, name: str) -> list[dict[str, Any]]:
        """The records of `tables/NAME.json`, or of a figure's numbers.

        Raises:
            Missing: there is none, or it cannot be read.
        """
        if name not in self.read:
            folder = self.folder if name.startswith("fig") else self.folder / "tables"
            try:
                self.read[name] = files.read_json(folder / f"{name}.json")
            except (OSError, ValueError) as error:
                fix = f"{self.again} (notebook {WRITERS.get(name, 'unknown')})"
                raise Missing(f"{name}.json, which a notebook writes", fix) from error
        return self.read[name]

    def pick(self, name: str, **wanted: Any) -> dict[str, Any]:
        """The one record of a table with these values."""
        for record in self.table(name):
            if all(record.get(key) == value for key, value in wanted.items()):
                return record
        described = ", ".join(map(str, wanted.values()))
        raise Missing(f"the row of {described} in {name}.json", f"{self.again} (notebook {WRITERS[name]})")

    def size_of(self, metric: str) -> float:
        """The effect size of interest of the claim at hand."""
        return self.sizes.get(metric, size_of(metric))

    @property
    def seeds(self) -> int:
        """How many seeds every row of Table 3 has at least: the paper's five, more where a run takes seconds."""
        counts = [m["n"] for row in self.table("table3") for m in row["metrics"].values()]
        return min(counts, default=1)


@singledispatch
def decide(test: kinds.Test, evidence: Evidence) -> Finding:
    """Carries out a test.

    Raises:
        Missing: what it reads is not there.
    """
    raise TypeError(f"no decision for {type(test).__name__}")


def t_interval_of(summary: Mapping[str, Any], confidence: float) -> tuple[float | None, float | None]:
    """Student's interval of a mean from its summary over seeds; open for a single seed."""
    known = MeanStd(*(summary[key] for key in MeanStd._fields))
    return (None, None) if known.mean is None or known.std is None or known.n < 2 else known.interval(confidence)
