"""Runs a notebook's cells in this process with IPython alone: machines with a card seldom have Jupyter's kernels.

python tests/gpu/cells.py notebooks/06_stage3_joint_training.ipynb '{"profile": "smoke"}'
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from IPython.core.interactiveshell import InteractiveShell

PEAK = "peak bytes on the card:"


def run(path: Path, parameters: dict[str, Any]) -> None:
    """All code cells in order, parameters put in place after the first; the first error ends it."""
    shell = InteractiveShell.instance()
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells):
        shell.run_cell("".join(cell["source"])).raise_error()
        if number == 0:
            shell.push(parameters)


if __name__ == "__main__":
    run(Path(sys.argv[1]), json.loads(sys.argv[2]))
    print(PEAK, torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0)
