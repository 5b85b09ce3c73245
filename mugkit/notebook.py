"""Code shared by the notebooks: `Session` for profile and data set, source display, and the line that marks the end.

session = notebook.start("06_stage3", profile, dataset, out)
runs = session.runs("mug")
session.figure(fig, "stage3", numbers)
session.finish()
"""

import inspect
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.core.getipython import get_ipython
from IPython.core.pylabtools import select_figure_formats
from IPython.display import display
from matplotlib.figure import Figure
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from mugkit import config, files
from mugkit.config import Hyperparameters, Profile, RunSpec
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.data.store import available, load
from mugkit.data.vocabulary import unknown
from mugkit.evaluation import comparison, paper_tables, published, tables
from mugkit.experiments import experiment, scheduler
from mugkit.experiments.outputs import NO_RESULT, Outputs
from mugkit.experiments.registry import SYSTEMS, Experiment, configuration, seeds_of
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
        """The configuration of plain MUG under this profile, with the values that a search chose for it."""
        return configuration(self.spec(), self.dataset.family)

    @cached_property
    def labelled(self) -> Dataset:
        """A data set with true unimodal labels: this one if it has them, else `reviews`."""
        return self.dataset if self.dataset.has_true_labels else load("reviews")

    @property
    def data(self) -> str:
        """The data set in words, with which every finding begins."""
        return str(self.dataset.about.get("caption", self.dataset.name))

    def spec(self, system: str = "mug", seed: int | None = None, dataset: str = "", **changes: Any) -> RunSpec:
        """The specification of one run; by default the profile's first seed and this data set.

        Here and below `changes` are configuration fields that differ from the profile's, such as `beta=1.0`.
        """
        seed, name = self.profile.seeds[0] if seed is None else seed, dataset or self.dataset.name
        return RunSpec(system, name, seed, self.profile.name, changes=tuple(sorted(changes.items())))

    def work(self, system: str = "mug", seed: int | None = None, **changes: Any) -> Experiment:
        """The stages of a run one by one: `.representations()`, `.learned_labels()`, `.result()`."""
        return experiment.work(self.spec(system, seed, **changes))

    def runs(
        self, *systems: str, dataset: str = "", seeds: int | None = None, **changes: Any
    ) -> dict[str, list[experiment.Run]]:
        """Runs of every named system for every seed of the profile (or the first `seeds`); stored runs are reused."""
        pairs = [(system, seed) for system in systems for seed in seeds_of(system, self.profile)[:seeds]]
        done = scheduler.run_all([self.spec(system, seed, dataset, **changes) for system, seed in pairs])
        return {name: [run for run in done if run.spec.system == name] for name in systems}

    def ready(self, *systems: str, dataset: str = "") -> tuple[list[str], dict[str, str]]:
        """The systems that can run here, and what is missing for each of the others."""
        missing = {name: experiment.missing(self.spec(name, dataset=dataset)) for name in systems}
        return [name for name, what in missing.items() if not what], {n: what for n, what in missing.items() if what}

    def paper_rows(self, number: int) -> tuple[list[tables.Row], dict[str, list[experiment.Run]]]:
        """Rows of a table of the paper on this data set (with profile `paper` also on the table's other prepared data
        sets), and the runs on this data set, for comparisons."""
        systems = dict.fromkeys(paper_tables.system_of(row) for row in published.RESULTS[number])
        able, missing = self.ready(*systems)
        runs = self.runs(*able)
        rows = paper_tables.rows(number, self.dataset.family, runs, missing)
        prepared = available() if self.profile.name == "paper" else []
        others = [name for name in paper_tables.columns(number) if name != self.dataset.family and name in prepared]
        for name in others:
            able, missing = self.ready(*systems, dataset=name)
            rows += paper_tables.rows(number, name, self.runs(*able, dataset=name), missing)
        return rows + paper_tables.waiting(number, [self.dataset.family, *others]), runs

    def learned(
        self, system: str = "mug", dataset: Dataset | None = None, seeds: int | None = None, **changes: Any
    ) -> list[LearnedLabels]:
        """Stage 2's labels for every seed of the profile (or the first `seeds`), on this data set or another."""
        name, chosen = (dataset or self.dataset).name, self.profile.all_seeds[:seeds]
        return scheduler.learn_all([self.spec(system, seed, name, **changes) for seed in chosen])

    def labels_of(self, system: str, runs: Sequence[experiment.Run], dataset: Dataset) -> list[dict[str, np.ndarray]]:
        """A system's labels of the training split from any source: for each seed a mapping by modality."""
        specs = [self.spec(system, dataset=dataset.name)]
        if SYSTEMS[system].labels == "mucn":
            specs = [self.spec(system, seed, dataset.name) for seed in self.profile.all_seeds]
            scheduler.learn_all(specs)  # in parallel
        elif SYSTEMS[system].labels in source.ONLINE:
            specs = [run.spec for run in runs]
        labels = comparison.training_labels(list(map(experiment.work, specs)))
        return [{m: rows[i] for m, rows in labels.items()} for i in range(len(specs))]

    def caption(self, note: str = "", rows: Sequence[tables.Row] = (), data: str = "") -> str:
        """The caption below every table: data set (or `data`), encoder, profile and, for systems' `rows`, seeds and
        convention."""
        encoder = self.hp.network.text_encoder + (", frozen" if self.hp.network.freeze_text else "")
        if (unread := unknown(self.dataset, self.hp.network.text_encoder)) and unread.warning:
            encoder += f" ({unread})"
        sims = self.dataset.family == "sims"
        convention = "Acc2 and F1 ≤ 0 against > 0" if sims else "Acc2 and F1 without neutral clips"
        parts = [f"Data: {data or self.data}", f"text encoder: {encoder}", f"profile: {self.profile.name}"]
        parts += [NO_RESULT] if self.profile.name == "smoke" else []
        counts = [(row.system, n) for row in rows for n in {int(of["n"] or 0) for of in row.metrics.values()}]
        parts += [f"mean ± std over {tables.seeds(counts)}", convention] if counts else []
        return "; ".join(filter(None, [*parts, note])) + "."

    def _marked(self, caption: str) -> str:
        """A notebook's own caption, with the note of `caption` about a profile without results."""
        return f"{caption} ({NO_RESULT}.)" if self.profile.name == "smoke" else caption

    def figure(self, figure: Figure, name: str, numbers: Any) -> None:
        """Writes a figure and its numbers."""
        self.outputs.figure(figure, name, numbers)

    def table(
        self, rows: Sequence[tables.Row], name: str, note: str = "", metrics: Sequence[str] = (), caption: str = ""
    ) -> pd.DataFrame:
        """Writes a table of systems, prints the text below it, and returns its formatted version.

        By default `metrics` are the paper's columns for this family of data sets. `caption` replaces the usual caption.
        """
        shown = metrics or tuple(comparison.metrics_of(self.dataset.family))
        below = self._marked(caption) if caption else self.caption(note, rows)
        self.outputs.note(tables.write(rows, shown, self.outputs.folder / "tables", name, below))
        print(*filter(None, (below, tables.rest(rows, shown, name))), sep="\n")
        return tables.brief_table(rows, shown)

    def frame(
        self, table: pd.DataFrame, shown: pd.DataFrame, name: str, note: str = "", caption: str = "", data: str = ""
    ) -> pd.DataFrame:
        """Writes a table of another shape, prints the text below it, and returns its formatted version `shown`.

        `caption` replaces the usual caption.
        """
        below = self._marked(caption) if caption else self.caption(note, data=data)
        self.outputs.note(tables.write_frame(table, shown, self.outputs.folder / "tables", name, below))
        print(below)
        return shown

    def found(self, *sentences: str) -> None:
        """Prints the notebook's findings and saves them in `findings/` for the README."""
        path = self.outputs.folder / "findings" / f"{self.outputs.notebook}.md"
        told = [self._marked(sentence) for sentence in sentences if sentence]
        with files.atomic_path(path) as temporary:
            temporary.write_text("".join(f"- {sentence}\n" for sentence in told), encoding="utf-8")
        self.outputs.note([path])
        print(*told, sep="\n")

    def finish(self) -> None:
        """Records the outputs in the manifest and prints the line that says the notebook ran to its end."""
        names = self.outputs.finish()
        print(FINISHED, self.outputs.notebook, *(f"\n  {name}" for name in names), sep=" ")


