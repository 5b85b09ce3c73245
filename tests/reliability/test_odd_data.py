"""Every system on data that is sound and odd: batches of one clip, splits of one class, clips without a modality.

All warnings of numpy, scipy and torch are errors here, and everything that is written must be finite or null.
"""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import changed, make_dataset
from safetensors.numpy import load_file
from small import bag_of_words, tiny_bert, tiny_t5

from mugkit import files
from mugkit.claims import comparisons, ledger
from mugkit.claims.stated import CLAIMS
from mugkit.config import RunSpec
from mugkit.data import store as data_store
from mugkit.data import text
from mugkit.data.schema import Dataset, RaggedFrames, SplitName
from mugkit.evaluation import comparison, tables
from mugkit.experiments import experiment, scheduler
from mugkit.experiments.registry import SYSTEMS

BATCH = 4
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("error::RuntimeWarning", "error::UserWarning")]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, str]:
    """Tiny text encoders: of BERT's kind (False) and T5's (True)."""
    folder = tmp_path_factory.mktemp("encoders")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {False: str(tiny_bert(folder / "bert")), True: str(tiny_t5(folder / "t5"))}


def stored(dataset: Dataset) -> None:
    experiment._dataset.cache_clear()
    data_store.save(dataset, files.data_home() / "made-up")


def check(folder: Path) -> None:
    """Nothing that a run left is NaN or infinite."""
    for path in folder.iterdir():
        if path.suffix == ".json":
            assert not re.search(r"\b(NaN|Infinity)\b", path.read_text()), path
        elif path.suffix == ".safetensors":
            assert all(np.isfinite(tensor).all() for tensor in load_file(path).values()), path
        else:
            assert np.isfinite(pd.read_parquet(path)["prediction"]).all(), path


def silenced(dataset: Dataset, split: SplitName, modality: str, clips: range) -> Dataset:
    """The data set with frames of zeros for some clips."""
    sequences = dataset.splits[split].sequences
    frames, offsets = np.array(sequences[modality].frames), sequences[modality].offsets
    frames[offsets[clips.start] : offsets[clips.stop]] = 0
    return changed(dataset, split, sequences={**sequences, modality: RaggedFrames(frames, offsets)})


def without_a_modality() -> Dataset:
    """Whole batches of clips that lack one, in training and in testing."""
    dataset = silenced(silenced(make_dataset((12, 4, 4)), "train", "a", range(0, 6)), "train", "v", range(4, 10))
    return silenced(dataset, "test", "a", range(0, 4))


def one_class(label: float = 0.0) -> Dataset:
    """One label for all clips of all splits, in every modality."""
    dataset = make_dataset((6, 4, 4))
    for name, part in dataset.splits.items():
        constant = np.full(len(part), label, np.float32)
        dataset = changed(dataset, name, labels=constant, true_labels=dict.fromkeys(part.true_labels, constant))
    return dataset


ODD = {
    "one clip": lambda: make_dataset((1, 3, 3)),
    "two clips": lambda: make_dataset((2, 3, 3)),
    "a last batch of one": lambda: make_dataset((BATCH + 1, 3, 3)),
    "clips that lack a modality": without_a_modality,
    "labels that are all equal": one_class,
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", SYSTEMS)
def test_system_trains_on_odd_data(name: str, odd: str, encoders: dict[bool, str]) -> None:
    stored(ODD[odd]())
    encoder = encoders[SYSTEMS[name].t5]
    changes = {"batch_size": BATCH, "meta_batch_size": BATCH, "pooling": "mean", "text_encoder": encoder}
    done = experiment.run(RunSpec(name, "made-up", 1111, "smoke", changes=tuple(sorted(changes.items()))))
    assert done.metrics["MAE"] is not None
    for finished in (files.home() / "runs").glob("*/*/done.json"):
        check(finished.parent)
    if odd == "labels that are all equal":
        assert (done.metrics["Corr"], done.metrics["Acc2"], done.metrics["F1"]) == (None, None, None)


@pytest.mark.parametrize("label", [0.0, 2.0])
def test_tables_and_claims_of_equal_labels_are_undefined(
    label: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No clip's labels disagree either: claims about such clips compare nothing."""
    monkeypatch.setattr(text, "_encode", bag_of_words)
    stored(one_class(label))
    dataset = data_store.load("made-up")
    names, seeds = ("mug", "copy", "self-mm", "mug-without-unimodal"), (1111, 1112)
    specs = [RunSpec(name, "made-up", seed, "smoke") for name in names for seed in seeds]
    learn = [RunSpec("mug", "made-up", seeds[0], "smoke", seed) for seed in seeds]
    done = scheduler.run_all(specs, scheduler.ExecutionConfig(workers=1), learn=learn)
    runs = {name: done[2 * i : 2 * i + 2] for i, name in enumerate(names)}
    rows = [tables.summarise(of_system, SYSTEMS[name].row) for name, of_system in runs.items()]
    assert set(tables.brief_table(rows, ("MAE", "Corr"))["Corr", "ours"]) == {"undefined"}
    tables.write(rows, ("MAE", "Corr"), tmp_path / "tables", "table3", "x")
    assert files.read_json(tmp_path / "tables" / "table3.json")[0]["metrics"]["Corr"]["mean"] is None
    comparison.against(dataset, runs, "mug")
    found = comparisons.measure([claim.test for claim in CLAIMS], dataset, "smoke")["comparisons"]
    of_corr = [row for row in found if row["metric"] == "Corr"]
    assert of_corr
    assert {(row["difference"], row["clips_low"]) for row in of_corr} == {(None, None)}
    entry = {"notebook": "07_x", "dataset": "made-up", "data": dataset.fingerprint, "profile": "smoke", "sha256": "0"}
    files.write_json(tmp_path / "manifest.json", {"tables/table3.json": entry})
    assert len(ledger.write(tmp_path)) > 50
