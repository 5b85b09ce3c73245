"""What papermill's and nbconvert's users do with a notebook on the command line, from any folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up import make_dataset

from mugkit.data import store
from mugkit.reproduction.kernels import finished

ROOT = Path(__file__).resolve().parents[2]
STAGE_2 = ROOT / "notebooks" / "05_stage2_meta_learning.ipynb"


def command(*arguments: object, folder: Path) -> None:
    """Runs `python -m …` as from a shell in `folder`."""
    environment = os.environ | {"MUGKIT_PROGRESS": "0", "HF_HUB_OFFLINE": "1"}
    environment.pop("MUGKIT_OUT", None)
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True], ids=["repository", "another folder"])
def test_papermill_and_nbconvert_work_from_any_folder(
    elsewhere: bool, mugkit_home: Path, tmp_path: Path
) -> None:
    store.save(make_dataset(), mugkit_home / "data" / "made-up")
    folder = tmp_path if elsewhere else ROOT
    named = os.path.relpath(STAGE_2, folder)
    # Papermill runs a kernel where papermill was started, so a relative folder is a folder below there.
    out = os.path.relpath(tmp_path / "results", folder)
    executed = tmp_path / "executed.ipynb"
    parameters = {"profile": "smoke", "dataset": "made-up", "out": out}
    given = [part for name, value in parameters.items() for part in ("-p", name, value)]
    command("papermill", named, executed, *given, "--no-progress-bar", folder=folder)
    assert finished(executed)
    assert (tmp_path / "results" / "stage2.png").is_file()
    command("nbconvert", "--to", "html", executed.name, folder=tmp_path)
    page = executed.with_suffix(".html").read_text(encoding="utf-8")
    assert "finished: 05_stage2_meta_learning" in page
    assert 'src="data:image/png;base64,' in page
