"""`prepare`: from files to the store, once; never over other data; and the description of what was stored."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import make_dataset

from mugkit.data import prepare as preparing
from mugkit.data import reviews, store
from mugkit.data.prepare import describe, describe_labels, describe_splits, prepare
from mugkit.data.schema import SPLITS, Dataset
from mugkit.errors import UserError


def mmsa_file(path: Path, dataset: Dataset) -> Path:
    """A data set as an MMSA pickle: padded with zeros, lengths beside."""
    content: dict[str, Any] = {}
    for name, split in dataset.splits.items():
        part: dict[str, Any] = {"id": split.ids, "raw_text": split.text, "regression_labels": split.labels}
        for modality, key in (("a", "audio"), ("v", "vision")):
            sequences = split.sequences[modality]
            padded = np.zeros((len(split), sequences.lengths.max(), sequences.dim), dtype=np.float32)
            for clip in range(len(split)):
                padded[clip, : sequences.lengths[clip]] = sequences[clip]
            part |= {key: padded, f"{key}_lengths": sequences.lengths.tolist()}
        content[name] = part
    path.write_bytes(pickle.dumps(content))
    return path


def misa_entries(dataset: Dataset, split: str) -> list[tuple]:
    part = dataset.splits[split]
    return [
        (
            (None, part.sequences["v"][i], part.sequences["a"][i], part.text[i].split()),
            part.labels[i : i + 1, None],
            clip,
        )
        for i, clip in enumerate(part.ids)
    ]


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset((8, 3, 4), true_labels=False, seed=4)


@pytest.fixture
def source(dataset: Dataset, tmp_path: Path) -> Path:
    return mmsa_file(tmp_path / "unaligned.pkl", dataset)


def test_an_mmsa_file_is_stored_as_it_is(dataset: Dataset, source: Path, mugkit_home: Path) -> None:
    folder = prepare("mosi", [source])
    assert folder == mugkit_home / "data" / "mosi"
    stored = store.load("mosi", verify=True)
    assert stored.name == stored.family == "mosi"
    assert stored.fingerprint == dataset.fingerprint  # the same clips, frames and labels, by content
    assert stored.about["split"] == "8/3/4 clips; the paper has 1284/229/686"
    assert str(source.parent) not in (folder / "dataset.json").read_text()


def test_misa_files_are_joined_by_their_names(dataset: Dataset, tmp_path: Path) -> None:
    files = [tmp_path / f"{key}.pkl" for key in ("dev", "test", "train")]
    for path, name in zip(files, ("valid", "test", "train"), strict=True):
        path.write_bytes(pickle.dumps(misa_entries(dataset, name)))
    prepare("mosi", [tmp_path])
    assert store.load("mosi").fingerprint == dataset.fingerprint
    prepare("mosi", files[::-1], store_as="again")
    assert store.load("again").fingerprint == dataset.fingerprint


def test_three_files_without_split_names_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    for number, name in enumerate(SPLITS):
        (tmp_path / f"part{number}.pkl").write_bytes(pickle.dumps(misa_entries(dataset, name)))
    with pytest.raises(UserError, match="does not say which split"):
        prepare("mosi", [tmp_path])


def test_preparing_the_same_file_again_does_nothing(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = prepare("mosi", [source])
    before = (folder / "dataset.json").stat()
    moved = source.rename(tmp_path / "elsewhere.pkl")

    def fail(path: Path) -> None:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(preparing, "load_pickle", fail)
    assert prepare("mosi", [moved]) == folder
    assert (folder / "dataset.json").stat() == before


def test_data_of_older_readers_is_made_again(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(preparing, "_code", lambda: "older")
        folder = prepare("mosi", [source])
    before = store.load("mosi")
    prepare("mosi", [source])
    assert store.load("mosi").about["code"] != before.about["code"] == "older"
    assert store.load("mosi").fingerprint == before.fingerprint
    assert folder.is_dir()


def test_other_data_is_not_overwritten_unasked(source: Path, tmp_path: Path) -> None:
    prepare("mosi", [source])
    other = mmsa_file(tmp_path / "other.pkl", make_dataset((5, 2, 2), true_labels=False, seed=5))
    with pytest.raises(UserError, match="another source") as caught:
        prepare("mosi", [other])
    assert "--store-as" in str(caught.value.fix)
    assert len(store.load("mosi").train) == 8
    prepare("mosi", [other], store_as="mosi-5")
    assert (store.load("mosi-5").name, store.load("mosi-5").family) == ("mosi-5", "mosi")
    prepare("mosi", [other], force=True)
    assert len(store.load("mosi").train) == 5


def test_one_file_under_two_families_is_not_the_same(source: Path) -> None:
    prepare("mosi", [source], store_as="mine")
    with pytest.raises(UserError, match="another source"):
        prepare("mosei", [source], store_as="mine")


def test_damaged_data_is_mended_by_force(source: Path) -> None:
    folder = prepare("mosi", [source])
    (folder / "train.safetensors").unlink()
    with pytest.raises(UserError, match="is missing"):
        prepare("mosi", [source])
    prepare("mosi", [source], force=True)
    assert len(store.load("mosi", verify=True).train) == 8


def test_a_source_inside_the_data_folder_is_never_deleted(source: Path, mugkit_home: Path) -> None:
    inside = mugkit_home / "data" / "mosi" / "unaligned.pkl"
    inside.parent.mkdir(parents=True)
    source.rename(inside)
    for force in (False, True):
        with pytest.raises(UserError, match="holds other files"):
            prepare("mosi", [inside], force=force)
    assert inside.is_file()


def test_unsound_data_is_not_stored(dataset: Dataset, tmp_path: Path) -> None:
    labels = dataset.train.labels.copy()
    labels[2] = 7
    train = dataclasses.replace(dataset.train, labels=labels)
    path = mmsa_file(tmp_path / "bad.pkl", dataclasses.replace(dataset, splits={**dataset.splits, "train": train}))
    with pytest.raises(UserError, match="off the scale") as caught:
        prepare("mosi", [path])
    assert caught.value.file == path
    assert store.available() == []


@pytest.mark.parametrize("name", ["MOSI", "my data", "../mosi", "", ".hidden", "a/b", "mosi\n"])
def test_names_that_are_no_folder_names_are_refused(name: str, source: Path) -> None:
    if name:
        with pytest.raises(UserError, match="cannot be the name"):
            prepare("mosi", [source], store_as=name)
    with pytest.raises(UserError, match="unknown data set"):
        prepare(name, [source])


def test_a_misspelt_name_gets_a_hint(source: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'mosei'"):
        prepare("moseii", [source])


@pytest.mark.parametrize(
    ("content", "outline"),
    [([1, 2], "a list of 2"), ({"a": 1, "b": 2}, r"a dict of 2 keys \(a, b\)"), (5, "a int")],
)
def test_a_file_no_reader_knows_is_outlined(content: Any, outline: str, tmp_path: Path) -> None:
    (path := tmp_path / "x.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=outline):
        prepare("mosi", [path])


def test_sources_that_are_missing_or_too_many_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs files"):
        prepare("mosi", [])
    with pytest.raises(UserError, match="no such file"):
        prepare("mosi", [tmp_path / "none.pkl"])
    with pytest.raises(UserError, match=r"found unaligned\.pkl, unaligned\.pkl"):
        prepare("mosi", [source, source])
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="found none"):
        prepare("mosi", [empty])


def test_reviews_needs_no_source_and_depends_on_the_seed(monkeypatch: pytest.MonkeyPatch, mugkit_home: Path) -> None:
    calls: list[tuple] = []

    def fetch(folder: Path, source: Path | None = None) -> Path:
        calls.append((folder, source))
        return folder / "sdist"

    monkeypatch.setattr(reviews, "fetch", fetch)
    monkeypatch.setattr(reviews, "build", lambda sdist, seed: make_dataset((4, 2, 2), seed=seed, family="reviews"))
    prepare("reviews", [])
    prepare("reviews", [], seed=2024)
    assert calls == [(mugkit_home / "downloads", None)]  # the second one needed nothing
    assert store.load("reviews").fingerprint == make_dataset((4, 2, 2), seed=2024, family="reviews").fingerprint
    with pytest.raises(UserError, match="another source or seed"):
        prepare("reviews", [], seed=1)
    prepare("reviews", [Path("mine.tar.gz")], seed=1, store_as="reviews-1")
    assert calls[-1] == (mugkit_home / "downloads", Path("mine.tar.gz"))
    with pytest.raises(UserError, match="from one file"):
        prepare("reviews", [Path("a"), Path("b")], store_as="more")


# --- describing -------------------------------------------------------------------------------------


def test_splits_are_described_by_numbers_worked_out_by_hand(dataset: Dataset) -> None:
    train = dataclasses.replace(
        dataset.train, labels=np.array([-3, -3, -1.6, 0, 0.4, 0.6, 2, 3], np.float32), text=["one two", "one"] * 4
    )
    table = describe_splits(dataclasses.replace(dataset, splits={**dataset.splits, "train": train})).loc["train"]
    lengths = sorted(train.sequences["a"].lengths.tolist())
    assert (table["clips"], table["paper"], table["words"]) == (8, 1284, "1/1.5/2")
    assert table["acoustic frames"] == f"{lengths[0]}/{(lengths[3] + lengths[4]) / 2:g}/{lengths[-1]}"
    assert table["y mean"] == pytest.approx(-1.6 / 8)
    squares = (9 + 9 + 2.56 + 0 + 0.16 + 0.36 + 4 + 9) / 8
    assert table["y std"] == pytest.approx((squares - 0.2**2) ** 0.5)


def test_labels_are_counted_in_the_classes_of_acc7(dataset: Dataset) -> None:
    train = dataclasses.replace(dataset.train, labels=np.array([-3, -2.6, -2.5, -1.6, 0.5, 0.6, 2.4, 3], np.float32))
    counts = describe_labels(dataclasses.replace(dataset, splits={**dataset.splits, "train": train}))["train"]
    assert counts.to_dict() == {-3: 2, -2: 2, -1: 0, 0: 1, 1: 1, 2: 1, 3: 1}


def test_labels_of_sims_are_counted_in_the_classes_of_acc5() -> None:
    dataset = make_dataset((6, 2, 2), family="sims")
    train = dataclasses.replace(dataset.train, labels=np.array([-1, -0.8, -0.6, 0, 0.2, 1], np.float32))
    counts = describe_labels(dataclasses.replace(dataset, splits={**dataset.splits, "train": train}))["train"]
    assert counts.tolist() == [2, 1, 1, 1, 1]


def test_the_description_has_the_caption_the_sizes_and_the_caveats(dataset: Dataset) -> None:
    about = {"caption": "MOSI (12/7)", "variant": "other 12/7, aligned", "caveats": ["beware", "of this"]}
    text = describe(dataclasses.replace(dataset, about=about))
    assert text.splitlines()[0] == "made-up: MOSI (12/7)"
    assert "frames: other 12/7, aligned; dims acoustic 5, visual 4" in text
    assert "8/3/4 clips; the paper has 1284/229/686" in text
    assert text.splitlines()[-2:] == ["caveat: beware", "caveat: of this"]


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("file", "sizes", "caption"),
    [
        ("mosi_lite_unaligned.pkl", (1284, 229, 686), "MOSI text + acoustics + timing"),
        ("misa_dev.pkl", (154, 26, 49), "MOSI (74/47, aligned), made-up split"),
    ],
)
def test_the_real_files_are_prepared(file: str, sizes: tuple[int, ...], caption: str, shared_data: Path) -> None:
    prepare("mosi", [shared_data / "mosi" / file])
    dataset = store.load("mosi", verify=True)
    assert tuple(len(split) for split in dataset.splits.values()) == sizes
    assert dataset.about["caption"] == caption
    assert describe(dataset).startswith(f"mosi: {caption}\n")
