"""Bad files of every kind: an error that names file, field or row, and the fix; nothing is run, nothing half-written.

Each case is a function that writes files into a folder and returns what `prepare` is given, and how the error begins:
`FILE: FIELD: ` or, where there is no field, the file and the first words. The folder itself is called `here`.
"""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from held_files import VIDEOS, dump, entry, misa, mmsa, mult, part, sequence, sound_csd

from mugkit.data import disk, store
from mugkit.data.prepare import prepare
from mugkit.data.schema import SPLITS
from mugkit.errors import UserError

Make = Callable[[Path], list[Path]]
Cases = dict[str, tuple[Make, str]]


def pickled(content: Any, protocol: int = 4) -> Make:
    return lambda folder: [dump(folder / "data.pkl", content, protocol)]


def written(content: str | bytes, name: str = "data.csv") -> Make:
    def make(folder: Path) -> list[Path]:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return [folder / name]

    return make


def several(*makes: Make) -> Make:
    return lambda folder: [path for make in makes for path in make(folder)]


def named(content: Any, *names: str) -> Make:
    """Copies of one pickle under several names."""
    return lambda folder: [dump(folder / f"{name}.pkl", content) for name in names]


ROWS = "id,text,label,split\na,so good,1.0,train\nb,so bad,-1.0,valid\nc,so so,0.0,test\n"


def row(line: str, header: str = "id,text,label,split") -> Make:
    """A sound table with one more line: the fifth."""
    return written(ROWS.replace("id,text,label,split", header) + line + "\n")


class Evil:
    """Runs a command when a careless reader loads it."""

    def __reduce__(self) -> tuple:
        return (os.system, ("touch executed",))


FILES: Cases = {
    "no such file": (lambda folder: [folder / "none.pkl"], "none.pkl: no such file"),
    "no file": (lambda folder: [], "source: "),
    "empty folder": (lambda folder: [folder], "here: "),
    "empty file": (written("", "data.pkl"), "data.pkl: is empty"),
    "truncated pickle": (written(pickle.dumps(mmsa())[:-40], "data.pkl"), "data.pkl: is empty or cut off"),
    "prose called pickle": (written("hello, I am none\n", "data.pkl"), "data.pkl: is text, not a pickle: it starts wi"),
    "a call": (pickled({"train": Evil(), "valid": 1, "test": 2}), "data.pkl: refers to 'posix.system'"),
    "a pickle of a list": (pickled([1, 2]), "data.pkl: holds a list of 2"),
    "no test split": (pickled({"train": part("train"), "valid": part("valid")}), "data.pkl: holds a dict of 2"),
    "a split twice": (pickled(mmsa() | {"dev": part("dev")}), "data.pkl: has one split twice: valid, dev"),
    "two pickles": (named(mmsa(), "a", "b"), "here: source: "),
    "pickles without split names": (named([entry("x")], *"xyz"), "x.pkl: the file's name"),
    "pickles of one split": (named([entry("x")], "train", "dev", "valid"), "here: two files of one split"),
    "a pickle and folds": (several(pickled(mmsa()), written("{}", "folds.json")), "here: source: files of several k"),
    "a table to a pickle that has texts": (several(pickled(mmsa()), written(ROWS)), "data.csv: source: "),
}  # fmt: skip


def classes() -> dict[str, Any]:
    """IEMOCAP in MulT's form: four emotions, no ids."""
    content = mult(lambda split: None, labels=np.zeros((4, 4, 2), np.int64))
    return {name: {key: value for key, value in fields.items() if key != "id"} for name, fields in content.items()}


