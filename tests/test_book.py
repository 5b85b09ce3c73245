"""The book: its parts, one build of the whole, and how its pages look in a real browser."""

import html
import re
from io import BytesIO
from pathlib import Path

import make_book as book
import nbformat
import numpy as np
import pytest
from book_extension import picture
from matplotlib import image
from pages import DESKTOP, PHONE, pdf_pages, visit
from playwright.sync_api import Browser

from mugkit.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def test_formulas_of_all_notebooks_can_be_typeset() -> None:
    cells = [cell for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells]
    text = "\n\n".join(re.sub(r"`[^`]*`", "", cell.source) for cell in cells if cell.cell_type == "markdown")
    formulas = set(re.findall(r"(?<!\\)\$\$?([^$]+)\$\$?", text))
    assert len(formulas) > 50
    assert [tex for tex in formulas if "<img" not in picture(tex)] == []


def test_build_with_a_warning_or_over_other_things_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def gather(root: Path, source: Path) -> None:
        source.mkdir()
        (source / "index.md").write_text("# Book\n\n[nowhere](missing.md)\n")

    monkeypatch.setattr(book, "gather", gather)
    with pytest.raises(UserError, match="warnings"):
        book.build(tmp_path / "book")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match="replaced as a whole"):
        book.build(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book of this repository, built once; a warning is an error."""
    return book.build(tmp_path_factory.mktemp("book") / "pages").parent


@pytest.mark.slow
def test_book_has_every_notebook_as_executed(built: Path) -> None:
    losses = html.unescape(re.sub(r"<[^>]+>", "", (built / "api" / "mugkit.models.html").read_text(encoding="utf-8")))
    assert "l1(prediction: Float[Tensor, 'batch'], target: Float[Tensor, 'batch']) → Float[Tensor, '']" in losses
    for path in NOTEBOOKS:
        page = (built / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        outputs = [o for cell in nbformat.read(path, as_version=4).cells for o in cell.get("outputs", ())]
        assert page.count("../_images/") >= sum("image/png" in output.get("data", {}) for output in outputs)
        assert f"finished: {path.stem}" in page


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_browser_shows_every_chapter_without_trouble(size: tuple[int, int], built: Path, chromium: Browser) -> None:
    troubles = {}
    with visit(chromium, built / "index.html", size) as seen:
        assert np.ptp(image.imread(BytesIO(seen.page.screenshot()))[..., :3]) > 0.5  # not blank
        for page in sorted(built.rglob("*.html")):
            if "_static" not in page.parts:
                seen.turn_to(page)
                too_wide = [f"{seen.overflow()} px too wide"] if seen.overflow() else []
                troubles[page.name] = [*seen.troubles, *seen.broken_images(), *too_wide]
    assert {name: found for name, found in troubles.items() if found} == {}


@pytest.mark.slow
def test_browser_navigation_leads_to_the_notebooks(built: Path, chromium: Browser) -> None:
    with visit(chromium, built / "index.html") as seen:
        seen.page.locator("nav a", has_text="Stage 2").first.click()
        assert seen.page.url.endswith("notebooks/05_stage2_meta_learning.html")
        seen.page.locator("img.math").first.wait_for(state="visible")  # pictures are drawn after the page is there
        assert seen.troubles == []
        assert pdf_pages(seen.page.pdf(format="A4")) > 1


@pytest.mark.slow
def test_browser_wide_tables_scroll_on_a_phone_and_are_whole_on_paper(built: Path, chromium: Browser) -> None:
    with visit(chromium, built / "notebooks" / "07_table3_mosi_mosei.html", PHONE) as seen:
        table = seen.page.locator("table.dataframe", has_text="Graph-MFN").nth(1)
        box = table.locator("xpath=ancestor::div[contains(@class, 'text_html')]")
        assert table.evaluate("table => table.offsetWidth") > 1.5 * PHONE[0]
        assert box.evaluate("box => { box.scrollLeft = 300; return box.scrollLeft; }") == 300
        heights = table.evaluate("table => [...table.tBodies[0].rows].map(row => row.offsetHeight)")
        assert max(heights) < 4 * min(heights)  # no remark is squeezed into a column of single words
        seen.page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins
        seen.page.emulate_media(media="print")
        cut_off = "tables => tables.filter(t => t.scrollWidth > t.clientWidth + 1).length"
        assert seen.page.locator("table").evaluate_all(cut_off) == 0
