"""The ledger of claims: what the paper says, what was found here, and a verdict that only code writes.

`write` creates `claims.json` and `tables/claims.{md,csv}` in an output folder, from what notebooks wrote there and from
the results of `comparisons` (stored in `claim_tests.json`, so that verdicts can be checked without the runs).
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mugkit import files
from mugkit.claims import comparisons
from mugkit.claims.comparisons import Better
from mugkit.claims.evidence import Evidence, Finding, Missing
from mugkit.claims.stated import CLAIMS, Claim
from mugkit.claims.words import compactly, paper_numbers, why
from mugkit.data.store import available, load
from mugkit.errors import UserError
from mugkit.evaluation import published, verdicts
from mugkit.evaluation.tables import markdown, write_text
from mugkit.experiments.outputs import NO_RESULT, enter
from mugkit.experiments.registry import SYSTEMS
from mugkit.experiments.run_store import versions
from mugkit.studies.beside import SEEDS, SETTINGS

MAKER = "mugkit report"  # stands in the manifest instead of a notebook's name


# --- the paper's side -------------------------------------------------------------------------------------


def rows_of(claim: Claim, table: int) -> list[str]:
    """The rows of a table that a claim rests on: those that it or its test names, else those of the test's systems."""
    if isinstance(claim.test, Better) and not claim.rows:
        systems = (claim.test.ours, *claim.test.theirs)
        return [row for name in systems for row in SYSTEMS[name].rows if row in published.RESULTS[table]]
    return list(claim.rows or getattr(claim.test, "rows", ()))


def quoted(claim: Claim) -> list[dict[str, Any]]:
    """The cells of the paper's tables that a claim rests on."""
    return [
        {"table": table, "row": row, "dataset": dataset, "metric": name, "value": values[dataset][name]}
        for table in claim.tables
        for row in rows_of(claim, table)
        for dataset in claim.quoted or claim.about
        if dataset in (values := published.RESULTS[table][row])
        for name in getattr(claim.test, "metrics", ()) or values[dataset]
    ]


def stated(claim: Claim) -> list[dict[str, Any]]:
    """The differences that the paper's text states, beside those in the table that it refers to."""
    differences = []
    for metric, size in claim.sizes.items():
        (table,), (dataset,), how = claim.tables, claim.about, claim.amount
        better, worse = rows_of(claim, table)
        ours, theirs = (published.RESULTS[table][row][dataset][metric] for row in (better, worse))
        gain = round(ours - theirs, 3)
        agrees = {"any": abs(gain - size) < 0.05, "over": gain > size, "about": abs(gain - size) <= 0.5}[how]
        place = {"table": table, "better": better, "worse": worse, "dataset": dataset, "metric": metric}
        differences.append({**place, "text": size, "how": how, "found": gain, "agrees": agrees})
    return differences


def contrary(claim: Claim) -> str:
    """States how many comparisons in the paper's own tables do not support a claim; '' if there are none."""
    test, cells = claim.test, quoted(claim)
    if not isinstance(test, Better) or test.on != "test split":
        return ""
    rule = Evidence(Path(), {}, sizes=claim.sizes, amount="any" if claim.amount == "about" else claim.amount)
    others = {row for name in test.theirs for row in SYSTEMS[name].rows}
    held = [
        _holds(rule, cell, other)
        for cell in cells
        for other in cells
        if cell["row"] in SYSTEMS[test.ours].rows
        and other["row"] in others
        and all(cell[key] == other[key] for key in ("table", "dataset", "metric"))
    ]
    return f"not as claimed in the paper's own tables: {held.count(False)} of {len(held)}" if not all(held) else ""