MMSA: Cases = {
    "classes of emotions": (pickled(classes()), "data.pkl: train.labels: holds 4 × 2 numbers a clip"),
    "no id": (pickled(classes() | {"train": {"labels": [1.0]}}), "data.pkl: train.id: is missing"),
    "no labels": (pickled(mmsa() | {"train": {"id": ["a"]}}), "data.pkl: train.regression_labels: is missing"),
    **{
        f"{key} {number}": (pickled(mmsa(**{key: value})), f"data.pkl: train.{key}: ")
        for key, values in {
            "id": ([[None], [2], [3]],),
            "raw_text": ([["so", "so"], ["bad"], ["ok"]], [1, 2, 3], 5),
            "audio": ([np.ones((2, 5)), np.ones((1, 4))], np.ones((3, 5)), np.full((3, 4, 5), "a"), np.ones((3, 0, 5))),
            "audio_lengths": ([2, 2], [2, 0, 2], [2, np.nan, 2], ["a", "b", "c"]),
            "regression_labels": ([[1.0], [2.0, 3.0], [1.0]], np.zeros((3, 4, 2))),
        }.items()
        for number, value in enumerate(values)
    },
    "ragged labels without ids": (pickled(mmsa(id=[], regression_labels=[[1.0], [2.0, 3.0]])), "data.pkl: train."),
    "a length that is not there": (pickled(mmsa(audio_lengths=[2, 99, 2])),
                                   "data.pkl: train.audio_lengths: says 99 frames for clip 'train$_$1' (row 1)"),
    # What else `validate` refuses, its own tests have.
    "a clip in two splits": (pickled(mmsa(id=["a", "valid$_$1", "b"])), "data.pkl: valid.id[1] (clip 'valid$_$1'): is"),
    "a split without clips": (pickled(mmsa() | {"valid": part("valid", 0)}), "data.pkl: valid"),
}  # fmt: skip

(IDS, VISUAL, AUDIO, WORDS), LABEL, CLIP = entry("v[2]")
MISA: Cases = {
    **{
        f"MISA entry {number}": (pickled(misa(broken)), "data.pkl: train[2]: is not a MISA entry")
        for number, broken in enumerate((
            7, ((IDS, VISUAL), LABEL, CLIP), ((IDS, VISUAL[0], AUDIO, WORDS), LABEL, CLIP),
            ((IDS, VISUAL, AUDIO, WORDS), np.zeros((1, 2)), CLIP), ((IDS, VISUAL, AUDIO, 7), LABEL, CLIP),
        ))
    },
    "MISA clip without words": (pickled(misa(entry("v[2]", words=()))), "data.pkl: train.text[2] (clip 'v[2]'): "),
    "MISA frames of other dims": (pickled(misa(entry("v[2]", dims=(35, 74)))), "data.pkl: train.visual: "),
    "MISA list too short to split": (pickled([entry("v[0]")]), "data.pkl: "),
}  # fmt: skip

TABLES: Cases = {
    "empty table": (written(""), "data.csv: is not a table"),
    "no labels": (written("id,text,split\na,b,train\nb,c,valid\nd,e,test\n"), "data.csv: has no column for the label"),
    "no ids": (written("text,label,split\na,1,train\n"), "data.csv: has no column that names the clips"),
    "no splits": (written("id,text,label\na,b,1\n"), "data.csv: has no column for the split"),
    "no valid split": (written("id,text,label,split\na,x,1,train\nb,y,1,test\n"), "data.csv: valid: "),
    "an unknown split": (row("d,fine,1,exam"), "data.csv: split, line 5: 'exam'"),
    "a mark of version 1 that is neither true nor false": (
        written("id,label,split,is_v1\na,1,train,True\nb,1,valid,\nc,1,test,1.0\n"), "data.csv: is_v1, line 4: '1.0'",
    ),
    "too few cells": (row("d,fine"), "data.csv: split, line 5: ''"),
    "too many cells": (row("d,fine,1,train,more,cells"), "data.csv: is not a table"),
    "a label off the scale": (row("d,fine,11,train"), "data.csv: train.labels[1] (clip 'd'): "),
    "latin-1": (written((ROWS + "d,très bien,1,train\n").encode("latin-1")), "data.csv: is not UTF-8 text"),
    "two tables": (several(written(ROWS, "a.csv"), written(ROWS, "b.csv")), "here: source: "),
    "tables of one split": (several(*(written(ROWS, f"{n}.csv") for n in ("train", "dev", "valid"))), "here: not one"),
    **{
        f"letters {letters}": (
            row("x,1,1,train," + ",".join("0" for _ in letters.split(",")), f"id,text,label,split,{letters}"),
            f"data.csv: column {place}: ")
        for letters, place in {"A": "A", "T,A": "T", "A,B,T,V": "T"}.items()
    },
}  # fmt: skip


