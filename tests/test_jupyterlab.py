"""JupyterLab in a real browser: notebooks run, the explorer answers, an assignment's tests turn green."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from made_up import make_dataset
from pages import DESKTOP, PATIENCE
from playwright.sync_api import Browser, Locator, Page, expect

from mugkit import files
from mugkit.course import assignment, build
from mugkit.data import store

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
TOKEN = "browser-test"
expect.set_options(timeout=1000 * PATIENCE)
READY = "Python 3 (ipykernel) | Idle"  # in the status bar
# All cells are in the page, in view or not; nothing asks for news.
SETTINGS: dict[str, dict[str, Any]] = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


def copy(notebook: str, folder: Path, parameters: str, keep: Callable[[str], bool] = lambda _: True) -> None:
    """Copies a notebook without its outputs and with other parameters; of its code, the cells to keep."""
    made = nbformat.read(NOTEBOOKS / notebook, as_version=4)
    made.cells = [cell for cell in made.cells if cell.cell_type != "code" or keep(cell.source)]
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = parameters
    nbformat.write(made, folder / notebook)


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: its address with a slash at the end, and the folder it shows."""

    address: str
    folder: Path


@contextlib.contextmanager
def server(folder: Path, private: Path, home: Path) -> Iterator[Server]:
    """JupyterLab on a folder; a user's settings, kernels and workspaces play no part.

    Args:
        private: an empty folder for what JupyterLab keeps.
        home: $MUGKIT_HOME of the kernels.
    """
    for name, values in SETTINGS.items():
        files.write_json(private / f"settings/@jupyterlab/{name}.jupyterlab-settings", values)
    places = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
    }  # fmt: skip
    environment = os.environ | {name: str(private / place) for name, place in places.items()}
    environment |= {"MUGKIT_HOME": str(home), "MUGKIT_PROGRESS": "0", "HF_HUB_OFFLINE": "1"}
    environment.pop("MUGKIT_OUT", None)
    options = ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    options += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    log = private / "server.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=stream, stderr=stream
        )
    try:
        yield Server(_address(process, log), folder)
    finally:
        process.terminate()  # takes its kernels along
        process.wait(timeout=PATIENCE)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server says that it listens, as soon as it does."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        if found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()):
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")


@dataclass
class Opened:
    """A notebook in the browser, and the requests of its page to other machines."""

    page: Page
    outside: list[str] = field(default_factory=list)

    @property
    def notebook(self) -> Locator:
        return self.page.locator(".jp-NotebookPanel:visible")

    @property
    def errors(self) -> list[str]:
        """Outputs that are errors or on stderr."""
        kinds = ("error", "stderr")
        return self.notebook.locator(
            ", ".join(f'.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.{kind}"]' for kind in kinds)
        ).all_inner_texts()

    def menu(self, *path: str) -> None:
        """Chooses from the menu, as a reader does."""
        self.page.get_by_role("menuitem", name=path[0], exact=True).click()
        for name in path[1:]:
            self.page.locator(".lm-Menu").get_by_role("menuitem", name=name).first.click()

    def reopen(self) -> None:
        """Saves the notebook, ends its kernel, and opens the page again, which starts another."""
        self.menu("File", "Save Notebook")
        expect(self.page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)
        self.menu("Kernel", "Shut Down Kernel")
        # A page that is loaded while the kernel still ends joins that kernel's session, and starts no other.
        expect(self.notebook.get_by_role("button", name="No Kernel")).to_be_visible()
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.reload()
        expect(self.page.locator("#jp-main-statusbar").get_by_text(READY)).to_be_visible()

    def run_all(self) -> None:
        """Run All Cells, until the last cell with code has run, or an error stops the notebook."""
        last = self.notebook.locator(".jp-CodeCell").nth(self.notebook.locator(".jp-CodeCell").count() - 1)
        self.menu("Run", "Run All Cells")  # adds an empty cell below a notebook that ends in prose
        failed = self.notebook.locator('[data-mime-type="application/vnd.jupyter.error"]')
        expect(last.locator(".jp-InputPrompt").filter(has_text=re.compile(r"\d")).or_(failed).first).to_be_visible()

    def cell(self, text: str) -> Locator:
        """The code cell whose input has this text."""
        cell = self.notebook.locator(".jp-CodeCell").filter(has=self.page.locator(".cm-content", has_text=text))
        expect(cell).to_have_count(1)
        return cell

    def run(self, cell: Locator) -> Locator:
        """Runs a cell and waits for it; returns its outputs."""
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        cell.locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Control+Enter")
        expect(prompt).not_to_have_text(before)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"))
        return cell.locator(".jp-OutputArea-output")

    def write(self, cell: Locator, source: str) -> None:
        """Replaces what a cell says, through its editor."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)


@contextlib.contextmanager
def opened(browser: Browser, at: Server, notebook: str, picture: Path) -> Iterator[Opened]:
    """A notebook with its kernel ready. If the block fails, `picture` shows the page at that moment."""
    page = browser.new_page(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
    page.set_default_timeout(1000 * PATIENCE)
    found = Opened(page)
    inside = ("data:", "blob:", at.address, at.address.replace("http", "ws", 1))
    page.on("request", lambda r: None if r.url.startswith(inside) else found.outside.append(r.url))
    try:
        page.goto(f"{at.address}lab/tree/{notebook}?token={TOKEN}&reset")
        # The notebook's own indicator says idle before there is a kernel, and cells run then come to nothing.
        expect(page.locator("#jp-main-statusbar").get_by_text(READY)).to_be_visible()
        expect(found.notebook.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')).to_be_visible()
        yield found
    except BaseException:
        page.screenshot(path=picture)
        raise
    finally:
        page.close()


def sizes(images: Locator) -> Sequence[int]:
    """The width in pixels of each image; 0 for an image that is not there."""
    widths: list[int] = images.evaluate_all("all => all.map(image => image.naturalWidth)")
    return widths


PARAMETERS = 'profile: str = "smoke"\ndataset: str = "made-up"\nout: str = "figures"'
EXPLORER = ("profile:", "notebook.start(", "cases = Utterances(", "explorer.explore(")
FIRST = "1_metrics_and_protocol"
MAE = "def mae(prediction: np.ndarray, truth: np.ndarray) -> float:\n"
RIGHT = MAE + "    return float(np.abs(prediction - truth).mean())"
WRONG = MAE + "    return float((prediction - truth).mean())"


@pytest.fixture(scope="module")
def at(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JupyterLab on notebooks of made-up data, in the profile of seconds, and on a student's assignment."""
    folder, private, home = (tmp_path_factory.mktemp(name) for name in ("notebooks", "private", "home"))
    store.save(make_dataset((200, 32, 32)), home / "data" / "made-up")
    copy("03_networks.ipynb", folder, PARAMETERS)
    copy("13_case_study.ipynb", folder, PARAMETERS, lambda source: any(part in source for part in EXPLORER))
    build.build(private / "course", [assignment.find(FIRST)])
    (folder / f"{FIRST}.ipynb").write_bytes(build.release(private / "course", FIRST).read_bytes())
    with server(folder, private, home) as started:
        yield started


