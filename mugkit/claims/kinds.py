"""The kinds of tests that decide claims: what each compares, and where its numbers come from.

A test is a data object (`mugkit.claims.stated`) that evaluates the outputs of a reproduction, so that no verdict is
written by hand. Systems are named as in `mugkit systems`, rows and columns as in the paper's tables. Tests of two
systems on the same clips are in `mugkit.claims.comparisons`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any, Literal

from scipy import stats

from mugkit.claims.evidence import Evidence, Finding, Missing, Result, judged, measured
from mugkit.data.schema import MODALITIES, MODALITY_NAMES
from mugkit.data.simulate import sims_agreement
from mugkit.evaluation import published, verdicts
from mugkit.evaluation.formats import COUNT
from mugkit.evaluation.statistics import MeanStd
from mugkit.experiments.registry import SYSTEMS

BOTH = "95 % intervals over clips and over seeds"
ALONE = "over seeds alone"
TAIL = verdicts.LEVEL / len(MODALITIES)  # Bonferroni's level for one modality


class Test(ABC):
    """A test that decides a claim."""

    @abstractmethod
    def find(self, evidence: Evidence) -> Finding:
        """Runs the test.

        Raises:
            Missing: if something that it reads is missing.
        """


def _student(summary: Mapping[str, Any], level: float) -> tuple[float | None, float | None]:
    """Student's interval of a mean from its summary over seeds; (None, None) for a single seed."""
    known = MeanStd(*(summary[key] for key in MeanStd._fields))
    return (None, None) if known.mean is None or known.std is None or known.n < 2 else known.interval(1 - level)


# --- tables -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SameOrder(Test):
    """Our rows of a table come in the paper's order: Kendall's τ."""

    table: int
    metrics: tuple[str] = ("MAE",)

    def find(self, evidence: Evidence) -> Finding:
        (metric,) = self.metrics
        found = evidence.table(f"table{self.table}_order", metric=metric)[0]
        tau, p = found["tau"], found["p"]
        result = {"of": f"Kendall's τ, {metric}", "value": tau, "p": p, "outcome": verdicts.ordering(tau, p)}
        compares = f"the order of Table {self.table}'s {found['rows']} rows by {metric}, ours against the paper's"
        return Finding([result], compares, seeds=evidence.seeds)


@dataclass(frozen=True)
class SameLevel(Test):
    """Our means over seeds on the paper's own data set agree with the paper's numbers, cell by cell."""

    table: int
    dataset: str

    def find(self, evidence: Evidence) -> Finding:
        cells = [
            (row["system"], name, row["metrics"][name], paper)
            for row in evidence.table(f"table{self.table}")
            if row["origin"] == "run" and row["dataset"] == self.dataset
            for name, paper in row["paper"].items()
            if name in row["metrics"]
        ]
        if not cells:
            prepare = f"mugkit prepare {self.dataset} --source PATH, then mugkit reproduce --profile paper"
            raise Missing(self.dataset.upper(), prepare)
        results = []
        for system, name, ours, paper in cells:
            low, high = _student(ours, verdicts.LEVEL / len(cells))
            level = {"of": f"{system}, {name}", "value": ours["mean"], "low": low, "high": high, "metric": name}
            results.append({**level, "paper": paper, "outcome": verdicts.within(paper, low, high)})
        compares = f"our means over seeds, at Bonferroni's level for {len(cells)} numbers, hold the paper's"
        return Finding(results, compares, self.dataset, ALONE, seeds=min(ours["n"] for _, _, ours, _ in cells))


# --- cost -------------------------------------------------------------------------------------------------

SHAPES = "shapes alone (MOSEI's dims)"
LOWER, UPPER = "lower_quartile", "upper_quartile"
# Steps are timed in alternation, stages are not: a machine that is busier during one stage changes its share. By how
# much is our guess.
BETWEEN_RUNS = 0.1


def _count(row: str, evidence: Evidence) -> int:
    return int(evidence.table("table6", system=row)[0]["metrics"][COUNT]["mean"])


@dataclass(frozen=True)
class SameCount(Test):
    """Rows of Table 6 have the paper's number of parameters."""

    rows: tuple[str, ...]

    def find(self, evidence: Evidence) -> Finding:
        results = []
        for row in self.rows:
            ours, paper = _count(row, evidence), published.TABLE6[row]["mosei"][COUNT]
            outcome = verdicts.within(paper, ours, ours)
            results.append({"of": row, "metric": COUNT, "value": ours, "paper": paper, "outcome": outcome})
        return Finding(results, "parameters counted on shapes at MOSEI's dims against Table 6, to the digit", SHAPES)


