"""The label explorer: find any utterance in JupyterLab and see its labels and streams.

label_explorer.explore(Utterances(session.dataset, session.learned()))

Without a front end (papermill, nbval, nbconvert, the book), it shows its static version instead. There is no
player: data sets hold frames, and `reviews` simulates them, so there is no recording to listen to.
"""

import base64
import io
import os
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets  # type: ignore[import-untyped]
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mugkit.data.schema import FRAME_MODALITIES, MODALITIES, MODALITY_NAMES
from mugkit.evaluation.utterances import Utterances
from mugkit.plots.case_figure import readings_panel
from mugkit.plots.style import MODALITY_COLORS, canvas

LISTED = 500  # utterances in the list at once: a browser slows down with many thousands, and nobody reads them
# Sort order → the column of `Utterances.table` to sort by, largest first, and to show; None: the order of the data.
ORDERS: Mapping[str, str | None] = {
    "modalities disagree most": "disagreement",
    "labels moved furthest": "moved",
    "order of the data": None,
}


def ordered(table: pd.DataFrame, order: str, words: str = "") -> list[int]:
    """Positions of the utterances whose text or id holds `words` (ignoring case), sorted; ties as in the data."""
    needle, column = words.strip().casefold(), ORDERS[order]
    found = table[[needle in f"{text}\n{i}".casefold() for text, i in zip(table["text"], table["id"], strict=True)]]
    return (found.sort_values(column, ascending=False, kind="stable") if column else found).index.tolist()


def title(table: pd.DataFrame, clip: int, order: str) -> str:
    """An utterance's line in a list: the value that the list is sorted by, and its first words."""
    words, column = textwrap.shorten(table["text"][clip], 80, placeholder=" …"), ORDERS[order]
    return f"{f'{table[column][clip]:.2f}  ' if column else ''}{words or table['id'][clip]}"


def details(entry: Mapping[str, Any], source: str) -> str:
    """An utterance's words and labels (of `Utterances.entry`) as HTML, with a description of the data."""
    rows = []
    for m in MODALITIES:
        known = f"{entry['true'][m]:+.2f}" if m in entry["true"] else "unknown"
        found = {name: f"{value:+.2f}" for name, value in entry["learned"][m].items()}
        rows.append((MODALITY_NAMES[m], known, found["mean"], f"{found['low']} to {found['high']}"))
    labels = _html(("modality", "true label", "learned label", "over seeds"), rows)
    return (
        f"<p><strong>“{escape(entry['text'])}”</strong><br><code>{escape(entry['id'])}</code>, clip's label y = "
        f"{entry['y']:+.2f}</p>{labels}<p><em>{escape(source)}</em></p>"
    )


def listing(table: pd.DataFrame, clips: list[int]) -> str:
    """Utterances as an HTML table: words, y and learned labels, true labels in brackets."""
    heads = ("utterance", "y", *(MODALITY_NAMES[m] for m in MODALITIES))
    rows = []
    for row in table.loc[clips].to_dict("records"):
        true = {m: f" ({row[f'true_{m}']:+.1f})" if f"true_{m}" in row else "" for m in MODALITIES}
        labels = [f"{row[f'learned_{m}']:+.1f}{true[m]}" for m in MODALITIES]
        rows.append([textwrap.shorten(str(row["text"]), 90, placeholder=" …"), f"{row['y']:+.1f}", *labels])
    return _html(heads, rows)


def _html(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def figure(entry: Mapping[str, Any], rho: float) -> Figure:
    """An utterance's learned labels over meta-epochs, and the readings of its frames over time."""
    drawn, (left, *others) = canvas((11, 3.2), 1, 3, width_ratios=(1.5, 1, 1))
    _trajectory_panel(left, entry, rho)
    for axes, m in zip(others, FRAME_MODALITIES, strict=True):
        readings_panel(axes, entry, m)
        limit = 1.05 * max(2.0, *np.abs(entry["frames"].get(m, [0.0])))
        axes.set_ylim(-limit, limit)  # a quiet clip must look quiet
    return drawn


def _trajectory_panel(axes: Axes, entry: Mapping[str, Any], rho: float) -> None:
    """Mean over seeds as lines, their range as bands, the clip's label dashed, true labels as diamonds at the end."""
    axes.axhline(entry["y"], color=MODALITY_COLORS["M"], linestyle="--", label="clip's label $y$")
    for m, style in zip(MODALITIES, ("-", "--", ":"), strict=True):
        path, color = entry["trajectory"][m], MODALITY_COLORS[m]
        epochs = np.arange(1, len(path["mean"]) + 1)
        axes.plot(epochs, path["mean"], style, color=color, label=MODALITY_NAMES[m])
        axes.fill_between(epochs, path["low"], path["high"], color=color, alpha=0.15, linewidth=0)
        if m in entry["true"]:
            axes.plot(epochs[-1] * 1.04, entry["true"][m], "D", color=color, clip_on=False)
    axes.set(xlabel="meta-epoch (diamonds: true labels)", ylabel="label", ylim=(-1.08 * rho, 1.08 * rho))
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)


