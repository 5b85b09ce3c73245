"""Makers of hostile files, each in a folder of its own; what one of them ran would create the file `canary`.

A maker is told the number of the form to write, a path that leads elsewhere, and a large number.
"""

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import h5py
import nbformat
import numpy as np
import pandas as pd
import torch
from held_files import LABELS, sound_csd
from made_up import make_dataset

from mugkit import files
from mugkit.data import store

PATHS = (
    "../../canary", "/tmp/../canary", "..\\..\\canary", "a/../../canary", "canary\0.txt", "~/canary", ".", "..",
    "/dev/zero", "/dev/stdin", "/proc/kcore", "../../../../../dev/zero",
)  # fmt: skip
SUBMISSION, NOTEBOOK, RECEIPT = "handed-in.ipynb", "00_notebook.ipynb", "receipt.json"
SCRIPT = "<script>open('canary')</script>"
TABLE = "id,text,label,split\na,so good,1.5,train\nb,so bad,-2,valid\nc,so so,0,test\n"


# --- JSON -----------------------------------------------------------------------------------------------

VALUES: list[Callable[[str, int], Any]] = [
    lambda path, n: path,
    lambda path, n: n,
    lambda path, n: -n,
    lambda path, n: None,
    lambda path, n: [path, n, None],
    lambda path, n: {path: n},
    lambda path, n: {path: {"bytes": n, "sha256": path}},
    lambda path, n: [2**32, 2**32, n],
    lambda path, n: [{}] * (n % 1000 + 1000),
    lambda path, n: 10 ** n.bit_length(),
    lambda path, n: "x" * (n % 2**25),
    lambda path, n: "\ud800",
    lambda path, n: SCRIPT,
    lambda path, n: "import os\nos.system('touch canary')\n!touch canary",
]
TEXTS: list[Callable[[int], bytes]] = [
    lambda n: b"[" * (n % 10**5 + 10**4),
    lambda n: b'{"cells":' * (n % 10**5 + 10**4),
    lambda n: b"\xff\xfe" + b"x" * (n % 1000),
    lambda n: b"",
    lambda n: b'{"cells": []' + b" " * (n % 10**6),
    lambda n: b'{"cells": [], "nbformat": ' + b"9" * (n % 10**5 + 5000) + b"}",
    lambda n: b"NaN",
]


def spoilt(document: Any, path: str, n: int) -> bytes:
    """A document with another value or name in one place, drawn by `n`; or a text that is no such document."""
    random, whole = Random(n), {"document": document}
    if random.random() < 0.2:
        return random.choice(TEXTS)(n)
    container, key = random.choice(list(_places(whole)))
    if isinstance(key, str) and container is not whole and random.random() < 0.3:
        container[path] = container.pop(key)
    else:
        container[key] = random.choice(VALUES)(path, n)
    return json.dumps(whole["document"]).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every dictionary and list inside a value, with each of its keys."""
    for key in list(value if isinstance(value, dict) else range(len(value))):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


# --- pickles --------------------------------------------------------------------------------------------


def calls(canary: Path) -> list[tuple[str, str, tuple]]:
    """Callables, each with arguments that would create the canary."""
    shell, code = f"touch {canary}", f"open({str(canary)!r}, 'w').close()"
    return [
        ("os", "system", (shell,)), ("posix", "system", (shell,)), ("nt", "system", (shell,)),
        ("os", "popen", (shell,)),
        ("subprocess", "getoutput", (shell,)), ("subprocess", "check_call", (["touch", str(canary)],)),
        ("subprocess", "Popen", (["touch", str(canary)],)), ("builtins", "eval", (code,)),
        ("builtins", "exec", (code,)),
        ("__builtin__", "eval", (code,)), ("builtins", "open", (str(canary), "w")), ("io", "open", (str(canary), "w")),
        ("codecs", "open", (str(canary), "w")), ("_codecs", "lookup", ("x",)), ("os", "mkdir", (str(canary),)),
        ("timeit", "timeit", (code,)), ("pathlib", "Path.touch", (canary.name,)),
        ("shutil", "copy", (__file__, str(canary))),
        ("numpy", "load", (str(canary),)), ("numpy", "save", (str(canary), [1])), ("torch", "save", (1, str(canary))),
        ("builtins", "getattr", ("a", "join")), ("builtins", "__import__", ("antigravity",)),
        ("importlib", "import_module", ("antigravity",)), ("runpy", "run_path", (__file__,)),
        ("numpy.f2py.diagnose", "run_command", (shell,)), ("functools", "partial", (eval, code)),
        ("pty", "spawn", (["touch", str(canary)],)), ("code", "InteractiveInterpreter.runcode", (code,)),
        ("numpy.core.multiarray", "fromfile", (str(canary),)), ("operator", "attrgetter", ("__class__",)),
    ]  # fmt: skip


def _body(argument: object) -> bytes:
    """What leaves `argument` on the stack, without the protocol's frame."""
    return pickle.dumps(argument, protocol=1)[:-1]


