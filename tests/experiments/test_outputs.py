"""What notebooks write: pictures with their numbers, equal bytes for equal pictures, one manifest for all."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from matplotlib.figure import Figure

from mugkit import config
from mugkit.data.schema import Dataset
from mugkit.experiments import outputs
from mugkit.experiments.outputs import Outputs
from mugkit.experiments.store import versions


def drawn(values: tuple[float, ...] = (1.0, 3.0, 2.0)) -> Figure:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot(values, label="loss")
    axes.fill_between(range(len(values)), values, alpha=0.3)
    axes.legend()
    return figure


@pytest.fixture
def notebook(tmp_path: Path, made_up: Callable[..., Dataset]) -> Callable[[str], Outputs]:
    """A factory of notebooks that write into one folder."""
    dataset = made_up()
    return lambda name: Outputs(tmp_path / "figures", name, config.profile("smoke"), dataset)


def test_figure_is_written_as_png_svg_and_numbers(notebook: Callable[[str], Outputs], tmp_path: Path) -> None:
    notebook("01_first").figure(drawn(), "fig5", {"loss": [1.0, 3.0, 2.0]})
    folder = tmp_path / "figures"
    assert {path.name for path in folder.iterdir()} == {"fig5.png", "fig5.svg", "fig5.json"}
    png = (folder / "fig5.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    assert png.startswith(b"\x89PNG")
    assert min(width, height) > 200  # 150 dots an inch
    assert ElementTree.parse(folder / "fig5.svg").getroot().tag.endswith("svg")
    assert json.loads((folder / "fig5.json").read_text()) == {"loss": [1.0, 3.0, 2.0]}


def test_figure_equal_pictures_are_equal_files_without_a_date_or_a_font_of_this_machine(
    notebook: Callable[[str], Outputs], tmp_path: Path
) -> None:
    first, again, other = (
        {ending: (tmp_path / "figures" / f"fig5.{ending}").read_bytes() for ending in ("svg", "png")}
        for values in ((1.0, 3.0), (1.0, 3.0), (1.0, 4.0))
        if notebook("01_first").figure(drawn(values), "fig5", []) is None
    )
    assert first == again
    assert first["svg"] != other["svg"]
    assert first["png"] != other["png"]
    assert b"dc:date" not in first["svg"]
    assert b"<text" not in first["svg"]  # letters are drawn as paths


def test_manifest_entry_says_how_an_output_came_about(notebook: Callable[[str], Outputs], tmp_path: Path) -> None:
    first = notebook("01_first")
    first.figure(drawn(), "fig5", [1])
    assert first.finish() == ["fig5.json", "fig5.png", "fig5.svg"]
    manifest = json.loads((tmp_path / "figures" / "manifest.json").read_text())
    assert list(manifest) == ["fig5.json", "fig5.png", "fig5.svg"]
    for name, entry in manifest.items():
        content = (tmp_path / "figures" / name).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert 0 <= entry["seconds"] < 60
    expected = {"notebook": "01_first", "dataset": "made-up", "profile": "smoke", "seeds": [1111, 1112]}
    expected |= {"data": first.dataset.fingerprint, "device": "cuda" if torch.cuda.is_available() else "cpu"}
    expected |= {"versions": versions()}
    assert {name: entry[name] for name in entry.keys() - {"seconds", "sha256"}} == expected


def test_manifest_merges_notebooks_and_replaces_what_one_that_runs_again_wrote(
    notebook: Callable[[str], Outputs], tmp_path: Path
) -> None:
    path = tmp_path / "figures" / "manifest.json"
    assert notebook("00_start").finish() == []
    assert json.loads(path.read_text()) == {}
    for name, figures in (("02_second", ["fig6"]), ("01_first", ["fig4", "fig5"]), ("01_first", ["fig5"])):
        outputs = notebook(name)
        for figure in figures:
            outputs.figure(drawn(tuple(range(2, 4 + len(figures)))), figure, [])
        outputs.finish()
    manifest = json.loads(path.read_text())
    assert {name: entry["notebook"] for name, entry in manifest.items() if name.endswith("png")} == {
        "fig5.png": "01_first",  # fig4 is written no more
        "fig6.png": "02_second",
    }
    assert list(manifest) == sorted(manifest)


def test_figure_interrupted_leaves_the_old_picture(
    notebook: Callable[[str], Outputs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook("01_first").figure(drawn(), "fig5", [1])
    before = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}

    def half_written(self: Figure, target: Path, **_: object) -> None:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs.Figure, "savefig", half_written)
    with pytest.raises(KeyboardInterrupt):
        notebook("01_first").figure(drawn((9.0, 1.0)), "fig5", [2])
    assert {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()} == before
