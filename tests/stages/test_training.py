"""Seeds, losses, the optimizer's groups, clipping by hand, and checkpoints that hold no code."""

from __future__ import annotations

import logging
import math
import os
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, load_model
from torch import nn

from mugkit.config import Network, Optimization
from mugkit.errors import UserError
from mugkit.nets.mug import MUGNetwork
from mugkit.nets.text import TextEncoder
from mugkit.stages import training
from mugkit.stages.training import Checkpoint, save_weights


def test_derive_seed_is_checksum_of_purpose() -> None:
    # The same on every machine and in every process, unlike hash().
    assert training.derive_seed(1111, "meta", "a", 3) == zlib.crc32(b"(1111, 'meta', 'a', 3)")


def test_derive_seed_differs_by_seed_name_and_order() -> None:
    names = [(1111,), (1112,), (1111, "a"), (1111, "v"), (1111, "a", "v"), (1111, "v", "a"), (1111, 1), (1111, "1")]
    assert len({training.derive_seed(*name) for name in names}) == len(names)


def test_generator_repeats_and_leaves_global_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again = (torch.randn(3, generator=training.generator(1, "noise", 2)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)


def test_shuffled_holds_every_clip_once_in_another_order_each_epoch() -> None:
    orders = [training.shuffled(50, 1111, epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in [*orders, range(50)]}) == 4
    assert training.shuffled(50, 1111, 0).tolist() == orders[0]
    assert training.shuffled(50, 1112, 0).tolist() != orders[0]


def test_l1_by_hand() -> None:
    # |−1 − 0.5|, |2 − 2|, |3 + 1| over three clips
    assert training.l1(torch.tensor([0.5, 2.0, -1.0]), torch.tensor([-1.0, 2.0, 3.0])).item() == pytest.approx(5.5 / 3)


def test_choose_device_auto_and_named() -> None:
    assert training.choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert training.choose_device("cpu") == torch.device("cpu")


def test_cpu_threads_are_restored_after_error() -> None:
    before = torch.get_num_threads()
    inside = []

    def fail() -> None:
        with training.cpu_threads(before + 1):
            inside.append(torch.get_num_threads())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside == [before + 1]
    assert torch.get_num_threads() == before
    with training.cpu_threads(0):
        assert torch.get_num_threads() == before


# --- the optimizer


class Encoder(nn.Module):
    """The least that `TextEncoder` asks of an encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(model_type="bert")
        self.embedding = nn.Embedding(10, 6)


def network(trained: bool) -> MUGNetwork:
    encoder = TextEncoder(Encoder(), "first") if trained else None
    return MUGNetwork(Network(d_a=8, d_v=8, fusion_width=16), {"a": 5, "v": 4}, 6, encoder)


@pytest.mark.parametrize(("given", "text_rate"), [(None, 1e-3), (5e-5, 5e-5), (0.0, 0.0)])
def test_adamw_text_encoder_has_group_of_its_own(given: float | None, text_rate: float) -> None:
    net = network(trained=True)
    config = Optimization(learning_rate=1e-3, text_learning_rate=given, weight_decay=0.2)
    other, text = training.adamw(net, config).param_groups
    assert [id(p) for p in text["params"]] == [id(p) for p in net.language.encoder.parameters()]
    assert len(other["params"]) + len(text["params"]) == len(list(net.parameters()))
    assert (other["lr"], text["lr"]) == (1e-3, text_rate)
    assert other["weight_decay"] == text["weight_decay"] == 0.2


def test_adamw_frozen_text_has_one_group_with_every_parameter() -> None:
    net = network(trained=False)
    (group,) = training.adamw(net, Optimization()).param_groups
    assert {id(p) for p in group["params"]} == {id(p) for p in net.parameters()}


def test_adamw_first_step_by_hand() -> None:
    # Decoupled decay: w(1 − lr·wd), then lr·g/(|g| + ε) because both moments are bias-corrected to g and g².
    layer = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(layer.weight, 2.0)
    optimizer = training.adamw(layer, Optimization(learning_rate=0.1, weight_decay=0.5))
    training.step(layer, optimizer, 0.3 * layer.weight.sum(), clip_norm=100.0)
    assert layer.weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1 * 0.3 / (0.3 + 1e-8), abs=1e-9)


# --- one update


def descend(clip_norm: float, scale: float = 1.0) -> tuple[float, list[float]]:
    """w = (3, 4), L = ½·scale·w², plain gradient descent with rate 1: what the clipped gradient leaves of w."""
    layer = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0]]))
    loss = 0.5 * scale * layer.weight.square().sum()
    value = training.step(layer, torch.optim.SGD(layer.parameters(), lr=1.0), loss, clip_norm)
    return value.item(), layer.weight[0].tolist()


def test_step_gradient_below_norm_is_not_clipped() -> None:
    value, weight = descend(clip_norm=10.0, scale=0.1)  # gradient (0.3, 0.4)
    assert value == pytest.approx(1.25)
    assert weight == pytest.approx([2.7, 3.6])


def test_step_gradient_above_norm_is_scaled_to_it() -> None:
    _, weight = descend(clip_norm=1.0)  # gradient (3, 4) of norm 5 becomes (0.6, 0.8)
    assert weight == pytest.approx([2.4, 3.2], abs=1e-5)


def test_step_forgets_gradients_of_earlier_steps() -> None:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.grad = torch.full((1, 1), 1e6)
    nn.init.constant_(layer.weight, 1.0)
    training.step(layer, torch.optim.SGD(layer.parameters(), lr=1.0), 0.25 * layer.weight.sum(), 10.0)
    assert layer.weight.item() == pytest.approx(0.75)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_step_loss_not_finite_is_user_error_and_changes_nothing(value: float) -> None:
    layer = nn.Linear(1, 1)
    before = layer.weight.item()
    with pytest.raises(UserError, match="learning_rate"):
        training.step(layer, torch.optim.SGD(layer.parameters(), lr=1.0), layer.weight.sum() * value, 1.0)
    assert layer.weight.item() == before


# --- progress and checkpoints


def test_progress_off_is_the_items_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUGKIT_PROGRESS", "0")
    items = [1, 2]
    assert training.progress(items, "x") is items


def test_progress_in_log_draws_nothing(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("MUGKIT_PROGRESS", raising=False)
    monkeypatch.delitem(os.sys.modules, "ipykernel", raising=False)
    assert list(training.progress([1, 2, 3], "x")) == [1, 2, 3]
    assert capfd.readouterr() == ("", "")


def test_checkpoint_without_path_keeps_nothing() -> None:
    Checkpoint().save({"epoch": 1})
    assert Checkpoint().load() is None


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "deeper" / "checkpoint.pt")
    assert checkpoint.load() is None
    for epoch in (1, 2):
        checkpoint.save({"network": {"w": torch.tensor([1.0, epoch])}, "history": [{"epoch": epoch}]})
    state = checkpoint.load()
    assert state is not None
    assert state["history"] == [{"epoch": 2}]
    assert torch.equal(state["network"]["w"], torch.tensor([1.0, 2.0]))
    assert [p.name for p in (tmp_path / "deeper").iterdir()] == ["checkpoint.pt"]


def test_checkpoint_within_its_pause_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, kept = 100.0, []
    monkeypatch.setattr(training.time, "monotonic", lambda: now)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", pause=2.0)
    for now in (100.0, 101.9, 102.0, 103.0, 104.5):
        checkpoint.save({"moment": now})
        kept.append((checkpoint.load() or {})["moment"])
    assert kept == [100.0, 100.0, 102.0, 102.0, 104.5]


def test_checkpoint_of_a_part_lies_beside_it_with_the_same_pause(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "checkpoint.pt", 2.0).part("a") == Checkpoint(tmp_path / "a-checkpoint.pt", 2.0)
    assert Checkpoint(pause=2.0).part("a") == Checkpoint(pause=2.0)


class Payload:
    """What a tampered checkpoint could hold: reading it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_checkpoint_with_code_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    checkpoint.save({"history": Payload(tmp_path / "owned")})  # its checksum is right
    with caplog.at_level(logging.WARNING):
        assert checkpoint.load() is None
    assert "Weights only load failed" in caplog.text
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_checkpoint_damaged_is_told_and_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    path = tmp_path / "checkpoint.pt"
    Checkpoint(path).save({"weights": torch.ones(64)})
    content = bytearray(path.read_bytes())
    content[content.index(torch.ones(64).numpy().tobytes())] ^= 1
    changed = {"truncate": content[: len(content) // 2], "flip": content, "empty": b""}
    path.write_bytes(changed[damage])
    with caplog.at_level(logging.WARNING):
        assert Checkpoint(path).load() is None
    assert f"{path}: damaged" in caplog.text


def test_similar_lengths_every_clip_once_none_dropped() -> None:
    lengths = torch.tensor([5, 1, 9, 3, 7, 2, 8, 4, 6, 5, 1])
    batches = training.similar_lengths(lengths, batch_size=2, seed=3, epoch=0, span=2)
    assert sorted(torch.cat(batches).tolist()) == list(range(11))
    assert sorted(len(batch) for batch in batches) == [1, 2, 2, 2, 2, 2]


def test_similar_lengths_one_span_sorts_by_length() -> None:
    # With all clips in one span, batches are runs of the sorted lengths, in some order.
    lengths = torch.tensor([5, 1, 9, 3, 7, 2, 8, 4])
    batches = training.similar_lengths(lengths, batch_size=2, seed=3, epoch=0, span=8)
    assert sorted(sorted(lengths[batch].tolist()) for batch in batches) == [[1, 2], [3, 4], [5, 7], [8, 9]]


def test_similar_lengths_epochs_and_seeds_differ_and_repeat() -> None:
    def drawn(seed: int, epoch: int) -> list[list[int]]:
        return [b.tolist() for b in training.similar_lengths(torch.arange(40) % 5, 4, seed, epoch)]

    assert drawn(1, 0) == drawn(1, 0)
    assert drawn(1, 0) != drawn(1, 1)
    assert drawn(1, 0) != drawn(2, 0)


class Shared(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, 3), nn.Linear(3, 3)
        self.other.weight = self.one.weight


def test_save_weights_writes_shared_ones_once_and_they_load_back(tmp_path: Path) -> None:
    network = Shared()
    save_weights(network, tmp_path / "weights.safetensors")
    assert set(load_file(tmp_path / "weights.safetensors")) == {"one.weight", "one.bias", "other.bias"}
    again = Shared()
    load_model(again, tmp_path / "weights.safetensors")
    assert all(torch.equal(again.state_dict()[name], values) for name, values in network.state_dict().items())
    assert again.other.weight is again.one.weight


def test_save_weights_equal_weights_are_equal_bytes(tmp_path: Path) -> None:
    network, again = Shared(), Shared()
    again.load_state_dict(network.state_dict())
    save_weights(network, tmp_path / "one")
    save_weights(again, tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
