"""The report: what is on the page, that it needs nothing else, and how it looks in a real browser."""

import re
import shutil
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure
from pages import DESKTOP, PHONE, pdf_pages, visit
from playwright.sync_api import Browser

from mugkit import files
from mugkit.claims import ledger
from mugkit.errors import UserError
from mugkit.reproduction import report

FIGURES = Path(__file__).resolve().parents[2] / "figures"


class Page(HTMLParser):
    """The tags of a page in their order, with attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small reproduction: one figure, a wide table, an odd caption, a ledger with every verdict."""
    folder = tmp_path_factory.mktemp("figures")
    figure = Figure(figsize=(9, 3))
    figure.subplots().plot([1, 3, 2])
    figure.savefig(folder / "fig5.png")
    (folder / "tables").mkdir()
    wide = "| system | " + " | ".join(f"metric {i}" for i in range(20)) + " |\n|" + " --- |" * 21
    wide += "\n| MUG \\| <b> | " + " | ".join("47.5 ± 0.6" for _ in range(20)) + " |\n"
    (folder / "tables" / "table3.md").write_text(wide + "\nData: made up & small.\n")
    (folder / "findings").mkdir()
    for name in report.SUMMARY[:2]:
        (folder / "findings" / f"{name}.md").write_text(f"- {name} found <this>.\n- More.\n")
    entry = {"notebook": "12_hyperparameters", "dataset": "made-up", "data": "0" * 64, "profile": "smoke"}
    entry |= {"seeds": [1111], "device": "cpu", "seconds": 1.5, "versions": {"torch": "1"}}
    written = {name: {**entry, "sha256": files.sha256(folder / name)} for name in ("fig5.png", "tables/table3.md")}
    files.write_json(folder / "manifest.json", written)
    rows = ledger.ledger(folder, {})
    for row, verdict in zip(rows, report.VERDICTS, strict=False):
        row["verdict"] = verdict
    files.write_json(folder / "claims.json", rows)
    return folder


@pytest.fixture(scope="module")
def written(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("page") / "report.html"
    report.write(outputs, target)
    return target


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the committed figures/."""
    target = tmp_path_factory.mktemp("committed") / "report.html"
    report.write(FIGURES, target)
    return target


def test_page_is_structured_for_screen_readers_and_its_links_lead_somewhere(written: Path) -> None:
    page = Page(written.read_text(encoding="utf-8"))
    assert page.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert {a["scope"] for a in page.all("th")} == {"col", "row"}
    assert all(a["alt"] for a in page.all("img"))
    regions = [a for a in page.all("div") if a.get("role") == "region"]
    assert regions
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)  # they scroll with the keyboard too
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("a")} <= set(ids)


def test_page_shows_claims_findings_what_is_missing_and_how_files_were_made(written: Path, outputs: Path) -> None:
    text, rows = written.read_text(encoding="utf-8"), files.read_json(outputs / "claims.json")
    summary = text.partition('id="summary"')[2].partition("</section>")[0]
    assert text.index('id="summary"') < text.index('id="claims"')
    for verdict in report.VERDICTS:
        number = sum(row["verdict"] == verdict for row in rows)
        assert f"</span> {verdict}</span> <strong>{number}</strong>" in summary
    assert [f"{name} found &lt;this&gt;." in summary for name in report.SUMMARY] == [True, True, False, False, False]
    assert "More." not in summary
    needs = {row["needs"] for row in rows if row["verdict"] == "needs data"}
    assert summary.count("claim)") + summary.count("claims)") == len(needs) > 0
    for row in rows:
        article = text.partition(f'id="claim-{row["claim"]}"')[2].partition("</article>")[0]
        assert f"</span> {row['verdict']}</span>" in article
    for name, entry in files.read_json(outputs / "manifest.json").items():
        assert f'{name} <code class="hash">{entry["sha256"]}</code>' in text
    assert files.sha256(outputs / "manifest.json") in text
    assert "MUG | &lt;b&gt;" in text  # cells are text, not markup
    assert "made up &amp; small" in text


def test_page_says_what_failed_what_is_mixed_and_what_assumptions_do(outputs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    shutil.copytree(outputs, folder)
    assert report.render(folder).count('role="alert"') == 0
    manifest = files.read_json(folder / "manifest.json")
    manifest["fig5.png"]["profile"] = "quick"
    files.write_json(folder / "manifest.json", manifest)
    (folder / "tables" / "assumptions.md").write_text("| field |\n| --- |\n| gate |\n\nof gates\n")
    page = report.render(folder, {"05_stage2": "cell 3: ValueError: <oh>"})
    assert page.count('role="alert"') == 2
    assert page.index(ledger.mixture(manifest)) < page.index('id="claims"')
    assert page.index("<code>05_stage2</code>: cell 3: ValueError: &lt;oh&gt;") < page.index('id="claims"')
    assert '<p class="caption">of gates</p>' in page


def test_render_refuses_what_cannot_be_shown_and_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="mugkit reproduce"):
        report.render(tmp_path)
    files.write_json(tmp_path / "manifest.json", {"fig1.png": {"notebook": "00_start_here", "sha256": "0"}})
    with pytest.raises(UserError, match="mugkit report"):
        report.render(tmp_path)
    files.write_json(tmp_path / "claims.json", [])
    (tmp_path / "fig1.png").write_text("no picture")
    with pytest.raises(UserError, match=r"fig1\.png"):
        report.render(tmp_path)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("which", ["written", "committed"])
def test_browser_shows_it(which: str, size: tuple[int, int], chromium: Browser, request: pytest.FixtureRequest) -> None:
    with visit(chromium, request.getfixturevalue(which), size) as seen:
        assert seen.troubles == []
        assert seen.broken_images() == []
        assert seen.overflow() == 0
        picture = image.imread(BytesIO(seen.page.screenshot()))
        assert picture.shape[:2] == size[::-1]
        assert np.ptp(picture[..., :3]) > 0.5  # dark on light, not blank
        assert seen.page.locator("h1").is_visible()


def test_browser_prints_the_summary_on_one_page(committed: Path, chromium: Browser) -> None:
    """A4 with margins of 12 mm leaves 703 × 1032 pixels."""
    with visit(chromium, committed, (703, 1032)) as seen:
        seen.page.emulate_media(media="print")
        assert seen.page.locator("#summary img").is_visible()
        assert not seen.page.locator("nav").is_visible()
        assert pdf_pages(seen.page.pdf(format="A4")) > 1
        assert seen.page.locator("#summary .findings li").count() == len(report.SUMMARY)
        assert seen.page.locator("#summary").evaluate("one => one.getBoundingClientRect().bottom + scrollY") < 1032


def test_page_needs_nothing_from_outside(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    page = Page(text)
    assert page.all("script") == []
    assert [a["src"][:22] for a in page.all("img")] == ["data:image/png;base64,"]
    assert all(a["href"].startswith(("#", "data:")) for a in page.all("a", "link"))
    assert "@import" not in text
    assert "url(" not in text