@dataclass(frozen=True)
class InOrder(Test):
    """Rows of Table 6 in ascending order of their parameters."""

    rows: tuple[str, ...]

    def find(self, evidence: Evidence) -> Finding:
        results = []
        for smaller, larger in pairwise(self.rows):
            more = _count(larger, evidence) - _count(smaller, evidence)
            outcome = verdicts.interval(more, more, 1, size=1)
            results.append({"of": f"{larger} − {smaller}", "metric": COUNT, "value": more, "outcome": outcome})
        compares = "parameters counted on shapes at MOSEI's dims: " + " < ".join(self.rows)
        return Finding(results, compares, SHAPES)


@dataclass(frozen=True)
class FasterStep(Test):
    """A training step of one system takes less time than one of another."""

    system: str
    than: str

    def find(self, evidence: Evidence) -> Finding:
        row = evidence.table("step_times", system=self.system, over=self.than)[0]
        compares = "steps of both alternate in one run; median ratio, and whether its quartiles lie below 1"
        of = f"time of a step over that of {SYSTEMS[self.than].row}"
        result = measured(of, row["ratio"], (row[LOWER], row[UPPER]), -1, limit=1)
        return Finding([result], compares, brackets="quartiles over steps")


@dataclass(frozen=True)
class SmallShare(Test):
    """These stages, run once, take less than the share `below` of all training time, with stage 3 run once per seed."""

    stages: tuple[str, ...]
    below: float

    def find(self, evidence: Evidence) -> Finding:
        rows, seeds = evidence.table("stage_shares"), evidence.seeds

        def share(of_once: str, of_repeated: str) -> float:
            once = sum(row[of_once] for row in rows if row["stage"] in self.stages)
            repeated = sum(row[of_repeated] for row in rows if row["stage"] not in self.stages) * seeds
            return float(once / (once + repeated))

        ends = share(LOWER, UPPER) * (1 - BETWEEN_RUNS), share(UPPER, LOWER) * (1 + BETWEEN_RUNS)
        of = f"share of {' and '.join(self.stages)} with {seeds} seeds of stage 3"
        compares = (
            "median processor time of each stage; stages 1 and 2 once, stage 3 once a seed; whether it is below"
            f" {self.below:g} at the quartiles over seeds that make it large and small, and {BETWEEN_RUNS:.0%} beyond"
            " them, as reproductions differ"
        )
        result = measured(of, share("share", "share"), ends, -1, self.below)
        return Finding([result], compares, brackets=f"quartiles over seeds, {BETWEEN_RUNS:.0%} wider", seeds=seeds)


# --- labels and representations ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Contradicted(Test):
    """Human annotators gave a modality the sign opposite to the clip's in more than `share` of the clips."""

    share: float

    def find(self, evidence: Evidence) -> Finding:
        known, results = sims_agreement(), []
        clips = int(known["clips"])
        for m in MODALITIES:
            share = known["statistics"][f"opposite(y_{m})"]
            ends = stats.binomtest(round(share * clips), clips).proportion_ci(1 - TAIL, "wilson")
            results.append(measured(f"opposite sign, {MODALITY_NAMES[m]}", share, ends, 1, self.share))
        compares = f"share of clips that annotators gave opposite signs (Wilson's interval) above {self.share:.0%}"
        return Finding(results, compares, "CH-SIMS v1's human labels", "over clips alone", clips)


@dataclass(frozen=True)
class Embedding(Test):
    """A sentence of section 4.9, tested by MMD² or by a linear probe over seeds in notebook 11.

    Attributes:
        sentence: gap (with contrastive learning − without), shape (the same for centred clouds), remains (the gap −
            that of x_m to itself), target (how far the loss moves x_m − how far it moves x_m′), stays (how far it moves
            x_m), probe (accuracy of a linear probe that tells x_m from x_m′, with − without).
        sign: the side of its limit (zero for all but `stays`) on which the number must be.
    """

    sentence: Literal["gap", "shape", "remains", "target", "stays", "probe"]
    sign: Literal[-1, 1]

    def find(self, evidence: Evidence) -> Finding:
        rows, results = evidence.table("embedding_claims", claim=self.sentence), []
        metric = rows[0]["metric"]
        name = "probe's accuracy" if metric == "probe" else metric
        for row in rows:
            of, ends = f"{name}, {MODALITY_NAMES[row['modality']]}", (row["low"], row["high"])
            sides = self.sign, row["limit"], 0.0 if row["limit"] else evidence.size_of(metric)
            results.append(measured(of, row["mean"], ends, *sides, metric=metric, firm=row["firm"]))
        compares = f"{name} over seeds (notebook 11), in every modality"
        return Finding(results, compares, brackets=ALONE, seeds=rows[0]["n"])


def _label_error(system: str, modality: str, evidence: Evidence) -> dict[str, Any]:
    """Mean, std and n over seeds of the MAE of a system's labels."""
    name = MODALITY_NAMES[modality]
    return evidence.table("label_sources", source=system, clips="all", measure="MAE", modality=name)[0]


