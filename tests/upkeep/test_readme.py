"""The README's generated blocks."""

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
    assert (len(lines), "worse" in lines[-1], "better" in lines[-1]) == (4, True, False)


def test_findings_begin_with_the_answer_and_are_brief_in_the_readme(tmp_path: Path) -> None:
    (tmp_path / "findings").mkdir()
    (tmp_path / "findings" / f"{next(iter(readme.BRIEF))}.md").write_text("- On x (made up), a thing\n- a second\n")
    (tmp_path / "findings" / f"{readme.SETTINGS}.md").write_text("- an answer\n- elsewhere\n- labels\n")
    (tmp_path / "findings" / f"{readme.ABLATIONS}.md").write_text("- steps\n- parts\n")
    assert readme.content("findings", tmp_path).splitlines()[:4:3] == ["- an answer", "- steps"]
    brief = readme.content("findings_brief", tmp_path).splitlines()
    assert [line.rpartition("** ")[2] for line in brief] == ["Parts", "A thing", "Labels"]
