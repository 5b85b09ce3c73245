"""What a card does: a training step with BERT-base against the card's own matrix products, and what a table would take.

Written to `gpu.json`, which names the device: absolute times say nothing without it. Batches of 32 clips have MOSI's
token lengths; the encoder has bert-base's shape and random weights, which cost what trained ones do.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import hours, paper_size
from benchmarks.clips import mosi_lengths
from benchmarks.counting import count
from mugkit import files
from mugkit.errors import UserError
from mugkit.experiments.store import versions
from mugkit.training.seeding import similar_lengths

NAME = hours.GPU
PRECISIONS = ("float32", "bfloat16")
SYSTEM = "copy"  # stage 3 of MUG: labels that lie ready cost what learned ones do


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        clips: of made-up data, in batches of Table 2's size.
        encoder: text encoder of the steps.
        vocabulary: of that encoder.
        matrix: rows and columns of the matrices multiplied for the card's ceiling.
        rounds: over all batches.
    """

    clips: int = 320
    encoder: str = "random-bert-base"
    vocabulary: int = paper_size.VOCABULARY
    matrix: int = 8192
    rounds: int = 5


def card() -> torch.device:
    """The first GPU.

    Raises:
        UserError: there is none.
    """
    if not torch.cuda.is_available():
        fix = "run it on a machine with a GPU (`mugkit doctor` says what torch finds); all else runs without one"
        raise UserError("torch finds no GPU here", field="--gpu", fix=fix)
    return torch.device("cuda")


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Until the device has done it."""
    _finish(device)
    started = time.perf_counter()
    work()
    _finish(device)
    return time.perf_counter() - started


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ceiling(device: torch.device, dtype: torch.dtype, size: int, rounds: int = 10) -> float:
    """FLOPs a second in products of square matrices, the best of some."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    torch.mm(a, b)
    return 2.0 * size**3 / min(seconds(lambda: torch.mm(a, b), device) for _ in range(rounds))


def launch(device: torch.device, operators: int = 2000) -> float:
    """Seconds from one small operator to the next."""
    x = torch.zeros(1, device=device)

    def chain() -> None:
        for _ in range(operators):
            x.add_(1)

    chain()
    return min(seconds(chain, device) for _ in range(3)) / operators


def step(make: Callable[..., paper_size.Step], precision: str, device: torch.device, size: Size) -> dict[str, float]:
    """A stage's training step: median seconds and FLOPs of a batch; the batches are made beforehand."""
    tokens = [int(length) for length in mosi_lengths(size.clips).round()]
    todo = paper_size.work(
        SYSTEM, paper_size.made("mosi", tokens), str(device), text_encoder=size.encoder, precision=precision
    )
    clips = paper_size.Tokenised(todo.dataset.train, paper_size.token_ids(tokens, size.vocabulary), device)
    order = similar_lengths(clips.lengths, todo.hp.optimization.batch_size, 1, 0)
    one, batches = make(todo, clips), [clips.batch(index) for index in order]

    def epoch() -> None:
        for batch in batches:
            one(batch)

    flops = count(epoch).flops / len(batches)  # and so they are warm
    each = [seconds(epoch, device) / len(batches) for _ in range(size.rounds)]
    return {"seconds": statistics.median(each), "flops": flops, "batch": todo.hp.optimization.batch_size}


def measure(device: torch.device, size: Size | None = None) -> dict[str, Any]:
    """The card's ceilings, steps of stages 1 and 3 in both precisions, and the share of the ceiling they reach."""
    size = size or Size()
    tops = {name: ceiling(device, getattr(torch, name), size.matrix) for name in PRECISIONS}
    steps = {}
    for name, make in (("stage 1", paper_size.stage_1), ("stage 3", paper_size.stage_3)):
        for precision in PRECISIONS:
            found = step(make, precision, device, size)
            share = found["flops"] / found["seconds"] / tops[precision]
            steps[f"{name}, {precision}"] = found | {"share_of_ceiling": share}
    device_name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    best = min(PRECISIONS, key=lambda name: steps[f"stage 3, {name}"]["seconds"])
    fastest = steps[f"stage 3, {best}"]
    return {
        "device": device_name, "versions": versions(), "ceiling_flops": tops, "launch_seconds": launch(device),
        "steps": steps, "precision": best, "step_flops": fastest["flops"] / fastest["seconds"],
    }  # fmt: skip


def table_hours(found: dict[str, Any], figures: Path) -> float | None:
    """Hours that all systems of the tables with all seeds would take on MOSI; None where steps are not counted."""
    table = hours.of_mosi(figures, found["step_flops"], found["launch_seconds"])
    return None if table is None else float(table["total"])


def write(figures: Path) -> dict[str, Any]:
    """Measures the first GPU and writes `gpu.json`.

    Raises:
        UserError: there is no GPU.
    """
    found = measure(card())
    found["mosi_table_hours"] = table_hours(found, figures)
    files.write_json(figures / NAME, found)
    return found
