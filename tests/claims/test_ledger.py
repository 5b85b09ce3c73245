"""The ledger: each claim has a verdict from its numbers, quoted numbers are the paper's, nothing missing crashes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_up import make_dataset
from reproductions import compared, counts, evidence, of_runs, write

from mugkit import files
from mugkit.claims import ledger, words
from mugkit.claims.comparisons import Better
from mugkit.claims.evidence import Evidence
from mugkit.claims.stated import CLAIMS, Claim
from mugkit.data import store
from mugkit.errors import UserError
from mugkit.evaluation.tables import markdown
from mugkit.experiments.registry import SYSTEMS

FIGURES = Path(__file__).resolve().parents[2] / "figures"
PLACES = ("abstract", "3.3.1", *(f"4.{section}" for section in range(6, 13)))


def test_claims_are_in_the_order_of_the_paper_and_name_what_exists() -> None:
    assert list(dict.fromkeys(claim.place for claim in CLAIMS)) == list(PLACES)
    assert len({claim.name for claim in CLAIMS}) == len(CLAIMS)
    tests = [claim.test for claim in CLAIMS if isinstance(claim.test, Better)]
    assert {name for test in tests for name in (test.ours, *test.theirs)} <= set(SYSTEMS)
    assert {metric for test in tests for metric in test.metrics} <= {"Acc7", "Acc2", "F1", "MAE", "Corr", "sign %"}


def test_claims_quote_the_numbers_of_the_paper() -> None:
    cells = ledger.quoted(Claim("4.6-x", "x", Better("mug", ("hycon",)), ("mosi",), (3,)))  # read off the table
    assert [cell["value"] for cell in cells if cell["row"] == "MUG (BERT)"] == [47.5, 85.8, 85.6, 0.711, 0.795]
    assert {cell["row"] for cell in cells} == {"MUG (BERT)", "HyCon"}


@pytest.mark.parametrize(
    ("table", "theirs", "dataset", "stated", "amount", "found", "agrees"),
    [
        (3, "hycon", "mosi", {"Acc7": 0.9}, "any", 0.9, True),
        (3, "cubemlp", "mosei", {"Acc2": 0.5}, "any", 1.1, False),  # as `published.NOTES` says
        (3, "aobert", "mosi", {"Acc7": 7.0}, "over", 7.3, True),
        (3, "aobert", "mosi", {"Acc7": 7.3}, "over", 7.3, False),
        (5, "mug-without-unimodal", "mosi", {"Acc7": 2.0}, "about", 1.6, True),
        (5, "mlc", "mosi", {"Acc7": 2.0}, "about", 0.4, False),
    ],
)
def test_stated_sizes_stand_beside_those_of_the_tables(
    table: int, theirs: str, dataset: str, stated: dict[str, float], amount: Any, found: float, agrees: bool
) -> None:
    claim = Claim("4.6-x", "x", Better("mug", (theirs,)), (dataset,), (table,), sizes=stated, amount=amount)
    (difference,) = ledger.stated(claim)
    assert (difference["found"], difference["agrees"]) == (pytest.approx(found), agrees)


@pytest.mark.parametrize(
    ("test", "tables", "amount", "said"),
    [
        (Better("mug", ("hycon",), ("Acc7",)), (3,), "any", ""),
        (Better("mug-t5", ("unimse",), ("Acc2",)), (3,), "any", ": 1 of 2"),  # 87.5 on MOSEI, both
        (Better("mug", ("mug-without-contrastive",), ("Acc2", "MAE")), (5,), "over", ": 1 of 2"),  # MAE .711 and .715
        (Better("mug", ("copy",), ("MAE",), "labels"), (5,), "any", ""),  # no table has labels
    ],
)
def test_a_claim_that_the_paper_s_own_tables_do_not_bear_out_says_so(
    test: Better, tables: tuple[int, ...], amount: Any, said: str
) -> None:
    found = ledger.contrary(Claim("4.6-x", "x", test, ("mosi", "mosei"), tables, amount=amount))
    assert found.endswith(said)
    assert bool(found) == bool(said)


def test_claims_without_a_comparison_of_their_own_are_counted() -> None:
    names = ["a", "b", "a", "", "bc"]  # the third repeats the first, the second is a part of the last
    rows = [{"results": [{"of": of, "difference": 0.1} for of in name], "compares": "MUG against x"} for name in names]
    assert ledger.repeated(rows) == 2
    assert ledger.repeated([{**rows[0], "compares": "another against x"}, rows[0]]) == 0


@pytest.mark.parametrize(
    ("amount", "sizes", "middle", "half", "verdict", "why"),
    [
        ("any", {}, 0.2, 0.9, "undecided", "0 of 1 as claimed, 1 undecided"),
        ("any", {"Acc7": 2.0}, 0.2, 0.9, "not supported", "0 of 1 as claimed, 1 without an effect above 2"),
        ("over", {}, 0.8, 0.2, "supported", "1 of 1 as claimed (by more than is of interest)"),
        ("over", {}, 0.3, 0.1, "not supported", "(by more than is of interest), 1 without an effect above 0.5"),
        ("over", {}, 0.8, 0.4, "undecided", "0 of 1 as claimed (by more than is of interest), 1 undecided"),
        ("under", {}, 0.3, 0.1, "supported", "1 of 1 as claimed (by less than is of interest)"),
        ("under", {}, 0.8, 0.2, "not supported", "1 by more than is of interest, or the other way round"),
        ("any", {}, 0.3, 0.1, "supported", "1 of 1 as claimed (1 of them by less than is of interest)"),
    ],
)
def test_a_claim_that_says_how_much_is_held_to_it(
    amount: Any, sizes: dict, middle: float, half: float, verdict: str, why: str, tmp_path: Path
) -> None:
    claim = Claim("4.8-x", "x", Better("mug", ("mlc",), ("Acc7",)), ("mosi",), (5,), sizes=sizes, amount=amount)
    found = ledger.row(claim, evidence(tmp_path, compared("mlc", "Acc7", middle, half)))
    assert found["verdict"] == verdict
    assert why in found["why"]


@pytest.mark.parametrize(("there", "shown"), [(-0.1, ""), (0.1, "made-up-faint-sims: not supported"), (None, "")])
def test_a_verdict_stands_beside_another_on_other_data(there: float | None, shown: str, tmp_path: Path) -> None:
    faint = of_runs(*([] if there is None else [compared("hycon", "MAE", there)]))
    faint |= {"dataset": "made-up-faint-sims", "caption": "made up, faint"}
    tests = of_runs(compared("hycon", "MAE", -0.1)) | {"beside": [faint]}
    row = ledger.row(Claim("4.6-x", "x", Better("mug", ("hycon",), ("MAE",))), Evidence(tmp_path, tests))
    assert row["verdict"] == "supported"
    assert [setting["data"] for setting in row["beside"]] == ([] if there is None else ["made up, faint"])
    table = ledger.claims_table([row])
    assert table.get("other data", pd.Series("")).tolist() == [shown]
    assert ("other data" in table) == (there is not None)
    assert "made-up-faint-sims is made up, faint" in ledger.caption(tests, [row])


def test_ledger_of_an_empty_folder_or_of_damaged_files_needs_data_and_does_not_crash(tmp_path: Path) -> None:
    rows = ledger.ledger(tmp_path, {})
    assert [row["claim"] for row in rows] == [claim.name for claim in CLAIMS]
    decided = [row["claim"] for row in rows if row["verdict"] != "needs data"]
    assert decided == ["abstract-noise"]  # rests on what the package has
    assert all(row["needs"] for row in rows if row["claim"] not in decided)
    write(tmp_path, table6=[{"system": "MUG"}], stage_shares=[{"other": 1}])
    (tmp_path / "tables" / "embedding_claims.json").write_text("{")
    damaged = {row["claim"]: row for row in ledger.ledger(tmp_path, {})}
    for name in ("4.12-parameters", "4.12-stages-once", "4.9-probe"):
        assert damaged[name]["verdict"] == "needs data"
        assert "mugkit reproduce" in damaged[name]["needs"]


def test_committed_ledger_is_what_the_committed_numbers_say() -> None:
    def rounded(text: str) -> Any:  # to ten digits: other versions of scipy differ in the last
        return json.loads(text, parse_float=lambda digits: f"{float(digits):.10g}")

    tests = files.read_json(FIGURES / "claim_tests.json")
    rows = ledger.ledger(FIGURES, tests)
    committed = (FIGURES / "claims.json").read_text(encoding="utf-8")
    assert rounded(json.dumps(rows, allow_nan=False)) == rounded(committed), "run `mugkit report` and commit figures/"
    text = f"{markdown(ledger.claims_table(rows))}\n{ledger.caption(tests, rows)}\n"
    assert text == (FIGURES / "tables" / "claims.md").read_text(encoding="utf-8")


@pytest.fixture
def reproduced(tmp_path: Path) -> Path:
    """A folder that a notebook wrote into, of a data set that is prepared."""
    dataset = make_dataset()
    store.save(dataset, files.data_home() / dataset.name)
    folder = write(tmp_path / "figures", table6=counts(mug=110_089_956, misa=110_917_345))
    entry = {"notebook": "10_table6_cost", "dataset": dataset.name, "data": dataset.fingerprint, "profile": "smoke"}
    entry |= {"seeds": [1111], "device": "cpu", "sha256": files.sha256(folder / "tables" / "table6.json")}
    files.write_json(folder / "manifest.json", {"tables/table6.json": entry})
    return folder


def test_write_enters_the_ledger_into_the_manifest(reproduced: Path) -> None:
    rows = ledger.write(reproduced)
    assert files.read_json(reproduced / "claims.json") == rows
    manifest = files.read_json(reproduced / "manifest.json")
    made = {name for name, entry in manifest.items() if entry["notebook"] == ledger.MAKER}
    assert made == {"claims.json", "claim_tests.json", "tables/claims.csv", "tables/claims.md"}
    for name in made:
        assert manifest[name]["sha256"] == files.sha256(reproduced / name)
        assert manifest[name]["dataset"] == "made-up"
    assert manifest["tables/table6.json"]["notebook"] == "10_table6_cost"
    again = (reproduced / "manifest.json").read_bytes()
    ledger.write(reproduced)
    assert (reproduced / "manifest.json").read_bytes() == again  # the same numbers are the same files


def test_write_without_runs_keeps_the_comparisons_that_are_there(reproduced: Path) -> None:
    kept = of_runs(compared("hycon", "Acc7", 1.0))
    files.write_json(reproduced / "claim_tests.json", kept)
    ledger.write(reproduced)
    assert files.read_json(reproduced / "claim_tests.json") == kept
    shutil.rmtree(files.data_home())  # nor is the data needed
    ledger.write(reproduced)
    assert files.read_json(reproduced / "claim_tests.json") == kept


def test_ledger_of_a_mixed_folder_has_no_verdicts_and_says_why(reproduced: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mugkit reproduce"):  # nothing was reproduced there
        ledger.write(tmp_path)
    before, manifest = ledger.write(reproduced), files.read_json(reproduced / "manifest.json")
    assert "supported" in {row["verdict"] for row in before}
    assert ledger.mixture(manifest) == ""
    for key, other in {"profile": "quick", "data": "1", "dataset": "other", "versions": {"mugkit": "0"}}.items():
        mixed = manifest | {"fig5.json": {**manifest["tables/table6.json"], key: other}}
        assert ledger.mixture(mixed)
        # `mugkit reproduce` does not run data_prep's notebook: what it wrote elsewhere, with another Python, stays.
        assert not ledger.mixture(manifest | {"fig5.json": mixed["fig5.json"] | {"notebook": "from_media_to_frames"}})
    files.write_json(reproduced / "manifest.json", mixed)
    rows = ledger.write(reproduced)
    assert [row["results"] for row in rows] == [row["results"] for row in before]
    assert all(row["verdict"] == "needs data" and ledger.mixture(mixed) in row["needs"] for row in rows)


def test_words_show_the_clearest_comparisons_of_many() -> None:
    ends = [{"value": i / 10, "low": i / 10 - 0.2, "high": i / 10 + 0.2} for i in range(6)]
    many = [{"of": f"{i}", "metric": "MAE", **numbers} for i, numbers in enumerate(ends)]
    outcomes = ["open", "open", "open", "as claimed", "opposite", "no effect"]
    for result, outcome in zip(many, outcomes, strict=True):
        result |= {"outcome": outcome, "size": 0.9}
    many[4]["firm"] = False
    shown = "4 0.400 [0.200, 0.600]; 5 0.500 [0.300, 0.700]; 3 0.300 [0.100, 0.500]; 3 more"
    assert words.compactly(many) == shown
    assert words.why("not supported", many, "") == (
        "1 of 6 as claimed (1 of them by less than is of interest), 1 the other way round, 1 without an effect above "
        "0.9, 3 undecided, 1 of those against it could be chance among so many"
    )
    assert words.compactly([]) == "–"
