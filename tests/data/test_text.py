"""The language network: pooling by hand, frozen states and features against the encoder itself, and their cache."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from small import tiny_bert, tiny_t5

from mugkit.data import text
from mugkit.data.batch import Tokens
from mugkit.data.encoders import OFFLINE_ENCODER, locate
from mugkit.errors import UserError
from mugkit.models import tokens
from mugkit.models.mug import LanguageNetwork, TextEncoder

# Lengths deliberately unsorted: features must come back in the order of the sentences.
SENTENCES = ["a good film", "the story was awful and the cast was weak with a bad story", "superb"]


def refuse(*_: Any) -> Any:
    raise AssertionError("the encoder was loaded again")


def test_pool_by_hand() -> None:
    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]], [[5.0, 0.0], [0.0, 3.0], [1.0, 3.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert tokens.pool(states, mask, "first").tolist() == [[1.0, 2.0], [5.0, 0.0]]
    assert tokens.pool(states, mask, "mean").tolist() == [[2.0, 3.0], [2.0, 2.0]]


def test_token_ids_are_cached_and_tell_how_many_transcripts_were_cut(
    bert: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact, longer = "film " * (text.MAX_TOKENS - 2), "film " * (text.MAX_TOKENS - 1)  # [CLS] and [SEP] count too
    lines = ["good film", longer, "", exact, longer]
    with caplog.at_level(logging.WARNING):
        text.token_ids(["good film", exact], bert)
        ids = text.token_ids(lines, bert)
        tokenizer = text.load_tokenizer(bert)
        monkeypatch.setattr(text, "load_tokenizer", refuse)
        assert text.token_ids(lines, bert) == ids
    assert ids == tokenizer(lines, truncation=True, max_length=128)["input_ids"]
    assert [record.message for record in caplog.records] == [
        "2 of 5 transcripts are longer than 128 tokens: the rest is not read"
    ]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_language_network_trained_encoder_equals_first_token_of_transformers(activation: str, bert: str) -> None:
    from transformers import AutoModel, AutoTokenizer

    encoder = TextEncoder(text.load_encoder(bert), "first")
    network = LanguageNetwork(encoder.width, 3, activation, encoder)
    batch = AutoTokenizer.from_pretrained(bert)(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(bert).eval()(**batch).last_hidden_state[:, 0]
        expected = getattr(torch, activation)(states @ network.down.weight.T + network.down.bias)
        got = network(Tokens(batch["input_ids"], batch["attention_mask"]))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_first_token_of_t5_is_refused(tmp_path: Path) -> None:
    folder = str(tiny_t5(tmp_path / "t5"))
    with pytest.raises(UserError, match="pooling=mean"):
        TextEncoder(text.load_encoder(folder), "first")
    with pytest.raises(UserError, match="pooling=mean") as caught:
        text.frozen_features(SENTENCES, folder, "first")
    assert caught.value.field == "pooling"


@pytest.mark.parametrize("make", [tiny_bert, tiny_t5, lambda folder: OFFLINE_ENCODER])
def test_frozen_states_are_those_of_each_sentence_alone(tmp_path: Path, make: Any) -> None:
    from transformers import AutoTokenizer

    folder = str(make(tmp_path / "encoder"))
    states, offsets = text.frozen_states(SENTENCES, folder)
    model, tokenizer = text.load_encoder(folder), AutoTokenizer.from_pretrained(locate(folder))
    assert (offsets.dtype, int(offsets[-1]), len(offsets)) == (torch.int64, len(states), 4)
    assert not states.requires_grad
    for sentence, start, end in zip(SENTENCES, offsets[:-1], offsets[1:], strict=True):
        with torch.no_grad():
            alone = model(torch.tensor([tokenizer(sentence)["input_ids"]])).last_hidden_state[0]
        torch.testing.assert_close(states[start:end], alone, rtol=0, atol=1e-5)


def test_frozen_features_are_frozen_states_pooled(bert: str) -> None:
    states, offsets = text.frozen_states(SENTENCES, bert)
    clips = states.tensor_split(offsets[1:-1])
    mean, first = (text.frozen_features(SENTENCES, bert, how) for how in ("mean", "first"))
    assert torch.equal(text.frozen_features(SENTENCES[1:], bert, "first"), first[1:])  # of other texts, others
    torch.testing.assert_close(mean, torch.stack([clip.mean(0) for clip in clips]), rtol=0, atol=1e-5)
    torch.testing.assert_close(first, torch.stack([clip[0] for clip in clips]), rtol=0, atol=0)
    assert not mean.requires_grad


def test_frozen_encoder_runs_once_for_states_and_every_pooling(bert: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless texts are cut elsewhere, or the code was edited."""
    text.frozen_states(SENTENCES, bert)
    with monkeypatch.context() as patch:
        patch.setattr(text, "load_encoder", refuse)
        for pooling in ("mean", "first", "mean"):
            text.frozen_features(SENTENCES, bert, pooling)
        patch.setattr(text, "_code", lambda: ["edited"])
        with pytest.raises(AssertionError, match="loaded again"):
            text.frozen_states(SENTENCES, bert)
    monkeypatch.setattr(text, "MAX_TOKENS", 4)
    assert text.frozen_states(SENTENCES, bert)[1].tolist() == [0, 4, 8, 11]


def test_frozen_features_changed_folder_is_encoded_again(tmp_path: Path, bert: str) -> None:
    from transformers import BertModel

    before = text.frozen_features(SENTENCES, bert, "mean")
    model = BertModel.from_pretrained(bert)
    with torch.no_grad():
        model.embeddings.LayerNorm.bias.add_(1.0)
    model.save_pretrained(bert)  # a user trains the encoder further and saves it in its place
    assert not torch.allclose(text.frozen_features(SENTENCES, bert, "mean"), before)


def test_damaged_cache_is_computed_again(bert: str, mugkit_home: Path) -> None:
    before = text.frozen_features(SENTENCES, bert, "mean")
    cached = [*(mugkit_home / "cache" / "text").iterdir()]
    assert len(cached) == 3  # ids, states, features
    for path in cached:
        path.write_bytes(path.read_bytes()[:20])
    assert torch.equal(text.frozen_features(SENTENCES, bert, "mean"), before)
