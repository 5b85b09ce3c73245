"""Bad files of every kind: a message that names file, field or row, and the fix; exit 2; nothing half-written.

Every case is a function that writes one or more files into a folder and returns what `mugkit prepare` is given. The
message must have the expected words, the name of a file (or of the folder), and a fix.
"""

from __future__ import annotations

import errno
import os
import pickle
import re
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mugkit import cli
from mugkit.data import disk, store

Make = Callable[[Path], list[Path]]


@dataclass(frozen=True)
class Case:
    """Bad input: what is wrong, how to make it, and what the message must say."""

    name: str
    make: Make
    says: str
    family: str = "mosi"


# --- sound files, to be spoilt ----------------------------------------------------------------------


def part(name: str, clips: int = 3, **fields: Any) -> dict[str, Any]:
    """One split of an MMSA pickle."""
    return {
        "id": [f"{name}$_${clip}" for clip in range(clips)],
        "raw_text": ["so good", "so bad", "so so"][:clips],
        "audio": np.ones((clips, 4, 5), np.float32),
        "vision": np.ones((clips, 3, 20), np.float32),
        "audio_lengths": [2] * clips,
        "vision_lengths": [3] * clips,
        "regression_labels": np.array([1.5, -2.0, 0.0][:clips]),
    } | fields


def mmsa(**train: Any) -> dict[str, Any]:
    return {"train": part("train", **train), "valid": part("valid"), "test": part("test")}


def without(key: str) -> dict[str, Any]:
    content = mmsa()
    del content["train"][key]
    return content


def entry(clip: str, words: Any = ("a", "fine", "film"), label: Any = 1.5, dims: tuple[int, int] = (47, 74)) -> tuple:
    """An entry of a MISA pickle."""
    visual, acoustic = (np.ones((max(len(words), 1), dim)) for dim in dims)
    return ((np.arange(len(words)), visual, acoustic, list(words)), np.array([[label]], np.float32), clip)


def misa(*spoilt: Any) -> dict[str, Any]:
    return {
        "train": [entry("v[0]"), entry("v[1]"), *spoilt],
        "dev": [entry("w[0]"), entry("w[1]")],
        "test": [entry("x[0]"), entry("x[1]")],
    }


def dump(content: Any, name: str = "data.pkl", protocol: int = 4) -> Make:
    """A pickle of the content."""

    def make(folder: Path) -> list[Path]:
        (folder / name).write_bytes(pickle.dumps(content, protocol))
        return [folder / name]

    return make


def raw(content: bytes, name: str = "data.pkl") -> Make:
    """A file of these bytes."""

    def make(folder: Path) -> list[Path]:
        (folder / name).write_bytes(content)
        return [folder / name]

    return make


def csv(text: str, name: str = "data.csv") -> Make:
    return raw(text.encode(), name)


ROWS = "id,text,label,split\na,so good,1.0,train\nb,so bad,-1.0,valid\nc,so so,0.0,test\n"


def row(line: str) -> Make:
    """A sound table with one more line."""
    return csv(ROWS + line + "\n")


def sdk(change: Callable[[Any, Any], None]) -> Make:
    """CMU SDK files of labels and words for three videos, changed before they are closed."""

    def make(folder: Path) -> list[Path]:
        import h5py

        with h5py.File(folder / "labels.csd", "w") as labels, h5py.File(folder / "words.csd", "w") as words:
            for number, video in enumerate(("va", "vb", "vc")):
                labels[f"Opinion Segment Labels/data/{video}/intervals"] = np.array([[0.0, 2.0]])
                labels[f"Opinion Segment Labels/data/{video}/features"] = np.array([[1.0 - number]])
                words[f"words/data/{video}/intervals"] = np.array([[0.0, 1.0], [1.0, 2.0]])
                words[f"words/data/{video}/features"] = np.array([[b"so"], [b"good"]], dtype="S8")
            change(labels, words)
        folds = folder / "folds.json"
        folds.write_text('{"train": ["va"], "valid": ["vb"], "test": ["vc"]}')
        return [folder / "labels.csd", folder / "words.csd", folds]

    return make


def replace(file: Any, place: str, value: Any) -> None:
    del file[place]
    file[place] = value


LABELS, WORDS = "Opinion Segment Labels/data", "words/data"


class Evil:
    """Runs a command when a careless reader loads it."""

    def __reduce__(self) -> tuple:
        return (os.system, ("touch executed",))


def nested(depth: int) -> bytes:
    return b"(" * depth + b"l" + b"." if depth else b"."


# --- the cases --------------------------------------------------------------------------------------

