"""Measures whether MOSEI's size fits a laptop: prepares made-up data, trains on it, and records the memory it takes.

    python data_prep/mosei_size.py [--clips 22856] [--seconds 300] [--out figures/runs/mosei-size.json]

Writes an MMSA pickle of MOSEI's shape (22,856 clips of up to 500 frames of 74 + 35 floats; random numbers), prepares
it, makes all batches of an epoch, and trains stage 1 for some minutes, each in its own process. Then it repeats this
with a tenth of the clips. Needs 17 GB of free disk, which it frees at the end, and up to an hour. Fails if a
process takes 3000 MB or more. Linux only: memory is read from /proc.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import typer
from jaxtyping import Int64

from mugkit import files
from mugkit.config import hyperparameters
from mugkit.data import disk, store
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import PAPER_SPLITS, SPLITS
from mugkit.errors import UserError

LIMIT_MB, WHOLE = 3000, sum(PAPER_SPLITS["mosei"])
PADDED, DIMS, TOKENS, WIDTH = 500, {"audio": 74, "vision": 35}, 50, 768  # MMSA's MOSEI, unaligned
SENTENCE = "the film was a long dull grand story and i would never see it again"
BYTES_A_CLIP = 4 * (PADDED * sum(DIMS.values()) + TOKENS * WIDTH + 3 * TOKENS)
SECONDS, POLL = 300, 0.01


# --- a pickle of gigabytes --------------------------------------------------------------------------


@dataclass(frozen=True)
class Streamed:
    """A float32 array whose rows come in blocks while it is pickled."""

    shape: tuple[int, ...]
    blocks: Callable[[], Iterable[np.ndarray]]


class Pickler(pickle._Pickler):
    """The standard library's pickler; writes a `Streamed` as protocol 4 writes a numpy array."""

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def save_streamed(self, array: Streamed) -> None:
        make, arguments, _ = np.empty(0, np.float32).__reduce__()
        self.save_reduce(make, arguments)
        self.write(pickle.MARK)
        for part in (1, array.shape, np.dtype(np.float32), False):
            self.save(part)
        size = 4 * int(np.prod(array.shape))
        self._write_large_bytes(pickle.BINBYTES8 + size.to_bytes(8, "little"), b"")
        for block in array.blocks():
            self.framer.file_write(block.data)
        self.write(pickle.TUPLE + pickle.BUILD)

    dispatch[Streamed] = save_streamed


def write_source(path: Path, sizes: tuple[int, ...], seed: int = 0) -> None:
    """Writes an MMSA pickle of made-up clips; `sizes` are the numbers in train, valid and test."""
    rng = np.random.default_rng(seed)
    content = {name: fields(name, size, rng) for name, size in zip(SPLITS, sizes, strict=True)}
    with path.open("wb") as stream:
        Pickler(stream, protocol=4).dump(content)


def fields(split: str, clips: int, rng: np.random.Generator) -> dict[str, Any]:
    """One split in MMSA's schema. Half of the clips are near the full length."""
    lengths = {key: np.where(rng.random(clips) < 0.5, 450, 1) for key in DIMS}
    lengths = {key: rng.integers(low, PADDED + 1) for key, low in lengths.items()}
    words = SENTENCE.split()
    made = {
        "raw_text": [" ".join(rng.choice(words, rng.integers(4, 40))) for _ in range(clips)],
        "id": [f"{split}{clip // 10}$_${clip % 10}" for clip in range(clips)],
        "text": Streamed((clips, TOKENS, WIDTH), lambda: noise(clips, (TOKENS, WIDTH), rng)),
        "text_bert": np.zeros((clips, 3, TOKENS), np.float32),
        "regression_labels": rng.uniform(-3, 3, clips).astype(np.float32),
    }
    for key, dim in DIMS.items():
        made[key] = Streamed((clips, PADDED, dim), lambda key=key, dim=dim: padded_frames(lengths[key], dim, rng))
        made[f"{key}_lengths"] = lengths[key].tolist()
    return made


def noise(clips: int, shape: tuple[int, int], rng: np.random.Generator, rows: int = 200) -> Iterator[np.ndarray]:
    for start in range(0, clips, rows):
        yield rng.standard_normal((min(rows, clips - start), *shape), dtype=np.float32)