WAYS: dict[str, Callable[[str, str, tuple], bytes]] = {
    "GLOBAL, REDUCE": lambda m, n, a: f"c{m}\n{n}\n".encode() + _body(a) + b"R",
    "STACK_GLOBAL, REDUCE": lambda m, n, a: b"\x80\x04" + _text(m) + _text(n) + b"\x93" + _body(a) + b"R",
    "INST": lambda m, n, a: b"(" + b"".join(map(_body, a)) + f"i{m}\n{n}\n".encode(),
    "OBJ": lambda m, n, a: b"(" + f"c{m}\n{n}\n".encode() + b"".join(map(_body, a)) + b"o",
    "NEWOBJ": lambda m, n, a: f"c{m}\n{n}\n".encode() + _body(a) + b"\x81",
    "NEWOBJ_EX": lambda m, n, a: f"c{m}\n{n}\n".encode() + _body(a) + b"}\x92",
    "BUILD": lambda m, n, a: b"}" + _text("__setstate__") + f"c{m}\n{n}\n".encode() + b"sb" + _body(a) + b"b",
}


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def pickle_that_calls(folder: Path, form: int, path: str, n: int) -> None:
    call, way = divmod(form, len(WAYS))
    body = list(WAYS.values())[way](*calls(folder / "canary")[call])
    inside = b"}" + _text("train") + body + b"s"
    (folder / "data.pkl").write_bytes((inside if n % 2 else body) + b".")


_ARRAY = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8I0\nI1\ntR"
PICKLED_SIZES: list[Callable[[int], bytes]] = [
    lambda n: b"\x80\x04\x8e" + struct.pack("<Q", n) + b"x",
    lambda n: b"\x80\x04\x8d" + struct.pack("<Q", n) + b"x",
    lambda n: b"\x80\x05\x96" + struct.pack("<Q", n) + b"x",
    lambda n: b"\x80\x04\x95" + struct.pack("<Q", n) + b"N",
    lambda n: b"B" + struct.pack("<I", n % 2**32) + b"x",
    lambda n: b"\x8b" + struct.pack("<I", n % 2**31) + b"x",
    lambda n: b"Nr" + struct.pack("<I", n % 2**32),
    lambda n: b"c__builtin__\nbytes\n(I%d\ntR" % n,
    lambda n: b"c__builtin__\nbytearray\n(I%d\ntR" % n,
    lambda n: b"cnumpy.core.numeric\n_frombuffer\n(C\x08" + b"x" * 8 + _ARRAY + b"(I%d\ntX\x01\x00\x00\x00CtR" % n,
    lambda n: b"cnumpy.core.multiarray\nscalar\n(" + _ARRAY + b"C\x04abcdtR",
    lambda n: b"(" * (n % 2**20),
    lambda n: b"]" + b"2\x86" * (n % 10**5),
    lambda n: b"I" + b"9" * (n % 10**6 + 5000) + b"\n",
]


def pickle_that_claims(folder: Path, form: int, path: str, n: int) -> None:
    (folder / "data.pkl").write_bytes(PICKLED_SIZES[form](n) + b".")


# --- tables, HDF5 ---------------------------------------------------------------------------------------

TABLES: list[Callable[[str, int], str]] = [
    lambda path, n: TABLE + f'"{path}",fine,1,train\n',
    lambda path, n: TABLE + f"d,fine,1,{path}\n",
    lambda path, n: TABLE + "d,=cmd|' /C touch canary'!A0,1,train\n",
    lambda path, n: TABLE + f"d,fine,{'9' * (n % 10**6)},train\n",
    lambda path, n: TABLE + f"d,fine,1e{n},train\n",
    lambda path, n: TABLE + 'd,"' + "x" * (n % 10**7),
    lambda path, n: ",".join(f"c{i}" for i in range(n % 30_000)) + "\n",
    lambda path, n: TABLE.replace("text", path),
    lambda path, n: TABLE + "\0" * (n % 10**6),
    lambda path, n: TABLE + "d,fine,\"__import__('os').system('touch canary')\",train\n",
]


