"""What the label explorer shows, without widgets: the order of utterances, one utterance's page, and a static version.

`mugkit.plots.label_explorer` puts these behind controls in JupyterLab; where no front end listens (papermill, nbval,
nbconvert, the book), `static` is shown instead.
"""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mugkit.data.schema import FRAME_MODALITIES, MODALITIES, MODALITY_NAMES
from mugkit.errors import unknown_name
from mugkit.evaluation.utterances import Utterances
from mugkit.plots.case_figure import readings_panel
from mugkit.plots.style import MODALITY_COLORS

# How utterances can be sorted: by which column of `Utterances.table`, largest first, and listed with its number; None
# leaves the data's order.
ORDERS: Mapping[str, str | None] = {
    "modalities disagree most": "disagreement",
    "labels moved furthest": "moved",
    "order of the data": None,
}


def ordered(table: pd.DataFrame, order: str, words: str = "") -> list[int]:
    """Positions of the utterances whose text or id holds `words` (case does not count), sorted; ties as in the data.

    Raises:
        UserError: an unknown order.
    """
    if order not in ORDERS:
        raise unknown_name("order", order, ORDERS)
    needle = words.strip().casefold()
    found = table[[needle in f"{text}\n{i}".casefold() for text, i in zip(table["text"], table["id"], strict=True)]]
    column = ORDERS[order]
    return (found.sort_values(column, ascending=False, kind="stable") if column else found).index.tolist()


def title(table: pd.DataFrame, clip: int, order: str) -> str:
    """An utterance's line in a list: the number that the order sorts by, and its first words."""
    words, column = textwrap.shorten(table["text"][clip], 80, placeholder=" …"), ORDERS[order]
    return f"{f'{table[column][clip]:.2f}  ' if column else ''}{words or table['id'][clip]}"


def details(entry: Mapping[str, Any], source: str) -> str:
    """An utterance's words and labels as HTML.

    Args:
        entry: of `Utterances.entry`.
        source: what the data are, e.g. that sound and vision are simulated.
    """
    rows = "".join(_label_row(entry, m) for m in MODALITIES)
    return (
        f"<p><strong>“{escape(entry['text'])}”</strong><br><code>{escape(entry['id'])}</code>, clip's label y = "
        f"{entry['y']:+.2f}</p><table><thead><tr><th>modality</th><th>true label</th><th>learned label</th>"
        f"<th>over seeds</th></tr></thead><tbody>{rows}</tbody></table><p><em>{escape(source)}</em></p>"
    )


def _label_row(entry: Mapping[str, Any], m: str) -> str:
    true, found = entry["true"].get(m), entry["learned"][m]
    known = "unknown" if true is None else f"{true:+.2f}"
    cells = (MODALITY_NAMES[m], known, f"{found['mean']:+.2f}", f"{found['low']:+.2f} to {found['high']:+.2f}")
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def figure(entry: Mapping[str, Any], rho: float) -> Figure:
    """An utterance's learned labels over meta-epochs, and what its frames say over time."""
    drawn = Figure(figsize=(11, 3.2), layout="constrained")
    left, *others = drawn.subplots(1, 3, width_ratios=(1.5, 1, 1))
    trajectory_panel(left, entry, rho)
    for axes, m in zip(others, FRAME_MODALITIES, strict=True):
        readings_panel(axes, entry, m)
        limit = 1.05 * max(2.0, *np.abs(entry["frames"].get(m, [0.0])))
        axes.set_ylim(-limit, limit)  # a quiet clip must look quiet
    return drawn


def trajectory_panel(axes: Axes, entry: Mapping[str, Any], rho: float) -> None:
    """Mean over seeds as lines, their range as bands, the clip's label dashed, true labels as diamonds at the end."""
    axes.axhline(entry["y"], color=MODALITY_COLORS["M"], linestyle="--", label="clip's label $y$")
    for m in MODALITIES:
        path = entry["trajectory"][m]
        epochs = np.arange(1, len(path["mean"]) + 1)
        style = {"l": "-", "a": "--", "v": ":"}[m]
        axes.plot(epochs, path["mean"], style, color=MODALITY_COLORS[m], label=MODALITY_NAMES[m])
        axes.fill_between(epochs, path["low"], path["high"], color=MODALITY_COLORS[m], alpha=0.15, linewidth=0)
        if m in entry["true"]:
            axes.plot(epochs[-1] * 1.04, entry["true"][m], "D", color=MODALITY_COLORS[m], clip_on=False)
    axes.set(xlabel="meta-epoch (diamonds: true labels)", ylabel="label", ylim=(-1.08 * rho, 1.08 * rho))
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)


def listing(table: pd.DataFrame, clips: list[int]) -> str:
    """Utterances as an HTML table: words, y and learned labels, true labels in brackets."""
    heads = "".join(f"<th>{head}</th>" for head in ("utterance", "y", *(MODALITY_NAMES[m] for m in MODALITIES)))
    rows = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in table.loc[clips].to_dict("records"))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(row: Mapping[Hashable, Any]) -> list[str]:
    true = {m: f" ({row[f'true_{m}']:+.1f})" if f"true_{m}" in row else "" for m in MODALITIES}
    labels = [f"{row[f'learned_{m}']:+.1f}{true[m]}" for m in MODALITIES]
    text = escape(textwrap.shorten(str(row["text"]), 90, placeholder=" …"))
    return [f"<td>{cell}</td>" for cell in (text, f"{row['y']:+.1f}", *labels)]


# Beside controls the static version is hidden; where a saved notebook is opened again and no kernel knows the controls,
# JupyterLab has an empty box that says so, which is hidden in its place.
SAVED = """<style>
.jp-OutputArea:has(.mugkit-explorer) .mugkit-explorer-static { display: none; }
.jp-OutputArea:has(.mugkit-explorer-static) .jp-OutputArea-output.jupyter-widgets:not(:has(*)) { display: none; }
</style>"""


def static(utterances: Utterances, rows: int = 8) -> tuple[str, Figure]:
    """What is shown without a front end: the utterances that disagree most, and the page of the first of them.

    Args:
        rows: how many utterances are listed.
    """
    table = utterances.table
    clips = ordered(table, next(iter(ORDERS)))[:rows]
    entry = utterances.entry(clips[0])
    known = "; true labels in brackets" if entry["true"] else ""
    head = f"<p>Learned labels of the utterances whose {next(iter(ORDERS))}{known}. The controls need JupyterLab.</p>"
    page = details(entry, utterances.dataset.about.get("caption", utterances.dataset.name))
    return head + listing(table, clips) + page, figure(entry, utterances.dataset.label_scale)