def sdk(change: Callable[[h5py.Group], object] = lambda words: None, folds: str = "") -> Make:
    """The SDK's labels and words of three videos and their folds; `change` gets the words of one video."""

    def make(folder: Path) -> list[Path]:
        sources = [sound_csd(folder), folder / "words.csd", folder / "folds.json"]
        sequence(sources[1], "words", dict.fromkeys(VIDEOS, ([[0, 1], [1, 2]], [[b"so"], [b"good"]])))
        with h5py.File(sources[1], "a") as file:
            change(file["words/data/vb"])
        if folds:
            sources[2].write_text(folds)
        return sources

    return make


def features(shape: tuple[int, int], value: Any = None, **how: Any) -> Callable[[h5py.Group], object]:
    """A change that stores other features."""

    def change(video: h5py.Group) -> None:
        del video["features"]
        if isinstance(value, h5py.ExternalLink):
            video["features"] = value
        elif isinstance(value, h5py.VirtualLayout):
            video.create_virtual_dataset("features", value)
        else:
            video.create_dataset("features", shape, data=value, **how)

    return change


def virtual() -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((2, 1), "S8")
    layout[:] = h5py.VirtualSource("labels.csd", "words/data/va/features", (2, 1), "S8")
    return layout


VIDEO, NONE = "words.csd: words/data/vb", "is not a computational sequence"
TWICE = several(sdk(), lambda folder: [Path(shutil.copy(folder / "words.csd", folder / "words2.csd"))])
SDK: Cases = {
    "no HDF5": (written("no HDF5 at all", "labels.csd"), f"labels.csd: {NONE}"),
    "HDF5's first bytes alone": (written(b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "x"), f"x: {NONE}"),
    "HDF5 of another form": (lambda folder: [sequence(folder / "a.csd", "x", {})], f"a.csd: {NONE}"),
    "no file of labels": (lambda folder: sdk()(folder)[1:], "here: no file of labels"),
    "two files of words": (TWICE, "words2.csd: words: there are two files"),
    "another number of intervals": (sdk(features((3, 1), [[b"so"]] * 3)), f"{VIDEO}: "),
    "words that are numbers": (sdk(features((2, 1), np.zeros((2, 1)))), f"{VIDEO}: "),
    "features of other dims": (sdk(features((2, 3), [[b"so"] * 3] * 2)), f"{VIDEO}: "),
    "a video without features": (sdk(lambda video: video.pop("features")), f"{VIDEO}: "),
    "a link to a file": (sdk(features((2, 1), h5py.ExternalLink("labels.csd", "/"))), "words.csd: vb/features: "),
    "bytes of a file": (sdk(features((2, 1), dtype="S8", external=[("/etc/passwd", 0, 16)])), "words.csd: vb/feat"),
    "a virtual data set": (sdk(features((2, 1), virtual())), "words.csd: vb/features: "),
    "a claim of 2^40 entries": (sdk(features((2**40, 1), dtype="S8", chunks=(1024, 1))), "words.csd: vb: claims"),
    "videos in no fold": (sdk(folds='{"train": ["q"], "valid": ["r"], "test": ["s"]}'), "here: folds: "),
    "folds alone": (lambda folder: sdk()(folder)[2:], "folds.json: folds alone"),
    **{
        f"folds {text[:15]}": (sdk(folds=text), "folds.json: does not list videos by split")
        for text in ("train: va", "[1]", '{"exam": ["a"]}', '{"train": 5}', "[" * 100_000)
    },
    "a video in two folds": (sdk(folds='{"train": ["va"], "valid": ["vb", "va"], "test": ["vc"]}'), "folds.json: va: "),
    "folds twice": (several(sdk(), written("video,split\nva,train\n", "b.csv")), "here: source: "),
}  # fmt: skip

CASES = FILES | MMSA | MISA | TABLES | SDK
SOUND: list[Make] = [pickled(mmsa()), pickled(misa()), written(ROWS), sdk()]


def left_over(home: Path) -> list[str]:
    """What a failed preparation must not leave: data sets, temporary folders, scratch files."""
    return [str(path) for path in home.rglob("*") if path.is_file() and not path.name.endswith(".lock")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder := tmp_path / "given").mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_named_and_leaves_nothing(case: str, here: Path, mugkit_home: Path) -> None:
    make, beginning = CASES[case]
    with pytest.raises(UserError) as caught:
        prepare("mosi", make(here))
    told = str(caught.value).replace(f"{here}/", "").replace(str(here), "here")
    assert told.startswith(beginning), told
    assert caught.value.fix
    assert left_over(mugkit_home) == []
    assert not (here / "executed").exists()


