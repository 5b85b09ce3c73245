"""Generated hostile files, each in a folder of its own; what one of them ran would create the file `canary`."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from held_files import LABELS, sound_csd
from made_up import make_dataset

from mugkit import files
from mugkit.data import store


@dataclass(frozen=True)
class Payload:
    """A hostile input.

    Attributes:
        kind: which reader it is meant for.
        make: writes it into a folder that is its own.
    """

    kind: str
    name: str
    make: Callable[[Path], object]


def in_turn(
    kind: str, forms: int, make: Callable[..., object], draw: Callable[[], dict[str, Any]], count: int
) -> list[Payload]:
    """The forms of a kind in turn, each time with other draws: what `make` is told beside the form's number."""
    drawn = [(number % forms, draw()) for number in range(count)]
    return [Payload(kind, f"{form}: {given}", partial(make, form=form, **given)) for form, given in drawn]


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


def _pickle_calls(random: random.Random, count: int) -> list[Payload]:
    def make(folder: Path, call: int, way: str, inside: bool) -> None:
        body = WAYS[way](*calls(folder / "canary")[call])
        content = b"}" + _text("train") + body + b"s" if inside else body
        (folder / "data.pkl").write_bytes(content + b".")

    number = len(calls(Path("x")))
    chosen = random.sample([(call, way) for call in range(number) for way in WAYS], count)
    return [
        Payload("pickle that calls", f"{calls(Path('x'))[call][1]} by {way}",
                partial(make, call=call, way=way, inside=random.random() < 0.5))
        for call, way in chosen
    ]  # fmt: skip


def _pickle_sizes(random: random.Random, count: int) -> list[Payload]:
    array = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8I0\nI1\ntR"
    shapes: list[Callable[[int], bytes]] = [
        lambda n: b"\x80\x04\x8e" + struct.pack("<Q", n) + b"x",
        lambda n: b"\x80\x04\x8d" + struct.pack("<Q", n) + b"x",
        lambda n: b"\x80\x05\x96" + struct.pack("<Q", n) + b"x",
        lambda n: b"\x80\x04\x95" + struct.pack("<Q", n) + b"N",
        lambda n: b"B" + struct.pack("<I", n % 2**32) + b"x",
        lambda n: b"\x8b" + struct.pack("<I", n % 2**31) + b"x",
        lambda n: b"Nr" + struct.pack("<I", n % 2**32),
        lambda n: b"c__builtin__\nbytes\n(I%d\ntR" % n,
        lambda n: b"c__builtin__\nbytearray\n(I%d\ntR" % n,
        lambda n: b"cnumpy.core.numeric\n_frombuffer\n(C\x08" + b"x" * 8 + array + b"(I%d\ntX\x01\x00\x00\x00CtR" % n,
        lambda n: b"cnumpy.core.multiarray\nscalar\n(" + array + b"C\x04abcdtR",
        lambda n: b"(" * (n % 2**20),
        lambda n: b"]" + b"2\x86" * (n % 10**5),
        lambda n: b"I" + b"9" * (n % 10**6 + 5000) + b"\n",
    ]

    def make(folder: Path, form: int, size: int) -> None:
        (folder / "data.pkl").write_bytes(shapes[form](size) + b".")

    return in_turn("pickle that claims", len(shapes), make, lambda: {"size": random.randrange(2**31, 2**62)}, count)


# --- tables, HDF5 ---------------------------------------------------------------------------------------

TRAVERSALS = (
    "../../canary", "/tmp/../canary", "..\\..\\canary", "a/../../canary", "canary\0.txt", "~/canary", ".", "..",
)  # fmt: skip


def _tables(random: random.Random, count: int) -> list[Payload]:
    rows = "id,text,label,split\na,so good,1.5,train\nb,so bad,-2,valid\nc,so so,0,test\n"
    hostile: list[Callable[[str, int], str]] = [
        lambda path, n: rows + f'"{path}",fine,1,train\n',
        lambda path, n: rows + f"d,fine,1,{path}\n",
        lambda path, n: rows + "d,=cmd|' /C touch canary'!A0,1,train\n",
        lambda path, n: rows + f"d,fine,{'9' * (n % 10**6)},train\n",
        lambda path, n: rows + f"d,fine,1e{n},train\n",
        lambda path, n: rows + 'd,"' + "x" * (n % 10**7),
        lambda path, n: ",".join(f"c{i}" for i in range(n % 10**5)) + "\n",
        lambda path, n: rows.replace("text", path),
        lambda path, n: rows + "\0" * (n % 10**6),
        lambda path, n: rows + "d,fine,\"__import__('os').system('touch canary')\",train\n",
    ]

    def make(folder: Path, form: int, path: str, n: int) -> None:
        (folder / ("data.csv", "data.tsv")[n % 2]).write_text(hostile[form](path, n))

    def draw() -> dict[str, Any]:
        return {"path": random.choice(TRAVERSALS), "n": random.randrange(1, 2**40)}

    return in_turn("table", len(hostile), make, draw, count)