@dataclass(frozen=True)
class Noisy(Test):
    """Labels that a system learned differ from the true ones by more than the size of interest."""

    system: str

    def find(self, evidence: Evidence) -> Finding:
        size, results = evidence.size_of("MAE"), []
        for m in MODALITIES:
            row = _label_error(self.system, m, evidence)
            of = f"MAE of labels, {MODALITY_NAMES[m]}"
            results.append(measured(of, row["mean"], _student(row, TAIL), 1, limit=size, metric="MAE"))
        compares = f"mean distance of learned labels to the true ones above {size:g}, over seeds of stages 1 and 2"
        return Finding(results, compares, brackets=ALONE, clips=int(row["n_clips"]), seeds=row["n"])


@dataclass(frozen=True)
class Steadier(Test):
    """The error of one system's labels varies less from seed to seed than that of another's."""

    ours: str
    theirs: str

    def find(self, evidence: Evidence) -> Finding:
        results, counts = [], []
        for m in MODALITIES:
            ours, theirs = (_label_error(system, m, evidence) for system in (self.ours, self.theirs))
            if not (ours["std"] and theirs["std"]):
                raise Missing("labels of more than one seed", evidence.again)
            ratio, freedom = ours["std"] / theirs["std"], (ours["n"] - 1, theirs["n"] - 1)
            ends = [ratio / sqrt(stats.f.ppf(q, *freedom)) for q in (1 - TAIL / 2, TAIL / 2)]
            of = f"std of MAE over {SYSTEMS[self.theirs].row}'s, {MODALITY_NAMES[m]}"
            results.append(measured(of, ratio, ends, -1, limit=1))
            counts += [ours["n"], theirs["n"]]
        compares = "spread over seeds of the labels' MAE, as a ratio below 1 (F distribution, Bonferroni)"
        return Finding(results, compares, brackets=ALONE, seeds=min(counts))


# --- studies, and claims that cannot be tested ------------------------------------------------------------


@dataclass(frozen=True)
class Sweep(Test):
    """Test MAE over a grid of one hyperparameter, compared with that at the run's own value (Fig. 5).

    `good` and `bad` are the ends of the ranges that are said to be as good, and to be worse; () means none.
    """

    field: str
    good: tuple[float, ...] = ()
    bad: tuple[float, ...] = ()

    def find(self, evidence: Evidence) -> Finding:
        rows = evidence.table("fig5", field=self.field, metric="MAE")
        said = [
            (row, word)
            for word, ends in (("worse", self.bad), ("as good", self.good))
            for row in rows
            if ends and ends[0] <= row["value"] <= ends[1] and (word == "worse" or row.get("difference") != 0)
        ]
        if not said:
            raise Missing(f"values of {self.field} in fig5.json", evidence.again)
        size = evidence.size_of("MAE")
        compares = f"test MAE against that at the run's own value: worse, or as good (not worse by {size:g}); {BOTH}"
        results = [self._result(row, word, evidence, len(said)) for row, word in said]
        return Finding(results, compares, seeds=rows[0]["n"])

    def _result(self, row: Mapping[str, Any], said: str, evidence: Evidence, together: int) -> Result:
        of = f"{self.field} = {row['value']:g}, said to be {said}, MAE"
        if row["mean"] is None:  # training diverged: worse than any number
            outcome = "as claimed" if said == "worse" else "opposite"
            return {"of": of, "metric": "MAE", "difference": None, "outcome": outcome}
        amount = evidence.amount_of("MAE") if said == "worse" else "any"
        result = judged(of, row, 1, evidence.size_of("MAE"), together, amount)
        if said == "as good":
            outcome, among_all = verdicts.as_good(row), verdicts.as_good(row, together)
            result |= {"outcome": outcome, "firm": outcome == among_all}
        return result


@dataclass(frozen=True)
class AllClips(Test):
    """A question of section 4.11 (`case_study.QUESTIONS`), asked of all clips: it happens more often for learned labels
    than for a reference."""

    question: str

    def find(self, evidence: Evidence) -> Finding:
        rows, size = evidence.table("case_claims", question=self.question), evidence.size_of("share %")
        results = []
        for row in rows:
            share = f"{MODALITY_NAMES[row['modality']]}, {row['share']:.0f} % of {row['n_clips']} clips"
            of = f"{share}; points more often than the reference"
            results.append(judged(of, row, 1, size, len(rows)))
        compares = f"share of clips beside the reference of notebook 13; {BOTH}"
        return Finding(results, compares, clips=max(row["n_clips"] for row in rows))


@dataclass(frozen=True)
class Unmeasured(Test):
    """A claim that cannot be tested here: says what is missing, and how to get it."""

    missing: str
    fix: str

    def find(self, evidence: Evidence) -> Finding:
        raise Missing(self.missing, self.fix)
