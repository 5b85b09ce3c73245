"""Measures how many validation clips a stable choice of epoch needs: the spread of the test error over seeds, by size.

    python data_prep/validation_size.py --seeds 10

Early stopping keeps the epoch with the lowest validation loss. With few clips, this loss says little about the test
loss, so each seed stops at a different epoch. Here the same runs (stage 3 on copies of y) stop by the loss on the first
229 clips of the validation split of `reviews` (as many as in MOSI), on 500, and on all 1,000.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import reviews
from mugkit.data.schema import Dataset, RaggedFrames, Split
from mugkit.data.store import fingerprint
from mugkit.experiments.registry import Experiment
from mugkit.experiments.run_store import Store, read_result

SIZES = (229, 500, 1000)


def first(split: Split, count: int) -> Split:
    """The first clips of a split."""
    sequences = {
        m: RaggedFrames(s.frames[: s.offsets[count]], s.offsets[: count + 1]) for m, s in split.sequences.items()
    }
    true_labels = {m: values[:count] for m, values in split.true_labels.items()}
    ids, text, labels = split.ids[:count], split.text[:count], split.labels[:count]
    return replace(split, ids=ids, text=text, labels=labels, sequences=sequences, true_labels=true_labels)


def with_validation(dataset: Dataset, count: int) -> Dataset:
    """The data set with fewer clips in its validation split, and with its own fingerprint."""
    fewer = replace(dataset, splits={**dataset.splits, "valid": first(dataset.splits["valid"], count)})
    return replace(fewer, fingerprint=fingerprint(fewer))


def main(
    seeds: Annotated[int, typer.Option(help="runs for each size")] = 10,
    system: Annotated[str, typer.Option(help="a name of `mugkit systems`")] = "copy",
) -> None:
    """Prints for each size mean and standard deviation of the test MAE over seeds, and the epochs kept."""
    store, rows = Store.default(), {}
    sentences = reviews.read_sentences(reviews.fetch(files.home() / "downloads"))
    whole = reviews.assemble(sentences, seed=2024, sizes=(1284, SIZES[-1], 3000))
    for size in SIZES:
        dataset = with_validation(whole, size)
        specs = [RunSpec(system, "reviews", 1111 + seed, changes=(("beta", 1.0),)) for seed in range(seeds)]
        results = [read_result(Experiment(spec, dataset, store).result()) for spec in specs]
        errors, best = zip(*((result["metrics"]["MAE"], result["best_epoch"]) for result in results), strict=True)
        rows[size] = {
            "test MAE, mean": np.mean(errors),
            "std over seeds": np.std(errors, ddof=1),
            "epoch kept, median": np.median(best),
            "std of epoch": np.std(best, ddof=1),
        }
    print(pd.DataFrame.from_dict(rows, orient="index").rename_axis("validation clips").to_string(float_format="%.4f"))


if __name__ == "__main__":
    typer.run(main)