def _csds(random: random.Random, count: int) -> list[Payload]:
    place = f"{LABELS}/data/va/features"

    def virtual(file: Any, n: int) -> None:
        layout = h5py.VirtualLayout((1, 1), "f8")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (1, 1), "f8")
        file.create_virtual_dataset(place, layout)

    hostile: list[Callable[[Any, int], object]] = [
        lambda file, n: file.__setitem__(place, h5py.ExternalLink(TRAVERSALS[n % 5].replace("\0", ""), "/x")),
        lambda file, n: file.__setitem__(place, h5py.SoftLink("/" + "x/" * (n % 50))),
        lambda file, n: file.create_dataset(place, (n % 16 + 1, 1), "f8", external=[("/etc/passwd", 0, 128)]),
        virtual,
        lambda file, n: file.create_dataset(place, (n, 1), "f8", chunks=(1024, 1)),
        lambda file, n: file.create_dataset(place, (1, n), "f8", chunks=(1, 1024)),
        lambda file, n: file.create_dataset(place, (1, 1), f"S{n % 2**28 + 1}", chunks=(1, 1), compression="gzip"),
        lambda file, n: file.create_dataset(place, data=np.zeros(1, [("a", "f8"), ("b", "S4")])),
        lambda file, n: file.__setitem__(place, file["/"]),
        lambda file, n: file.create_dataset(place, (1, 1), h5py.ref_dtype),
        lambda file, n: file.create_dataset(place, (1, 1), h5py.vlen_dtype(np.int8)),
    ]

    def make(folder: Path, form: int, n: int) -> None:
        path = sound_csd(folder)
        if form == len(hostile):  # random bytes of a sound file
            content = bytearray(path.read_bytes())
            for _ in range(8):
                n = n * 6364136223846793005 % 2**64 + 1
                content[n // 256 % len(content)] = n % 256
            path.write_bytes(content)
            return
        with h5py.File(path, "a") as file:
            del file[place]
            hostile[form](file, n)

    return in_turn("csd", len(hostile) + 1, make, lambda: {"n": random.randrange(2**32, 2**44)}, count)


# --- the stored form ------------------------------------------------------------------------------------


def _stored(folder: Path) -> Path:
    return store.save(make_dataset((6, 3, 2)), folder / "stored")


def signed(folder: Path) -> None:
    """Makes the manifest agree with what lies beside it, as who spoils a data set would."""
    manifest = files.read_json(folder / "dataset.json")
    for name in manifest["files"]:
        manifest["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": files.sha256(folder / name)}
    (folder / "dataset.json").write_text(json.dumps(manifest))


def _safetensors(random: random.Random, count: int) -> list[Payload]:
    changes: list[Callable[[dict, int], object]] = [
        lambda header, n: header["a.frames"].update(shape=[n, 5]),
        lambda header, n: header["a.frames"].update(shape=[n, 0]),
        lambda header, n: header["a.frames"].update(shape=[-n, -5]),
        lambda header, n: header["a.offsets"].update(shape=[n]),
        lambda header, n: header["a.frames"].update(data_offsets=[n, n + 1]),
        lambda header, n: header["a.frames"].update(data_offsets=[-n, n]),
        lambda header, n: header["a.frames"].update(dtype=random.choice(["O", "F64", "../x", "I8", ""])),
        lambda header, n: header["a.frames"].update(shape=[2**32, 2**32, n]),
        lambda header, n: header.update({"a.frames": n}),
        lambda header, n: header["a.frames"].update(shape=[str(n)]),
        lambda header, n: header.pop("a.offsets"),
        lambda header, n: header["a.frames"].update(data_offsets=[]),
    ]

    def make(folder: Path, form: int, n: int) -> None:
        path = _stored(folder) / "train.safetensors"
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        changes[form](header, n)
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
        signed(path.parent)

    return in_turn("safetensors", len(changes), make, lambda: {"n": random.randrange(2**20, 2**60)}, count)


def _parquets(random: random.Random, count: int) -> list[Payload]:
    spoil: list[Callable[[pd.DataFrame, int], pd.DataFrame]] = [
        lambda table, n: table.drop(columns=table.columns[n % 4]),
        lambda table, n: table.assign(y="not a number"),
        lambda table, n: table.assign(id=None),
        lambda table, n: table.iloc[:0],
        lambda table, n: pd.DataFrame({"split": np.repeat("train", 2**22), "id": "x", "text": "x", "y": 0.0}),
        lambda table, n: table.assign(text=[["x"]] * len(table)),
        _repeating,
    ]

    def make(folder: Path, form: int, n: int) -> None:
        path = _stored(folder) / "clips.parquet"
        content = bytearray(path.read_bytes())
        if form < len(spoil):
            _write(spoil[form](pd.read_parquet(path), n), path)
        elif form == len(spoil):
            path.write_bytes(content[: n % len(content)])
        elif form == len(spoil) + 1:  # the length of its own description
            path.write_bytes(content[:-8] + struct.pack("<I", n % 2**32) + b"PAR1")
        else:
            content[len(content) - 9 - n % min(600, len(content) - 9)] ^= 1 + n % 255
            path.write_bytes(content)
        signed(path.parent)

    return in_turn("parquet", len(spoil) + 7, make, lambda: {"n": random.randrange(2**40)}, count)


def _repeating(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """A long text in every row, which the file holds once."""
    rows = table.loc[np.repeat(0, 2**17)].reset_index(drop=True)
    return rows.assign(text=pd.Categorical.from_codes(np.zeros(2**17, int), ["x" * (2**16 + n % 2**18)]))


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False, compression="zstd")


def _manifests(random: random.Random, count: int) -> list[Payload]:
    texts: list[Callable[[dict, str, int], object]] = [
        lambda m, path, n: {**m, "files": {path: {"bytes": n, "sha256": ""}}},
        lambda m, path, n: {**m, "name": path},
        lambda m, path, n: {**m, "dims": {path: n}},
        lambda m, path, n: {**m, "family": path},
        lambda m, path, n: {**m, "format": n},
        lambda m, path, n: {**m, "files": [path]},
        lambda m, path, n: [m],
        lambda m, path, n: {**m, "content": path, "about": n},
        lambda m, path, n: {**m, "files": {"clips.parquet": path}},
    ]

    def make(folder: Path, form: int, path: str, n: int) -> None:
        target = _stored(folder) / "dataset.json"
        if form == len(texts):
            target.write_text("[" * (n % 10**6))
        else:
            target.write_text(json.dumps(texts[form](files.read_json(target), path, n)))

    def draw() -> dict[str, Any]:
        return {"path": random.choice(TRAVERSALS), "n": random.randrange(2, 2**40)}

    return in_turn("manifest", len(texts) + 1, make, draw, count)


# --- runs, checkpoints, receipts --------------------------------------------------------------------------


def _checkpoints(random: random.Random, count: int) -> list[Payload]:
    import hashlib

    import torch

    def make(folder: Path, form: int, n: int) -> None:
        stream = io.BytesIO()
        torch.save({"network": {"w": torch.ones(8)}}, stream)
        content = bytearray(stream.getvalue())
        call = calls(folder / "canary")[n % len(calls(folder))]
        evil = list(WAYS.values())[n % len(WAYS)](*call) + b"."
        if form == 0:
            content = bytearray(_repacked(bytes(content), b"\x80\x02" + evil))
        elif form == 1:
            content = bytearray(evil)
        elif form == 2:
            content = content[: n % len(content)]
        elif form == 3:
            content[n % len(content)] ^= 255
        else:
            content = bytearray(_repacked(bytes(content), None, n))
        unsigned = form == 3 and n % 2
        digest = bytes(32) if unsigned else hashlib.sha256(content).digest()
        (folder / "checkpoint.pt").write_bytes(digest + content)

    return in_turn("checkpoint", 5, make, lambda: {"n": random.randrange(2**40)}, count)


def _repacked(content: bytes, program: bytes | None, size: int = 0) -> bytes:
    """A torch file with another program in it, or a storage that claims another size."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name.endswith("data.pkl"):
                body = body.replace(b"K\x08", b"J" + struct.pack("<I", size % 2**31)) if program is None else program
            new.writestr(name, body)
    return target.getvalue()


def _runs(random: random.Random, count: int) -> list[Payload]:
    names = (*TRAVERSALS, "/dev/zero", "/dev/stdin", "/proc/kcore", "../../../../../dev/zero")
    forms: list[Callable[[str], object]] = [
        lambda name: {"files": {name: "0" * 64}},
        lambda name: {"files": [name]},
        lambda name: {"files": {"result.json": [name]}},
        lambda name: [[[name]]],
    ]

    def make(folder: Path, form: int, name: str) -> None:
        (folder / "run").mkdir()
        (folder / "run" / "result.json").write_text("{}")
        text = "[" * 10**5 if form == len(forms) else json.dumps(forms[form](name))
        (folder / "run" / "done.json").write_text(text)

    return in_turn("run", len(forms) + 1, make, lambda: {"name": random.choice(names)}, count)


SHARES = {
    _pickle_calls: 70, _pickle_sizes: 28, _tables: 20, _csds: 24,
    _safetensors: 24, _parquets: 24, _manifests: 20, _checkpoints: 20, _runs: 15,
}  # fmt: skip


def payloads(random: random.Random, share: float = 1.0) -> list[Payload]:
    """All payloads, or a share of each kind (at least two)."""
    return [payload for make, count in SHARES.items() for payload in make(random, max(2, round(count * share)))]
