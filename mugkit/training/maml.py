"""learn2learn's MAML, without the rest of learn2learn.

`import learn2learn` pulls in its vision and reinforcement-learning subpackages, which need torchvision and gym.
MAML needs neither. Once empty packages are registered, Python can import the one submodule from its folder.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path


def _import_maml() -> type:
    spec = importlib.util.find_spec("learn2learn")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("learn2learn is not installed: run `make setup`")
    folder = Path(next(iter(spec.submodule_search_locations)))
    for name, place in (("learn2learn", folder), ("learn2learn.algorithms", folder / "algorithms")):
        package = types.ModuleType(name)  # its `__init__` is not run
        package.__path__ = [str(place)]
        package.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        package.__spec__.submodule_search_locations = [str(place)]
        sys.modules.setdefault(name, package)
    # `learn2learn.utils` is imported normally: MAML's clone_module and update_module live there.
    return importlib.import_module("learn2learn.algorithms.maml").MAML


MAML = _import_maml()
