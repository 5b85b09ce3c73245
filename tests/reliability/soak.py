"""Runs every scenario in full, prints the counts, writes them; exits with 1 on any loss.

They go to `figures/reliability.json` and, as a table, to this folder's README.
"""

import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made_up import make_dataset

from mugkit import files
from mugkit.experiments.run_store import versions
from reliability import contention, damage, hostile, kills, kills_of_reproduce, places
from reliability.scenario import SEED

PLACES = "places that cannot be written to"
COUNTS = Path(__file__).resolve().parents[2] / "figures" / "reliability.json"
README = Path(__file__).with_name("README.md")


def page(text: str, counts: Mapping[str, Any]) -> str:
    """The README's text with a row a scenario in its table."""
    rows = "| scenario | tried | passed | lost |\n| --- | --- | --- | --- |\n"
    for name, count in counts["scenarios"].items():
        cells = (count["tried"], count["passed"], count["lost"]) if "tried" in count else (count["not tried"], "–", "–")
        rows += f"| {name} | {' | '.join(map(str, cells))} |\n"
    return re.sub(r"(?s)(<!-- counts -->\n).*?(<!-- /counts -->)", lambda found: found[1] + rows + found[2], text)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MUGKIT_HOME"], os.environ["MUGKIT_PROGRESS"] = str(folder / "home"), "0"
        kills.prepare(make_dataset((24, 8, 8), true_labels=False))
        stages, runs = kills.stages(folder / "kills", 26)
        outcomes = {"stages in one process": stages, "workers": kills.workers(folder / "workers", 8, runs)}
        outcomes |= kills_of_reproduce.run(folder / "reproduce", 8, runs)
        outcomes = {f"kill and resume: {kind}": outcome for kind, outcome in outcomes.items()} | {
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
        print(f"{name}: {', '.join(f'{count} {what}' for what, count in outcome.plain().items() if what != 'details')}")
        for loss in outcome.losses:
            print(f"    {loss}")
    counts = {"seed": SEED, "versions": versions(), "scenarios": scenarios}
    files.write_json(COUNTS, counts)
    text = page(README.read_text(encoding="utf-8"), counts)
    with files.atomic_path(README) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return int(any(outcome.losses for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
