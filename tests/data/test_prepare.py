"""`prepare`: from files to the store, once; never over other data; and the description of what was stored."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from held_files import VIDEOS, dump, misa, mmsa, sequence
from made_up import changed, make_dataset, only

from mugkit import doctor, files
from mugkit.data import disk, reviews, sources, store
from mugkit.data import prepare as preparing
from mugkit.data.prepare import describe, describe_briefly, describe_labels, describe_splits, prepare
from mugkit.data.schema import SPLITS, Dataset, RaggedFrames, Split
from mugkit.errors import UserError

DATASET = make_dataset((8, 3, 4), true_labels=False, seed=4)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return dump(tmp_path / "unaligned.pkl", mmsa())


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return dump(tmp_path / "other.pkl", misa())


def test_a_file_is_stored_under_its_familys_name(source: Path, mugkit_home: Path) -> None:
    folder = prepare("mosi", [source])
    assert folder == mugkit_home / "data" / "mosi"
    stored = store.load("mosi", verify=True)
    assert stored.name == stored.family == "mosi"
    assert stored.about["split"] == "3/3/3 clips; the paper has 1284/229/686"
    assert str(source.parent) not in (folder / "dataset.json").read_text()


def test_files_of_one_split_each_are_joined_by_their_names(other: Path, tmp_path: Path) -> None:
    whole = store.load(prepare("mosi", [other]))
    (tmp_path / "parts").mkdir()
    parts = [dump(tmp_path / "parts" / f"{name}.pkl", part) for name, part in misa().items()]
    for name, given in (("folder", [tmp_path / "parts"]), ("backwards", parts[::-1])):
        prepare("mosi", given, store_as=name)
        assert store.load(name).fingerprint == whole.fingerprint


def test_preparing_a_file_again_does_nothing(source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = prepare("mosi", [source])
    before = (folder / "dataset.json").stat().st_mtime_ns
    moved = source.rename(tmp_path / "elsewhere.pkl")
    with monkeypatch.context() as patched:
        patched.setattr(sources, "load_pickle", lambda path: pytest.fail(f"{path} was read again"))
        assert prepare("mosi", [moved]) == folder
    assert (folder / "dataset.json").stat().st_mtime_ns == before
    monkeypatch.setattr(preparing, "_code", lambda: "newer")  # what older readers made is made again
    prepare("mosi", [moved])
    assert store.load("mosi").about["code"] == "newer"


def test_other_data_is_not_overwritten_unasked(source: Path, other: Path) -> None:
    prepare("mosi", [source])
    for family, given, name in (("mosi", other, "mosi"), ("mosei", source, "mine")):
        prepare("mosi", [source], store_as=name)
        with pytest.raises(UserError, match="another source") as caught:
            prepare(family, [given], store_as=name)
        assert "--store-as" in str(caught.value.fix)
        assert len(store.load(name).train) == 3
    prepare("mosi", [other], store_as="mosi-2")
    assert (store.load("mosi-2").name, store.load("mosi-2").family) == ("mosi-2", "mosi")
    prepare("mosi", [other], force=True)
    assert len(store.load("mosi").train) == 2


def test_damaged_data_is_told_and_mended_by_force(source: Path) -> None:
    path = prepare("mosi", [source]) / "train.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="SHA-256"):
        prepare("mosi", [source])
    prepare("mosi", [source], force=True)
    assert len(store.load("mosi", verify=True).train) == 3


@pytest.mark.parametrize("name", ["MOSI", "my data", "../mosi", "", ".hidden", "a/b", "mosi\n", "x" * 250])
def test_names_that_are_no_folder_names_are_refused(name: str, source: Path) -> None:
    with pytest.raises(UserError, match="cannot be the name") as caught:
        prepare("mosi", [source], store_as=name)
    assert caught.value.field == "store_as"


def test_a_familys_name_holds_that_family_only(source: Path) -> None:
    with pytest.raises(UserError) as caught:
        prepare("mosi", [source], store_as="sims")
    assert caught.value.field == "store_as"
    prepare("mosi", [source], store_as="sims-like")  # any other name may begin like it
    (files.data_home() / "sims-like").rename(files.data_home() / "sims")  # as older versions left it
    with pytest.raises(UserError, match="holds mosi"):
        store.load("sims")
    (check,) = [check for check in doctor.examine() if check.name == "data set sims"]
    assert not check.ok


def test_reviews_is_made_once_for_each_seed_and_setting(monkeypatch: pytest.MonkeyPatch, mugkit_home: Path) -> None:
    made: list[tuple] = []

    def assemble(sentences: Path, seed: int, dials: reviews.Dials) -> Dataset:
        made.append((sentences, seed, dials))
        return make_dataset((4, 2, 2), seed=seed, family="reviews")

    monkeypatch.setattr(reviews, "fetch", lambda folder, source: source or folder)
    monkeypatch.setattr(reviews, "read_sentences", lambda sdist: sdist)
    monkeypatch.setattr(reviews, "assemble", assemble)
    prepare("reviews", [])
    prepare("reviews", [], seed=2024, expression="vivid", disagreement="strong")  # the default's, named
    for other in ({"seed": 1}, {"expression": "faint"}):
        with pytest.raises(UserError, match="another source or seed"):
            prepare("reviews", [], **other)
    with pytest.raises(UserError, match="one file"):  # a source is checked even if nothing is left to make
        prepare("reviews", [Path("a"), Path("b")])
    for _ in range(2):
        prepare("reviews", [Path("mine.tar.gz")], seed=1, expression="faint", disagreement="sims", store_as="faint")
    assert made == [
        (mugkit_home / "downloads", 2024, reviews.Dials("vivid", "strong")),
        (Path("mine.tar.gz"), 1, reviews.Dials("faint", "sims")),
    ]


@pytest.mark.parametrize(
    ("family", "options", "word"),
    [
        ("reviews", {"expression": "loud"}, "expression"), ("reviews", {"disagreement": "none"}, "disagreement"),
        ("mosi", {"expression": "vivid"}, "expression"), ("reviews", {"align": True}, "align"),
        ("reviews", {"sources": [Path("a"), Path("b")]}, "source"), ("fims", {}, "data set"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused_by_name(family: str, options: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError) as refused:
        prepare(family, **{"sources": [], **options})
    assert word in str(refused.value)


def table(folder: Path, dataset: Dataset, *columns: str) -> Path:
    """A data set as one table, without its frames."""
    parts = [split.frame().assign(split=name) for name, split in dataset.splits.items()]
    pd.concat(parts)[["id", "y", "split", *columns]].to_csv(path := folder / "clips.csv", index=False)
    return path


def test_data_sets_of_text_or_of_labels_alone_are_stored_and_described(tmp_path: Path) -> None:
    stored = store.load(prepare("mosi", [table(tmp_path, DATASET, "text")], store_as="text"), verify=True)
    assert (stored.modalities, stored.dims) == (("l",), {})
    assert [split.text for split in stored.splits.values()] == [split.text for split in DATASET.splits.values()]
    assert list(describe_splits(stored)) == ["clips", "paper", "words", "y mean", "y std"]
    lines = describe(stored).splitlines()
    assert lines[:2] == ["text: MOSI (text only)", "inputs: text only"]
    assert [line.partition(":")[0] for line in lines[2:4]] == ["no acoustic frames", "no visual frames"]
    assert all("--system text-only" in line for line in lines[2:4])
    assert "y from 'y'" in describe(stored)
    rated = make_dataset((30, 8, 8), family="sims")
    stored = store.load(prepare("sims", [table(tmp_path, rated, "y_l", "y_a", "y_v")]), verify=True)
    assert (stored.modalities, stored.has_true_labels) == ((), True)
    assert np.allclose(stored.test.true_labels["v"], rated.test.true_labels["v"])
    assert list(describe_splits(stored)) == ["clips", "paper", "y mean", "y std"]
    assert "no transcripts: labels alone serve `mugkit data describe`" in describe(stored)
    assert "labels of single modalities, all clips:" in describe(stored)
    assert describe_briefly(stored) == "sims: SIMS (labels only); 30/8/8 clips; labels alone"


def test_frames_are_aligned_to_words_on_demand(tmp_path: Path) -> None:
    """The option is part of what identifies the stored data."""
    contents = {
        "labels": ([[0, 2]], [[1.0]]),
        "words": ([[0, 1], [1, 2]], [[b"good"], [b"film"]]),
        "COVAREP": ([[k / 4, (k + 1) / 4] for k in range(8)], np.ones((8, 74))),
    }
    for name, (intervals, values) in contents.items():
        sequence(tmp_path / f"{name}.csd", name, dict.fromkeys(VIDEOS, (intervals, values)))
    pd.DataFrame({"video": list(VIDEOS), "split": SPLITS}).to_csv(tmp_path / "folds.csv", index=False)
    prepare("mosi", [tmp_path])
    assert store.load("mosi").train.sequences["a"].lengths.tolist() == [8]
    with pytest.raises(UserError, match="another source"):
        prepare("mosi", [tmp_path], align=True)
    prepare("mosi", [tmp_path], align=True, store_as="aligned")
    assert store.load("aligned").train.sequences["a"].lengths.tolist() == [2]


def test_splits_and_labels_are_described_by_numbers_worked_out_by_hand() -> None:
    labels = np.array([-3, -3, -1.6, 0, 0.4, 0.6, 2, 3], np.float32)
    other = changed(DATASET, labels=labels, text=["one two", "one"] * 4)
    table = describe_splits(other).loc["train"]
    lengths = sorted(DATASET.train.sequences["a"].lengths.tolist())
    assert (table["clips"], table["paper"], table["words"]) == (8, 1284, "1/1.5/2")
    assert table["acoustic frames"] == f"{lengths[0]}/{(lengths[3] + lengths[4]) / 2:g}/{lengths[-1]}"
    assert table["y mean"] == pytest.approx(-1.6 / 8)
    squares = (9 + 9 + 2.56 + 0 + 0.16 + 0.36 + 4 + 9) / 8
    assert table["y std"] == pytest.approx((squares - 0.2**2) ** 0.5)
    assert "paper" not in describe_splits(make_dataset((8, 3, 4), family="reviews"))  # which the paper does not have
    # The classes of Acc7, and for SIMS those of Acc5.
    assert describe_labels(other)["train"].to_dict() == {-3: 2, -2: 1, -1: 0, 0: 2, 1: 1, 2: 1, 3: 1}
    rated = changed(make_dataset((6, 2, 2), family="sims"), labels=np.array([-1, -0.8, -0.6, 0, 0.2, 1], np.float32))
    assert describe_labels(rated)["train"].tolist() == [2, 1, 1, 1, 1]


def test_labels_of_single_modalities_are_compared_with_y() -> None:
    """Worked out by hand: y_l = y but for the sign of one clip, y_v constant."""
    y, y_l, y_v = (np.array(labels, np.float32) for labels in ([1, -2, 0.5, 0], [1, 2, 0.5, 0], [1] * 4))
    parts = {"train": slice(0, 2), "valid": slice(2, 3), "test": slice(3, 4)}
    splits = {
        name: Split(name, ["x"] * len(y[part]), ["x"] * len(y[part]), y[part], {}, {"l": y_l[part], "v": y_v[part]})
        for name, part in parts.items()
    }
    rows = preparing.describe_true_labels(dataclasses.replace(DATASET, splits=splits))
    assert list(rows.index) == ["language", "visual"]
    expected = {"mean": 3.5 / 4, "same as y": 0.75, "opposite sign": 0.25, "gap": 1.0}
    assert rows.loc["language", list(expected)].to_dict() == pytest.approx(expected)
    assert rows.loc["language", "r with y"] == pytest.approx(np.corrcoef(y_l, y)[0, 1])
    assert rows.loc["visual", ["std", "opposite sign", "gap"]].tolist() == pytest.approx([0, 0.25, 1.125])
    assert preparing.describe_true_labels(DATASET).empty


def test_the_description_has_the_caption_the_sizes_and_the_caveats() -> None:
    about = {"caption": "MOSI (12/7)", "variant": "other 12/7, aligned", "caveats": ["beware", "of this"]}
    text = describe(dataclasses.replace(DATASET, about=about))
    assert text.splitlines()[0] == "made-up: MOSI (12/7)"
    assert "inputs: other 12/7, aligned; acoustic 5 dims; visual 4 dims" in text
    assert "8/3/4 clips; the paper has 1284/229/686" in text
    assert text.splitlines()[-2:] == ["caveat: beware", "caveat: of this"]
    assert "no transcripts: every system reads text, so no system runs" in describe(only("av", DATASET))


def test_clips_that_lack_a_modality_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.zeros((9, 3), np.float32)
    frames[1, 2] = 1e-30  # the second frame of the first clip
    frames[5, 0] = -1
    sequences = RaggedFrames(frames, np.array([0, 2, 3, 5, 6, 7, 7, 8, 9]))
    monkeypatch.setattr(disk, "BLOCK_BYTES", 12)  # a frame at a time
    assert preparing.silent(sequences) == [1, 2, 4, 5, 6, 7]
    text = describe(changed(DATASET, sequences={"a": sequences, "v": DATASET.train.sequences["v"]}))
    shown = "train_1, train_2, train_4, train_5, train_6, …"
    assert f"no acoustic frames but zeros in 6 of 8 clips of train: {shown}" in text
    assert text.count("but zeros") == 1


REAL: dict[str, tuple[str, list[str], tuple[int, ...], str]] = {
    "mosi-text": ("mosi", ["mosi/train.tsv", "mosi/valid.tsv", "mosi/test.tsv"], (1284, 229, 686), "MOSI (text only)"),
    "mosi-csd": ("mosi", [f"mosi/CMU_MOSI_{kind}.csd" for kind in ("ModifiedTimestampedWords", "Opinion_Labels")],
                 (1284, 229, 686), "MOSI (text only)"),
    "mosi-dev": ("mosi", ["mosi/misa_dev.pkl"], (154, 26, 49), "MOSI (74/47, aligned), made-up split"),
    "mosi": ("mosi", ["mosi/mosi_lite_unaligned.pkl"], (1284, 229, 686), "MOSI text + acoustics + timing"),
    "sims": ("sims", ["sims/labels.csv"], (1368, 456, 457), "SIMS (labels only), version 1"),
}  # fmt: skip


@pytest.mark.shared_data
def test_every_real_file_is_prepared_by_one_command(shared_data: Path) -> None:
    for stored_name, (family, names, sizes, caption) in REAL.items():
        prepare(family, [shared_data / name for name in names], store_as=stored_name)
        dataset = store.load(stored_name, verify=True)
        assert tuple(len(split) for split in dataset.splits.values()) == sizes
        assert dataset.about["caption"] == caption
        assert describe(dataset).startswith(f"{stored_name}: {caption}\n")
        assert ("as in the paper" in describe(dataset)) == (stored_name != "mosi-dev")
    assert store.available() == sorted(REAL)
    assert set(store.load("mosi-csd").train.ids) == set(store.load("mosi-text").train.ids)


def test_a_source_inside_the_data_folder_is_never_deleted(source: Path, mugkit_home: Path) -> None:
    inside = mugkit_home / "data" / "mosi" / "unaligned.pkl"
    inside.parent.mkdir(parents=True)
    source.rename(inside)
    for force in (False, True):
        with pytest.raises(UserError, match="holds other files"):
            prepare("mosi", [inside], force=force)
    assert inside.is_file()


def test_what_a_killed_preparation_left_is_swept(source: Path, mugkit_home: Path) -> None:
    code = (
        "import os, signal; from mugkit import files\n"
        "with files.atomic_folder(files.data_home() / 'mosi'): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert list((mugkit_home / "data").glob(".mosi.*.tmp"))
    prepare("mosi", [source], store_as="other")
    assert not list((mugkit_home / "data").glob(".*.tmp"))
