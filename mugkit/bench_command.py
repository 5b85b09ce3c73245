"""`mugkit bench`: parses and calls the benchmarks of a checkout (`tests/benchmarks`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mugkit import files


def bench(
    only: Annotated[list[str] | None, typer.Option(help="one benchmark by its name; repeat for several")] = None,
    out: Annotated[Path, typer.Option(help="where bench.json and the figure go")] = Path("figures"),
    gpu: Annotated[bool, typer.Option("--gpu", help="measure the GPU here instead, into gpu.json")] = False,
) -> None:
    """Measure how fast this is beside what it is compared with: ratios side by side in one run, each with its bar.

    Needs a checkout of the repository. Exits with 1 if a ratio falls under its bar. What `bench.json` holds of other
    benchmarks stays there.

    Example: mugkit bench --only mmsa
    """
    benchmarks = files.checkout_module("tests", "benchmarks.command")
    if gpu:
        benchmarks.measure_gpu(out)
    elif not benchmarks.measure(only or [], out):
        raise typer.Exit(1)
