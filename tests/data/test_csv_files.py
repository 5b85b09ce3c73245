"""The reader of tables, on tables written by hand and on the real tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from mugkit.data import csv_files

ROWS = [
    ("v1", "1", "a fine film", "1.5", "train"),
    ("v1", "2", "awful, really", "-2", "train"),
    ("v2", "1", "okay", "0", "dev"),
    ("v3", "1", "good", "3", "test"),
]


def table(path: Path, header: str, rows: list[tuple[str, ...]], separator: str = "\t", encoding: str = "utf-8") -> Path:
    lines = [header.replace(",", separator), *(separator.join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return table(tmp_path / "clips.tsv", "video_id,clip_id,text,label,mode", ROWS)


def test_one_table_is_divided_by_its_split_column(whole: Path) -> None:
    dataset = csv_files.read([whole], "mosi")
    assert [split.ids for split in dataset.splits.values()] == [["v1$_$1", "v1$_$2"], ["v2$_$1"], ["v3$_$1"]]
    assert dataset.train.text == ["a fine film", "awful, really"]
    assert dataset.train.labels.dtype == np.float32
    assert dataset.train.labels.tolist() == [1.5, -2]
    assert (dataset.modalities, dataset.dims, dataset.train.true_labels) == (("l",), {}, {})
    assert dataset.about == {
        "reader": "csv",
        "variant": "text only",
        "caption": "MOSI (text only)",
        "caveats": ["not the paper's data: no acoustic frames, no visual frames"],
        "columns": {"video": "video_id", "clip": "clip_id", "split": "mode", "text": "text", "y": "label"},
    }


@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-8-sig")])
def test_three_tables_with_any_separator_are_named_after_splits(separator: str, encoding: str, tmp_path: Path) -> None:
    paths, header = [], "ID,Raw_Text,Sentiment"
    for name in ("test", "dev", "train"):
        rows = [(f"{name}1", "sehr schön", "1")]
        paths.append(table(tmp_path / f"mosi_{name}.csv", header, rows, separator, encoding))
    dataset = csv_files.read(paths, "mosi")
    assert [split.ids for split in dataset.splits.values()] == [["train1"], ["dev1"], ["test1"]]
    assert dataset.test.text == ["sehr schön"]


@pytest.mark.parametrize(
    "header",
    ["id,y,y_l,y_a,y_v,split", "Id,M,T,A,V,Mode", "video,label_M,label_T,label_A,label_V,fold"],
)
def test_labels_of_single_modalities_are_found_under_their_names(header: str, tmp_path: Path) -> None:
    rows = [(name, "0.5", "0.2", "-0.4", "1", name) for name in ("train", "valid", "test")]
    dataset = csv_files.read([table(tmp_path / "labels.csv", header, rows, ",")], "sims")
    found = {m: values.item() for m, values in dataset.test.true_labels.items()}
    assert found == pytest.approx({"l": 0.2, "a": -0.4, "v": 1}, abs=1e-6)
    assert dataset.train.labels.tolist() == [0.5]
    assert dataset.modalities == ()
    assert dataset.about["caption"] == "SIMS (labels only)"


def test_version_1_alone_is_taken_and_quoted_cells_may_hold_separators(tmp_path: Path) -> None:
    rows = [(f"{name}{k}", "0.5", name, str(k < 2)) for name in ("train", "valid", "test") for k in range(3)]
    dataset = csv_files.read([table(tmp_path / "labels.csv", "id,label,split,is_v1", rows, ",")], "sims")
    assert dataset.train.ids == ["train0", "train1"]
    assert dataset.about["caption"] == "SIMS (labels only), version 1"
    assert "of the table's clips, those of version 1 are taken (column is_v1)" in dataset.about["caveats"]
    lines = 'a,"well, ""good""",1,train,0\nb,NA,1,valid,1\nc,null,1,test,2\n'
    (path := tmp_path / "x.csv").write_text(f"id,text,label,split,Start\n{lines}")
    dataset = csv_files.read([path], "mosi")
    assert [split.text for split in dataset.splits.values()] == [['well, "good"'], ["NA"], ["null"]]
    assert dataset.about["caveats"][-1] == "columns that are not used: Start"


@pytest.mark.parametrize(
    ("name", "content", "known"),
    [
        ("x.csv", b"anything", True),
        ("x.TSV", b"", True),
        ("x.txt", b"id;text;sentiment\n", True),
        ("x", b"\xef\xbb\xbflabel,id\r\n", True),
        ("x.txt", b"id;text\n", True),
        ("x.txt", b"id;words of mine\n", False),
        ("x.pkl", b"\x80\x04\x95", False),
    ],
)
def test_tables_are_recognised(name: str, content: bytes, known: bool, tmp_path: Path) -> None:
    (path := tmp_path / name).write_bytes(content)
    assert csv_files.recognises(path) is known


def test_folds_are_read_from_tables_and_json(tmp_path: Path) -> None:
    by_video = table(tmp_path / "folds.csv", "video,split", [("a", "train"), ("b", "dev"), ("a", "train")], ",")
    assert csv_files.read_folds(by_video) == {"a": "train", "b": "valid"}
    by_clip = table(tmp_path / "clips.csv", "video_id,clip_id,mode", [("a", "7", "test")], ",")
    assert csv_files.read_folds(by_clip) == {"a$_$7": "test"}
    (listed := tmp_path / "folds.json").write_text(json.dumps({"train": ["a"], "val": ["b"], "test": ["c"]}))
    assert csv_files.read_folds(listed) == {"a": "train", "b": "valid", "c": "test"}
