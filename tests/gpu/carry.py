"""What a GPU machine without this repository's environment may lack, copied out of an environment that has it.

python tests/gpu/carry.py .mugkit/carried   # here, after `make setup`: 10 MB, no compiled code, no network
PYTHONPATH=.:.mugkit/carried python tests/gpu/check.py   # there

Copied are the packages named (default: learn2learn, IPython, jaxtyping) and all they require, as far as they are Python
alone; what is compiled (torch, numpy, pandas) has to be there. Wheels of the same names, unpacked, serve as well.
"""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

NAMES = ("learn2learn", "ipython", "jaxtyping")
COMPILED = (".so", ".pyd", ".dylib", ".c", ".pyx")
ALONE = {"learn2learn"}  # declares what MAML never imports
# Not all of sys.path: some packages put copies of others on it while they run, without all of their files.
INSTALLED = list(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))
LEFT_OUT = {"jedi"}  # completes words at a prompt; most of IPython's bytes


def required(names: Sequence[str]) -> Iterator[metadata.Distribution]:
    """The distributions of these names and what they require, without what holds compiled code."""
    waiting, seen = list(names), set(LEFT_OUT)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        found = next(iter(metadata.distributions(name=name, path=INSTALLED)), None)
        if found is None:
            if name in names:
                raise metadata.PackageNotFoundError(name)
            continue  # for another platform or version of Python
        if name in ALONE or not any(path.suffix in COMPILED for path in found.files or ()):
            yield found
            waiting += [] if name in ALONE else _requirements(found)


def _requirements(found: metadata.Distribution) -> list[str]:
    lines = [line for line in found.requires or () if "extra ==" not in line]
    return [match[0] for line in lines if (match := re.match(r"[\w.-]+", line))]


def carry(folder: Path, names: Sequence[str] = NAMES) -> list[str]:
    """Copies them into a folder to be put on PYTHONPATH; returns their names."""
    carried = []
    for found in required(names):
        for path in found.files or ():
            if path.parts[0] in ("..", "tests") or "__pycache__" in path.parts or path.suffix in COMPILED:
                continue
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(str(found.locate_file(path))), target)
        carried.append(f"{found.name} {found.version}")
    return sorted(carried)


if __name__ == "__main__":
    print("\n".join(carry(Path(sys.argv[1]), sys.argv[2:] or NAMES)))
