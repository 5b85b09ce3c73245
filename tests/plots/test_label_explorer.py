"""The label explorer: orders, pages, the static version; and its controls, driven in Python as clicks would."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import make_dataset
from matplotlib.figure import Figure

from mugkit.data.schema import MODALITIES
from mugkit.evaluation.utterances import Utterances
from mugkit.plots import label_explorer
from mugkit.plots.label_explorer import LabelExplorer
from mugkit.training.label_sources.source import LearnedLabels

MOST, MOVED, DATA = label_explorer.ORDERS


def table() -> pd.DataFrame:
    columns = {"id": ["v$1", "v$2", "w$1"], "text": ["Good film", "bad FILM", "so <b>so</b>"]}
    return pd.DataFrame({**columns, "disagreement": [0.5, 2.0, 2.0], "moved": [0.3, 0.1, 0.2]})


def entry(**changes: Any) -> dict[str, Any]:
    learned = {"mean": 1.0, "low": 0.5, "high": 1.25}
    path = {"mean": [0.0, 1.0], "low": [-0.5, 0.5], "high": [0.5, 1.25]}
    page = {"id": "v$1", "text": "a <i>fine</i> film", "y": 1.5, "true": {"l": 1.0, "a": -2.5, "v": 0.0}}
    page |= {"learned": dict.fromkeys(MODALITIES, learned), "trajectory": dict.fromkeys(MODALITIES, path)}
    return page | {"frames": {"a": [0.0, 1.0], "v": [1.0, 2.0, 3.0]}} | changes


@pytest.fixture
def utterances() -> Utterances:
    dataset = make_dataset((12, 2, 2))
    y = torch.from_numpy(dataset.train.labels)
    labels = {m: (0.8 + k / 10) * y for k, m in enumerate(MODALITIES)}
    paths = {m: torch.stack([y, values]) for m, values in labels.items()}
    return Utterances(dataset, [LearnedLabels(labels, paths, pd.DataFrame())])


@pytest.mark.parametrize(
    ("order", "words", "expected"),
    [
        (MOST, "", [1, 2, 0]),  # 1 before 2: equal, so as in the data
        (MOVED, "", [0, 2, 1]),
        (DATA, "", [0, 1, 2]),
        (DATA, "film", [0, 1]),
        (MOST, " Film ", [1, 0]),
        (DATA, "v$", [0, 1]),
        (DATA, ".*", []),
    ],
)
def test_ordered_sorts_and_searches(order: str, words: str, expected: list[int]) -> None:
    assert label_explorer.ordered(table(), order, words) == expected


def test_title_begins_with_what_is_sorted_by_and_without_words_is_the_id() -> None:
    assert label_explorer.title(table().assign(text=""), 0, MOST) == "0.50  v$1"


def test_details_hold_words_labels_and_source_escaped() -> None:
    page = label_explorer.details(entry(), "made & up")
    assert "“a &lt;i&gt;fine&lt;/i&gt; film”" in page
    assert "y = +1.50" in page
    assert re.findall(r"<tr>(.*?)</tr>", page)[2] == (
        "<td>acoustic</td><td>-2.50</td><td>+1.00</td><td>+0.50 to +1.25</td>"
    )
    assert "made &amp; up" in page
    assert label_explorer.details(entry(true={}), "").count("<td>unknown</td>") == 3


def test_figure_draws_paths_truth_and_frames() -> None:
    left, acoustic, visual = label_explorer.figure(entry(), 3.0).axes
    lines = {str(line.get_label()): line for line in left.lines}
    np.testing.assert_array_equal(lines["language"].get_xydata(), [[1, 0.0], [2, 1.0]])
    assert [line.get_ydata()[0] for line in left.lines if line.get_marker() == "D"] == [1.0, -2.5, 0.0]
    assert list(visual.lines[1].get_ydata()) == [1, 2, 3]
    assert acoustic.get_ylim() == (-2.1, 2.1), "the same for all clips that never exceed 2"


def test_static_shows_the_first_utterance_of_the_order_and_its_page(utterances: Utterances) -> None:
    page, figure = label_explorer.static(utterances)
    clips = label_explorer.ordered(utterances.table, MOST)[:8]
    first = utterances.entry(clips[0])
    assert label_explorer.details(first, "made up") in page
    assert page.count("<tr>") == 1 + 8 + 1 + 3
    assert figure.axes[0].lines[0].get_ydata()[0] == first["y"]
    row = utterances.table.loc[0]
    assert f"{row['learned_v']:+.1f} ({row['true_v']:+.1f})" in label_explorer.listing(utterances.table, [0])
    unknown = utterances.table.drop(columns=[f"true_{m}" for m in MODALITIES]).assign(text="a <b>")
    assert "<td>a &lt;b&gt;</td>" in label_explorer.listing(unknown, [0])


def listed(found: LabelExplorer) -> list[int]:
    return [clip for _, clip in found.chosen.options]


def page_of(utterances: Utterances, clip: int) -> str:
    return label_explorer.details(utterances.entry(clip), "made up")


def test_choosing_and_sorting_turn_page_and_picture(utterances: Utterances) -> None:
    found = LabelExplorer(utterances)
    before = found.picture.value
    assert found.chosen.value == utterances.table["disagreement"].idxmax()
    assert found.details.value == page_of(utterances, found.chosen.value)
    found.chosen.index = 5
    assert found.details.value == page_of(utterances, listed(found)[5])
    assert before != found.picture.value == label_explorer.png(label_explorer.page(utterances, listed(found)[5])[1])
    found.order.value = DATA
    assert listed(found) == list(range(12))
    assert found.details.value == page_of(utterances, 0)


def test_searching_narrows_empties_and_recovers_the_list(
    utterances: Utterances, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = LabelExplorer(utterances)
    found.search.value = "TRAIN_11"
    assert (listed(found), found.count.value) == ([11], "1 of 12 utterances")
    assert found.details.value == page_of(utterances, 11)
    found.search.value = "no such words"
    assert (found.chosen.value, found.picture.layout.display) == (None, "none")
    assert "No clip matches" in found.details.value
    monkeypatch.setattr(label_explorer, "LISTED", 4)
    found.search.value = ""
    assert (len(listed(found)), found.count.value) == (4, "12 of 12 utterances, 4 listed")
    assert found.picture.layout.display is None
    assert found.details.value == page_of(utterances, found.chosen.value)


def test_explorer_is_static_without_a_front_end_and_keeps_the_static_version_live(
    utterances: Utterances, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda *items, **_: shown.extend(items))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    label_explorer.explore(utterances)
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/13_case_study.ipynb")
    label_explorer.explore(utterances)
    page, figure, kept, box = shown
    assert isinstance(figure, Figure)
    first = LabelExplorer(utterances).details.value
    assert first in page.data, "the static page is what the controls show first"
    assert first in kept.data
    assert 'src="data:image/png;base64,' in kept.data
    assert "mugkit-explorer" in box._dom_classes