def table(folder: Path, form: int, path: str, n: int) -> None:
    (folder / ("data.csv", "data.tsv")[n % 2]).write_text(TABLES[form](path, n))


FEATURES = f"{LABELS}/data/va/features"


def _virtual(file: Any, path: str, n: int) -> None:
    layout = h5py.VirtualLayout((1, 1), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (1, 1), "f8")
    file.create_virtual_dataset(FEATURES, layout)


CSDS: list[Callable[[Any, str, int], object]] = [
    lambda file, path, n: file.__setitem__(FEATURES, h5py.ExternalLink(path.replace("\0", ""), "/x")),
    lambda file, path, n: file.__setitem__(FEATURES, h5py.SoftLink("/" + "x/" * (n % 50))),
    lambda file, path, n: file.create_dataset(FEATURES, (n % 16 + 1, 1), "f8", external=[("/etc/passwd", 0, 128)]),
    _virtual,
    lambda file, path, n: file.create_dataset(FEATURES, (n, 1), "f8", chunks=(1024, 1)),
    lambda file, path, n: file.create_dataset(FEATURES, (1, n), "f8", chunks=(1, 1024)),
    lambda file, path, n: file.create_dataset(FEATURES, (1, 1), f"S{n % 2**28 + 1}", chunks=(1, 1), compression="gzip"),
    lambda file, path, n: file.create_dataset(FEATURES, data=np.zeros(1, [("a", "f8"), ("b", "S4")])),
    lambda file, path, n: file.__setitem__(FEATURES, file["/"]),
    lambda file, path, n: file.create_dataset(FEATURES, (1, 1), h5py.ref_dtype),
    lambda file, path, n: file.create_dataset(FEATURES, (1, 1), h5py.vlen_dtype(np.int8)),
]


def csd(folder: Path, form: int, path: str, n: int) -> None:
    """The last form has random bytes in a sound file."""
    target = sound_csd(folder)
    if form < len(CSDS):
        with h5py.File(target, "a") as file:
            del file[FEATURES]
            CSDS[form](file, path, n)
        return
    content, random = bytearray(target.read_bytes()), np.random.default_rng(n)
    for position in random.integers(len(content), size=8):
        content[position] = random.integers(256)
    target.write_bytes(content)


# --- the stored form ------------------------------------------------------------------------------------


def _stored(folder: Path) -> Path:
    return store.save(make_dataset((6, 3, 2)), folder / "stored")


def signed(folder: Path) -> None:
    """Makes the manifest agree with what lies beside it, as who spoils a data set would."""
    manifest = files.read_json(folder / "dataset.json")
    for name in manifest["files"]:
        manifest["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": files.sha256(folder / name)}
    (folder / "dataset.json").write_text(json.dumps(manifest))


def safetensors(folder: Path, form: int, path: str, n: int) -> None:
    """Its header says something else."""
    target = _stored(folder) / "train.safetensors"
    content = target.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = spoilt(json.loads(content[8 : 8 + size]), path, n)
    target.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])
    signed(target.parent)


def _repeating(clips: pd.DataFrame, n: int) -> pd.DataFrame:
    """A long text in every row, which the file holds once."""
    rows = clips.loc[np.repeat(0, 2**17)].reset_index(drop=True)
    return rows.assign(text=pd.Categorical.from_codes(np.zeros(2**17, int), ["x" * (2**16 + n % 2**18)]))


CLIPS: list[Callable[[pd.DataFrame, int], pd.DataFrame]] = [
    lambda clips, n: clips.drop(columns=clips.columns[n % 4]),
    lambda clips, n: clips.assign(y="not a number"),
    lambda clips, n: clips.assign(id=None),
    lambda clips, n: clips.iloc[:0],
    lambda clips, n: pd.DataFrame({"split": np.repeat("train", 2**22), "id": "x", "text": "x", "y": 0.0}),
    lambda clips, n: clips.assign(text=[["x"]] * len(clips)),
    _repeating,
]


