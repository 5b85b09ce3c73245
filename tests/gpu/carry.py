"""What a GPU machine without this repository's environment may lack, copied out of an environment that has it.

python tests/gpu/carry.py .mugkit/carried   # here, after `make setup`: 10 MB, no compiled code, no network
PYTHONPATH=.:.mugkit/carried python tests/gpu/check.py   # there

Copied are learn2learn, IPython, jaxtyping and all they require, as far as they are Python alone; what is compiled
(torch, numpy, pandas) has to be there. Wheels of the same names, unpacked, serve as well.
"""

import re
import shutil
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

NAMES = ("learn2learn", "ipython", "jaxtyping")
COMPILED = (".so", ".pyd", ".dylib", ".c", ".pyx")
ALONE = {"learn2learn"}  # declares what MAML never imports
# Not all of sys.path: some packages put copies of others on it while they run, without all of their files.
INSTALLED = list(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))
LEFT_OUT = {"jedi"}  # completes words at a prompt; most of IPython's bytes


def carry(folder: Path) -> list[str]:
    """Copies them into a folder to be put on PYTHONPATH; returns their names.

    What is not installed is for another platform or version of Python.
    """
    carried, waiting, seen = [], list(NAMES), set(LEFT_OUT)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        found = next(iter(metadata.distributions(name=name, path=INSTALLED)), None)
        if found is None or name in seen:
            continue
        seen.add(name)
        paths = list(found.files or ())
        if name not in ALONE:
            if any(path.suffix in COMPILED for path in paths):
                continue
            lines = [line for line in found.requires or () if "extra ==" not in line]
            waiting += [match[0] for line in lines if (match := re.match(r"[\w.-]+", line))]
        for path in paths:
            if path.parts[0] not in ("..", "tests") and "__pycache__" not in path.parts and path.suffix not in COMPILED:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(str(found.locate_file(path))), folder / path)
        carried.append(f"{found.name} {found.version}")
    return sorted(carried)


if __name__ == "__main__":
    print("\n".join(carry(Path(sys.argv[1]))))
