"""The README's generated blocks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import readme

from mugkit import files
from mugkit.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def test_rewritten_block_holds_table_and_is_stable(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "t.md").write_text("| a |\n| --- |\n| 1 |\n")
    text = "before\n<!-- table: t -->\nold\n<!-- end -->\nafter\n"
    once = readme.rewritten(text, tmp_path)
    assert once == "before\n<!-- table: t -->\n\n| a |\n| --- |\n| 1 |\n\n<!-- end -->\nafter\n"
    assert readme.rewritten(once, tmp_path) == once
    with pytest.raises(UserError, match="make reproduce"):
        readme.rewritten("<!-- table: nothing -->\n<!-- end -->", tmp_path)


@pytest.mark.parametrize(("page", "tables"), [("README.md", 3), ("RUNNING.md", 2), ("figures/README.md", 9)])
def test_page_of_repository_is_up_to_date(page: str, tables: int) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.count("<!-- table: ") >= tables
    assert readme.rewritten(text, ROOT / "figures") == text, "run `python .ci/upkeep/readme.py`"


def test_readme_fits_on_a_few_screens_and_its_pictures_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    assert [picture for picture in pictures if not (ROOT / picture).is_file()] == []


def test_brief_table_has_our_rows_and_a_word_for_each(tmp_path: Path) -> None:
    values = {name: {"mean": 1.0, "std": 0.1, "n": 5} for name in ("Acc2", "MAE", "Corr")}
    rows = [{"system": name, "metrics": values, "paper": {"MAE": 0.7}, "origin": origin} for name, origin in
            (("MUG", "run"), ("MFN", "run"), ("MFN", "quoted"))]  # fmt: skip
    files.write_json(tmp_path / "tables" / "table3.json", rows)
    differences = [{"system": "MFN", "metric": m, "verdict": v} for m, v in (("Acc2", "better"), ("MAE", "worse"))]
    files.write_json(tmp_path / "tables" / "table3_differences.json", differences)
    lines = readme.content("table3_brief", tmp_path).strip().splitlines()
    assert len(lines) == 4
    assert "worse" in lines[-1]
    assert "better" not in lines[-1]


def test_findings_begin_with_the_answer_and_are_brief_in_the_readme(tmp_path: Path) -> None:
    (tmp_path / "findings").mkdir()
    (tmp_path / "findings" / f"{next(iter(readme.BRIEF))}.md").write_text("- On x (made up), a thing\n- a second\n")
    (tmp_path / "findings" / f"{readme.SETTINGS}.md").write_text("- an answer\n- elsewhere\n- labels\n")
    (tmp_path / "findings" / f"{readme.ABLATIONS}.md").write_text("- steps\n- parts\n")
    assert readme.content("findings", tmp_path).splitlines()[::3] == ["- an answer", "- steps"]
    brief = readme.content("findings_brief", tmp_path).splitlines()
    assert [line.rpartition("** ")[2] for line in brief] == ["Parts", "A thing", "Labels"]


def test_headline_is_a_row_a_setting_and_a_column_a_step(tmp_path: Path) -> None:
    ends = {f"{over}_{end}": value for over in ("clips", "seeds") for end, value in (("low", -0.3), ("high", -0.1))}
    names = [(name, step) for name in ("reviews", "reviews-faint-sims") for step in readme.STEPS]
    rows = [
        {"setting": name, "step": step, "metric": metric, "difference": -0.2, "verdict": step, **ends}
        | {"seeds": 10 if "faint" in name else 20}
        for name, step in names
        for metric in ("MAE", "Acc2")
    ]
    files.write_json(tmp_path / "tables" / "table5_steps.json", rows)
    head, _, default, faint = readme.content("headline", tmp_path).strip().splitlines()
    assert [part.strip() for part in head.split("|")[2:-1]] == list(readme.STEPS.values())
    assert ("default: vivid, strong (20 seeds)" in default, "faint, sims (10 seeds)" in faint) == (True, True)
    assert [part.split("] ")[1].strip() for part in faint.split("|")[2:-1]] == list(readme.STEPS)


def test_rows_on_mosi_stand_beside_those_they_are_compared_with(tmp_path: Path) -> None:
    interval = {"metric": "MAE", "clips_low": -0.3, "clips_high": 0.1, "seeds_low": -0.2, "seeds_high": 0.2, "seeds": 3}
    pairs = [("copy, β = 1", "plain", 0.1), ("mug, β = 1", "plain", -0.1), ("mug, β = 1", "copy, β = 1", -0.2)]
    result = {
        "levels": {row: {"MAE": {"mean": 1.0, "std": 0.1}} for row in ("plain", "copy, β = 1", "mug, β = 1")},
        "differences": [
            {"row": row, "minus": other, "difference": value, "verdict": "undecided", **interval}
            for row, other, value in pairs
        ],
    }
    files.write_json(tmp_path / "runs" / "mosi-words.json", result)
    *_, plain, copies, mug = readme.content("mosi_words", tmp_path).strip().splitlines()
    assert plain.count("–") == 2
    assert "+0.100 [-0.300, +0.200] undecided" in copies
    assert "-0.100" in mug.split("|")[-3]
    assert "-0.200" in mug.split("|")[-2]
