"""Two, four and eight processes on one store: each run is computed once, and all see the same results."""

from functools import partial
from pathlib import Path

from mugkit.experiments import run_store
from reliability.kills import compute, content, lost
from reliability.scenario import Outcome, fork, wait


def _counted(root: Path, starts: Path) -> None:
    original = run_store.Store._compute

    def compute_and_note(self: run_store.Store, folder: Path, *rest: object) -> None:
        with starts.open("a") as stream:
            stream.write(f"{folder.parent.name}/{folder.name}\n")
        original(self, folder, *rest)  # type: ignore[arg-type]

    run_store.Store._compute = compute_and_note  # type: ignore[method-assign]
    compute(root)


def run(folder: Path, processes: tuple[int, ...] = (2, 4, 8)) -> Outcome:
    outcome, alone = Outcome(), folder / "alone"
    wait(fork(partial(compute, alone)))
    expected = content(alone)
    for many in processes:
        root, starts = folder / f"shared-{many}", folder / f"starts-{many}"
        children = [fork(partial(_counted, root, starts)) for _ in range(many)]
        failed = [status for status in map(wait, children) if status]
        begun = sorted(starts.read_text().split())
        loss = f"{len(failed)} failed" if failed else lost(root, expected)
        if begun != sorted(expected):
            loss = loss or f"computed {len(begun)} times instead of {len(expected)}"
        outcome.count(f"{many} processes", loss)
    return outcome
