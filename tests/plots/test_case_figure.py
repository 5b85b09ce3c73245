"""Which cases are drawn, and that Fig. 6 draws what it is given."""

from typing import Any

import numpy as np
import pandas as pd

from mugkit.plots import case_figure


def table(clips: int = 40) -> pd.DataFrame:
    """Disagreement rises with the position; odd clips have no clear label."""
    y = np.where(np.arange(clips) % 2 == 0, 2.0, 0.2)
    return pd.DataFrame({"y": y, "disagreement": np.linspace(0, 4, clips)})


def case(**changes: Any) -> dict[str, Any]:
    labels = {
        m: {"mean": value, "low": value - 0.5, "high": value + 0.25} for m, value in zip("lav", (1, 2, -1), strict=True)
    }
    frames = {"a": [0.0, 1.0, -1.0], "v": [0.5, 0.5]}
    entry = {"pool": "agree", "text": "fine film", "y": 1.5, "true": {"l": 1.0, "a": 2.5, "v": -2.0}}
    return entry | {"learned": labels, "frames": frames} | changes


def test_pools_are_the_ends_of_the_order() -> None:
    found = case_figure.pools(table(), rho=3.0)
    assert found["agree"] == [0, 2], "a tenth of the 20 clips with a clear label"
    assert found["disagree"] == [39, 38, 37, 36], "a tenth of all 40, clear or not"
    assert case_figure.draw_lots(case_figure.pools(table().assign(y=0.0), rho=3.0))["agree"] == []


def test_draw_lots_is_the_same_every_time_and_does_not_take_the_extremes() -> None:
    pools = {"agree": list(range(100)), "disagree": list(range(100, 200))}
    first = case_figure.draw_lots(pools)
    assert first == case_figure.draw_lots({name: clips[::-1] for name, clips in pools.items()})
    assert all(set(clips) <= set(pools[name]) and len(clips) == 2 for name, clips in first.items())


def test_figure_draws_labels_ranges_and_frames() -> None:
    labels, _, acoustic, *_ = case_figure.figure([case(), case(y=-1.0)], rho=3.0).axes
    assert labels.lines[0].get_ydata()[0] == 1.5
    diamonds = [line.get_ydata()[0] for line in labels.lines if line.get_marker() == "D"]
    assert diamonds == [1.0, 2.5, -2.0]
    low, high = labels.collections[1].get_segments()[0][:, 1]  # the acoustic label's error bar
    assert (low, high) == (1.5, 2.25)
    np.testing.assert_array_equal(acoustic.lines[1].get_ydata(), [0, 1, -1])
    bare = case_figure.figure([case(frames={"a": [1.0]}, true={})], rho=3.0)
    assert not [line for line in bare.axes[0].lines if line.get_marker() == "D"]
    assert bare.axes[2].texts[0].get_text() == "no frames"
    assert bare.axes[1].lines[1].get_marker() == "o", "one frame is a dot, not an invisible line"


def test_in_words_says_where_labels_went() -> None:
    # y = 1.5; learned 1, 2, −1; true 1, 2.5 and, for vision, 1.6.
    lines = case_figure.in_words(case(true={"l": 1.0, "a": 2.5, "v": 1.6}), near=0.3).splitlines()
    assert lines == [
        "agree: y = +1.5, fine film",
        "  language: +1.00, moved by -0.50, towards the truth",
        "  acoustic: +2.00, moved by +0.50, towards the truth",
        "  visual: -1.00, moved by -2.50, where y was right",
    ]
    assert case_figure.in_words(case(true={"l": 2.5}), near=0.3).splitlines()[1].endswith("away from the truth")
    hardly = case_figure.in_words(case(true={"l": 9.0}), near=6.0).splitlines()[1]
    assert hardly == "  language: +1.00, moved by -0.50, hardly anywhere"
    assert case_figure.in_words(case(true={}), near=0.3).endswith("visual: -1.00, moved by -2.50")


def test_a_clip_of_no_pool_is_headed_by_its_id() -> None:
    chosen = {name: of for name, of in case(id="train07").items() if name != "pool"}
    assert case_figure.in_words(chosen, near=0.3).startswith("train07")
    assert case_figure.figure([chosen], rho=3.0).axes[0].get_title().startswith("train07")
