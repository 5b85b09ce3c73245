"""The reader of tables, on tables written by hand and on the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mugkit.data import csv_files
from mugkit.data.agreement import agreement
from mugkit.errors import UserError

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


def test_three_tables_are_named_after_their_splits(tmp_path: Path) -> None:
    paths = [
        table(tmp_path / f"mosi_{name}.csv", "ID,Raw_Text,Sentiment", [(f"{name}1", "good", "1")], ",")
        for name in ("test", "dev", "train")
    ]
    dataset = csv_files.read(paths, "mosi")
    assert [split.ids for split in dataset.splits.values()] == [["train1"], ["dev1"], ["test1"]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_separator_and_byte_order_mark_do_not_matter(separator: str, encoding: str, tmp_path: Path) -> None:
    rows = [("x" + name, "sehr schön", "1", name) for name in ("train", "valid", "test")]
    path = table(tmp_path / "clips.csv", "id,text,label,split", rows, separator, encoding)
    dataset = csv_files.read([path], "mosi")
    assert (dataset.train.ids, dataset.test.text) == (["xtrain"], ["sehr schön"])


@pytest.mark.parametrize(
    "header",
    ["id,y,y_l,y_a,y_v,split", "Id,M,T,A,V,Mode", "video,label_M,label_T,label_A,label_V,fold", "ID,label,t,a,v,SET"],
)
def test_labels_of_single_modalities_are_found_under_their_names(header: str, tmp_path: Path) -> None:
    rows = [(name, "0.5", "0.2", "-0.4", "1", name) for name in ("train", "valid", "test")]
    dataset = csv_files.read([table(tmp_path / "labels.csv", header, rows, ",")], "sims")
    found = {m: values.item() for m, values in dataset.test.true_labels.items()}
    assert found == pytest.approx({"l": 0.2, "a": -0.4, "v": 1}, abs=1e-6)
    assert dataset.train.labels.tolist() == [0.5]
    assert dataset.modalities == ()
    assert dataset.about["caption"] == "SIMS (labels only)"


def test_one_label_of_a_single_modality_is_enough(tmp_path: Path) -> None:
    rows = [(name, "0.5", "0.2", name) for name in ("train", "valid", "test")]
    dataset = csv_files.read([table(tmp_path / "labels.csv", "id,label,label_T,split", rows, ",")], "sims")
    assert set(dataset.train.true_labels) == {"l"}
    assert not dataset.has_true_labels


def test_version_1_alone_is_taken(tmp_path: Path) -> None:
    rows = [(f"{name}{k}", "0.5", name, str(k < 2)) for name in ("train", "valid", "test") for k in range(3)]
    dataset = csv_files.read([table(tmp_path / "labels.csv", "id,label,split,is_v1", rows, ",")], "sims")
    assert dataset.train.ids == ["train0", "train1"]
    assert dataset.about["caption"] == "SIMS (labels only), version 1"
    assert "of the table's clips, those of version 1 are taken (column is_v1)" in dataset.about["caveats"]


def test_columns_that_are_not_used_are_named(tmp_path: Path) -> None:
    rows = [(name, "1", "2.5", name) for name in ("train", "valid", "test")]
    dataset = csv_files.read([table(tmp_path / "x.csv", "id,label,Start,split", rows, ",")], "mosi")
    assert dataset.about["caveats"][-1] == "columns that are not used: Start"


def test_quoted_cells_may_hold_separators(tmp_path: Path) -> None:
    (path := tmp_path / "x.csv").write_text(
        'id,text,label,split\na,"well, ""good""",1,train\nb,NA,1,valid\nc,null,1,test\n'
    )
    dataset = csv_files.read([path], "mosi")
    assert [split.text for split in dataset.splits.values()] == [['well, "good"'], ["NA"], ["null"]]


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row", "problem", "field"),
    [
        ("id,text,label,split", ("a", "x", "good", "train"), "'good' is not a number", "label, line 3"),
        ("id,text,label,split", ("a", "x", "", "train"), "'' is not a number", "label, line 3"),
        ("id,text,label,split", ("a", "x", "inf", "train"), "'inf' is not a number", "label, line 3"),
        ("id,text,label,split", ("a", "x", "1", "exam"), "'exam' is no split", "split, line 3"),
        ("id,text,label,split", ("a", "x"), "'' is no split", "split, line 3"),
        ("id,label_A,label,split", ("a", "?", "1", "train"), "'?' is not a number", "label_A, line 3"),
        ("id,text,label", ("a", "x", "1"), "no column for the split", None),
        ("id,text,score,split", ("a", "x", "1", "train"), "no column for the label", None),
        ("text,label,split", ("x", "1", "train"), "no column that names the clips", None),
        ("id,label,split", ("a", "1", "train", "x", "y"), "is not a table", None),
    ],
)
def test_a_table_that_does_not_do_is_refused_by_its_line(
    header: str, row: tuple[str, ...], problem: str, field: str | None, tmp_path: Path
) -> None:
    good = tuple("train" if name == "split" else "1" for name in header.split(","))
    path = table(tmp_path / "x.csv", header, [good, row], ",")
    with pytest.raises(UserError) as caught:
        csv_files.read([path], "mosi")
    assert problem in caught.value.problem
    assert (caught.value.file, caught.value.field) == (path, field)
    assert caught.value.fix


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "x.csv", "id,text,label,split", [("a", "schön", "1", "train")], ",", "latin-1")
    with pytest.raises(UserError, match="is not UTF-8"):
        csv_files.read([path], "mosi")