def parquet(folder: Path, form: int, path: str, n: int) -> None:
    """After the tables: a file cut off, one that lies about the length of its description, and flipped bytes in it."""
    target = _stored(folder) / "clips.parquet"
    content, damage = bytearray(target.read_bytes()), form - len(CLIPS)
    if damage < 0:
        CLIPS[form](pd.read_parquet(target), n).to_parquet(target, index=False, compression="zstd")
    elif damage == 0:
        target.write_bytes(content[: n % len(content)])
    elif damage == 1:
        target.write_bytes(content[:-8] + struct.pack("<I", n % 2**32) + b"PAR1")
    else:
        content[len(content) - 9 - n % min(600, len(content) - 9)] ^= 1 + n % 255
        target.write_bytes(content)
    signed(target.parent)


def manifest(folder: Path, form: int, path: str, n: int) -> None:
    target = _stored(folder) / "dataset.json"
    target.write_bytes(spoilt(files.read_json(target), path, n))


# --- runs, checkpoints, notebooks, receipts ---------------------------------------------------------------


def checkpoint(folder: Path, form: int, path: str, n: int) -> None:
    """Another program in it, nothing but a program, cut off, one bit flipped, a storage that claims another size."""
    stream = io.BytesIO()
    torch.save({"network": {"w": torch.ones(8)}}, stream)
    content = bytearray(stream.getvalue())
    made = calls(folder / "canary")
    evil = list(WAYS.values())[n % len(WAYS)](*made[n % len(made)]) + b"."
    if form == 0:
        content = _repacked(bytes(content), b"\x80\x02" + evil)
    elif form == 1:
        content = bytearray(evil)
    elif form == 2:
        content = content[: n % len(content)]
    elif form == 3:
        content[n % len(content)] ^= 255
    else:
        content = _repacked(bytes(content), None, n)
    unsigned = form == 3 and n % 2
    digest = bytes(32) if unsigned else hashlib.sha256(content).digest()
    (folder / "checkpoint.pt").write_bytes(digest + content)


def _repacked(content: bytes, program: bytes | None, size: int = 0) -> bytearray:
    """A torch file with another program in it, or a storage that claims another size."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name.endswith("data.pkl"):
                body = body.replace(b"K\x08", b"J" + struct.pack("<I", size % 2**31)) if program is None else program
            new.writestr(name, body)
    return bytearray(target.getvalue())


def run(folder: Path, form: int, path: str, n: int) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "result.json").write_text("{}")
    (folder / "run" / "done.json").write_bytes(spoilt({"files": {"result.json": "0" * 64}}, path, n))


def receipt(folder: Path, form: int, path: str, n: int) -> None:
    sound = {"identity": "the same", "outputs": {"figure.json": "0" * 64}}
    (folder / RECEIPT).write_bytes(spoilt(sound, path, n))


def released() -> dict[str, Any]:
    """A small notebook of two cells, as JSON."""
    cells = [nbformat.v4.new_code_cell("x = 1", id="one"), nbformat.v4.new_markdown_cell("words", id="two")]
    cells[0].metadata["nbgrader"] = {"grade_id": "answer", "solution": True, "grade": False}
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return json.loads(nbformat.writes(made))


def _notebook(target: Path, form: int, path: str, n: int) -> None:
    """The first two forms are a link to an endless file, and a pipe; the others have scripts wherever one can be."""
    sound = released()
    first, second = sound["cells"]
    first["outputs"] = [{"output_type": "display_data", "data": {"text/html": SCRIPT}, "metadata": {"x": SCRIPT}}]
    second |= {"source": SCRIPT, "attachments": {path: {"image/png": "eA=="}}}
    sound["cells"].append({"cell_type": "raw", "id": "three", "metadata": {"name": path}, "source": SCRIPT})
    sound["metadata"]["language_info"] = {"name": path, "file_extension": f"/{path}"}
    if form == 0:
        target.symlink_to("/dev/zero")
    elif form == 1:
        os.mkfifo(target)
    else:
        target.write_bytes(spoilt(sound, path, n))


def submission(folder: Path, form: int, path: str, n: int) -> None:
    """What is handed in to the grader."""
    _notebook(folder / SUBMISSION, form, path, n)


def notebook(folder: Path, form: int, path: str, n: int) -> None:
    """One among the repository's."""
    _notebook(folder / NOTEBOOK, form, path, n)
