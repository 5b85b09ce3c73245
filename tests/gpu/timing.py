"""What a card does with BERT-base, alone and with several runs at once, and what Table 3 would take of it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import torch
from benchmarks import gpu, hours, paper_size
from ground import REPOSITORY, Ground

from mugkit.evaluation import paper_tables, published

Items = Callable[[Iterable[str]], Iterator[str]]
_ready: Any = None  # of a process among several: all begin to measure together


def bench(ground: Ground, within: Items) -> dict[str, Any]:
    """`mugkit bench --gpu`, and steps of several runs side by side."""
    found = gpu.measure(ground.device, ground.step)
    counts = within([str(count) for count in ground.scale.at_once])
    several = {count: _together(ground, int(count), found["precision"]) for count in counts}
    ok = ground.dry or all(one["share_of_ceiling"] <= 1 for one in found["steps"].values())  # a CPU's mean little
    hours = gpu.table_hours(found, REPOSITORY / "figures")
    return {"measured": {**found, "mosi_table_hours": hours}, "clips_per_second_of_runs": several, "ok": ok}


def _together(ground: Ground, count: int, precision: str) -> float:
    """Clips a second of all of them; each is a process, as runs are."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _begin, (context.Barrier(count),)) as pool:
        begun = [pool.submit(_one, precision, str(ground.device), ground.step) for _ in range(count)]
        return sum(one.result() for one in begun)


def _begin(ready: Any) -> None:
    global _ready
    _ready = ready


def _one(precision: str, device: str, size: gpu.Size) -> float:
    torch.set_num_threads(1)
    found = gpu.step(partial(_made, ready=_ready), precision, torch.device(device), size)
    return found["batch"] / found["seconds"]


def _made(todo: Any, clips: Any, ready: Any) -> paper_size.Step:
    made = paper_size.stage_3(todo, clips)
    ready.wait(120)
    return made


def table3(before: dict[str, Any]) -> dict[str, Any]:
    """Hours of every system of Table 3 on MOSI with all seeds, from counted steps and the card as measured."""
    if "step_flops" not in before:
        return {"ok": True, "skipped": "needs the part bench"}
    names = {paper_tables.system_of(row) for row in published.RESULTS[3]}
    found = hours.of_mosi(REPOSITORY / "figures", before["step_flops"], before["launch_seconds"], names)
    if found is None:
        return {"ok": True, "skipped": f"needs figures/{hours.NAME}"}
    several = before["parts"]["bench"]["clips_per_second_of_runs"]
    gain = max(several.values()) / several["1"]
    each = {str(name): float(value) for name, value in found.items()}
    return {"hours": each, "hours_with_several_at_once": each["total"] / gain, "ok": True}
