"""bfloat16 while training: close to float32; weights and all behind the encoder float32. Compiled where that works."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import make_dataset
from small import tiny_bert, tiny_t5

from mugkit.config import RunSpec
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import Dataset
from mugkit.experiments.registry import Experiment
from mugkit.experiments.run_store import Store
from mugkit.models import precision
from mugkit.models.mug import build
from mugkit.training import pretrain
from mugkit.training.optim import step

# 8 bits of mantissa: one rounding is 2⁻⁹ of a value. Two layers and a head leave about 1 % of a loss.
TOLERANCE = 0.02


DATA = make_dataset((24, 8, 8))


def work(system: str, data: Dataset, folder: Path, **changes: Any) -> Experiment:
    """A run whose tiny text encoder is trained."""
    name = folder / "encoder"
    if not name.exists():
        (tiny_t5 if system in ("mug-t5", "unimse") else tiny_bert)(name)
    given = {"text_encoder": str(name), "freeze_text": False, **changes}
    spec = RunSpec(system, "made-up", 1, "smoke", changes=tuple(sorted(given.items())))
    return Experiment(spec, data, Store(folder), "cpu")


def first_loss(todo: Experiment) -> tuple[torch.Tensor, Any, set[torch.dtype]]:
    """The loss of the first batch, from the same weights every time; in what the encoder's linear layers computed."""
    clips = ClipLoader(todo.dataset.train, todo.hp.network, "cpu", todo.level)
    torch.manual_seed(0)
    network, objective = todo.builder()(clips)
    network.train()
    objective.begin_epoch(clips, 0, 1)
    seen: set[torch.dtype] = set()
    for module in network.language.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda _module, _inputs, output: seen.add(output.dtype))
    torch.manual_seed(0)
    return objective.loss(clips.batch(torch.arange(16)), 0), network, seen


@pytest.mark.parametrize("system", ["copy", "self-mm", "mult", "misa", "aobert", "unimse"])
def test_loss_in_bfloat16_agrees_with_float32(system: str, tmp_path: Path) -> None:
    exact, _, single = first_loss(work(system, DATA, tmp_path))
    rounded, network, half = first_loss(work(system, DATA, tmp_path, precision="bfloat16"))
    assert exact.dtype == rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(exact.item(), rel=TOLERANCE)
    assert (torch.bfloat16 in half, torch.bfloat16 in single) == (True, False)
    step(network, torch.optim.SGD(network.parameters(), lr=0.1), rounded, 1.0)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in network.parameters() if p.grad is not None} == {torch.float32}


def test_without_training_everything_is_float32(tmp_path: Path) -> None:
    """Validation, test and what stage 1 saves are the same in either configuration."""
    hp = work("copy", DATA, tmp_path).hp
    exact, rounded = (replace(hp.network, precision=name) for name in ("float32", "bfloat16"))
    clips, saved = ClipLoader(DATA.train, exact), []
    for config in (exact, rounded):
        torch.manual_seed(0)
        saved.append(pretrain.save_representations(build(config, DATA.dims, 0), clips))
    assert torch.equal(saved[0].unimodal["l"], saved[1].unimodal["l"])
    assert torch.equal(saved[0].projected["v"], saved[1].projected["v"])


def test_compile_that_does_not_work_is_told_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: object) -> object:
        raise RuntimeError("no C++ compiler\nand much more")

    assert precision.why_not_compiled(fails) == "RuntimeError: no C++ compiler"
    monkeypatch.setattr(precision, "why_not_compiled", lambda: "no C++ compiler")
    with caplog.at_level(logging.WARNING):
        loss, _, _ = first_loss(work("copy", DATA, tmp_path, compile=True))
    assert "not compiled: no C++ compiler" in caplog.text
    assert loss.item() == first_loss(work("copy", DATA, tmp_path))[0].item()


@pytest.mark.slow
@pytest.mark.skipif(bool(precision.why_not_compiled()), reason="torch.compile does not work on this machine")
def test_compiled_encoder_gives_the_same_gradients(tmp_path: Path) -> None:
    gradients = []
    for compiled in (False, True):
        todo = work("copy", DATA, tmp_path, compile=compiled)
        clips = ClipLoader(DATA.train, todo.hp.network)
        torch.manual_seed(0)
        network, _ = todo.builder()(clips)
        assert precision.is_compiled(network.language.encoder.encoder) is compiled
        network.eval()  # no dropout: compiled, it draws other numbers
        network(clips.batch(torch.arange(16))).sum().backward()
        found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        gradients.append({name: grad for name, grad in found.items() if ".pooler." not in name})  # read by nobody
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.allclose(grad, gradients[1][name], atol=1e-5) for name, grad in gradients[0].items())
