"""Sound files with bytes changed, cut and put in, by hypothesis: every reader takes them or refuses with a UserError.

`make fuzz` looks for a while (EXAMPLES of each reader, from a new seed each time) and prints the smallest file that
makes a reader fail in another way; it exits with 1 then.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from held_files import dump, mmsa, sound_csd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import make_dataset

from mugkit.data import csv_files, sources, store
from mugkit.data.pickles import load_pickle
from mugkit.errors import UserError

TABLE = "id,text,label,split\na,so good,1.5,train\nb,so bad,-2,valid\nc,so so,0,test\n"
# An edit: where, how many bytes go, and what comes in their place.
EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 16), st.binary(max_size=16)), min_size=1, max_size=6)


def edited(content: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for position, gone, new in edits:
        start = position % (len(content) + 1)
        content = content[:start] + new + content[start + gone :]
    return content


def sound(folder: Path) -> dict[str, tuple[Path, Callable[[], object]]]:
    """A sound file for each reader, and the call that reads it."""
    dump(folder / "data.pkl", mmsa())
    (folder / "data.csv").write_text(TABLE)
    labels, folds = sound_csd(folder), folder / "folds.json"
    stored = store.save(make_dataset((6, 3, 2)), folder / "stored")
    return {
        "pickle": (folder / "data.pkl", lambda: load_pickle(folder / "data.pkl", large=64)),
        "MMSA": (folder / "data.pkl", lambda: sources.read("mosi", [folder / "data.pkl"])),
        "table": (folder / "data.csv", lambda: sources.read("mosi", [folder / "data.csv"])),
        "folds": (folds, lambda: csv_files.read_folds(folds)),
        "csd": (labels, lambda: sources.read("mosi", [labels, folds])),
        "manifest": (stored / "dataset.json", lambda: store.load(stored)),
        "frames": (stored / "train.safetensors", lambda: store._open_split(stored, "train", table(stored), "av")),
        "clips": (stored / "clips.parquet", lambda: store._read_clips(stored / "clips.parquet")),
    }


def table(stored: Path) -> store.pd.DataFrame:
    """The clips of the training split."""
    clips = store.pd.read_parquet(stored / "clips.parquet")
    return clips[clips["split"] == "train"]


def fuzz(path: Path, read: Callable[[], object], examples: int) -> tuple[int, int]:
    """How often the reader took an edited file, and how often it refused.

    Raises:
        Exception: whatever else the reader did, of the smallest file found.
    """
    content, counts = path.read_bytes(), [0, 0]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(EDITS)
    def trial(edits: list[tuple[int, int, bytes]]) -> None:
        path.write_bytes(edited(content, edits))
        try:
            read()
            counts[0] += 1
        except UserError:
            counts[1] += 1

    try:
        trial()
    finally:
        path.write_bytes(content)
    return counts[0], counts[1]


def run(folder: Path, examples: int) -> dict[str, tuple[int, int]]:
    """Fuzzes every reader; first reads what is sound, which must be taken."""
    counts = {}
    for name, (path, read) in sound(folder).items():
        read()
        counts[name] = fuzz(path, read, examples)
    return counts


def main(examples: int) -> None:
    folder = Path(tempfile.mkdtemp())
    os.environ["MUGKIT_HOME"] = str(folder / "home")
    try:
        for name, (taken, refused) in run(folder, examples).items():
            print(f"{name}: {taken + refused} tried, {taken} taken, {refused} refused", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]))
