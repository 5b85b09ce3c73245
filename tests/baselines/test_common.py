"""Every baseline: padding changes nothing, inputs are read, clips learned by heart, all of it trained."""

from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pytest
import torch
from made_up import make_dataset
from small import small, tiny_bert, tiny_t5
from torch import Tensor, nn

from mugkit.baselines.base import Shapes
from mugkit.config import Network
from mugkit.data.batch import Padded
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import FRAME_MODALITIES, Dataset
from mugkit.data.text import load_encoder
from mugkit.experiments.registry import SYSTEMS, System, import_attribute
from mugkit.training.joint import JointObjective
from mugkit.training.label_sources import source
from mugkit.training.trainer import Objective

BASELINES = {system.name: system for system in SYSTEMS.values() if system.baseline or system.network}
MUG = SYSTEMS["copy"]
WIDTH = 24
every = pytest.mark.parametrize("system", BASELINES.values(), ids=BASELINES)
every_and_mug = pytest.mark.parametrize("system", [MUG, *BASELINES.values()], ids=["mug", *BASELINES])


DATASET = make_dataset((32, 16, 8))


def made(system: System, dataset: Dataset, config: Network | None = None) -> tuple[nn.Module, Objective]:
    """A network of the light sizes and what it minimises: its own loss, or Eq. 27 on copied labels.

    Args:
        config: names a text encoder to be trained along.
    """
    torch.manual_seed(0)
    dims = dataset.dims
    if not system.baseline:
        module = resolve_name(f"mugkit.baselines.{system.network}" if system.network else "mugkit.models.mug")
        sizes = [module.sizes("mosi", True)] if system.network else []
        network = module.build(config or small().network, dims, WIDTH, *sizes)
        return network, JointObjective(network, source.copied(dataset), 1.0)
    encoder = config and load_encoder(config.text_encoder)
    kind = import_attribute(system.baseline)
    width = int(encoder.config.hidden_size) if encoder else WIDTH
    network = kind(Shapes(width, dims["a"], dims["v"], dataset.label_scale, "mean"), encoder, kind.light)
    return network, network


def level(system: System) -> Any:
    return import_attribute(system.baseline).level if system.baseline else system.level


def states(index: Tensor, lengths: dict[int, int]) -> Padded:
    """Token states that depend on the clip alone; clips have 3 to 9 tokens."""
    width = max(lengths[int(i)] for i in index)
    values = torch.full((len(index), width, WIDTH), 50.0)  # what stands in the padding must not matter
    mask = torch.zeros(len(index), width, dtype=torch.long)
    for row, clip in enumerate(index.tolist()):
        count = lengths[clip]
        values[row, :count] = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(clip))
        mask[row, :count] = 1
    return Padded(values, mask)


class MadeUpClips(ClipLoader):
    """Frames and labels of a split, with random token states in place of an encoder's."""

    def __init__(self, dataset: Dataset, level: str) -> None:
        self.split, self.device, self.level = dataset.train, torch.device("cpu"), level
        rng = np.random.default_rng(0)
        self.tokens = {clip: int(rng.integers(3, 10)) for clip in range(len(dataset.train))}

    @property
    def text_width(self) -> int:
        return WIDTH

    def _text(self, index: Tensor) -> Any:
        made = states(index, self.tokens)
        if self.level == "tokens":
            return made
        return (made.values * made.mask[..., None]).sum(1) / made.mask.sum(1, keepdim=True)


@every_and_mug
def test_baseline_output_does_not_depend_on_padding_or_company(system: System) -> None:
    (network, _), clips = made(system, DATASET), MadeUpClips(DATASET, level(system))
    network.eval()
    with torch.no_grad():
        together = network(clips.batch(torch.arange(12)))
        alone = torch.cat([network(clips.batch(torch.tensor([i]))) for i in range(12)])
        reversed_ = network(clips.batch(torch.arange(12).flip(0))).flip(0)
    assert together.shape == (12,)  # a column would be broadcast against the labels
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(together, reversed_, atol=2e-5, rtol=1e-4)


