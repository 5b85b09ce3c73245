"""Claims about hyperparameters and single clips, and those that rest on what nobody has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mugkit import claim_kinds as kinds
from mugkit.data.schema import MODALITY_NAMES
from mugkit.results import verdicts
from mugkit.results.claim_evidence import WRITERS, Evidence, Finding, Missing, decide
from mugkit.statistics import holm

AS_GOOD = 0.03  # a value that is said to do as well may cost this share of the MAE at Table 2's value


@decide.register
def _sweep(test: kinds.Sweep, evidence: Evidence) -> Finding:
    errors = [row for row in evidence.table("fig5") if (row["field"], row["metric"]) == (test.field, "MAE")]
    worse = [row for row in errors if test.bad and test.bad[0] <= row["value"] <= test.bad[1]]
    equal = [row for row in errors if test.good[0] <= row["value"] <= test.good[1] and row.get("difference") != 0]
    corrected = holm([1.0 if row.get("p") is None else row["p"] for row in worse]) if worse else []
    results = [_worse_value(test.field, row, p) for row, p in zip(worse, corrected, strict=True)]
    results += [_as_good_value(test.field, row) for row in equal]
    if not results:
        raise Missing(f"values of {test.field} in fig5.json", f"{evidence.again} (notebook {WRITERS['fig5']})")
    compares = (
        "test MAE against that at Table 2's value: worse (p over clips after Holm, interval over seeds), or as good "
        f"(the interval over seeds ends below {AS_GOOD:.0%} more)"
    )
    return Finding(verdicts.every([r["outcome"] for r in results]), results, compares, seeds=errors[0]["n"])


def _swept(field: str, row: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {key: row.get(key) for key in ("difference", "clips_low", "clips_high", "seeds_low", "seeds_high")}
    return {"of": f"{field} = {row['value']:g}, MAE", "metric": "MAE", **numbers}


def _worse_value(field: str, row: Mapping[str, Any], p: float) -> dict[str, Any]:
    if row["mean"] is None:  # training diverged: worse than any number
        return {**_swept(field, row), "outcome": "as claimed"}
    outcome = verdicts.difference(row["difference"], p, row["seeds_low"], row["seeds_high"], 1)
    return {**_swept(field, row), "p": p, "outcome": outcome}


def _as_good_value(field: str, row: Mapping[str, Any]) -> dict[str, Any]:
    if row["mean"] is None:
        return {**_swept(field, row), "outcome": "opposite"}
    low, high = row["seeds_low"], row["seeds_high"]
    bound = AS_GOOD * (row["mean"] - row["difference"])
    known = low is not None and high is not None
    return {**_swept(field, row), "outcome": verdicts.below(low, high, bound) if known else "open"}


@decide.register
def _all_clips(test: kinds.AllClips, evidence: Evidence) -> Finding:
    rows = [row for row in evidence.table("case_claims") if row["question"] == test.question]
    if not rows:
        raise Missing(f"'{test.question}' in case_claims.json", f"{evidence.again} (notebook 13)")
    results = []
    for row in rows:
        over = [verdicts.interval(row[f"{kind}_low"], row[f"{kind}_high"], 1) for kind in ("clips", "seeds")]
        outcome = over[0] if over[0] == over[1] else "open"
        numbers = {key: row[key] for key in ("difference", "clips_low", "clips_high", "seeds_low", "seeds_high")}
        of = f"points more often, {MODALITY_NAMES.get(row['modality'], row['modality'])}"
        results.append({"of": of, "metric": "Acc", **numbers, "outcome": outcome})
    compares = "share of clips beside the reference of notebook 13, intervals over clips and seeds (Bonferroni)"
    clips = max(row["n_clips"] for row in rows)
    return Finding(verdicts.every([r["outcome"] for r in results]), results, compares, clips=clips)


@decide.register
def _unmeasured(test: kinds.Unmeasured, evidence: Evidence) -> Finding:
    raise Missing(test.missing, test.fix)
