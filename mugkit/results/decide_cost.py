"""Claims about cost: parameters, the time of a step, the share of the stages that run once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from mugkit import claim_kinds as kinds
from mugkit import paper
from mugkit.results import verdicts
from mugkit.results.claim_evidence import Evidence, Finding, decide
from mugkit.results.tables import COUNT


def _counts(rows: Iterable[str], evidence: Evidence) -> list[tuple[str, int, float]]:
    found = [(name, evidence.pick("table6", system=name)) for name in rows]
    return [(name, row["metrics"][COUNT]["mean"], paper.TABLE6[name]["mosei"][COUNT]) for name, row in found]


@decide.register
def _same_count(test: kinds.SameCount, evidence: Evidence) -> Finding:
    results: list[dict[str, Any]] = [
        {"of": name, "metric": COUNT, "value": ours, "paper": theirs, "outcome": verdicts.same(ours, theirs)}
        for name, ours, theirs in _counts(test.rows, evidence)
    ]
    compares = "parameters counted on shapes at MOSEI's dims against Table 6, to the digit"
    return Finding(verdicts.every([one["outcome"] for one in results]), results, compares, SHAPES)


@decide.register
def _in_order(test: kinds.InOrder, evidence: Evidence) -> Finding:
    counted = _counts(test.rows, evidence)
    results: list[dict[str, Any]] = []
    for (one, less, _), (other, more, _) in pairwise(counted):
        outcome = verdicts.interval(more - less, more - less, 1)
        results.append({"of": f"{other} − {one}", "metric": COUNT, "value": more - less, "outcome": outcome})
    compares = "parameters counted on shapes at MOSEI's dims: " + " < ".join(test.rows)
    return Finding(verdicts.every([one["outcome"] for one in results]), results, compares, SHAPES)


SHAPES = "shapes alone (MOSEI's dims)"
LOWER, UPPER = "lower_quartile", "upper_quartile"
# Stages are not timed in turns, as steps are, so a machine that is busier for one of them changes its share by as much.
# Ledgers committed one after the other have 0.445 to 0.506 (git log -p figures/claims.json), seeds lay closer together.
BETWEEN_RUNS = 0.1


@decide.register
def _faster_step(test: kinds.FasterStep, evidence: Evidence) -> Finding:
    row = evidence.pick("step_times", system=test.system)
    low, high = row[LOWER], row[UPPER]
    outcome = verdicts.below(low, high, 1.0)
    result = {"of": "time of a step over Self-MM's", "value": row["ratio"], "low": low, "high": high}
    compares = "steps of both alternate in one run; median ratio, and whether its quartiles lie below 1"
    return Finding(verdicts.every([outcome]), [{**result, "outcome": outcome}], compares)


@decide.register
def _small_share(test: kinds.SmallShare, evidence: Evidence) -> Finding:
    rows = evidence.table("stage_shares")
    once = [row for row in rows if row["stage"] in test.stages]
    repeated = [row for row in rows if row["stage"] not in test.stages]

    def share(of_once: str, of_repeated: str) -> float:
        one = sum(row[of_once] for row in once)
        several = sum(row[of_repeated] for row in repeated) * evidence.seeds
        return float(one / (one + several))

    value = share("share", "share")
    low, high = share(LOWER, UPPER) * (1 - BETWEEN_RUNS), share(UPPER, LOWER) * (1 + BETWEEN_RUNS)
    outcome = verdicts.below(low, high, test.below)
    of = f"share of {' and '.join(test.stages)} with {evidence.seeds} seeds of stage 3"
    compares = (
        "median seconds of each stage; stages 1 and 2 once, stage 3 once a seed; whether it is below"
        f" {test.below:g} at the quartiles over seeds that make it large and small, and {BETWEEN_RUNS:.0%} beyond them,"
        " as reproductions differ"
    )
    results = [{"of": of, "value": value, "low": low, "high": high, "outcome": outcome}]
    return Finding(verdicts.every([outcome]), results, compares, seeds=evidence.seeds)
