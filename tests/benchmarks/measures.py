"""What a benchmark finds, and the list of all benchmarks.

A benchmark is a function without arguments that returns what it `Found`. Its ratios come from rounds in which both
sides take turns, so that whatever else the machine does slows both alike; on a CPU no time is reported by itself.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mugkit import files
from mugkit.errors import unknown_name
from mugkit.experiments.run_store import versions

# Name → `module:function` of this folder. Those that need the network come last: what was measured before is kept.
BENCHES: Mapping[str, str] = {"stage2": "stage2:stage2", "mmsa": "mmsa:measure"}
NAME = "bench.json"


@dataclass(frozen=True)
class Ratio:
    """One number to look at: the median over rounds, and the bar that it is held against.

    Attributes:
        name: a few words, for the table and the figure.
        what: one sentence: what over what, on which data, what is counted and what is not.
        values: one a round.
        bar: what the median must not fall under (exceed, unless `at_least`); None: shown and never judged.
        unit: "×" for how many times faster; other units are left out of the figure.
        threads: CPU threads of either side.
    """

    name: str
    what: str
    values: Sequence[float]
    bar: float | None = None
    at_least: bool = True
    unit: str = "×"
    threads: int = 1

    def as_json(self) -> dict[str, Any]:
        """With `ok`, whether the median keeps to the bar; NaN never does."""
        low, median, high = np.quantile(self.values, [0.25, 0.5, 0.75]).tolist()
        ok = self.bar is None or (median >= self.bar if self.at_least else median <= self.bar)
        return {
            "name": self.name, "what": self.what, "unit": self.unit, "threads": self.threads,
            "median": median, "lower_quartile": low, "upper_quartile": high, "rounds": len(self.values),
            "bar": self.bar, "at_least": self.at_least, "ok": ok,
        }  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What one benchmark found.

    Attributes:
        about: what holds for all of its ratios: data, sizes, what is counted; for the README, under the table.
    """

    ratios: Sequence[Ratio]
    about: str = ""


def chosen(names: Iterable[str]) -> dict[str, Callable[[], Found]]:
    """The named benchmarks, all if none is named, in the list's order.

    Raises:
        UserError: there is no such benchmark.
    """
    wanted = set(names)
    for name in wanted - BENCHES.keys():
        raise unknown_name("benchmark", name, BENCHES)
    return {name: partial(_run, place) for name, place in BENCHES.items() if name in wanted or not wanted}


def _run(place: str) -> Found:
    module, _, name = place.partition(":")
    found: Found = getattr(import_module(f"benchmarks.{module}"), name)()
    return found


def keep(folder: Path, name: str, found: Found) -> dict[str, Any]:
    """Enters one benchmark into `bench.json`, beside what others found; returns all of it, in the list's order."""
    path, ratios = folder / NAME, [ratio.as_json() for ratio in found.ratios]
    record = files.read_json(path) if path.is_file() else {}
    record[name] = {"cores": os.cpu_count(), "versions": versions(), "about": found.about, "ratios": ratios}
    record = {listed: record[listed] for listed in BENCHES if listed in record}
    files.write_json(path, record)
    return record
