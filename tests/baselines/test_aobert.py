"""AOBERT: what goes into its one BERT, the two tasks of pre-training, and where its weights come from."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from batches import SHAPES, token_batch
from small import tiny_bert, tiny_t5
from torch import Tensor, nn

from mugkit.baselines import aobert
from mugkit.baselines.aobert import AOBERT, AOBERTConfig, choose, exchange, hide
from mugkit.baselines.base import Shapes
from mugkit.data.batch import Batch, Padded, Tokens
from mugkit.data.text import load_encoder
from mugkit.errors import UserError

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def batch_of(mask: Tensor) -> Batch:
    return token_batch(tuple(mask.sum(1).tolist()))


@pytest.fixture
def network() -> AOBERT:
    torch.manual_seed(0)
    return AOBERT(SHAPES, None, AOBERTConfig(width=8, layers=1, heads=2))


def test_choose_takes_words_only() -> None:
    torch.manual_seed(0)
    drawn = torch.stack([choose(MASK, 0.5) for _ in range(200)]).float().mean(0)
    expected = torch.tensor([[0.0, 0.5, 0.5, 0.5, 0.0], [0.0, 0.5, 0.0, 0.0, 0.0]])  # neither [CLS], [SEP] nor padding
    assert torch.equal(drawn > 0, expected > 0)
    torch.testing.assert_close(drawn, expected, atol=0.12, rtol=0)


def test_hide_leaves_other_words_and_draws_eighty_ten_ten() -> None:
    torch.manual_seed(0)
    words = torch.arange(1.0, 4001.0).reshape(2, 2000, 1)
    mask, chosen = torch.ones(2, 2000, dtype=torch.long), torch.zeros(2, 2000, dtype=torch.bool)
    mask[1, 1000:] = 0
    chosen[0] = True
    shown = hide(words, chosen, mask, torch.tensor([-1.0]))
    assert torch.equal(shown[1], words[1])
    blank, kept = shown[0] == -1, shown[0] == words[0]
    other = shown[0][~(blank | kept)]
    assert blank.float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert kept.float().mean().item() == pytest.approx(0.1, abs=0.03)
    assert len(other) == pytest.approx(200, abs=50)
    assert other.max() <= 3000  # never padding's


def test_exchange_takes_the_neighbours_frames_in_half_of_the_clips() -> None:
    torch.manual_seed(0)
    source = exchange(1000, torch.device("cpu"))
    moved = source != torch.arange(1000)
    assert torch.equal(source[moved], (torch.arange(1000)[moved] - 1) % 1000)
    assert moved.float().mean().item() == pytest.approx(0.5, abs=0.05)


class Recorder(nn.Module):
    """Takes BERT's place, keeps what it is given, gives it back as states."""

    config = SimpleNamespace(hidden_size=8)

    def forward(self, **given: Any) -> Any:
        self.given = given
        return SimpleNamespace(last_hidden_state=given["inputs_embeds"])