def _holds(rule: Evidence, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    metric, gain = ours["metric"], round(ours["value"] - theirs["value"], 6)
    sides = verdicts.better(metric), rule.size_of(metric)
    return verdicts.interval(gain, gain, *sides, amount=rule.amount_of(metric)) == "as claimed"


# --- one row ----------------------------------------------------------------------------------------------


def found(claim: Claim, evidence: Evidence) -> tuple[Finding, str]:
    """What a claim's test found, and what it needs if it cannot run; the finding always has a verdict."""
    try:
        return claim.test.find(replace(evidence, sizes=claim.sizes, amount=claim.amount)), ""
    except Missing as missing:
        needs = str(missing)
    except (KeyError, TypeError, ValueError) as error:  # a file from an older version or from elsewhere
        needs = f"an input of another shape ({type(error).__name__}: {error}): {evidence.again}"
    return Finding([], ""), needs


def elsewhere(claim: Claim, evidence: Evidence) -> list[dict[str, Any]]:
    """What was found with the same runs on other settings of the data's dials, if these runs exist."""
    settings = []
    for tests in evidence.tests.get("beside", []) if isinstance(claim.test, Better) else []:
        finding, needs = found(claim, replace(evidence, tests=tests))
        if not needs:
            place = {"dataset": tests["dataset"], "data": tests["caption"], "verdict": finding.verdict}
            reason = why(finding.verdict, finding.results, "")
            settings.append({**place, "why": reason, "results": finding.results})
    return settings


def row(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    """A claim with what was found for it; the verdict holds for the data that `data` names."""
    finding, needs = found(claim, evidence)
    reason = "; ".join(filter(None, (why(finding.verdict, finding.results, needs), contrary(claim))))
    return {
        "claim": claim.name, "place": claim.place, "says": claim.says, "about": list(claim.about),
        "paper": quoted(claim), "stated": stated(claim), "said": dict(claim.said),
        "kind": type(claim.test).__name__, "compares": finding.compares,
        "data": (finding.data or evidence.tests.get("caption", "")) if finding.results else "",
        "note": "; ".join(filter(None, (finding.data, finding.brackets))) if finding.results else "",
        "clips": finding.clips, "seeds": finding.seeds, "results": finding.results,
        "verdict": finding.verdict, "why": reason, "needs": needs,
        "beside": elsewhere(claim, evidence),
    }  # fmt: skip


def ledger(folder: Path, tests: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every claim, in the paper's order; `tests` is the result of `comparisons.measure`, or {} if there are no runs."""
    profile, dataset = tests.get("profile", "quick"), tests.get("dataset", "reviews")
    evidence = Evidence(folder, tests, f"mugkit reproduce --profile {profile} --dataset {dataset}")
    return [row(claim, evidence) for claim in CLAIMS]


# --- tables -----------------------------------------------------------------------------------------------


def claims_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Formats the ledger, one line per claim."""
    columns = {
        "where": [row["place"] for row in rows],
        "the paper's numbers": [paper_numbers(row) for row in rows],
        "verdict": [row["verdict"] for row in rows],
        "other data": [_otherwise(row) for row in rows],
        "here": [compactly(row["results"]) + (f" ({row['note']})" if row["note"] else "") for row in rows],
        "why": [row["why"] for row in rows],
    }
    table = pd.DataFrame(columns, index=pd.Index([row["says"] for row in rows], name="claim of the paper"))
    return table if any(row["beside"] for row in rows) else table.drop(columns="other data")


def _otherwise(row: Mapping[str, Any]) -> str:
    """The settings of the data's dials at which a claim has a different verdict."""
    differ = [setting for setting in row["beside"] if setting["verdict"] != row["verdict"]]
    return "; ".join(f"{setting['dataset']}: {setting['verdict']}" for setting in differ)


def _lines(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    lines = []
    for row in rows:
        about = {key: row[key] for key in ("claim", "place", "says", "data", "clips", "seeds", "verdict", "why")}
        lines += [{**about, **result} for result in row["results"] or [{}]]
    return pd.DataFrame(lines)


def caption(tests: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """The text below the ledger: where the numbers come from, and how many claims have which verdict."""
    counts = sorted(Counter(row["verdict"] for row in rows).items())
    totals = ", ".join(f"{number} {verdict}" for verdict, number in counts)
    source = f"Data, where a line names no other: {tests['caption']}; profile: {tests['profile']}; " if tests else ""
    source += f"{NO_RESULT}; " if tests.get("profile") == "smoke" else ""
    others = [f"{setting['dataset']} is {setting['caption']}" for setting in tests.get("beside", [])]
    beside = f" Other data, where the verdict is another: {'; '.join(others)}." if others else ""
    return (
        f"{source}differences are ours minus theirs, with the smallest interval that holds those over clips and over "
        f"seeds (95 %), where a line names no other; `figures/claims.json` has every comparison.{beside} {len(rows)} "
        f"claims: {totals}; {repeated(rows)} of them rest on comparisons that another has, too."
    )


def repeated(rows: Sequence[Mapping[str, Any]]) -> int:
    """How many claims share all of their comparisons with one other claim; of equal claims the first does not count."""
    same = ("of", "metric", "difference", "value")  # of two claims' comparisons, however they judge it
    tested = [
        {(row["compares"].partition(" against ")[0], *map(result.get, same)) for result in row["results"]}
        for row in rows
        if row["results"]
    ]
    return sum(
        any(these < others or (these == others and j < i) for j, others in enumerate(tested))
        for i, these in enumerate(tested)
    )


# --- files ------------------------------------------------------------------------------------------------


def manifest_of(folder: Path) -> dict[str, Any]:
    """The entries of an output folder's manifest, by file.

    Raises:
        UserError: if nothing was reproduced there.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise UserError("no notebook has written here", file=path, fix=f"run `mugkit reproduce --out {folder}`")
    return dict(files.read_json(path))


def made_with(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The data set, profile, seeds and device that most notebook outputs share."""
    keys = ("dataset", "data", "profile", "seeds", "device")
    found = [{key: entry.get(key) for key in keys} for entry in _of_notebooks(manifest)]
    if not found:
        raise UserError("the manifest names no numbered notebook's output", fix="run `mugkit reproduce`")
    return max(found, key=found.count)


def _of_notebooks(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of numbered notebooks, all of which `mugkit reproduce` runs; no claim rests on what others wrote."""
    return [entry for entry in manifest.values() if entry.get("notebook", "")[:1].isdigit()]


def mixture(manifest: Mapping[str, Any]) -> str:
    """States what differs between the notebooks whose outputs share the folder; '' if nothing does."""
    entries = _of_notebooks(manifest)
    names = {"dataset": "data sets", "data": "data", "profile": "profiles", "versions": "versions of the software"}
    differing = [said for key, said in names.items() if len({files.digest(entry.get(key)) for entry in entries}) > 1]
    return "outputs of different " + ", ".join(differing) if differing else ""


def tests_of(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The comparisons of finished runs on the folder's data; if that is not here, those stored in the folder."""
    about, path = made_with(manifest), folder / "claim_tests.json"
    kept: dict[str, Any] = files.read_json(path) if path.is_file() else {}
    name, profile = about["dataset"], about["profile"]
    if name not in available() or load(name).fingerprint != about["data"]:
        return kept
    made = dict(measured(name, profile, kept))
    others = beside(name, profile, kept.get("beside", []))
    return {**made, "beside": others} if others else made


def measured(dataset: str, profile: str, kept: Mapping[str, Any], seeds: int | None = None) -> Mapping[str, Any]:
    """The comparisons that finished runs with the first `seeds` allow, or the stored ones if there are more of them."""
    made = comparisons.measure([claim.test for claim in CLAIMS], load(dataset), profile, seeds=seeds)
    return made if len(made["comparisons"]) >= len(kept.get("comparisons", [])) else kept


def beside(dataset: str, profile: str, kept: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The same comparisons on other settings of the dials, with notebook 15's seeds: those that are prepared and have
    runs, or are stored."""
    settings = {tests["dataset"]: tests for tests in kept}
    for name in (f"{dataset}-{setting}" for setting in SETTINGS):
        if name in available():
            settings[name] = measured(name, profile, settings.get(name, {}), SEEDS)
    return [tests for tests in settings.values() if tests["comparisons"]]


def write(folder: Path) -> list[dict[str, Any]]:
    """Writes `claim_tests.json`, `claims.json` and `tables/claims.{md,csv}`, and enters them into the manifest.

    If the folder holds outputs of more than one profile, data set or version, no claim gets a verdict.

    Raises:
        UserError: if nothing was reproduced in this folder.
    """
    started, manifest = time.perf_counter(), manifest_of(folder)
    tests = tests_of(folder, manifest)
    rows = ledger(folder, tests)
    if mixed := mixture(manifest):
        needs = f"{mixed}: run `mugkit reproduce` again"
        rows = [row | {"verdict": "needs data", "why": f"needs {needs}", "needs": needs, "beside": []} for row in rows]
    names = ["claims.json", "tables/claims.csv", "tables/claims.md", *(["claim_tests.json"] if tests else [])]
    if tests:
        files.write_json(folder / "claim_tests.json", tests)
    files.write_json(folder / "claims.json", rows)
    write_text(_lines(rows), markdown(claims_table(rows)), folder / "tables", "claims", caption(tests, rows))
    made = {"notebook": MAKER, **made_with(manifest), "versions": versions()}
    made["seconds"] = round(time.perf_counter() - started, 1)
    enter(folder, MAKER, {name: _entry(folder / name, made, manifest.get(name, {})) for name in names})
    return rows


def _entry(path: Path, made: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """A file's entry in the manifest; the previous one if neither file nor data have changed."""
    sha256 = files.sha256(path)
    unchanged = (before.get("sha256"), before.get("data")) == (sha256, made["data"])
    return before if unchanged else {**made, "sha256": sha256}