@pytest.mark.parametrize("make", SOUND)
def test_the_same_files_unspoilt_are_prepared(make: Make, tmp_path: Path) -> None:
    """Otherwise the cases above could fail for another reason than theirs."""
    prepare("mosi", make(tmp_path))
    assert store.available() == ["mosi"]


@pytest.mark.parametrize(
    ("family", "make", "align", "field"),
    [
        ("mosei", lambda folder: [sound_csd(folder)], False, "source"),  # whose folds are not known here
        ("mosi", lambda folder: [sound_csd(folder), folder / "folds.json"], True, None),  # no words
        ("mosi", written(ROWS), True, None),  # no times
        ("sims", pickled(mmsa()), False, "train.labels[0] (clip 'train$_$0')"),  # on another scale
    ],
)
def test_files_of_other_data_are_refused(family: str, make: Make, align: bool, field: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        prepare(family, make(tmp_path), align=align)
    assert caught.value.field == field


@pytest.mark.parametrize("cell", ["good", '"1,5"', "", "inf"])
def test_a_label_that_is_no_number_is_named_by_column_and_line(cell: str, tmp_path: Path) -> None:
    lines = ["id,split,label,label_A", *(f"{split},{split},1,1" for split in SPLITS)]
    for column, line in {"label": f"x,train,{cell},1", "label_A": f"x,train,1,{cell}"}.items():
        (path,) = written("\n".join([*lines, line]))(tmp_path)
        with pytest.raises(UserError) as caught:
            prepare("mosi", [path])
        assert (caught.value.file, caught.value.field) == (path, f"{column}, line 5")
        assert ("1.5" in str(caught.value.fix)) == ("1,5" in cell)


def labelled(kind: str, cell: Any) -> tuple[dict[str, Any], str]:
    """A pickle with a cell among its labels, and the place that an error has to name."""
    content = mult(lambda split: [f"{split}{k}" for k in range(4)])
    if kind == "MISA":
        return misa((entry("w[1]")[0], np.array([[cell]], dtype=object), "w[1]")), "train[2].label (clip 'w[1]')"
    if kind == "MulT":
        content["test"]["labels"] = np.array([1.5, "2", cell, -1], dtype=object).reshape(-1, 1, 1)
        return content, "test.labels[2] (clip 'test2')"
    content["test"]["regression_labels_A"] = ["1", cell, "0", "0"]
    return content, "test.regression_labels_A[1] (clip 'test1')"


@pytest.mark.parametrize("kind", ["MulT", "MMSA", "MISA"])
@pytest.mark.parametrize("cell", ["good", b"1,5", None, float("nan")])
def test_a_label_that_is_no_number_is_named_by_its_row_in_a_pickle(cell: Any, kind: str, tmp_path: Path) -> None:
    content, place = labelled(kind, cell)
    path = dump(tmp_path / "data.pkl", content)
    with pytest.raises(UserError) as caught:
        prepare("mosi", [path])
    assert (caught.value.file, caught.value.field) == (path, place)
    assert ("1.5" in str(caught.value.fix)) == (cell == b"1,5")


@pytest.mark.parametrize("make", SOUND)
def test_full_disk_is_told_and_leaves_nothing(
    make: Make, tmp_path: Path, mugkit_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=10))
    with pytest.raises(UserError, match="too full") as caught:
        prepare("mosi", make(tmp_path))
    assert Path(str(caught.value.file)).is_relative_to(mugkit_home)
    assert left_over(mugkit_home) == []


def test_a_failed_preparation_keeps_what_was_prepared_before(tmp_path: Path) -> None:
    before = store.load(prepare("mosi", [dump(tmp_path / "a.pkl", mmsa())])).fingerprint
    with pytest.raises(UserError):
        prepare("mosi", [dump(tmp_path / "b.pkl", mmsa(id=["a", "b", "a"]))], force=True)
    assert store.load("mosi", verify=True).fingerprint == before
