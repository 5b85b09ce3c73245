"""Claims about systems: differences of two, the order of a table, and its numbers themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mugkit import claim_kinds as kinds
from mugkit.data.schema import MODALITY_NAMES
from mugkit.metrics import HIGHER_IS_BETTER
from mugkit.results import claim_tests, verdicts
from mugkit.results.claim_evidence import Evidence, Finding, Missing, decide, t_interval_of
from mugkit.results.verdicts import Verdict
from mugkit.statistics import holm
from mugkit.systems import SYSTEMS


@decide.register
def _better(test: kinds.Better, evidence: Evidence) -> Finding:
    wanted = list(claim_tests.pairs(test, evidence.tests.get("family", "mosi")))
    found = [one for pair in wanted if (one := _measured(pair, evidence.tests))]
    if not found:
        raise Missing(*_absent(test, evidence))
    corrected = holm([1.0 if one["p"] is None else one["p"] for one in found])
    results = [_difference(one, p) for one, p in zip(found, corrected, strict=True)]
    verdict = _by_metric(results) if test.most else verdicts.every([one["outcome"] for one in results])
    if len(found) < len(wanted) and verdict == "supported":
        raise Missing(*_absent(test, evidence))
    rule = "in most metrics" if test.most else "in each"
    against = ", ".join(SYSTEMS[name].row for name in test.theirs)
    compares = (
        f"{SYSTEMS[test.ours].row} against {against} on {test.on}, {rule}: p over clips (Holm over "
        f"{len(results)} comparisons) below {verdicts.LEVEL:g} and a 95 % interval over seeds without 0"
    )
    return Finding(verdict, results, compares, clips=found[0]["clips"], seeds=min(one["seeds"] for one in found))


def _measured(pair: claim_tests.Pair, tests: Mapping[str, Any]) -> dict[str, Any] | None:
    key = (pair.ours, pair.theirs, pair.metric, pair.on, pair.modality)
    for one in tests.get("comparisons", []):
        if key == (one["ours"], one["theirs"], one["metric"], one["on"], one["modality"]):
            return dict(one)
    return None


def _absent(test: kinds.Better, evidence: Evidence) -> tuple[str, str]:
    if test.on != "test split":
        return "true unimodal labels, or the labels of " + ", ".join((test.ours, *test.theirs)), evidence.again
    return "finished runs of " + ", ".join((test.ours, *test.theirs)), evidence.again


def _difference(one: Mapping[str, Any], p: float) -> dict[str, Any]:
    sign = 1 if HIGHER_IS_BETTER.get(one["metric"], True) else -1
    corrected = None if one["p"] is None else p
    outcome = verdicts.difference(one["difference"], corrected, one["seeds_low"], one["seeds_high"], sign)
    parts = [f"against {SYSTEMS[one['theirs']].row}", MODALITY_NAMES.get(one["modality"], ""), one["metric"]]
    numbers = {k: one[k] for k in ("difference", "clips_low", "clips_high", "seeds_low", "seeds_high")}
    of = ", ".join(part for part in parts if part)
    return {"of": of, "metric": one["metric"], **numbers, "p": corrected, "outcome": outcome}


def _by_metric(results: Sequence[Mapping[str, Any]]) -> Verdict:
    """Most metrics, each of which must hold against every system."""
    metrics = dict.fromkeys(one["metric"] for one in results)
    each = [verdicts.every([one["outcome"] for one in results if one["metric"] == name]) for name in metrics]
    return verdicts.most([verdicts.as_outcome(verdict) for verdict in each])


@decide.register
def _same_order(test: kinds.SameOrder, evidence: Evidence) -> Finding:
    found = evidence.pick(f"table{test.table}_order", metric=test.metric)
    outcome = verdicts.ordering(found["tau"], found["p"])
    result = {"of": f"Kendall's τ, {test.metric}", "value": found["tau"], "p": found["p"], "outcome": outcome}
    compares = f"the order of Table {test.table}'s {found['rows']} rows by {test.metric}, ours against the paper's"
    return Finding(verdicts.every([outcome]), [result], compares, seeds=evidence.seeds)


@decide.register
def _same_level(test: kinds.SameLevel, evidence: Evidence) -> Finding:
    rows = [row for row in evidence.table(f"table{test.table}") if row["dataset"] == test.dataset]
    ran = [row for row in rows if row["origin"] == "run" and row["metrics"]]
    if not ran:
        raise Missing(test.dataset.upper(), f"mugkit prepare {test.dataset} --source PATH, then {PAPER_RUN}")
    cells = [(row, name) for row in ran for name in row["paper"] if name in row["metrics"]]
    level = 1 - verdicts.LEVEL / len(cells)
    results = []
    for row, name in cells:
        low, high = t_interval_of(row["metrics"][name], level)
        outcome = verdicts.within(row["paper"][name], low, high)
        numbers = {"value": row["metrics"][name]["mean"], "low": low, "high": high, "paper": row["paper"][name]}
        results.append({"of": f"{row['system']}, {name}", "metric": name, **numbers, "outcome": outcome})
    compares = f"our means over seeds, at Bonferroni's level for {len(cells)} numbers, hold the paper's"
    seeds = min(row["metrics"][name]["n"] for row, name in cells)
    return Finding(verdicts.every([r["outcome"] for r in results]), results, compares, test.dataset, seeds=seeds)


PAPER_RUN = "mugkit reproduce --profile paper"
