"""Runs every scenario in full, prints the counts, writes `figures/reliability.json`; exits with 1 on any loss."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made_up import make_dataset

from mugkit import files
from mugkit.experiments.store import versions
from reliability import contention, damage, hostile, kills, kills_of_reproduce, kills_of_workers, places
from reliability.scenario import SEED

PLACES = "places that cannot be written to"


def main(target: Path) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MUGKIT_HOME"], os.environ["MUGKIT_PROGRESS"] = str(folder / "home"), "0"
        kills.prepare(make_dataset((24, 8, 8), true_labels=False))
        stages = kills.run(folder / "kills", 26)
        runs = kills.content(folder / "kills" / "whole")
        outcomes = {
            "kill and resume: stages in one process": stages,
            "kill and resume: workers": kills_of_workers.run(folder / "workers", 8, runs),
            **{
                f"kill and resume: {kind}": outcome
                for kind, outcome in kills_of_reproduce.run(folder / "reproduce", 8, runs).items()
            },
            "damaged store": damage.run(folder / "damage", 60),
            "processes on one store": contention.run(folder / "contention"),
            "hostile files": hostile.run(folder / "hostile"),
        }
        folder.chmod(0o755)  # one place is entered by another user
        if not (reason := places.allowed()):
            outcomes[PLACES] = places.run(folder / "places")
    scenarios: dict[str, object] = {PLACES: {"not tried": reason}} if reason else {}
    if reason:
        print(f"{PLACES}: not tried, {reason}")
    for name, outcome in outcomes.items():
        scenarios[name] = outcome.plain()
        print(f"{name}: {outcome.tried} tried, {outcome.passed} passed, {len(outcome.losses)} lost", flush=True)
        for loss in outcome.losses:
            print(f"    {loss}")
    files.write_json(target, {"seed": SEED, "versions": versions(), "scenarios": scenarios})
    return int(any(outcome.losses for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
