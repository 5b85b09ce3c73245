"""The notebooks' lines about time and memory: measured on a kernel, and kept to what was measured."""

from pathlib import Path

import costs
import nbformat
import pytest
from made_up import make_dataset
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mugkit import files
from mugkit.data import store
from mugkit.reproduction.reproduce import notebooks

FIGURE = "from IPython.display import Image, display; display(Image(data=b'\\x89PNG\\r\\n\\x1a\\n', format='png'))"


def written(path: Path, *code: str) -> Path:
    cells = [new_markdown_cell("# A title\n\nTakes about 9 s and 9 MB."), *map(new_code_cell, code)]
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.mark.slow
def test_measure_tells_time_memory_computing_and_when_the_first_figure_was_there(tmp_path: Path) -> None:
    hold, sleep = "held = bytearray(b'x') * 400_000_000", "import time; time.sleep(1)"
    large = written(tmp_path / "large.ipynb", hold, sleep, FIGURE, "sum(range(10**8))", FIGURE)
    found = costs.measure(large, tmp_path / "home")
    less = costs.measure(written(tmp_path / "small.ipynb", sleep), tmp_path / "home")
    assert 300 < found["megabytes"] - less["megabytes"] < 900
    assert 1 <= found["figure"] < found["seconds"] - 0.5
    assert found["processor"] > 0.5
    with pytest.raises(CellExecutionError, match="AssertionError"):
        costs.measure(written(tmp_path / "fails.ipynb", "assert False"), tmp_path)


@pytest.mark.slow
def test_first_starts_from_the_data_alone_and_fails_when_it_is_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(make_dataset(), files.data_home() / "made-up")
    only = "import os, pathlib; assert [p.name for p in pathlib.Path(os.environ['MUGKIT_HOME']).iterdir()] == ['data']"
    path = written(tmp_path / "n.ipynb", only, FIGURE)
    assert costs.first(path, "made-up").startswith("n: first figure after ")
    monkeypatch.setattr(costs, "SOON", 0.0)
    with pytest.raises(SystemExit, match=r"last cell after .*: later than 0 s"):
        costs.first(path, "made-up")


def test_rewrite_rounds_up_and_changes_the_first_cells_paragraph_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "n.ipynb", "1 + 1")
    expected = nbformat.read(path, as_version=4)
    costs.rewrite([path], {"notebooks": {"n": {"processor": 41.2, "megabytes": 611}}})
    after = nbformat.read(path, as_version=4)
    assert after.cells[0].source.startswith("# A title\n\nTakes about 45 s of processor time and 700 MB")
    expected.cells[0].source = after.cells[0].source
    assert after == expected


def test_every_notebook_says_what_was_measured() -> None:
    record = files.read_json(notebooks()[0].parent / costs.NAME)
    for path in notebooks():
        said = costs.line(record["notebooks"][path.stem])
        first = nbformat.read(path, as_version=4).cells[0].source
        assert (said in first, first.count("Takes about")) == (True, 1), f"{path.stem}: `python .ci/upkeep/costs.py`"
