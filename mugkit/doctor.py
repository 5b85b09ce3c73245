"""`mugkit doctor`: shows what is present and what is missing, one line each, ready to paste into a bug report.

It fetches and changes nothing, except that it creates an empty home folder if there is none. It shows paths with ~ for
the user's folder, and outside of it only the last name, as mounts and user names are private.
"""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mugkit import files
from mugkit.errors import UserError

DISK_GIB, MEMORY_GIB = 2, 8  # needed for profile `quick`: prepared data and runs; the notebooks' kernels
HUB_ENCODERS = ("bert-base-uncased", "bert-base-chinese", "t5-base")  # the paper's language networks
SOURCED_DATASETS = ("mosi", "mosei", "sims")  # data sets that only the user can supply


@dataclass(frozen=True)
class Check:
    """The result of one check: its name, whether it passed, what was found, and what to do about it if anything.

    Attributes:
        required: whether the default data and profile need it; anything damaged counts as required.
    """

    name: str
    ok: bool
    found: str
    fix: str | None = None
    required: bool = True

    def __str__(self) -> str:
        state = "ok" if self.ok else "FAILED" if self.required else "absent"
        return f"{state:<7} {self.name:<22} {self.found}" + (f"\n{'':<31}fix: {self.fix}" if self.fix else "")


def examine() -> list[Check]:
    """Runs all checks; an exception in one becomes a failed check."""
    return [check for look in _LOOKS for check in _run(look)]


def healthy(checks: list[Check]) -> bool:
    """Whether everything that the default data and profile need is there, and nothing is damaged."""
    return all(check.ok for check in checks if check.required)


def _run(look: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(look())
    except Exception as error:  # a broken installation can raise anything; that is what is being examined
        said = str(error).replace(str(Path.home()), "~").partition("\n")[0] or "no message"
        found, fix = f"{type(error).__name__}: {said}", "make clean setup, then mugkit doctor again"
        return [Check(look.__name__.strip("_"), False, found, fix)]


def _python() -> Iterator[Check]:
    yield Check("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _torch() -> Iterator[Check]:
    import torch

    yield Check("torch", True, f"{torch.__version__}, {torch.get_num_threads()} threads")
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    yield Check("device", True, device)


def _learn2learn() -> Iterator[Check]:
    from mugkit.training.maml import MAML

    yield Check("learn2learn", True, f"{importlib.metadata.version('learn2learn')}, {MAML.__name__} can be imported")


def _text_encoders() -> Iterator[Check]:
    from mugkit.data import encoders

    for name in encoders.OFFLINE:
        found, fix = _offline_encoder(name)
        yield Check(name, not fix, found, fix, required=name == encoders.OFFLINE_ENCODER)
    for name in HUB_ENCODERS:
        cached = encoders.hub_folder(name) is not None
        fix = None if cached else f"only for profile paper: hf download {name}, or name a local folder as text_encoder"
        yield Check(name, cached, "in the hub's cache" if cached else "not in the hub's cache", fix, required=False)


def _offline_encoder(name: str) -> tuple[str, str | None]:
    """The state of an encoder that a Python package provides, and how to fix it if something is missing."""
    from mugkit.data import encoders

    package = encoders.OFFLINE[name]
    if package.onnx and (files.home() / "encoders" / name).is_dir():
        return f"{package.about}, converted", None
    if not package.path or (package.onnx and not importlib.util.find_spec("onnx")):
        fix = "make setup" if name == encoders.OFFLINE_ENCODER else f"make setup EXTRAS={package.extra}"
        return "not installed" if not package.path else "onnx is not installed", fix
    version = importlib.metadata.version(package.distribution)
    return f"{version}, {package.about}" + (", converted at its first use" if package.onnx else ""), None


def _datasets() -> Iterator[Check]:
    from mugkit.data import store

    prepared, known = store.available(), ("reviews", *SOURCED_DATASETS)
    damage = {name: told for name in prepared if (told := _damage(name))}
    for name in dict.fromkeys([*known, *damage]):
        if name in damage:
            yield Check(f"data set {name}", False, f"damaged: {damage[name]}", _how(name, " --force"))
        elif name in prepared:
            yield Check(f"data set {name}", True, "prepared", required=False)
        else:
            yield Check(f"data set {name}", False, "not prepared", _how(name), required=False)
    if others := [name for name in prepared if name not in known and name not in damage]:
        yield Check("other data sets", True, ", ".join(others), required=False)


def _how(name: str, force: str = "") -> str:
    if name == "reviews":
        return f"mugkit prepare reviews{force}"
    if name in SOURCED_DATASETS:
        return f"mugkit prepare {name}{force} --source PATH, with your own copy"
    return f"mugkit prepare FAMILY{force} --source PATH --store-as {name}, from what it was made of"


def _damage(name: str) -> str:
    from mugkit.data.store import load

    try:
        load(name)
    except UserError as error:
        return " ".join([*([Path(error.file).name] if error.file else []), error.problem])
    except OSError as error:
        return f"{Path(error.filename or name).name}: {error.strerror}"
    return ""


def _notebooks() -> Iterator[Check]:
    from jupyter_client.kernelspec import KernelSpecManager

    kernels = sorted(KernelSpecManager().find_kernel_specs())
    ok = "python3" in kernels
    yield Check("jupyter kernels", ok, ", ".join(kernels) or "none", None if ok else "make setup")
    yield Check("papermill", True, importlib.metadata.version("papermill"))


def _machine() -> Iterator[Check]:
    there = next(folder for folder in (files.home(), *files.home().parents) if folder.exists())
    free = shutil.disk_usage(there).free / 2**30
    ok = free >= DISK_GIB
    fix = None if ok else f"free {DISK_GIB} GiB, or point MUGKIT_HOME to another disk"
    yield Check("disk", ok, f"{free:.0f} GiB free", fix)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    ok = memory >= MEMORY_GIB
    fix = None if ok else f"{MEMORY_GIB} GiB are advised: close other programs, run one data set at a time"
    yield Check("memory", ok, f"{memory:.0f} GiB, {os.cpu_count()} cores", fix, required=False)


def _home() -> Iterator[Check]:
    home, user = files.home(), Path.home()
    shown = f"~/{home.relative_to(user)}" if home.is_relative_to(user) else f"…/{home.name}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            yield Check("home", True, f"{shown} can be written")
    except OSError as error:
        found = f"{shown} cannot be written: {error.strerror}"
        yield Check("home", False, found, "point MUGKIT_HOME to a folder of yours")


_LOOKS = (_python, _torch, _learn2learn, _text_encoders, _datasets, _notebooks, _machine, _home)
