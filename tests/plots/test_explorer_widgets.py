"""The explorer's controls, driven in Python: what a click in JupyterLab does to the widgets' state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
import torch
from IPython.display import HTML
from matplotlib.figure import Figure

from mugkit.data.schema import MODALITIES, Dataset
from mugkit.evaluation.utterances import Utterances
from mugkit.plots import explorer_pages as pages
from mugkit.plots import label_explorer
from mugkit.plots.label_explorer import LabelExplorer
from mugkit.training.label_sources.source import LearnedLabels


@pytest.fixture
def utterances(made_up: Callable[..., Dataset]) -> Utterances:
    dataset = made_up((12, 2, 2))
    y = torch.from_numpy(dataset.train.labels)
    labels = {m: (0.8 + k / 10) * y for k, m in enumerate(MODALITIES)}
    return Utterances(
        dataset, [LearnedLabels(labels, {m: torch.stack([y, v]) for m, v in labels.items()}, pd.DataFrame())]
    )


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `display` is given."""
    calls: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda *items, **_: calls.extend(items))
    return calls


def listed(found: LabelExplorer) -> list[int]:
    return [clip for _, clip in found.chosen.options]


def page_of(utterances: Utterances, clip: int) -> str:
    return pages.details(utterances.entry(clip), "made up")


def test_explorer_starts_with_the_utterance_that_disagrees_most(utterances: Utterances) -> None:
    found = LabelExplorer(utterances)
    assert listed(found) == pages.ordered(utterances.table, next(iter(pages.ORDERS)))
    assert found.chosen.value == utterances.table["disagreement"].idxmax()
    assert found.details.value == page_of(utterances, found.chosen.value)
    assert bytes(found.picture.value).startswith(b"\x89PNG")


def test_choosing_an_utterance_turns_page_and_picture(utterances: Utterances) -> None:
    found = LabelExplorer(utterances)
    before = found.picture.value
    found.chosen.index = 5
    assert found.details.value == page_of(utterances, listed(found)[5])
    assert found.picture.value != before
    assert found.picture.value == label_explorer.png(pages.figure(utterances.entry(listed(found)[5]), 3.0))


def test_sorting_lists_anew_and_chooses_the_first(utterances: Utterances) -> None:
    found = LabelExplorer(utterances)
    found.chosen.index = 3
    found.order.value = "order of the data"
    assert listed(found) == list(range(12))
    assert found.details.value == page_of(utterances, 0)


def test_the_list_shows_what_it_is_sorted_by(utterances: Utterances) -> None:
    found = LabelExplorer(utterances)
    found.order.value = "labels moved furthest"
    numbers = [float(line.split()[0]) for line, _ in found.chosen.options]
    assert numbers == sorted(utterances.table["moved"].round(2), reverse=True)


def test_searching_narrows_the_list(utterances: Utterances) -> None:
    found = LabelExplorer(utterances)
    found.search.value = "TRAIN_11"
    assert listed(found) == [11]
    assert found.count.value == "1 of 12 utterances"
    assert found.details.value == page_of(utterances, 11)
    found.search.value = ""
    assert len(listed(found)) == 12


def test_searching_in_vain_empties_the_page_and_recovers(utterances: Utterances) -> None:
    found = LabelExplorer(utterances)
    found.search.value = "no such words"
    assert (found.chosen.value, found.picture.layout.display) == (None, "none")
    assert "No clip matches" in found.details.value
    found.search.value = ""
    assert found.picture.layout.display is None
    assert found.details.value == page_of(utterances, found.chosen.value)


def test_a_long_list_is_cut_and_says_so(utterances: Utterances, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_explorer, "LISTED", 4)
    found = LabelExplorer(utterances)
    assert len(listed(found)) == 4
    assert found.count.value == "12 of 12 utterances, 4 listed"


def test_every_part_has_its_class(utterances: Utterances) -> None:
    found = LabelExplorer(utterances)
    parts = {"search": found.search, "order": found.order, "utterances": found.chosen, "count": found.count}
    for name, widget in {**parts, "details": found.details, "picture": found.picture}.items():
        assert f"mugkit-explorer-{name}" in widget._dom_classes
    assert "mugkit-explorer" in found.box._dom_classes


@pytest.mark.parametrize(("session", "live"), [("notebooks/13_case_study.ipynb", True), (None, False)])
def test_is_live_only_where_a_server_opened_the_kernel(
    session: str | None, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if session:
        monkeypatch.setenv("JPY_SESSION_NAME", session)
    assert label_explorer.is_live() is live


def test_show_without_a_front_end_is_static(
    utterances: Utterances, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    label_explorer.show(utterances)
    page, figure = shown
    assert isinstance(page, HTML)
    assert isinstance(figure, Figure)
    assert LabelExplorer(utterances).details.value in page.data, "the static page is what the controls show first"


def test_show_live_keeps_the_static_version_for_the_saved_notebook(utterances: Utterances, shown: list[Any]) -> None:
    label_explorer.show(utterances, live=True)
    kept, box = shown
    assert page_of(utterances, int(utterances.table["disagreement"].idxmax())) in kept.data
    assert 'src="data:image/png;base64,' in kept.data
    assert "mugkit-explorer" in box._dom_classes
