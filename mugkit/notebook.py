"""What the notebooks share: a session for profile and data set, sources shown in place, a last line that counts.

session = notebook.start("06_stage3", profile, dataset, out)
runs = session.runs("mug")
session.figure(fig, "stage3", numbers)
session.finish()
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mugkit import config, files
from mugkit.config import Hyperparameters, Profile, RunSpec
from mugkit.data.schema import Dataset
from mugkit.data.store import available, load
from mugkit.data.vocabulary import unknown
from mugkit.evaluation import comparison, paper_tables, published, tables
from mugkit.experiments import experiment, scheduler
from mugkit.experiments.outputs import NO_RESULT, Outputs
from mugkit.experiments.registry import SYSTEMS, Experiment, configuration, seeds_of
from mugkit.metrics import HEADLINE
from mugkit.plots.style import apply_style
from mugkit.training.label_sources import source
from mugkit.training.label_sources.source import LearnedLabels

# The batch runner and the tests look for this line: a notebook that stopped early does not have it.
FINISHED = "finished:"
DEFAULT_OUT = "../figures"  # of every notebook


@dataclass(repr=False)
class Session:
    """A notebook's profile, data set and outputs."""

    profile: Profile
    dataset: Dataset
    outputs: Outputs

    def __repr__(self) -> str:
        return f"Session({self.outputs.notebook}, profile {self.profile.name}, data {self.dataset.name})"

    @cached_property
    def hp(self) -> Hyperparameters:
        """The configuration of plain MUG under this profile, with what a search chose for it."""
        return configuration(self.spec(), self.dataset.family)

    @cached_property
    def labelled(self) -> Dataset:
        """A data set with true unimodal labels: this one if it has them, else `reviews`."""
        return self.dataset if self.dataset.has_true_labels else load("reviews")

    @property
    def data(self) -> str:
        """The data set in words, which every sentence begins with."""
        return str(self.dataset.about.get("caption", self.dataset.name))

    def spec(self, system: str = "mug", seed: int | None = None, dataset: str = "", **changes: Any) -> RunSpec:
        """One run of a system; the first seed of the profile and this data set unless given.

        Args:
            changes: fields of the configuration that differ from the profile's, such as `beta=1.0`; so below, too.
        """
        seed, name = self.profile.seeds[0] if seed is None else seed, dataset or self.dataset.name
        return RunSpec(system, name, seed, self.profile.name, changes=tuple(sorted(changes.items())))

    def work(self, system: str = "mug", seed: int | None = None, **changes: Any) -> Experiment:
        """The stages of a run one by one: `.representations()`, `.learned_labels()`, `.result()`."""
        return experiment.work(self.spec(system, seed, **changes))

    def runs(
        self, *systems: str, dataset: str = "", seeds: int | None = None, **changes: Any
    ) -> dict[str, list[experiment.Run]]:
        """Every seed of the profile (or the first `seeds` of them) of every named system; what is stored is reused."""
        pairs = [(system, seed) for system in systems for seed in seeds_of(system, self.profile)[:seeds]]
        done = scheduler.run_all([self.spec(system, seed, dataset, **changes) for system, seed in pairs])
        return {name: [run for run in done if run.spec.system == name] for name in systems}

    def ready(self, *systems: str, dataset: str = "") -> tuple[list[str], dict[str, str]]:
        """Which systems can run here, and of the others what is missing."""
        missing = {name: experiment.missing(self.spec(name, dataset=dataset)) for name in systems}
        return [name for name, what in missing.items() if not what], {n: what for n, what in missing.items() if what}

    def paper_rows(self, number: int) -> tuple[list[tables.Row], dict[str, list[experiment.Run]]]:
        """A table of the paper on this data set (and, in `paper`, on its other data sets that are prepared); the runs
        on this data set come along for comparisons."""
        systems = dict.fromkeys(paper_tables.system_of(row) for row in published.RESULTS[number])
        able, missing = self.ready(*systems)
        runs = self.runs(*able)
        rows = paper_tables.rows(number, self.dataset.family, runs, missing)
        have = [self.dataset.family]
        for name in paper_tables.columns(number) if self.profile.name == "paper" else ():
            if name != self.dataset.family and name in available():
                able, missing = self.ready(*systems, dataset=name)
                rows += paper_tables.rows(number, name, self.runs(*able, dataset=name), missing)
                have.append(name)
        return rows + paper_tables.waiting(number, have), runs

    def learned(
        self, system: str = "mug", dataset: Dataset | None = None, seeds: int | None = None, **changes: Any
    ) -> list[LearnedLabels]:
        """Stage 2's labels for every seed of the profile (or the first `seeds`), on this data set or another."""
        name, chosen = (dataset or self.dataset).name, self.profile.all_seeds[:seeds]
        return scheduler.learn_all([self.spec(system, seed, name, **changes) for seed in chosen])

    def labels_of(self, system: str, runs: Sequence[experiment.Run], dataset: Dataset) -> list[dict[str, np.ndarray]]:
        """A system's labels of the training split, one mapping by modality a seed, wherever they come from."""
        specs = [self.spec(system, dataset=dataset.name)]
        if SYSTEMS[system].labels == "mucn":
            specs = [self.spec(system, seed, dataset.name) for seed in self.profile.all_seeds]
            scheduler.learn_all(specs)  # side by side
        elif SYSTEMS[system].labels in source.ONLINE:
            specs = [run.spec for run in runs]
        labels = comparison.training_labels(list(map(experiment.work, specs)))
        return [{m: rows[i] for m, rows in labels.items()} for i in range(len(specs))]

    def caption(self, note: str = "", rows: Sequence[tables.Row] = (), data: str = "") -> str:
        """What every table says below itself: data set, encoder, profile and, of systems' scores, seeds and convention.

        Args:
            rows: the table's, if it is one of systems.
            data: in words, if the table is not of the session's data set alone.
        """
        encoder = self.hp.network.text_encoder + (", frozen" if self.hp.network.freeze_text else "")
        if (unread := unknown(self.dataset, self.hp.network.text_encoder)) and unread.warning:
            encoder += f" ({unread})"
        sims = self.dataset.family == "sims"
        convention = "Acc2 and F1 ≤ 0 against > 0" if sims else "Acc2 and F1 without neutral clips"
        parts = [f"Data: {data or self.data}", f"text encoder: {encoder}", f"profile: {self.profile.name}"]
        parts += [NO_RESULT] if self.profile.name == "smoke" else []
        counts = [(row.system, n) for row in rows for n in {int(of["n"] or 0) for of in row.metrics.values()}]
        parts += [f"mean ± std over {tables.seeds(counts)}", convention] if counts else []
        parts += [note]
        return "; ".join(part for part in parts if part) + "."

    def _marked(self, caption: str) -> str:
        """A caption of a notebook's own, with what `caption` would say of a profile without results."""
        return f"{caption} ({NO_RESULT}.)" if self.profile.name == "smoke" else caption

    def figure(self, figure: Figure, name: str, numbers: Any) -> None:
        """Writes a figure and its numbers."""
        self.outputs.figure(figure, name, numbers)

    def table(
        self, rows: Sequence[tables.Row], name: str, note: str = "", metrics: Sequence[str] = (), caption: str = ""
    ) -> pd.DataFrame:
        """Writes a table of systems, prints what belongs below it, and returns what `tables.display` shows of it.

        Args:
            metrics: what to write, if not the paper's columns for this family of data sets.
            caption: in place of the usual one, for a table without runs.
        """
        shown = metrics or HEADLINE[self.dataset.family]
        below = self._marked(caption) if caption else self.caption(note, rows)
        self.outputs.note(tables.write(rows, shown, self.outputs.folder / "tables", name, below))
        print(*filter(None, (below, tables.rest(rows, shown, name))), sep="\n")
        return tables.display(rows, shown)

    def frame(
        self, table: pd.DataFrame, shown: pd.DataFrame, name: str, note: str = "", caption: str = "", data: str = ""
    ) -> pd.DataFrame:
        """Writes a table of another shape, prints what belongs below it, and returns its formatted version.

        Args:
            caption: in place of the usual one.
            data: as in `caption`.
        """
        folder = self.outputs.folder / "tables"
        below = self._marked(caption) if caption else self.caption(note, data=data)
        self.outputs.note(tables.write_frame(table, shown, folder, name, below))
        print(below)
        return shown

    def found(self, *sentences: str) -> None:
        """Prints what the notebook found, and keeps it in `findings/` for the README."""
        path = self.outputs.folder / "findings" / f"{self.outputs.notebook}.md"
        told = [self._marked(sentence) for sentence in sentences if sentence]
        with files.atomic_path(path) as temporary:
            temporary.write_text("".join(f"- {sentence}\n" for sentence in told), encoding="utf-8")
        self.outputs.note([path])
        print(*told, sep="\n")

    def finish(self) -> None:
        """Enters the outputs into the manifest and prints the line that says the notebook ran to its end."""
        names = self.outputs.finish()
        print(FINISHED, self.outputs.notebook, *(f"\n  {name}" for name in names), sep=" ")


