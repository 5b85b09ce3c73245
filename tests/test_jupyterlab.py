"""JupyterLab in a real browser: notebooks run, the explorer answers, an assignment's tests turn green."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Opened, Server, copy, opened, server, sizes
from made_up import make_dataset
from pages import browser
from playwright.sync_api import Browser, expect

from mugkit.course import assignment, build
from mugkit.data import store

pytestmark = pytest.mark.slow

PARAMETERS = 'profile: str = "smoke"\ndataset: str = "made-up"\nout: str = "figures"'
EXPLORER = ("profile:", "notebook.start(", "cases = Utterances(", "explorer.explore(")
FIRST = "1_metrics_and_protocol"
MAE = "def mae(prediction: np.ndarray, truth: np.ndarray) -> float:\n"
RIGHT = MAE + "    return float(np.abs(prediction - truth).mean())"
WRONG = MAE + "    return float((prediction - truth).mean())"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


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
