"""learn2learn's MAML is the real one, comes without torchvision and gym, and is missed politely."""

import importlib
import importlib.util
import subprocess
import sys

import pytest

from mugkit.training import maml

PROBE = """
import sys
import mugkit.training.maml
heavy = {"torchvision", "gym", "gymnasium", "qpth", "cvxpy"} & {name.split(".")[0] for name in sys.modules}
print(sorted(heavy), mugkit.training.maml.MAML.__module__, "learn2learn.vision" in sys.modules)
"""


def test_maml_is_learn2learns_and_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] learn2learn.algorithms.maml False"


def test_maml_module_can_be_imported_again() -> None:
    # %autoreload in a notebook does this.
    again = importlib.reload(maml)
    assert again.MAML.__module__ == "learn2learn.algorithms.maml"


def test_maml_missing_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="make setup"):
        maml._import_maml()