def start(notebook: str, profile: str, dataset: str, out: str) -> Session:
    """Checks the parameters, loads the data set, sets the figures' style.

    Args:
        notebook: its file name without ending.
        profile: smoke, quick or paper.
        dataset: a prepared data set.
        out: where figures and tables go, relative to the kernel's folder: `notebooks/` in JupyterLab, the folder that
            papermill was called in. The default is `figures/` of the repository that the kernel's folder is in, and
            below it a folder for every profile but `quick`. `$MUGKIT_OUT` takes the place of a relative one, so that
            a batch run, which names a whole path, writes where it was told to.

    Raises:
        UserError: an unknown profile, or a data set that is not prepared.
    """
    apply_style()
    _show_pictures()
    pd.set_option("display.max_colwidth", None)  # pandas would cut reasons and verdicts off
    chosen, data = config.profile(profile), load(dataset, verify=True)
    return Session(chosen, data, Outputs(_folder(out, profile), notebook, chosen, data))


def _folder(out: str, profile: str) -> Path:
    """Where a notebook writes; see `start`."""
    if (elsewhere := os.environ.get("MUGKIT_OUT")) and not Path(out).is_absolute():
        return Path(elsewhere).absolute()
    # The copy of the repository that the kernel runs in, though its library may be installed from another copy.
    root = next(filter(files.is_repository, (Path.cwd(), *Path.cwd().parents)), files.repository())
    if out == DEFAULT_OUT and root:  # papermill starts kernels where it was called, and `../` of that is anywhere
        return root / default_out(profile)
    return Path(out).absolute()


def default_out(profile: str) -> Path:
    """Where a profile's outputs go below the repository; what `quick` writes to `figures/` itself is committed."""
    return Path("figures") if profile == "quick" else Path("figures") / profile


def _show_pictures() -> None:
    """Lets IPython draw figures that were made without pyplot; it would print their names only."""
    from IPython.core.getipython import get_ipython
    from IPython.core.pylabtools import select_figure_formats

    if (shell := get_ipython()) is not None:
        select_figure_formats(shell, {"png"}, bbox_inches="tight")


def show_source(*objects: Any) -> None:
    """Shows library code in place, the tested function and never a copy; a line too long for the page wraps."""
    from IPython.display import display
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    letters = "font-family: monospace; background: #f8f8f8; color: #222"
    lines = "white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere"
    page = HtmlFormatter(noclasses=True, prestyles=f"{letters}; {lines}")
    for item in objects:
        source = inspect.getsource(item)
        display({"text/html": highlight(source, PythonLexer(stripnl=False), page), "text/plain": source}, raw=True)