def start(
    notebook: str, profile: str, dataset: str, out: str, needs: Collection[str] = MODALITIES
) -> Session:  # fmt: skip
    """Checks the parameters, loads the data set, sets the figures' style.

    Args:
        notebook: its file name without suffix.
        out: folder for figures and tables. Relative: from the kernel's folder, unless `$MUGKIT_OUT` replaces it;
            a batch run passes an absolute path. The default is `figures/` of the repository that holds the kernel's
            folder, with a subfolder for every profile but `quick`.
        needs: modalities without which the notebook cannot begin.

    Raises:
        UserError: if the profile is unknown, or the data set is not prepared or lacks one of `needs`.
    """
    apply_style()
    if shell := get_ipython():  # IPython would only print the names of figures that were made without pyplot
        select_figure_formats(shell, {"png"}, bbox_inches="tight")
    pd.set_option("display.max_colwidth", None)  # pandas would truncate reasons and verdicts
    chosen, data = config.profile(profile), load(dataset, verify=True)
    data.require(needs, f"notebook {notebook}")
    return Session(chosen, data, Outputs(_folder(out, profile), notebook, chosen, data))


def _folder(out: str, profile: str) -> Path:
    if (elsewhere := os.environ.get("MUGKIT_OUT")) and not Path(out).is_absolute():
        return Path(elsewhere).absolute()
    # The copy of the repository that the kernel runs in, even if its library is installed from another copy.
    root = next(filter(files.is_repository, (Path.cwd(), *Path.cwd().parents)), files.repository())
    if out == DEFAULT_OUT and root:  # papermill starts kernels where it was called, and `../` of that can be anywhere
        return root / default_out(profile)
    return Path(out).absolute()


def default_out(profile: str) -> Path:
    """The output folder of a profile in the repository; `quick` writes to `figures/` itself, which is committed."""
    return Path("figures") if profile == "quick" else Path("figures") / profile


def show_source(*objects: Any) -> None:
    """Shows library code, always the tested function and never a copy; lines too long for the page wrap."""
    letters = "font-family: monospace; background: #f8f8f8; color: #222"
    lines = "white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere"
    page = HtmlFormatter(noclasses=True, prestyles=f"{letters}; {lines}")
    for item in objects:
        source = inspect.getsource(item)
        display({"text/html": highlight(source, PythonLexer(stripnl=False), page), "text/plain": source}, raw=True)
