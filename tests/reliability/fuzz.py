"""Sound files with bytes changed, cut and put in, by hypothesis: every reader takes them or refuses with a UserError.

`make fuzz` looks for a while (EXAMPLES of each reader, from a new seed each time) and prints the smallest file that
makes a reader fail in another way; it exits with 1 then.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from held_files import dump, mmsa, sound_csd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import make_dataset

from mugkit.data import csv_files, sources, store
from mugkit.data.pickles import load_pickle
from mugkit.errors import UserError
from reliability.payloads import TABLE, signed

# An edit: where, how many bytes go, and what comes in their place.
EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 16), st.binary(max_size=16)), min_size=1, max_size=6)


def sound(folder: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """A sound file for each reader, and the call that reads it."""
    pickled, table, folds = folder / "data.pkl", folder / "data.csv", folder / "folds.json"
    dump(pickled, mmsa())
    table.write_text(TABLE)
    labels = sound_csd(folder)
    stored = store.save(make_dataset((6, 3, 2)), folder / "stored")

    def load_signed() -> None:
        signed(stored)
        store.load(stored)

    return {
        "pickle": (pickled, lambda: load_pickle(pickled, large=64)),
        "MMSA": (pickled, lambda: sources.read("mosi", [pickled])),
        "table": (table, lambda: sources.read("mosi", [table])),
        "folds": (folds, lambda: csv_files.read_folds(folds)),
        "csd": (labels, lambda: sources.read("mosi", [labels, folds])),
        "manifest": (stored / "dataset.json", lambda: store.load(stored)),
        "frames": (stored / "train.safetensors", load_signed),
        "clips": (stored / "clips.parquet", load_signed),
    }


def fuzz(path: Path, read: Callable[[], object], examples: int) -> tuple[int, int]:
    """How often the reader took an edited file, and how often it refused.

    Raises:
        Exception: whatever else the reader did, of the smallest file found.
    """
    content, counts = path.read_bytes(), [0, 0]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(EDITS)
    def trial(edits: list[tuple[int, int, bytes]]) -> None:
        edited = content
        for position, gone, new in edits:
            start = position % (len(edited) + 1)
            edited = edited[:start] + new + edited[start + gone :]
        path.write_bytes(edited)
        try:
            read()
            counts[0] += 1
        except UserError:
            counts[1] += 1

    trial()
    path.write_bytes(content)
    read()
    return counts[0], counts[1]


def run(folder: Path, examples: int) -> Iterator[tuple[str, int, int]]:
    """Fuzzes every reader: its name, how often it took a file, how often it refused; takes what is sound first."""
    for name, (path, read) in sound(folder).items():
        read()
        yield name, *fuzz(path, read, examples)


def main(examples: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MUGKIT_HOME"] = str(Path(folder) / "home")
        for name, taken, refused in run(Path(folder), examples):
            print(f"{name}: {taken + refused} tried, {taken} taken, {refused} refused", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
