"""learn2learn's MAML is the real one, comes without torchvision and gym, and is missed politely."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import pytest
import torch
from torch import nn

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


@pytest.mark.parametrize("first_order", [False, True])
def test_maml_meta_gradient_of_a_square_by_hand(first_order: bool) -> None:
    # L = ½w², w′ = w − αw, L_post = ½w′²: the gradient is (1 − α)²w, and (1 − α)w if the step is forgotten.
    module = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(module.weight, 3.0)
    learner = maml.MAML(module, lr=0.2, first_order=first_order)
    clone = learner.clone()
    clone.adapt(0.5 * next(clone.parameters()).square().sum())
    (gradient,) = torch.autograd.grad(0.5 * next(clone.parameters()).square().sum(), list(learner.parameters()))
    assert gradient.item() == pytest.approx(0.8 * 3 if first_order else 0.64 * 3, abs=1e-12)