def test_input_is_words_video_and_sound_in_one_row(network: AOBERT) -> None:
    recorder, batch = Recorder(), batch_of(MASK)
    network.language["encoder"] = recorder
    network(batch)
    given, clip = recorder.given, 1  # three tokens, two of padding
    assert given["attention_mask"][clip].tolist() == [1, 1, 1, 0, 0] * 3
    assert given["position_ids"][clip].tolist() == [0, 1, 2, 3, 4] * 3
    assert given["token_type_ids"][clip].tolist() == [0] * 5 + [1] * 10
    states = batch.text.values[clip, 1]  # type: ignore[union-attr]
    words = states @ network.words.weight.T + network.words.bias
    torch.testing.assert_close(given["inputs_embeds"][clip, 1], words)
    for start, m in ((5, "v"), (10, "a")):
        clip_frames = batch.frames[m].values[clip, : int(batch.frames[m].lengths[clip])]
        first = clip_frames[: max(len(clip_frames) // 3, 1)].mean(0)  # frames of the first of three tokens
        expected = first @ network.frames[m].weight.T + network.frames[m].bias + network.streams[m]
        torch.testing.assert_close(given["inputs_embeds"][clip, start], expected)


def test_recovery_of_states_is_their_normalised_squared_error(network: AOBERT) -> None:
    torch.manual_seed(0)
    states, chosen = torch.randn(2, 5, 8), torch.zeros(2, 5, dtype=torch.bool)
    chosen[0, 2] = chosen[1, 1] = True
    text = Padded(torch.randn(2, 5, SHAPES.text), MASK)
    losses = []
    for place in ((0, 2), (1, 1)):
        target, found = text.values[place].double(), network.recover(network.transform(states[place])).detach().double()
        target = (target - target.mean()) / (target.var(unbiased=False) + 1e-5).sqrt()
        losses.append(float(((found - target) ** 2).mean()))
    assert network.recovery(states, chosen, text).item() == pytest.approx(sum(losses) / 2, rel=1e-5)
    assert network.recovery(states, torch.zeros_like(chosen), text).item() == 0.0


def test_pretraining_asks_for_words_of_clips_with_own_frames(network: AOBERT, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = torch.ones(4, 6, dtype=torch.long)
    monkeypatch.setattr(aobert, "exchange", lambda *_: torch.tensor([3, 1, 1, 3]))
    monkeypatch.setattr(aobert, "choose", lambda m, _: m.bool())
    asked: list[Tensor] = []
    monkeypatch.setattr(network, "recovery", lambda _s, chosen, _t: asked.append(chosen) or torch.zeros(()))
    network.pretraining(batch_of(mask))
    assert asked[0].any(1).tolist() == [False, True, False, True]


def test_alignment_prediction_sees_the_other_clips_frames(network: AOBERT, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    network.language["encoder"] = recorder
    monkeypatch.setattr(aobert, "exchange", lambda *_: torch.tensor([1, 1]))
    monkeypatch.setattr(aobert, "choose", lambda m, _: torch.zeros_like(m, dtype=torch.bool))
    loss = network.pretraining(batch_of(MASK))
    given = recorder.given
    assert given["attention_mask"].tolist() == [[1] * 5 + [1, 1, 1, 0, 0] * 2, [1, 1, 1, 0, 0] * 3]
    torch.testing.assert_close(given["inputs_embeds"][0, 5:], given["inputs_embeds"][1, 5:])
    said = network.alignment(given["inputs_embeds"][:, 0]).squeeze(1).double().tolist()
    # Clip 0 has clip 1's frames (wrong), clip 1 its own (right).
    expected = (math.log1p(math.exp(said[0])) + math.log1p(math.exp(-said[1]))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_loss_is_pretraining_first_and_regression_then(network: AOBERT) -> None:
    batch = batch_of(MASK)
    error = float((network.eval()(batch) - batch.labels).abs().mean())
    for epoch in (0, 2):
        torch.manual_seed(epoch)
        loss = network.loss(batch, epoch)
        torch.manual_seed(epoch)
        assert loss.item() == pytest.approx(network.pretraining(batch).item())
    assert network.loss(batch, 3).item() == pytest.approx(error)


@pytest.fixture
def trained(tmp_path: Path) -> AOBERT:
    encoder = load_encoder(str(tiny_bert(tmp_path / "bert")))
    return AOBERT(Shapes(16, 5, 4), encoder, AOBERTConfig())


def test_trained_encoder_is_the_one_bert(trained: AOBERT) -> None:
    embedding = trained.language["encoder"].embeddings.word_embeddings.weight  # type: ignore[union-attr]
    assert trained.words.weight is embedding
    assert trained.recover.weight is embedding
    torch.testing.assert_close(trained.blank.detach(), embedding[4].detach())  # [MASK] is the fifth word
    names = [n for n, _ in trained.named_parameters()]
    assert "language.encoder.embeddings.word_embeddings.weight" in names  # trained at the text encoder's rate


def test_trained_recovery_is_cross_entropy_over_the_vocabulary(trained: AOBERT) -> None:
    torch.manual_seed(0)
    states, chosen = torch.randn(2, 5, 16), torch.zeros(2, 5, dtype=torch.bool)
    chosen[0, 1] = chosen[0, 3] = True
    text = Tokens(torch.tensor([[2, 7, 9, 5, 3], [2, 8, 3, 0, 0]]), MASK)
    losses = []
    for place, word in ((1, 7), (3, 5)):
        x = trained.transform(states[0, place]).double()
        logits = [
            float(x @ w.double()) + float(b) for w, b in zip(trained.words.weight, trained.recover.bias, strict=True)
        ]
        losses.append(math.log(sum(map(math.exp, logits))) - logits[word])
    assert trained.recovery(states, chosen, text).item() == pytest.approx(sum(losses) / 2, rel=1e-5)


def test_encoder_that_is_no_bert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="text_encoder"):
        AOBERT(Shapes(16, 5, 4), load_encoder(str(tiny_t5(tmp_path / "t5"))), AOBERTConfig())


def test_lean_states_are_those_of_the_whole_bert(network: AOBERT, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(MASK)
    found = []
    for lean in (True, False):
        if not lean:
            monkeypatch.setattr(aobert.lean_bert, "applies", lambda _: False)
        words, frames = network.embed(batch.text), network.streamed(batch, MASK)
        whole = network.eval().encode(words, frames, MASK, MASK) * MASK.repeat(1, 3)[..., None]
        gradients = torch.autograd.grad(network(batch).sum(), list(network.bert.encoder.parameters()))
        found.append([whole, network(batch), *gradients])
    for tensor, expected in zip(*found, strict=True):
        torch.testing.assert_close(tensor, expected)