CASES = (
    # files
    Case("no such file", lambda folder: [folder / "none.pkl"], "none.pkl.*no such file"),
    Case("empty file", raw(b""), "data.pkl.*(empty|cut off)"),
    Case("empty folder", lambda folder: [folder], "found none|holds no|no file"),
    Case("truncated pickle", lambda f: raw(pickle.dumps(mmsa())[:-40])(f), "data.pkl.*cut off"),
    Case("half a pickle", lambda f: raw(pickle.dumps(mmsa())[:200])(f), "data.pkl"),
    Case("random bytes", raw(bytes(range(256)) * 8), "data.pkl"),
    Case("text called pickle", raw(b"hello, I am not a pickle\n"), "data.pkl"),
    Case("zip archive called pickle", raw(b"PK\x03\x04" + b"\0" * 60), "data.pkl"),
    Case("web page in place of the file", raw(b"<!DOCTYPE html><html>Quota exceeded</html>"), "data.pkl"),
    # hostile pickles
    Case("pickle that calls os.system", dump({"train": Evil(), "valid": 1, "test": 2}), "nothing was executed"),
    Case("pickle that names eval", raw(b"c__builtin__\neval\n(S'1'\ntR."), "nothing was executed"),
    Case("pickle of a class of its own", raw(b"ccustom\nDataset\n)\x81}b."), "nothing was executed"),
    Case("pickle with persistent ids", raw(b"\x80\x02X\x01\x00\x00\x00aQ."), "nothing was executed"),
    Case("pickle claiming 2^60 bytes", raw(b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x."), "data.pkl"),
    Case("pickle nested 100,000 deep", raw(b"]" + b"]a" * 100_000 + b"."), "data.pkl"),
    Case("array larger than its bytes", raw(pickle.dumps(mmsa(), 2).replace(b"K\x03K\x04K\x05", b"K\x03K\x04K\x7f")),
         "data.pkl"),
    # the wrong thing
    Case("pickle of a number", dump(42), "which no reader knows"),
    Case("pickle of an empty dict", dump({}), "which no reader knows"),
    Case("pickle without test split", dump({"train": part("train"), "valid": part("valid")}), "which no reader knows"),
    Case("two pickles", lambda f: dump(mmsa(), "a.pkl")(f) + dump(mmsa(), "b.pkl")(f), "one pickle or three|a.pkl"),
    Case("three pickles without split names",
         lambda f: [p for n in "xyz" for p in dump([entry(n)], f"{n}.pkl")(f)], "which split"),
    # MMSA: keys and shapes
    Case("no ids", dump(without("id")), r"train\.id.*missing"),
    Case("no transcripts", dump(without("raw_text")), r"raw_text.*missing|transcript"),
    Case("no labels", dump(without("regression_labels")), r"train\.regression_labels.*missing"),
    Case("ids are lists", dump(mmsa(id=[[None], [2], [3]])), r"train\.id.*strings"),
    Case("transcripts are lists", dump(mmsa(raw_text=[["so", "so"], ["bad"], ["ok"]])), r"train\.raw_text.*strings"),
    Case("ragged audio", dump(mmsa(audio=[np.ones((2, 5)), np.ones((3, 5)), np.ones((1, 4))])), r"train\.audio"),
    Case("audio with two axes", dump(mmsa(audio=np.ones((3, 5), np.float32))), r"train\.audio.*shape"),
    Case("audio of text", dump(mmsa(audio=np.full((3, 4, 5), "a"))), r"train\.audio"),
    Case("audio without frames", dump(mmsa(audio=np.ones((3, 0, 5), np.float32))), r"train\.audio.*empty"),
    Case("audio of fewer clips", dump(mmsa(audio=np.ones((2, 4, 5), np.float32))), r"train\.(audio|acoustic)"),
    Case("lengths of fewer clips", dump(mmsa(audio_lengths=[2, 2])), r"train\.audio_lengths.*2 rows for 3"),
    Case("length beyond the array", dump(mmsa(audio_lengths=[2, 99, 2])), r"audio_lengths.*99 frames for clip.*row 1"),
    Case("zero frames", dump(mmsa(vision_lengths=[0, 1, 1])), r"train\.vision_lengths.*0 frames for clip.*row 0"),
    Case("lengths that are words", dump(mmsa(audio_lengths=["a", "b", "c"])), r"train\.audio_lengths"),
    Case("fewer labels than clips", dump(mmsa(regression_labels=np.zeros(2))), r"train\.labels.*2 rows.*3 ids"),
    Case("fewer transcripts than clips", dump(mmsa(raw_text=["a", "b"])), r"train\.text.*2 rows.*3 ids"),
    Case("labels of text", dump(mmsa(regression_labels=["good", "bad", "so"])), r"train\.regression_labels"),
    Case("fewer true labels than clips", dump(mmsa(regression_labels_T=np.zeros(2))), r"language.*2 rows"),
    # MMSA: values
    Case("label above the scale", dump(mmsa(regression_labels=np.array([1.0, 3.5, 0.0]))), r"labels\[1\].*3.5.*scale"),
    Case("label below the scale", dump(mmsa(regression_labels=np.array([-7.0, 1, 0]))), r"labels\[0\].*-7.*scale"),
    Case("label is NaN", dump(mmsa(regression_labels=np.array([1.0, 0.0, np.nan]))), r"labels\[2\].*nan.*scale"),
    Case("SIMS label beyond 1", dump(mmsa(regression_labels=np.array([0.5, 0.2, 1.4]))), r"1.5|1.4.*scale", "sims"),
    Case("true label off the scale", dump(mmsa(regression_labels_V=np.array([0.0, 9.0, 1.0]))), r"\[1\].*9.*scale"),
    Case("an id twice in a split", dump(mmsa(id=["a", "b", "a"])), r"train\.id\[2\].*also in train"),
    Case("a clip in two splits", dump(mmsa(id=["a", "valid$_$1", "b"])), r"valid\.id\[1\].*also in train"),
    Case("an empty id", dump(mmsa(id=["a", "", "b"])), r"train\.id\[1\].*empty"),
    Case("an empty transcript", dump(mmsa(raw_text=["so", " \t", "so"])), r"train\.text\[1\].*empty"),
    Case("lone surrogates in text", dump(mmsa(raw_text=["so", "\ud800", "so"])), r"train\.text\[1\].*valid text"),
    Case("other dims in another split",
         dump(mmsa() | {"test": part("test", audio=np.ones((3, 4, 6), np.float32))}), r"test.*6 dims.*5 in train"),
    Case("a split without clips", dump(mmsa() | {"valid": part("valid", 0)}), r"valid"),
    # MISA
    Case("MISA entry of two parts", dump(misa(("x", "y"))), r"train.*2"),
    Case("MISA entry that is a number", dump(misa(7)), r"train.*2"),
    Case("MISA frames with one axis", dump(misa(((None, np.ones(47), np.ones((1, 74)), ["a"]), np.ones((1, 1)), "v"))),
         r"train\[2\].*MISA entry"),
    Case("MISA label beyond 3", dump(misa(entry("v[2]", label=4.0))), r"v\[2\].*4.*scale"),
    Case("MISA without words", dump(misa(entry("v[2]", words=()))), r"v\[2\]|train.*2"),
    Case("MISA id twice", dump(misa(entry("v[0]"))), r"also in train"),
    Case("MISA mixed dims", dump(misa(entry("v[2]", dims=(35, 74)))), r"v\[2\]|train.*2|dims"),
    # tables
    Case("table without labels", csv("id,text,split\na,b,train\n"), "data.csv.*label"),
    Case("table without ids", csv("text,label,split\na,1,train\n"), "data.csv.*(names the clips|id)"),
    Case("table without splits", csv("id,text,label\na,b,1\n"), "data.csv.*split"),
    Case("table with a header alone", csv("id,text,label,split\n"), "data.csv.*(no clips|train)"),
    Case("table whose label is a word", row("d,fine,good,train"), r"label, line 5.*'good' is not a number"),
    Case("table whose label is missing", row("d,fine,,train"), r"line 5.*'' is not a number"),
    Case("table whose label is infinite", row("d,fine,inf,train"), r"line 5.*inf"),
    Case("table whose label is off the scale", row("d,fine,11,train"), r"'d'.*11.*scale"),
    Case("table with an unknown split", row("d,fine,1,exam"), r"line 5.*'exam' is no split"),
    Case("table with an id twice", row("a,fine,1,test"), r"'a'.*also in train"),
    Case("table with an empty transcript", row("d,,1,train"), r"'d'.*empty"),
    Case("table in latin-1", raw((ROWS + "d,très bien,1,train\n").encode("latin-1"), "data.csv"), "data.csv.*UTF-8"),
    Case("table with too many cells", row("d,fine,1,train,more,cells"), "data.csv"),
    Case("table without a valid split", csv("id,text,label,split\na,x,1,train\nb,y,1,test\n"), "valid"),
    # CMU SDK
    Case("csd that is not HDF5", raw(b"not HDF5 at all", "labels.csd"), "labels.csd"),
    Case("csd cut off", lambda f: [_cut(p) if p.name == "labels.csd" else p for p in sdk(lambda *_: None)(f)],
         "labels.csd"),
    Case("csd without labels", lambda f: sdk(lambda *_: None)(f)[1:], "label"),
    Case("csd with two files of words",
         lambda f: [*(made := sdk(lambda *_: None)(f)), Path(shutil.copy(made[1], f / "words2.csd"))], "two files"),
    Case("csd with another number of intervals",
         sdk(lambda labels, words: replace(words, f"{WORDS}/va/intervals", np.zeros((5, 2)))), "words.csd.*va"),
    Case("csd without features",
         sdk(lambda labels, words: words[f"{WORDS}/vb"].__delitem__("features")), "words.csd"),
    Case("csd label off the scale",
         sdk(lambda labels, words: replace(labels, f"{LABELS}/va/features", np.array([[30.0]]))), "30.*scale"),
    Case("csd videos in no fold",
         lambda f: [*sdk(lambda *_: None)(f)[:2], *_folds(f, '{"train": ["q"], "valid": ["r"], "test": ["s"]}')],
         "no clip belongs to the split train"),
    Case("csd with features in another file",
         sdk(lambda labels, words: _external(words, f"{WORDS}/va/features")), "words.csd.*another file"),
    Case("csd with raw data outside",
         sdk(lambda labels, words: _raw_outside(words, f"{WORDS}/va/features")), "words.csd.*another file"),
    Case("csd with features of another file by a virtual data set",
         sdk(lambda labels, words: _virtual(words, f"{WORDS}/va/features")), "words.csd.*another file"),
    Case("csd claiming 2^40 entries",
         sdk(lambda labels, words: _claim(words, f"{WORDS}/va/features")), "words.csd.*cannot hold"),
    Case("folds nested 100,000 deep",
         lambda f: [*sdk(lambda *_: None)(f)[:2], *_folds(f, "[" * 100_000)], "folds.json"),
    Case("folds that are not JSON", lambda f: [*sdk(lambda *_: None)(f)[:2], *_folds(f, "train: va")], "folds.json"),
    Case("mosei without folds", lambda f: sdk(lambda *_: None)(f)[:2], "split of each video|folds", "mosei"),
)  # fmt: skip


def _external(file: Any, place: str) -> None:
    import h5py

    del file[place]
    file[place] = h5py.ExternalLink("labels.csd", "/")


def _raw_outside(file: Any, place: str) -> None:
    del file[place]
    file.create_dataset(place, (2, 1), "S8", external=[("/etc/passwd", 0, 16)])


def _virtual(file: Any, place: str) -> None:
    import h5py

    layout = h5py.VirtualLayout((2, 1), "S8")
    layout[:] = h5py.VirtualSource("labels.csd", "words/data/va/features", (2, 1), "S8")
    del file[place]
    file.create_virtual_dataset(place, layout)


def _claim(file: Any, place: str) -> None:
    del file[place]
    file.create_dataset(place, (2**40, 1), "S8", chunks=(1024, 1))


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:700])
    return path


