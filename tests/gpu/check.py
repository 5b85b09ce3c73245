"""Everything that needs a card, as one command: `make gpu`, or from a bare checkout

    PYTHONPATH=. python tests/gpu/check.py

The parts run in this order, each within its seconds, and are written to one JSON as they end:
systems    stages 1 and 2 of MUG and an epoch of every system beside the CPU's, and again for the same bits
waiting    no step waits for the card, but those of the systems that are known to
notebooks  03 to 06, cell by cell, on the card
bench      a step with BERT-base against the card's own matrix products, and several runs at once
table3     what Table 3 on MOSI would take

No network and no prepared data: clips, words and encoders with random weights are made on the spot. Needed are Python
3.11 or newer and mugkit's dependencies, torch with CUDA among them. What else a machine lacks (learn2learn, IPython) is
carried: see `tests/gpu/carry.py`. With --dry everything runs on the CPU at a small scale, which proves that only the
card is missing.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "gpu"), str(REPOSITORY / "tests"), str(REPOSITORY)]
SECONDS = {"systems": 180, "waiting": 60, "notebooks": 120, "bench": 110, "table3": 10}  # eight minutes
PATIENCE = 5  # times that on a CPU
NOTEBOOKS = ("03_networks", "04_stage1_pretraining", "05_stage2_meta_learning", "06_stage3_joint_training")
MODULES = {"scikit-learn": "sklearn"}  # packages that are imported by another name


def missing() -> list[str]:
    """What mugkit or its notebooks import and this machine lacks."""
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.match(r"[\w-]+", line)[0] for line in declared]  # type: ignore[index]
    modules = {name: MODULES.get(name, name.replace("-", "_")) for name in names} | {"ipython": "IPython"}
    return [name for name, module in modules.items() if importlib.util.find_spec(module) is None]


class Clock:
    """Lets a part go through its items until its seconds are over; the first item always runs."""

    def __init__(self, seconds: float) -> None:
        self.started, self.seconds = time.monotonic(), seconds
        self.left_out: list[str] = []

    @property
    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.started)

    def within(self, items: Iterable[str]) -> Iterator[str]:
        for item in items:
            if self.left > 0:
                yield item
            else:
                self.left_out.append(item)


def notebooks(ground: Any, clock: Clock) -> dict[str, Any]:
    """Each in a process of its own, several at once; `ok` if all came to their last cell and, with a card, used it."""
    environment = ground.environment()
    parameters = {"profile": "smoke", "dataset": ground.dataset.name, "out": str(ground.folder / "figures")}
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 4)) as pool:
        chosen = NOTEBOOKS[:1] if ground.dry else NOTEBOOKS  # on a CPU `make test` runs all of them
        jobs = {name: pool.submit(_notebook, name, parameters, environment, clock) for name in chosen}
    found = {name: job.result() for name, job in jobs.items()}
    used = ground.device.type != "cuda" or any(row["peak_bytes"] for row in found.values())
    return {"results": found, "ok": used and all(row["ok"] for row in found.values())}


def _notebook(name: str, parameters: dict[str, str], environment: dict[str, str], clock: Clock) -> dict[str, Any]:
    from cells import PEAK

    from mugkit.notebook import FINISHED

    folder, started = REPOSITORY / "notebooks", time.monotonic()
    command = [sys.executable, REPOSITORY / "tests/gpu/cells.py", folder / f"{name}.ipynb", json.dumps(parameters)]
    try:
        ended = subprocess.run(
            command, cwd=folder, env=environment, timeout=max(clock.left, 1), capture_output=True, text=True
        )
        told, code = ended.stdout + ended.stderr, ended.returncode
    except subprocess.TimeoutExpired:
        told, code = "took longer than the part has left", 1
    ok = code == 0 and f"{FINISHED} {name}" in told
    peak = re.search(rf"{PEAK} (\d+)", told)
    row = {"ok": ok, "seconds": round(time.monotonic() - started, 1), "peak_bytes": int(peak[1]) if peak else 0}
    return row if ok else row | {"end": told[-2000:]}


def run(ground: Any, skip: Iterable[str], path: Path) -> dict[str, Any]:
    """All parts but those; what went wrong in a part does not stop the next. Written after each of them.

    What the part bench measured is at the top, where `benchmarks.hours` reads it.
    """
    import comparing
    import timing
    import torch

    from mugkit import files
    from mugkit.experiments.run_store import versions

    card = torch.cuda.get_device_name(ground.device) if ground.device.type == "cuda" else "CPU"
    found: dict[str, Any] = {"device": card, "dry": ground.dry, "versions": versions(), "parts": {}}
    parts: dict[str, Callable[[Clock], dict[str, Any]]] = {
        "systems": lambda clock: comparing.systems(ground, clock.within),
        "waiting": lambda clock: comparing.waiting(ground, clock.within),
        "notebooks": lambda clock: notebooks(ground, clock),
        "bench": lambda clock: timing.bench(ground, clock.within),
        "table3": lambda _: timing.table3(found),
    }
    for name, part in parts.items():
        clock = Clock(SECONDS[name] * (PATIENCE if ground.dry else 1))
        try:
            row = {"ok": True, "skipped": "--skip"} if name in skip else part(clock)
        except Exception:
            row = {"ok": False, "error": traceback.format_exc()[-3000:]}
        row |= {"seconds": round(clock.seconds - clock.left, 1), "left_out": clock.left_out}
        row["ok"] = row["ok"] and not clock.left_out
        found["parts"][name] = row
        found |= row.pop("measured", {})
        files.write_json(path, found)
        print(told(name, row), flush=True)
    return found


def table(found: dict[str, Any]) -> str:
    """For RUNNING.md: what was checked, and what came out."""
    import pandas as pd

    from mugkit.evaluation.tables import markdown

    rows = {name: told(name, row).partition(": ")[2] for name, row in found["parts"].items()}
    compared = found["parts"]["systems"].get("results", {})
    if compared:
        other = [name for name, row in compared.items() if not row["identical_again"]]
        rows["same bits again"] = f"all but {', '.join(other)}" if other else "all"
        for step in ("first step", "epoch"):
            worst = max(((row[step], name) for name, row in compared.items() if step in row), default=(0.0, "none"))
            rows[f"{step}, largest difference"] = f"{worst[0]:.1e} ({worst[1]})"
    waits = [name for name, what in found["parts"]["waiting"].get("waits", {}).items() if what]
    rows["steps that wait"] = ", ".join(waits) or "none"
    for name, row in found.get("steps", {}).items():
        rows[f"BERT-base, {name}"] = f"{row['seconds'] * 1e3:.1f} ms, {row['share_of_ceiling']:.0%} of matrix products"
    for count, clips in found["parts"]["bench"].get("clips_per_second_of_runs", {}).items():
        rows[f"runs at once: {count}"] = f"{clips:.0f} clips/s"
    if hours := found["parts"]["table3"].get("hours"):
        rows["Table 3 on MOSI"] = f"{hours['total']:.2f} hours, one run at a time"
    shown = pd.DataFrame({found["device"]: rows})
    shown.index.name = "checked"
    return f"{markdown(shown)}\n{', '.join(f'{name} {version}' for name, version in found['versions'].items())}\n"


def told(name: str, row: dict[str, Any]) -> str:
    """One line."""
    if "skipped" in row:
        return f"{name}: skipped ({row['skipped']})"
    bad = [item for item, result in row.get("results", {}).items() if not result["ok"]] + row.get("not_known", [])
    why = [f"not as it should be: {', '.join(bad)}"] if bad else []
    why += [f"out of time before: {', '.join(row['left_out'])}"] if row["left_out"] else []
    why += [row["error"].strip().splitlines()[-1]] if "error" in row else []
    return f"{name}: {'ok' if row['ok'] else 'FAILED'}, {row['seconds']} s" + "".join(f"; {reason}" for reason in why)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="on the CPU, at a small scale")
    parser.add_argument("--skip", action="append", default=[], choices=SECONDS, help="a part; repeat for several")
    where = "folder of gpu.json, or gpu-dry.json, and of tables/"
    parser.add_argument("--out", type=Path, default=REPOSITORY / ".mugkit" / "gpu", help=where)
    options = parser.parse_args(arguments)
    if lacking := missing():
        print(f"missing here: {', '.join(lacking)} (how to carry them: tests/gpu/carry.py)", file=sys.stderr)
        return 2
    os.environ.setdefault("MUGKIT_PROGRESS", "0")
    import torch
    from ground import Ground
    from transformers.utils import logging

    from mugkit import files

    logging.disable_progress_bar()
    if not options.dry and not torch.cuda.is_available():
        print("missing here: a GPU that torch finds (--dry runs everything on the CPU)", file=sys.stderr)
        return 2
    path = options.out / ("gpu-dry.json" if options.dry else "gpu.json")
    device = torch.device("cpu" if options.dry else "cuda")
    with tempfile.TemporaryDirectory() as folder:
        found = run(Ground(Path(folder), device, options.dry), options.skip, path)
    with files.atomic_path(path.parent / "tables" / f"{path.stem}.md") as temporary:
        temporary.write_text(table(found), encoding="utf-8")
    print(f"{found['device']}; numbers: {path}")
    return 0 if all(row["ok"] for row in found["parts"].values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
