"""The README's generated blocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from mugkit.errors import UserError
from mugkit.results import readme

ROOT = Path(__file__).resolve().parents[2]


def test_rewritten_block_holds_table_and_is_stable(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "t.md").write_text("| a |\n| --- |\n| 1 |\n")
    text = "before\n<!-- table: t -->\nold\n<!-- end -->\nafter\n"
    once = readme.rewritten(text, tmp_path)
    assert once == "before\n<!-- table: t -->\n\n| a |\n| --- |\n| 1 |\n\n<!-- end -->\nafter\n"
    assert readme.rewritten(once, tmp_path) == once


def test_rewritten_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make reproduce"):
        readme.rewritten("<!-- table: nothing -->\n<!-- end -->", tmp_path)


@pytest.mark.parametrize(("page", "tables"), [("README.md", 5), ("RUNNING.md", 1)])
def test_page_of_repository_is_up_to_date(page: str, tables: int) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text.count("<!-- table: ") >= tables
    assert readme.rewritten(text, ROOT / "figures") == text, "run `python -m mugkit.results.readme`"


def test_readme_pictures_exist() -> None:
    import re

    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert pictures
    assert [p for p in pictures if not (ROOT / p).is_file()] == []
