"""UniMSE: spelled scores, fusion inside T5, contrast, and decoding that always ends in a number."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from batches import SHAPES, token_batch
from small import tiny_bert, tiny_t5
from torch import Tensor, nn

from mugkit.baselines.base import Shapes
from mugkit.baselines.unimse import CHARACTERS, Encoded, ModalityFusion, Scores, UniMSE, UniMSEConfig
from mugkit.data.batch import Batch, Tokens
from mugkit.data.text import load_encoder
from mugkit.errors import UserError
from mugkit.models.losses import info_nce

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])


def batch_of(mask: Tensor) -> Batch:
    return token_batch(tuple(mask.sum(1).tolist()))


def made(**changes: Any) -> UniMSE:
    torch.manual_seed(0)
    config = {"width": 8, "heads": 2, "layers": 2, "fused_layers": 2, "d_frames": 3, "bottleneck": 4, "d_contrast": 5}
    return UniMSE(SHAPES, None, UniMSEConfig(**config | {"dropout": 0.0} | changes))


def spelled(ids: list[int]) -> str:
    return "".join(CHARACTERS[i - 2] for i in ids if i > 1)


@pytest.mark.parametrize(("scale", "count"), [(3.0, 61), (1.0, 21)])
def test_scores_are_tenths_spelled_with_their_sign(scale: float, count: int) -> None:
    scores = Scores(scale)
    texts = [spelled(row) for row in scores.ids.tolist()]
    assert len(texts) == len(set(texts)) == count
    assert [float(text) for text in texts] == pytest.approx(scores.values.tolist())
    assert texts[count // 2] == "+0.0"
    assert texts[0] == f"-{scale:.1f}"
    assert scores.ids[:, -1].eq(1).all()  # the token that ends
    nearest = scores.values[scores.nearest(scale * torch.tensor([0.47, -0.222, 1.07, -3.0, 0.013]))]
    assert nearest.tolist() == pytest.approx([round(scale * 4.7) / 10, round(scale * -2.22) / 10, scale, -scale, 0.0])


def test_modality_fusion_equals_its_equation() -> None:
    torch.manual_seed(0)
    fusion = ModalityFusion(4, 3, 2).double()
    for parameter in fusion.parameters():
        nn.init.normal_(parameter)
    states, frames = torch.randn(2, 5, 4).double(), torch.randn(2, 3).double()
    ours, weights = fusion(states, frames), {n: p.detach() for n, p in fusion.named_parameters()}
    for clip in range(2):
        for token in range(5):
            c = torch.tensor([*states[clip, token].tolist(), *frames[clip].tolist()]).double()
            down = weights["down.weight"] @ c + weights["down.bias"]
            up = weights["up.weight"] @ (1 / (1 + (-down).exp())) + weights["up.bias"]
            torch.testing.assert_close(ours[clip, token], weights["out.weight"] @ (c + up) + weights["out.bias"])


def test_every_fused_layer_passes_its_result_on() -> None:
    network, batch = made().eval(), batch_of(MASK)
    with torch.no_grad():
        before = network.encode(batch)
        network.fusions[1].out.weight.zero_()
        after = network.encode(batch)
    assert len(before.fused) == 2
    torch.testing.assert_close(after.fused[0], before.fused[0])
    assert not after.fused[1].any()
    assert not after.states.any()  # the last layer's states are its fusion's, normalised
    assert all(not block.layer[-1]._forward_hooks for block in network.t5.encoder.block)


def test_spelling_loss_is_the_likelihood_of_each_token_in_turn() -> None:
    network, batch = made().eval(), batch_of(MASK)
    labels = torch.tensor([-2.96, 0.31, 1.0])
    with torch.no_grad():
        encoded, losses = network.encode(batch), []
        for clip, text in enumerate(("-3.0", "+0.3", "+1.0")):
            written = [0]
            for token in [*(2 + CHARACTERS.index(c) for c in text), 1]:
                logits = network._logits(encoded, torch.tensor([written] * 3))[clip, -1].double()
                losses.append(-float(logits[token] - logits.exp().sum().log()))
                written.append(token)
        assert network.spelling(encoded, labels).item() == pytest.approx(sum(losses) / 15, rel=1e-5)


def decoded(network: UniMSE, monkeypatch: pytest.MonkeyPatch, wants: list[dict[str, float]]) -> float:
    """What is written if at step k the characters of wants[k] have these logits, and all others −5."""

    def logits(_encoded: Encoded, given: Tensor) -> Tensor:
        table = torch.full((len(given), given.shape[1], 2 + len(CHARACTERS)), -5.0)
        for character, value in wants[given.shape[1] - 1].items():
            table[:, -1, 2 + CHARACTERS.index(character)] = value
        return table

    monkeypatch.setattr(network, "_logits", logits)
    return network(batch_of(MASK[:1])).item()


def test_decoding_is_greedy_among_what_is_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    wants = [{"-": 1.0, "+": 0.9}, {"1": 2.0, "2": 1.0}, {".": 0.0}, {"4": 1.0, "9": 0.5}, {}]
    assert decoded(made().eval(), monkeypatch, wants) == pytest.approx(-1.4)
    # A digit cannot start, 7 is out of range, 3 leaves nothing but a 0 behind the point.
    wants = [{"9": 9.0, "+": 1.0}, {"7": 9.0, "3": 1.0}, {"5": 9.0}, {"9": 9.0}, {}]
    assert decoded(made().eval(), monkeypatch, wants) == pytest.approx(3.0)


def test_contrast_compares_the_mean_of_tokens_in_every_fused_layer() -> None:
    network, batch = made(), batch_of(MASK)
    with torch.no_grad():
        encoded = network.encode(batch)
        total = 0.0
        for states in encoded.fused:
            means = torch.stack([row[: int(n)].mean(0) for row, n in zip(states, MASK.sum(1), strict=True)])
            queries, keys = means @ network.queries["a"].weight.T, encoded.frames["a"] @ network.keys["a"].weight.T
            total += info_nce(queries, keys, 0.1).item()
        assert network.contrast(encoded, "a").item() == pytest.approx(total, rel=1e-5)


def test_loss_weighs_both_contrasts() -> None:
    batch = batch_of(MASK)
    with torch.no_grad():
        network = made(alpha=0.3, beta=2.0)
        encoded = network.encode(batch)
        task, sound, video = (
            network.spelling(encoded, batch.labels), network.contrast(encoded, "a"), network.contrast(encoded, "v")
        )  # fmt: skip
        assert network.loss(batch, 0).item() == pytest.approx((task + 0.3 * sound + 2.0 * video).item(), rel=1e-5)


@pytest.fixture
def pretrained(tmp_path: Path) -> UniMSE:
    encoder = load_encoder(str(tiny_t5(tmp_path / "t5")))
    return UniMSE(Shapes(16, 5, 4), encoder, UniMSEConfig(tuned_blocks=1))


def test_pretrained_t5_works_from_the_start(pretrained: UniMSE, tmp_path: Path) -> None:
    ids = torch.tensor([[3, 7, 9, 5, 1], [4, 8, 1, 0, 0], [3, 5, 6, 1, 0]])
    with torch.no_grad():
        ours = pretrained.eval().encode(replace(batch_of(MASK), text=Tokens(ids, MASK))).states
        plain = load_encoder(str(tmp_path / "t5"))(input_ids=ids, attention_mask=MASK).last_hidden_state
    torch.testing.assert_close(ours * MASK[..., None], plain * MASK[..., None], atol=0.05, rtol=0)


def test_pretrained_t5_trains_its_last_blocks_alone(pretrained: UniMSE) -> None:
    trained = {n.removeprefix("language.encoder.") for n, p in pretrained.named_parameters() if p.requires_grad}
    ofT5 = {name.split(".layer")[0] for name in trained if name.startswith(("encoder", "decoder", "shared", "lm_head"))}
    assert ofT5 == {"encoder.block.1", "decoder.block.1"}
    assert any(name.startswith("fusions.1") for name in trained)


def test_encoder_that_is_no_t5_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="text_encoder"):
        UniMSE(Shapes(16, 5, 4), load_encoder(str(tiny_bert(tmp_path / "bert"))), UniMSEConfig())
