"""The label explorer: look up any utterance in JupyterLab, and see its labels and streams.

explorer_pages.show(Utterances(session.dataset, session.learned()))

There is no player: data sets hold frames, and `reviews` simulates them, so there is no recording to listen to.
"""

from __future__ import annotations

import base64
import io
import os
from typing import Any

import ipywidgets  # type: ignore[import-untyped]
from matplotlib.figure import Figure

from mugkit.evaluation.utterances import Utterances
from mugkit.plots import explorer_pages

LISTED = 500  # utterances in the list at once: a browser slows down with many thousands, and nobody reads them


class LabelExplorer:
    """Controls and page of the explorer; `box` is the widget to display.

    Every control has a CSS class: mugkit-explorer for the whole; mugkit-explorer-search, -order, -utterances, -count,
    -details and -picture.
    """

    def __init__(self, utterances: Utterances) -> None:
        self.utterances = utterances
        self.search = ipywidgets.Text(description="Search", placeholder="words or an id")
        self.order = ipywidgets.Dropdown(description="Sort", options=list(explorer_pages.ORDERS))
        self.count = ipywidgets.HTML()
        self.chosen = ipywidgets.Select(rows=8, layout={"width": "auto"})
        self.details = ipywidgets.HTML()
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
        self.box = self._arranged()
        self.search.observe(self._list, "value")
        self.order.observe(self._list, "value")
        self.chosen.observe(self._turn, "value")
        self._list()

    def _arranged(self) -> Any:
        parts = {"search": self.search, "order": self.order, "count": self.count, "utterances": self.chosen}
        parts |= {"details": self.details, "picture": self.picture}
        for name, widget in parts.items():
            widget.add_class(f"mugkit-explorer-{name}")
        controls = ipywidgets.HBox([self.search, self.order, self.count])
        box = ipywidgets.VBox([controls, self.chosen, self.details, self.picture])
        box.add_class("mugkit-explorer")
        return box

    def _list(self, _: object = None) -> None:
        """Fills the list anew; its first utterance is chosen."""
        table = self.utterances.table
        found = explorer_pages.ordered(table, self.order.value, self.search.value)
        shown = found[:LISTED]
        rest = f", {LISTED} listed" if len(found) > LISTED else ""
        self.count.value = f"{len(found)} of {len(table)} utterances{rest}"
        self.chosen.options = [(explorer_pages.title(table, clip, self.order.value), clip) for clip in shown]
        self.chosen.index = 0 if shown else None

    def _turn(self, _: object = None) -> None:
        """Shows the page of the chosen utterance, or that there is none."""
        self.picture.layout.display = None if self.chosen.options else "none"  # a picture of no bytes looks broken
        if self.chosen.value is None:
            if not self.chosen.options:  # else the list is just being filled, and its first follows
                self.details.value = "<p>No clip matches.</p>"
            return
        entry, dataset = self.utterances.entry(self.chosen.value), self.utterances.dataset
        self.details.value = explorer_pages.details(entry, dataset.about.get("caption", dataset.name))
        self.picture.value = png(explorer_pages.figure(entry, dataset.label_scale))


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def is_live() -> bool:
    """Whether a Jupyter server opened this kernel for a notebook: it tells the kernel the notebook's name.

    papermill, nbval and nbconvert start kernels themselves, and nobody could use a control there.
    """
    return "JPY_SESSION_NAME" in os.environ


def show(utterances: Utterances, live: bool | None = None) -> None:
    """Displays the explorer: its static version and, in JupyterLab, controls in its place.

    A saved notebook keeps the static version, and shows it where no kernel answers the controls.

    Args:
        live: True for front ends that `is_live` does not know, False for the static version.
    """
    from IPython.display import HTML, display

    page, figure = explorer_pages.static(utterances)
    if not (is_live() if live is None else live):
        display(HTML(page), figure)
        return
    picture = base64.b64encode(png(figure)).decode()
    page += f'<img alt="labels and streams of the first utterance" src="data:image/png;base64,{picture}">'
    display(HTML(f'{explorer_pages.SAVED}<div class="mugkit-explorer-static">{page}</div>'))
    display(LabelExplorer(utterances).box)
