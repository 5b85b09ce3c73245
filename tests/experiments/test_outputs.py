"""What notebooks write: pictures with their numbers, equal bytes for equal pictures, one manifest for all."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_up import make_dataset
from matplotlib.figure import Figure

from mugkit import config
from mugkit.experiments.outputs import Outputs
from mugkit.experiments.run_store import versions


def drawn(*values: float) -> Figure:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot(values, label="loss")
    axes.legend()
    return figure


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[[str], Outputs]:
    """A factory of notebooks that write into one folder."""
    dataset = make_dataset()
    return lambda name: Outputs(tmp_path, name, config.profile("smoke"), dataset)


def test_figure_is_png_svg_and_numbers_and_can_be_repeated(notebook: Callable[[str], Outputs], tmp_path: Path) -> None:
    seen = []
    for values in ((1.0, 3.0), (1.0, 3.0), (1.0, 4.0)):
        notebook("01_first").figure(drawn(*values), "fig5", {"loss": values})
        assert json.loads((tmp_path / "fig5.json").read_text()) == {"loss": list(values)}
        seen.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert seen[0].keys() == {"fig5.png", "fig5.svg", "fig5.json"}
    assert seen[0] == seen[1]
    assert all(seen[0][name] != seen[2][name] for name in seen[0])
    assert seen[0]["fig5.png"].startswith(b"\x89PNG")
    svg = seen[0]["fig5.svg"]
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert b"dc:date" not in svg
    assert b"<text" not in svg  # letters are drawn as paths, in no font of this machine


def test_manifest_entry_says_how_an_output_came_about(notebook: Callable[[str], Outputs], tmp_path: Path) -> None:
    first = notebook("01_first")
    first.figure(drawn(1, 2), "fig5", [1])
    names = ["fig5.json", "fig5.png", "fig5.svg"]
    assert first.finish() == names
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert list(manifest) == names
    expected = {"notebook": "01_first", "dataset": "made-up", "profile": "smoke", "seeds": [1111, 1112]}
    expected |= {"data": first.dataset.fingerprint, "versions": versions()}
    for name, entry in manifest.items():
        assert entry["sha256"] == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert 0 <= entry["seconds"] < 60
        assert expected.items() <= entry.items()


def test_manifest_merges_notebooks_and_replaces_entries(notebook: Callable[[str], Outputs], tmp_path: Path) -> None:
    for name, figures in (("02_second", ["fig6"]), ("01_first", ["fig4", "fig5"]), ("01_first", ["fig5"])):
        made = notebook(name)
        for figure in figures:
            made.figure(drawn(1, 2), figure, [])
        made.finish()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    pictures = {name: entry["notebook"] for name, entry in manifest.items() if name.endswith("png")}
    assert pictures == {"fig5.png": "01_first", "fig6.png": "02_second"}  # fig4 is written no more
    assert list(manifest) == sorted(manifest)
