"""What the explorer shows, without a browser: orders, pages, and the static version."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mugkit.data.schema import MODALITIES, Dataset
from mugkit.errors import UserError
from mugkit.evaluation.utterances import Utterances
from mugkit.plots import explorer_pages
from mugkit.training.label_sources.source import LearnedLabels

MOST, MOVED, DATA = explorer_pages.ORDERS


def table() -> pd.DataFrame:
    columns = {"id": ["v$1", "v$2", "w$1"], "text": ["Good film", "bad FILM", "so <b>so</b>"]}
    return pd.DataFrame({**columns, "disagreement": [0.5, 2.0, 2.0], "moved": [0.3, 0.1, 0.2]})


def entry(**changes: Any) -> dict[str, Any]:
    one = {"mean": 1.0, "low": 0.5, "high": 1.25}
    path = {"mean": [0.0, 1.0], "low": [-0.5, 0.5], "high": [0.5, 1.25]}
    page = {"id": "v$1", "text": "a <i>fine</i> film", "y": 1.5, "true": {"l": 1.0, "a": -2.5, "v": 0.0}}
    page |= {"learned": dict.fromkeys(MODALITIES, one), "trajectory": dict.fromkeys(MODALITIES, path)}
    return page | {"frames": {"a": [0.0, 1.0], "v": [1.0, 2.0, 3.0]}} | changes


@pytest.fixture
def utterances(made_up: Callable[..., Dataset]) -> Utterances:
    dataset = made_up((12, 2, 2))
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
        (DATA, "absent", []),
        (DATA, ".*", []),
    ],
)
def test_ordered_sorts_and_searches(order: str, words: str, expected: list[int]) -> None:
    assert explorer_pages.ordered(table(), order, words) == expected


def test_ordered_by_disagreement_is_the_default_and_never_rises(utterances: Utterances) -> None:
    clips = explorer_pages.ordered(utterances.table, MOST)
    true = np.stack([utterances.dataset.train.true_labels[m] for m in MODALITIES])
    assert sorted(clips) == list(range(12))
    assert (np.diff(np.ptp(true, axis=0)[clips]) <= 1e-4).all()


def test_ordered_refuses_an_unknown_order() -> None:
    with pytest.raises(UserError, match="unknown order 'moved most'"):
        explorer_pages.ordered(table(), "moved most")


def test_title_begins_with_what_is_sorted_by_and_without_words_is_the_id() -> None:
    assert explorer_pages.title(table().assign(text=""), 0, MOST) == "0.50  v$1"
    assert explorer_pages.title(table(), 1, MOVED) == "0.10  bad FILM"
    assert explorer_pages.title(table(), 1, DATA) == "bad FILM"


def test_details_hold_words_labels_and_source_escaped() -> None:
    page = explorer_pages.details(entry(), "made & up")
    assert "“a &lt;i&gt;fine&lt;/i&gt; film”" in page
    assert "y = +1.50" in page
    assert re.findall(r"<tr>(.*?)</tr>", page)[2] == (
        "<td>acoustic</td><td>-2.50</td><td>+1.00</td><td>+0.50 to +1.25</td>"
    )
    assert "made &amp; up" in page


def test_details_without_truth_say_unknown() -> None:
    assert explorer_pages.details(entry(true={}), "").count("<td>unknown</td>") == 3


def test_figure_draws_paths_bands_truth_and_frames() -> None:
    left, acoustic, visual = explorer_pages.figure(entry(), 3.0).axes
    lines = {str(line.get_label()): line for line in left.lines}
    assert list(lines["clip's label $y$"].get_ydata()) == [1.5, 1.5]
    np.testing.assert_array_equal(lines["language"].get_xydata(), [[1, 0.0], [2, 1.0]])
    assert len(left.collections) == 3, "a band for each modality"
    assert [line.get_ydata()[0] for line in left.lines if line.get_marker() == "D"] == [1.0, -2.5, 0.0]
    assert list(acoustic.lines[1].get_ydata()) == [0, 1]
    assert list(visual.lines[1].get_ydata()) == [1, 2, 3]
    assert acoustic.get_ylim() == (-2.1, 2.1), "the same for all clips that never exceed 2"
    assert visual.get_ylim() == pytest.approx((-3.15, 3.15))


def test_static_shows_the_first_utterance_of_the_order_and_its_page(utterances: Utterances) -> None:
    page, figure = explorer_pages.static(utterances, rows=5)
    clips = explorer_pages.ordered(utterances.table, MOST)[:5]
    first = utterances.entry(clips[0])
    assert explorer_pages.details(first, "made up") in page
    assert page.count("<tr>") == 1 + 5 + 1 + 3
    for clip in clips:
        assert utterances.table["text"][clip] in page
    assert figure.axes[0].lines[0].get_ydata()[0] == first["y"]


def test_listing_shows_truth_only_where_it_is_known(utterances: Utterances) -> None:
    row = utterances.table.loc[0]
    assert f"{row['learned_v']:+.1f} ({row['true_v']:+.1f})" in explorer_pages.listing(utterances.table, [0])
    unknown = utterances.table.drop(columns=[f"true_{m}" for m in MODALITIES])
    assert f"<td>{row['learned_v']:+.1f}</td>" in explorer_pages.listing(unknown, [0])
