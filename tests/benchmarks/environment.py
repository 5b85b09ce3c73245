"""MMSA's own environment, made once below mugkit's home.

MMSA and what only MMSA needs are installed into it. torch and transformers are those of the environment this runs in,
by a path file: both sides compute with the same build of the same version, and nothing large is fetched twice.
"""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from mugkit import files
from mugkit.errors import UserError

# MMSA asks for torch, transformers, numpy, pandas, tqdm and scikit-learn besides; those are ours.
PACKAGES = ("MMSA==2.2.1", "easydict==1.13", "nvidia-ml-py3==7.352.0")


def python() -> Path:
    """The interpreter of MMSA's environment, `home()/bench/mmsa`, which is made if it is not there yet.

    Raises:
        UserError: it cannot be made.
    """
    folder = files.home() / "bench" / "mmsa"
    folder.parent.mkdir(parents=True, exist_ok=True)
    ours = sorted({sysconfig.get_path(kind) for kind in ("purelib", "platlib")})  # where our packages lie
    recipe, done = "\n".join((*PACKAGES, sys.version, *ours)), folder / "installed.txt"
    with FileLock(folder.with_suffix(".lock")):
        if not (done.is_file() and done.read_text(encoding="utf-8") == recipe):  # another recipe makes it anew
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, ours)
            done.write_text(recipe, encoding="utf-8")  # last: half an environment is none
    return folder / "bin" / "python"


def _make(folder: Path, ours: Sequence[str]) -> None:
    beside, interpreter = Path(sys.executable).with_name("uv"), str(folder / "bin" / "python")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv is None:
        fix = "run `make setup` (or: pip install uv)"
        raise UserError("uv, which installs MMSA, is not here", field="mmsa", fix=fix)
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
    _run([uv, "pip", "install", "--quiet", "--no-deps", "--python", interpreter, *PACKAGES])
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "ours.pth").write_text("\n".join(ours) + "\n", encoding="utf-8")
    _run([interpreter, "-c", "import MMSA.trains, torch, transformers"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        fix = "connect to a package index once (it stays installed), or leave it out: --only another benchmark"
        problem = f"MMSA's environment could not be made: {Path(command[0]).name} {command[1]}: {reason}"
        raise UserError(problem, field="mmsa", fix=fix)
