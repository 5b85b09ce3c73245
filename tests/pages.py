"""Pages in a real browser (Debian's Chromium, headless): what tests of the report and the book share."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

DESKTOP, PHONE = (1280, 900), (390, 844)  # CSS pixels
PATIENCE = 300  # seconds for whatever a busy machine makes wait; what fails ends the wait at once
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOW = "no chromium on the PATH: apt-get install chromium (.ci/run does it)"


def chromium() -> str:
    """The browser's path. Where there is none the test is skipped with the reason; in CI it fails."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(HOW)
    if found is None:
        pytest.skip(HOW)
    return found


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own."""
    path = chromium()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS, timeout=1000 * PATIENCE)
        try:
            yield started
        finally:
            started.close()


@dataclass
class Visit:
    """One page, and what went wrong while it was read.

    Attributes:
        errors: console errors and exceptions.
        failed: requests that got no answer, or an answer of 400 and above.
        outside: requests for anything but files and inlined data.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    @property
    def troubles(self) -> list[str]:
        return [*self.errors, *self.failed, *self.outside]

    def turn_to(self, path: Path) -> None:
        """Goes on to another file, in the same window: half as long as a new window. Earlier troubles are forgotten."""
        for found in (self.errors, self.failed, self.outside):
            found.clear()
        self.page.goto(path.as_uri(), wait_until="load")

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return width

    def broken_images(self) -> list[str]:
        """Images without pixels."""
        self.page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
        self.page.evaluate("Promise.allSettled([...document.images].map(image => image.decode()))")
        find = "[...document.images].filter(i => !i.naturalWidth).map(i => i.alt + ' ' + i.src.slice(0, 80))"
        found: list[str] = self.page.evaluate(find)
        return found


@contextlib.contextmanager
def visit(browser: Browser, path: Path, size: tuple[int, int] = DESKTOP) -> Iterator[Visit]:
    """Opens a file at a window size and watches it."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.set_default_timeout(1000 * PATIENCE)
    seen = Visit(page)
    page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("requestfailed", lambda request: seen.failed.append(request.url))
    page.on("response", lambda answer: seen.failed.append(answer.url) if answer.status >= 400 else None)
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else seen.outside.append(r.url))
    try:
        seen.turn_to(path)
        yield seen
    finally:
        page.close()


def pdf_pages(pdf: bytes) -> int:
    """How many pages Chromium printed."""
    return pdf.count(b"/Type /Page\n") or pdf.count(b"/Type /Page ")
