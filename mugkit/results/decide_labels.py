"""Claims about labels and representations: noise, spread over seeds, the modality gap."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from mugkit import claim_kinds as kinds
from mugkit.data.schema import MODALITIES, MODALITY_NAMES
from mugkit.data.simulate import sims_agreement
from mugkit.results import verdicts
from mugkit.results.claim_evidence import Evidence, Finding, Missing, decide, t_interval_of
from mugkit.systems import SYSTEMS


@decide.register
def _contradicted(test: kinds.Contradicted, evidence: Evidence) -> Finding:
    known = sims_agreement()
    clips, level = int(known["clips"]), 1 - verdicts.LEVEL / len(MODALITIES)
    results = []
    for m in MODALITIES:
        share = known["statistics"][f"opposite(y_{m})"]
        ends = stats.binomtest(round(share * clips), clips).proportion_ci(level, "wilson")
        # The claim is that the share lies above the bound: that the bound is below the share.
        outcome = verdicts.interval(ends.low - test.share, ends.high - test.share, 1)
        numbers = {"value": share, "low": ends.low, "high": ends.high}
        results.append({"of": f"opposite sign, {MODALITY_NAMES[m]}", **numbers, "outcome": outcome})
    compares = f"share of clips that annotators gave opposite signs (Wilson's interval) above {test.share:.0%}"
    data = "CH-SIMS v1's human labels (`reviews` is simulated after them)"
    return Finding(verdicts.every([r["outcome"] for r in results]), results, compares, data, clips=clips)


@decide.register
def _smaller_gap(test: kinds.SmallerGap, evidence: Evidence) -> Finding:
    networks = list(dict.fromkeys(row["network"] for row in evidence.table("gap") if row["network"].startswith("γ")))
    without, contrastive = [*networks, "", ""][:2]
    results = []
    for m in MODALITIES:
        before, after = (evidence.pick("gap", network=name, modality=m) for name in (without, contrastive))
        # Folds are not independent seeds: the two intervals may not touch.
        low, high = after["probe_low"] - before["probe_high"], after["probe_high"] - before["probe_low"]
        outcome = verdicts.interval(low, high, -1)
        numbers = {"value": after["probe"] - before["probe"], "low": low, "high": high}
        results.append(
            {"of": f"probe's accuracy, {MODALITY_NAMES[m]}", "metric": "Acc2", **numbers, "outcome": outcome}
        )
    compares = f"accuracy of a linear probe that tells x_m′ from x_m, {contrastive} − {without}; 95 % over folds"
    return Finding(verdicts.every([one["outcome"] for one in results]), results, compares, seeds=1)


@decide.register
def _embedding(test: kinds.Embedding, evidence: Evidence) -> Finding:
    rows = [row for row in evidence.table("embedding_claims") if row.get("claim") == test.sentence]
    if not rows:
        raise Missing(f"'{test.sentence}' in embedding_claims.json", f"{evidence.again} (notebook 11)")
    results = [
        {"of": f"MMD², {MODALITY_NAMES.get(row['modality'], row['modality'])}", "value": row["mean"]}
        | {"low": row["low"], "high": row["high"], "outcome": verdicts.interval(row["low"], row["high"], test.sign)}
        for row in rows
    ]
    compares = "MMD² over label seeds (notebook 11), intervals at Bonferroni's level, in every modality"
    return Finding(verdicts.every([r["outcome"] for r in results]), results, compares, seeds=rows[0]["n"])


def _label_errors(source: str, evidence: Evidence) -> dict[str, dict[str, Any]]:
    wanted = {"source": source, "clips": "all", "measure": "MAE"}
    return {m: evidence.pick("label_sources", **wanted, modality=MODALITY_NAMES[m]) for m in MODALITIES}


@decide.register
def _noisy(test: kinds.Noisy, evidence: Evidence) -> Finding:
    results, level = [], 1 - verdicts.LEVEL / len(MODALITIES)
    errors = _label_errors(test.system, evidence)
    for m, row in errors.items():
        low, high = t_interval_of(row, level)
        numbers = {"value": row["mean"], "low": low, "high": high, "outcome": verdicts.interval(low, high, 1)}
        results.append({"of": f"MAE of labels, {MODALITY_NAMES[m]}", "metric": "MAE", **numbers})
    compares = "mean distance of learned labels to the true ones above 0, over seeds of stages 1 and 2"
    row = errors["l"]
    verdict = verdicts.every([one["outcome"] for one in results])
    return Finding(verdict, results, compares, clips=int(row["n_clips"]), seeds=row["n"])


@decide.register
def _steadier(test: kinds.Steadier, evidence: Evidence) -> Finding:
    ours, theirs = _label_errors(test.ours, evidence), _label_errors(test.theirs, evidence)
    results, tail = [], verdicts.LEVEL / len(MODALITIES) / 2
    for m in MODALITIES:
        one, other = ours[m], theirs[m]
        if not (one["std"] and other["std"]):
            raise Missing("labels of more than one seed", evidence.again)
        ratio, freedom = one["std"] / other["std"], (one["n"] - 1, other["n"] - 1)
        low, high = (ratio / float(np.sqrt(stats.f.ppf(q, *freedom))) for q in (1 - tail, tail))
        numbers = {"value": ratio, "low": low, "high": high, "outcome": verdicts.below(low, high, 1.0)}
        results.append({"of": f"std of MAE over {SYSTEMS[test.theirs].row}'s, {MODALITY_NAMES[m]}", **numbers})
    compares = "spread over seeds of the labels' MAE, as a ratio below 1 (F distribution, Bonferroni)"
    seeds = min(row["n"] for rows in (ours, theirs) for row in rows.values())
    return Finding(verdicts.every([one["outcome"] for one in results]), results, compares, seeds=seeds)
