"""What a card does: a training step with BERT-base against the card's own matrix products, several runs at once, and
what Table 3 would take of it.

Batches of 32 clips have MOSI's token lengths; the encoder has bert-base's shape and random weights, which cost what
trained weights do.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from benchmarks import hours, paper_size
from benchmarks.clips import mosi_lengths
from benchmarks.counting import count
from ground import REPOSITORY, Ground
from small import SPECIAL, WORDS

from mugkit import files
from mugkit.config import profile
from mugkit.evaluation import paper_tables, published
from mugkit.training.seeding import similar_lengths

Items = Callable[[Iterable[str]], Iterator[str]]
PRECISIONS = ("float32", "bfloat16")
SYSTEM = "copy"  # stage 3 of MUG: labels that lie ready cost what learned labels do
_ready: Any = None  # of a process among several: all begin to measure together


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    clips: int = 320  # of made-up data, in batches of Table 2's size
    encoder: str = "random-bert-base"
    vocabulary: int = paper_size.VOCABULARY  # of that encoder
    matrix: int = 8192  # rows and columns of the matrices multiplied for the card's ceiling
    rounds: int = 5  # over all batches


def bench(ground: Ground, within: Items) -> dict[str, Any]:
    """The card's ceilings, steps of stages 1 and 3 in both precisions, and steps of several runs side by side."""
    dry = Size(64, str(ground.encoders[False]), len(SPECIAL) + len(WORDS), matrix=64, rounds=2)
    size = dry if ground.dry else Size()
    found = measure(ground.device, size)
    counts = within([str(number) for number in ground.scale.at_once])
    several = {number: _together(ground.device, size, int(number), found["precision"]) for number in counts}
    ok = ground.dry or all(step["share_of_ceiling"] <= 1 for step in found["steps"].values())  # a CPU's mean little
    return {"measured": found, "clips_per_second_of_runs": several, "ok": ok}


def measure(device: torch.device, size: Size) -> dict[str, Any]:
    """Ceilings, steps, the share of its ceiling that each step reaches, and the faster precision of stage 3."""
    tops = {name: ceiling(device, getattr(torch, name), size.matrix) for name in PRECISIONS}
    steps = {}
    for stage, make in (("stage 1", paper_size.stage_1), ("stage 3", paper_size.stage_3)):
        for precision in PRECISIONS:
            found = step(make, precision, device, size)
            share = found["flops"] / found["seconds"] / tops[precision]
            steps[f"{stage}, {precision}"] = found | {"share_of_ceiling": share}
    best = min(PRECISIONS, key=lambda name: steps[f"stage 3, {name}"]["seconds"])
    fastest = steps[f"stage 3, {best}"]
    return {
        "ceiling_flops": tops, "launch_seconds": launch(device), "steps": steps, "precision": best,
        "step_flops": fastest["flops"] / fastest["seconds"],
    }  # fmt: skip


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Until the device has done it."""
    wait = partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


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
    dataset = paper_size.made("mosi", tokens)
    todo = paper_size.work(SYSTEM, dataset, str(device), text_encoder=size.encoder, precision=precision)
    clips = paper_size.Tokenised(dataset.train, paper_size.token_ids(tokens, size.vocabulary), device)
    order = similar_lengths(clips.lengths, todo.hp.optimization.batch_size, 1, 0)
    train, batches = make(todo, clips), [clips.batch(index) for index in order]

    def epoch() -> None:
        for batch in batches:
            train(batch)

    flops = count(epoch).flops / len(batches)  # and so they are warm
    each = [seconds(epoch, device) / len(batches) for _ in range(size.rounds)]
    return {"seconds": statistics.median(each), "flops": flops, "batch": todo.hp.optimization.batch_size}


def _together(device: torch.device, size: Size, runs: int, precision: str) -> float:
    """Clips a second of all of them; each is a process, as runs are."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(runs, context, _begin, (context.Barrier(runs),)) as pool:
        begun = [pool.submit(_clips_per_second, precision, str(device), size) for _ in range(runs)]
        return sum(run.result() for run in begun)


def _begin(ready: Any) -> None:
    global _ready
    _ready = ready
    torch.set_num_threads(1)


def _clips_per_second(precision: str, device: str, size: Size) -> float:
    def make(todo: Any, clips: Any) -> paper_size.Step:
        made = paper_size.stage_3(todo, clips)
        _ready.wait(120)
        return made

    found = step(make, precision, torch.device(device), size)
    return found["batch"] / found["seconds"]


def table3(before: dict[str, Any]) -> dict[str, Any]:
    """Hours of every system of Table 3 on MOSI with all seeds, from counted steps and the card as measured."""
    if "step_flops" not in before:
        return {"ok": True, "skipped": "needs the part bench"}
    names = {paper_tables.system_of(row) for row in published.RESULTS[3]}
    counted = files.read_json(REPOSITORY / "figures" / hours.NAME)["counted"]
    rows = [row for row in counted if row["dataset"] == "mosi" and row["system"] in names]
    card = replace(hours.ASSUMED, flops=before["step_flops"], launch=before["launch_seconds"])
    found = hours.hours(rows, card, len(profile("paper").seeds))["mosi"].astype(float)
    several = before["parts"]["bench"]["clips_per_second_of_runs"]
    gain = max(several.values()) / several["1"]
    return {"hours": found.to_dict(), "hours_with_several_at_once": found["total"] / gain, "ok": True}