def _folds(folder: Path, text: str) -> list[Path]:
    (folder / "folds.json").write_text(text)
    return [folder / "folds.json"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The console script in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["mugkit", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.app()
    return int(stopped.value.code or 0)


def left_over(home: Path) -> Iterator[str]:
    """What a failed preparation must not leave: data sets, temporary folders, scratch files."""
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.name.endswith(".lock"):
            yield str(path.relative_to(home))


def prepare(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    sources = [argument for path in case.make(folder) for argument in ("--source", str(path))]
    return run(monkeypatch, "prepare", case.family, *sources)


def test_there_are_at_least_sixty_cases() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_told_and_leaves_nothing(
    case: Case, tmp_path: Path, mugkit_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert prepare(case, folder, monkeypatch) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert re.search(case.says, told), told
    assert "Traceback" not in told
    assert " fix: " in told
    assert store.available() == []
    assert list(left_over(mugkit_home)) == []
    assert not (folder / "executed").exists()


@pytest.mark.parametrize("make", [dump(mmsa()), dump(misa()), csv(ROWS), sdk(lambda *_: None)])
def test_the_same_files_unspoilt_are_prepared(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the cases above could fail for another reason than theirs."""
    assert prepare(Case("", make, ""), tmp_path, monkeypatch) == 0
    assert store.available() == ["mosi"]


def test_a_failed_preparation_keeps_what_was_prepared_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepare(Case("", dump(mmsa()), ""), tmp_path, monkeypatch) == 0
    before = store.load("mosi").fingerprint
    dump(mmsa(regression_labels=np.array([9.0, 0, 0])), "other.pkl")(tmp_path)
    assert run(monkeypatch, "prepare", "mosi", "--force", "--source", str(tmp_path / "other.pkl")) == 2
    assert store.load("mosi", verify=True).fingerprint == before


def test_unreadable_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = dump(mmsa())(tmp_path)
    opened = Path.open

    def refuse(self: Path, *arguments: Any, **named: Any) -> Any:
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opened(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)  # root may read anything, so permissions are made up
    assert run(monkeypatch, "prepare", "mosi", "--source", str(path)) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "data.pkl" in told
    assert "Permission denied" in told


def test_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, mugkit_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: usage._replace(free=10))
    assert prepare(Case("", dump(mmsa()), ""), tmp_path, monkeypatch) == 2
    assert re.search("free|space|room", capsys.readouterr().err)
    assert store.available() == []
    assert list(left_over(mugkit_home)) == []