def page(utterances: Utterances, clip: int) -> tuple[str, Figure]:
    """One utterance: its words and labels as HTML, and its figure."""
    entry, dataset = utterances.entry(clip), utterances.dataset
    return details(entry, dataset.about.get("caption", dataset.name)), figure(entry, dataset.label_scale)


def static(utterances: Utterances) -> tuple[str, Figure]:
    """The version without a front end: the eight utterances that disagree most, and the page of the first."""
    order, table = next(iter(ORDERS)), utterances.table
    clips = ordered(table, order)[:8]
    known = "; true labels in brackets" if utterances.dataset.has_true_labels else ""
    head = f"<p>Learned labels of the utterances whose {order}{known}. The controls need JupyterLab.</p>"
    words, drawn = page(utterances, clips[0])
    return head + listing(table, clips) + words, drawn


class LabelExplorer:
    """Controls and page of the explorer; `box` is the widget to display.

    The whole has the CSS class mugkit-explorer; its parts have mugkit-explorer-search, -order, -count, -utterances,
    -details and -picture.
    """

    def __init__(self, utterances: Utterances) -> None:
        self.utterances = utterances
        self.search = ipywidgets.Text(description="Search", placeholder="words or an id")
        self.order = ipywidgets.Dropdown(description="Sort", options=list(ORDERS))
        self.count = ipywidgets.HTML()
        self.chosen = ipywidgets.Select(rows=8, layout={"width": "auto"})
        self.details = ipywidgets.HTML()
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
        controls = ipywidgets.HBox([self.search, self.order, self.count])
        self.box = ipywidgets.VBox([controls, self.chosen, self.details, self.picture])
        self.box.add_class("mugkit-explorer")
        parts = (*controls.children, *self.box.children[1:])
        for name, part in zip(("search", "order", "count", "utterances", "details", "picture"), parts, strict=True):
            part.add_class(f"mugkit-explorer-{name}")
        self.search.observe(self._list, "value")
        self.order.observe(self._list, "value")
        self.chosen.observe(self._turn, "value")
        self._list()

    def _list(self, _: object = None) -> None:
        table, order = self.utterances.table, self.order.value
        found = ordered(table, order, self.search.value)
        rest = f", {LISTED} listed" if len(found) > LISTED else ""
        self.count.value = f"{len(found)} of {len(table)} utterances{rest}"
        self.chosen.options = [(title(table, clip, order), clip) for clip in found[:LISTED]]
        self.chosen.index = 0 if found else None

    def _turn(self, _: object = None) -> None:
        """Shows the page of the selected utterance, or that no utterance matches."""
        self.picture.layout.display = None if self.chosen.options else "none"  # an empty picture looks broken
        if self.chosen.value is not None:
            self.details.value, drawn = page(self.utterances, self.chosen.value)
            self.picture.value = png(drawn)
        elif not self.chosen.options:  # else the list is being refilled, and its first utterance follows
            self.details.value = "<p>No clip matches.</p>"


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


# Beside controls, the static version is hidden. If a saved notebook is opened again and no kernel knows the controls,
# JupyterLab shows an empty box instead; then that box is hidden.
_SAVED = """<style>
.jp-OutputArea:has(.mugkit-explorer) .mugkit-explorer-static { display: none; }
.jp-OutputArea:has(.mugkit-explorer-static) .jp-OutputArea-output.jupyter-widgets:not(:has(*)) { display: none; }
</style>"""


def explore(utterances: Utterances) -> None:
    """Displays the explorer: its static version and, in JupyterLab, controls that replace it.

    A saved notebook keeps the static version and shows it if no kernel answers the controls.
    """
    from IPython.display import HTML, display

    words, drawn = static(utterances)
    if "JPY_SESSION_NAME" not in os.environ:  # a Jupyter server sets it; papermill, nbval and nbconvert do not
        display(HTML(words), drawn)
        return
    picture = base64.b64encode(png(drawn)).decode()
    words += f'<img alt="labels and streams of the first utterance" src="data:image/png;base64,{picture}">'
    display(HTML(f'{_SAVED}<div class="mugkit-explorer-static">{words}</div>'))
    display(LabelExplorer(utterances).box)