def test_lines_that_are_all_longer_than_the_first_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "x.csv", "id,label,split", [("a", "1", "train", "x")] * 3, ",")
    with pytest.raises(UserError, match="is not a table"):
        csv_files.read([path], "mosi")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "x.csv").touch()
    with pytest.raises(UserError, match="is not a table"):
        csv_files.read([path], "mosi")


def test_three_tables_need_three_splits(tmp_path: Path) -> None:
    paths = [table(tmp_path / f"{name}.csv", "id,label", [("a", "1")], ",") for name in ("train", "dev", "valid")]
    with pytest.raises(UserError, match="not one table a split"):
        csv_files.read(paths, "mosi")
    with pytest.raises(UserError, match="does not say which split"):
        csv_files.read([*paths[:2], paths[2].rename(tmp_path / "rest.csv")], "mosi")


# --- recognition and folds --------------------------------------------------------------------------


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


def test_a_video_in_two_splits_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "folds.csv", "video,split", [("a", "train"), ("a", "test")], ",")
    with pytest.raises(UserError, match="is both in train and in test") as caught:
        csv_files.read_folds(path)
    assert caught.value.field == "a"


@pytest.mark.parametrize("content", ["", "[1]", '{"exam": ["a"]}', '{"train": 5}'])
def test_json_of_another_form_is_refused(content: str, tmp_path: Path) -> None:
    (path := tmp_path / "folds.json").write_text(content)
    with pytest.raises(UserError, match="does not list videos by split"):
        csv_files.read_folds(path)


# --- the real files ---------------------------------------------------------------------------------


@pytest.mark.shared_data
def test_the_labels_of_sims_are_those_of_version_1(shared_data: Path) -> None:
    dataset = csv_files.read([shared_data / "sims" / "labels.csv"], "sims")
    assert [len(split) for split in dataset.splits.values()] == [1368, 456, 457]
    frames = [split.frame() for split in dataset.splits.values()]
    clips = {clip for frame in frames for clip in frame["id"]}
    assert len(clips) == 2281
    # What the simulated labels of `reviews` were fitted to.
    statistics = agreement(pd.concat(frames), dataset.label_scale)
    assert statistics["corr(y, y_l)"] == pytest.approx(0.717, abs=5e-4)
    assert statistics["corr(y, y_a)"] == pytest.approx(0.845, abs=5e-4)


@pytest.mark.shared_data
def test_the_tables_of_mosi_give_its_official_split(shared_data: Path) -> None:
    dataset = csv_files.read(sorted((shared_data / "mosi").glob("*.tsv")), "mosi")
    assert [len(split) for split in dataset.splits.values()] == [1284, 229, 686]
    assert dataset.test.ids[0] == "c7UH_rxdZv4$_$24"
    assert dataset.test.text[0] == "AND HE WAS STILL BORING"
    assert dataset.about["caveats"][-1] == "columns that are not used: elapse, start, stop"