def padded_frames(lengths: Int64[np.ndarray, " clips"], dim: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    start = 0
    for block in noise(len(lengths), (PADDED, dim), rng):
        block[np.arange(PADDED) >= lengths[start : start + len(block), None]] = 0
        start += len(block)
        yield block


# --- steps, each in its own process -----------------------------------------------------------------


class Timed(ClipLoader):
    """A loader whose batches end after `seconds`, even before the end of an epoch."""

    seconds, made = float("inf"), 0

    def batches(self, batches: Iterable) -> Iterator[Batch]:
        end = time.monotonic() + self.seconds
        for batch in super().batches(batches):
            yield batch
            self.made += 1
            if time.monotonic() > end:
                return


def step(name: str, seconds: float) -> dict[str, Any]:
    """`batches` makes every batch of an epoch; `train` trains stage 1 on as many batches as the time allows."""
    import torch

    from mugkit.models.mug import build
    from mugkit.training.optim import adamw
    from mugkit.training.pretrain import train_epoch
    from mugkit.training.seeding import similar_lengths

    torch.set_num_threads(1)
    data, hp = store.load("mosei"), hyperparameters("mosei", "quick")
    clips = Timed(data.train, hp.network)
    order = similar_lengths(clips.lengths, hp.optimization.batch_size, seed=1111, epoch=0)
    if name == "train":
        clips.seconds = seconds
        network = build(hp.network, data.dims, clips.text_width)
        train_epoch(network, clips, adamw(network, hp.optimization), hp, seed=1111, epoch=0)
    else:
        for _ in clips.batches(order):
            pass
    return {"batches": clips.made, "share_of_epoch": round(clips.made / len(order), 3)}


def watch(command: list[str], home: Path) -> dict[str, Any]:
    """Runs a command to its end; returns its duration, its peak memory, and the last line it printed, if it is JSON."""
    started, peaks = time.monotonic(), {"VmHWM": 0, "RssAnon": 0}
    with tempfile.TemporaryFile("w+") as printed:
        environment = {**os.environ, "MUGKIT_HOME": str(home), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen([sys.executable, *command], env=environment, stdout=printed)
        while process.poll() is None:
            peaks = {name: max(peak, memory(process.pid, name)) for name, peak in peaks.items()}
            time.sleep(POLL)
        if process.returncode:
            raise UserError(f"failed with status {process.returncode}", field=" ".join(command))
        printed.seek(0)
        last = printed.read().strip().splitlines()[-1]
    return {
        "seconds": round(time.monotonic() - started),
        "peak_resident_mb": round(peaks["VmHWM"] / 1e6),
        "peak_anonymous_mb": round(peaks["RssAnon"] / 1e6),
        **(json.loads(last) if last.startswith("{") else {}),
    }


def memory(process: int, name: str) -> int:
    """Bytes of a process, by Linux's names: VmHWM (peak resident memory) or RssAnon (now, without mapped files).

    (The peak that `wait4` reports is of no use here: it starts at the peak of the parent process.)
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # the process has just ended
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def measure(sizes: tuple[int, ...], scratch: Path, seconds: float) -> dict[str, Any]:
    """Writes, prepares and uses a made-up data set; returns its sizes and the peaks of each step."""
    source, home = scratch / "mosei.pkl", scratch / "home"
    write_source(source, sizes)
    this = [__file__, "--seconds", str(seconds), "--step"]
    steps = {"prepare": watch(["-m", "mugkit", "prepare", "mosei", "--source", str(source)], home)}
    steps |= {name: watch([*this, name], home) for name in ("batches", "train")}
    folder = home / "data" / "mosei"
    frames = {m: [split.sequences[m].frames for split in store.load(folder).splits.values()] for m in ("a", "v")}
    size, flat = source.stat().st_size, sum(part.nbytes for parts in frames.values() for part in parts)
    return {
        "clips": sum(sizes),
        "frames": {m: sum(map(len, parts)) for m, parts in frames.items()},
        "source_bytes": size,
        "prepared_bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "everything_in_memory_mb": round((size + flat) / 1e6),
        "steps": steps,
    }


def compare(clips: int, seconds: float, scratch: Path, out: Path) -> None:
    """Measures `clips` clips and a tenth of them; writes `out`.

    Raises:
        UserError: if the disk has no room, a step fails, or a step takes LIMIT_MB or more.
    """
    results = []
    for share in (clips, clips / 10):
        sizes = tuple(max(1, round(count * share / WHOLE)) for count in PAPER_SPLITS["mosei"])
        # `prepare` writes the frames without padding to scratch and store, together less than the size of the source.
        room = disk.room(scratch, 2 * BYTES_A_CLIP * sum(sizes))
        with room, tempfile.TemporaryDirectory(prefix="mosei-size-", dir=scratch) as folder:
            results.append(measure(sizes, Path(folder), seconds))
        print(json.dumps(results[-1], indent=2), flush=True)
    files.write_json(out, report(*results))
    peaks = {f"{r['clips']} clips, {name}": s["peak_resident_mb"] for r in results for name, s in r["steps"].items()}
    if above := [name for name, peak in peaks.items() if peak >= LIMIT_MB]:
        raise UserError(f"{LIMIT_MB} MB or more: {'; '.join(above)}", file=out, field="peak_resident_mb")


def report(full: dict[str, Any], tenth: dict[str, Any]) -> dict[str, Any]:
    peaks = {name: [r["steps"][name]["peak_resident_mb"] for r in (full, tenth)] for name in full["steps"]}
    ratios = {name: round(whole / part, 2) for name, (whole, part) in peaks.items()}
    about = (
        "Made-up data of MOSEI's size in MMSA's format, prepared and used on one CPU thread (profile quick, stage 1, "
        "frozen offline encoder). MB are 10^6 bytes. everything_in_memory_mb is computed: the whole pickle and the "
        "frames without padding. Resident memory counts pages of mapped files; anonymous memory does not."
    )
    sizes = {"full": full, "tenth": tenth}
    return {"about": about, "limit_mb": LIMIT_MB, **sizes, "peak_resident_of_full_over_tenth": ratios}


def command(
    clips: Annotated[int, typer.Option(help="total number of clips, split like MOSEI's")] = WHOLE,
    seconds: Annotated[float, typer.Option(help="longest training in seconds, plus one batch")] = SECONDS,
    out: Annotated[Path, typer.Option(help="the result file")] = Path("figures/runs/mosei-size.json"),
    scratch: Annotated[Path | None, typer.Option(help="a folder for 17 GB, by default MUGKIT_HOME")] = None,
    only: Annotated[str | None, typer.Option("--step", hidden=True)] = None,
) -> None:
    """Measures the memory that data of MOSEI's size takes."""
    try:
        if only:
            print(json.dumps(step(only, seconds)))
        else:
            compare(clips, seconds, scratch or files.home(), out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    typer.run(command)