@every_and_mug
def test_baseline_reads_the_modalities_that_it_needs_and_no_others(system: System) -> None:
    (network, _), clips = made(system, DATASET), MadeUpClips(DATASET, level(system))
    network.eval()
    batch, other = (clips.batch(torch.arange(start, start + 16)) for start in (0, 16))
    exchanged = {"l": replace(batch, text=other.text)}
    exchanged |= {m: replace(batch, frames={**batch.frames, m: other.frames[m]}) for m in FRAME_MODALITIES}
    with torch.no_grad():
        for p in network.parameters():  # a layer that starts near zero passes next to nothing on
            p.add_(torch.randn_like(p), alpha=0.25)
        read = {m for m, mixed in exchanged.items() if not torch.equal(network(mixed), network(batch))}
    assert read == set(system.needs)


@every
def test_baseline_training_reaches_every_parameter(system: System) -> None:
    (network, objective), clips = made(system, DATASET), MadeUpClips(DATASET, level(system))
    objective.begin_epoch(clips, 0, 1111)
    seen: set[str] = set()
    for epoch in range(2):
        batch = clips.batch(torch.arange(15))  # odd: with half of an even number on either side of ŷ, L1 cancels
        objective.before_step(batch, epoch)
        network.zero_grad(set_to_none=True)
        objective.loss(batch, epoch).backward()
        seen |= {name for name, p in network.named_parameters() if p.grad is not None and bool(p.grad.any())}
    unreached = {name for name, p in network.named_parameters() if p.requires_grad} - seen
    assert unreached <= set(getattr(network, "trained_apart", ())), f"never trained: {sorted(unreached)}"


@every
def test_baseline_learns_sixteen_clips_by_heart(system: System) -> None:
    (network, objective), clips = made(system, DATASET), MadeUpClips(DATASET, level(system))
    batch = clips.batch(torch.arange(16))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)

    def error() -> float:
        with torch.no_grad():
            return (network.eval()(batch) - batch.labels).abs().mean().item()

    before = error()
    for epoch in range(200):
        network.train()
        if epoch < 2:
            objective.begin_epoch(clips, epoch, 1111)
        objective.before_step(batch, epoch)
        optimizer.zero_grad()
        objective.loss(batch, epoch).backward()
        optimizer.step()
        objective.after_step(batch, epoch)
        if error() < 0.25 * before:
            return
    raise AssertionError(f"error went from {before:.3f} to {error():.3f} only")


@every_and_mug
def test_baseline_trains_a_text_encoder(system: System, tmp_path: Path) -> None:
    folder = (tiny_t5 if system.t5 else tiny_bert)(tmp_path / "encoder")
    config = small(text_encoder=str(folder), freeze_text=False).network
    (network, objective), clips = made(system, DATASET, config), ClipLoader(DATASET.train, config, level=level(system))
    objective.begin_epoch(clips, 0, 1111)
    batch = clips.batch(torch.arange(6))
    objective.before_step(batch, 0)
    objective.loss(batch, 0).backward()
    reached = [p for n, p in network.named_parameters() if n.startswith("language.encoder.") and p.grad is not None]
    assert any(bool(p.grad.any()) for p in reached)


@pytest.mark.parametrize(
    ("name", "dims", "count"),  # dims of words, sound and video; numbers worked out layer by layer from the papers
    [
        ("tfn", (300, 74, 35), 18_242_785),
        ("lmf", (300, 74, 35), 231_681),
        ("mfn", (300, 5, 20), 413_233),
        ("mfm", (300, 5, 20), 684_310),
        ("graph-mfn", (768, 5, 20), 543_572),
        ("mult", (768, 74, 47), 1_569_481),
        ("cubemlp", (768, 74, 47), 1_057_715),
    ],
)
def test_baseline_has_as_many_parameters_as_published_sizes_give(name: str, dims: tuple, count: int) -> None:
    kind = import_attribute(SYSTEMS[name].baseline)
    network = kind(Shapes(*dims), None, kind.Config())
    assert sum(p.numel() for p in network.parameters()) == count


def test_baselines_do_not_import_each_other() -> None:
    folder = Path(__file__).resolve().parents[2] / "mugkit" / "baselines"
    for path in folder.glob("*.py"):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "mugkit.baselines" in line]
        others = [line for line in lines if "baselines.base" not in line]
        assert path.name in ("base.py", "__init__.py") or not others, f"{path.name}: {others}"
