"""Pages that scripts write are current: generated blocks, notebooks' costs, and the list of dependencies."""

import re
from pathlib import Path

import costs
import dependencies
import nbformat
import pytest
import readme

from mugkit import files
from mugkit.reproduction.reproduce import notebooks

ROOT = Path(__file__).resolve().parents[2]


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


def test_every_notebook_says_what_was_measured() -> None:
    record = files.read_json(notebooks()[0].parent / costs.NAME)
    assert record["notebooks"].keys() == {path.stem for path in notebooks()}, "`make costs` measures all"
    for path in notebooks():
        said = costs.line(record["notebooks"][path.stem])
        first = nbformat.read(path, as_version=4).cells[0].source
        assert (said in first, first.count("Takes about")) == (True, 1), f"{path.stem}: `python .ci/upkeep/costs.py`"


def test_list_of_dependencies_is_current() -> None:
    """All but licences, which other versions may word otherwise; `python .ci/upkeep/dependencies.py` mends it."""
    committed = (ROOT / dependencies.NAME).read_text(encoding="utf-8").splitlines()
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    written = dependencies.page(pyproject, dependencies.recorded(ROOT)).splitlines()
    assert [line.rsplit(" | ", 1)[0] for line in committed] == [line.rsplit(" | ", 1)[0] for line in written]
    assert not [line for line in written if line.endswith("| not stated |")]