@pytest.fixture
def notebook(request: pytest.FixtureRequest, chromium: Browser, at: Server, tmp_path: Path) -> Iterator[Opened]:
    """A notebook in the browser, by its name; whatever is done with it, nothing is fetched from elsewhere."""
    with opened(chromium, at, request.param, tmp_path / "failed.png") as found:
        yield found
        assert found.outside == []


@pytest.mark.parametrize("notebook", ["03_networks.ipynb"], indirect=True)
def test_run_all_ends_without_an_error_with_figures_and_maths(notebook: Opened) -> None:
    notebook.run_all()
    assert notebook.errors == []
    expect(notebook.cell("session.finish()")).to_contain_text("finished: 03_networks")
    figures = notebook.notebook.locator(".jp-OutputArea-output img")
    assert len(sizes(figures)) >= 3
    assert min(sizes(figures)) > 100
    formulas = notebook.notebook.locator(".jp-MarkdownOutput mjx-container")
    expect(formulas.first).to_be_visible()
    prose = " ".join(notebook.notebook.locator(".jp-MarkdownCell .jp-MarkdownOutput").all_inner_texts())
    assert re.findall(r"\$[^$\n]+\$|mjx-merror", prose) == []  # no formula is left as its source
    assert notebook.notebook.locator("mjx-merror").count() == 0


@pytest.mark.parametrize("notebook", ["13_case_study.ipynb"], indirect=True)
def test_choosing_another_utterance_turns_the_explorers_page(notebook: Opened) -> None:
    notebook.run_all()
    assert notebook.errors == []
    box = notebook.notebook.locator(".mugkit-explorer")
    details, picture = box.locator(".mugkit-explorer-details"), box.locator("img.mugkit-explorer-picture")
    expect(picture).to_be_visible()
    text, source = details.inner_text(), picture.get_attribute("src") or ""
    box.locator(".mugkit-explorer-utterances select").select_option(index=5)
    expect(details).not_to_have_text(text, use_inner_text=True)
    expect(picture).not_to_have_attribute("src", source)
    assert min(sizes(picture)) > 100
    box.locator(".mugkit-explorer-search input").fill("train_11")
    box.locator(".mugkit-explorer-search input").press("Enter")
    expect(box.locator(".mugkit-explorer-count")).to_contain_text("of 200 utterances")
    expect(details).to_contain_text("train_11")
    box.locator(".mugkit-explorer-search input").fill("no such words")
    box.locator(".mugkit-explorer-search input").press("Enter")
    expect(details).to_contain_text("No clip matches")
    expect(picture).to_be_hidden()
    static = notebook.notebook.locator(".mugkit-explorer-static")
    expect(static).to_be_hidden()
    notebook.reopen()
    expect(static).to_be_visible()
    expect(notebook.notebook.locator("text=Error displaying widget")).to_be_hidden()


@pytest.mark.parametrize("notebook", [f"{FIRST}.ipynb"], indirect=True)
def test_an_assignments_tests_turn_green_with_the_right_answer_only(notebook: Opened) -> None:
    notebook.run(notebook.cell("from mugkit.course.checks import"))
    answer, test = notebook.cell("def mae("), notebook.cell("expect_close(mae(np.array")
    expect(answer).to_contain_text("NotImplementedError")  # what students get
    notebook.write(answer, WRONG)
    expect(notebook.run(answer)).to_have_count(0)
    expect(notebook.run(test)).to_contain_text("Hint: the absolute value of each difference")
    notebook.write(answer, RIGHT)
    expect(notebook.run(answer)).to_have_count(0)
    expect(notebook.run(test)).to_have_count(0)
