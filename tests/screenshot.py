"""Makes the README's picture of the label explorer in JupyterLab, on the repository's data and stored runs.

python tests/screenshot.py figures/jupyterlab.png
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from lab import READY, copy, opened, server
from pages import browser
from playwright.sync_api import expect

from mugkit import files

PARAMETERS = 'profile: str = "quick"\ndataset: str = "reviews"\nout: str = "figures"'
CELLS = ("profile:", "notebook.start(", "cases = Utterances(", "explorer.explore(")


def take(target: Path) -> None:
    """Runs what leads to the explorer, chooses an utterance and takes the picture."""
    with tempfile.TemporaryDirectory() as name, browser() as started:
        folder, private = Path(name) / "notebooks", Path(name) / "private"
        folder.mkdir()
        copy("13_case_study.ipynb", folder, PARAMETERS, lambda source: any(part in source for part in CELLS))
        with (
            server(folder, private, files.home()) as at,
            opened(started, at, "13_case_study.ipynb", target) as found,
        ):
            found.run_all()
            box = found.notebook.locator(".mugkit-explorer")
            picture = box.locator("img.mugkit-explorer-picture")
            expect(picture).to_be_visible()
            before = picture.get_attribute("src") or ""
            box.locator(".mugkit-explorer-utterances select").select_option(index=2)
            expect(picture).not_to_have_attribute("src", before)  # it comes last
            expect(found.page.locator("#jp-main-statusbar").get_by_text(READY)).to_be_visible()
            found.page.set_viewport_size({"width": 1280, "height": 960})
            found.page.keyboard.press("Control+b")  # the file browser leaves; the explorer gets its room
            box.evaluate("box => box.scrollIntoView({block: 'start'})")
            found.page.screenshot(path=target)


if __name__ == "__main__":
    take(Path(sys.argv[1]))
