"""Counts of a step against counts by hand, lengths of clips, and GPU hours."""

from pathlib import Path
from typing import Any

import gpu_hours
import numpy as np
import pytest
import torch
from small import tiny_bert
from torch import nn

from benchmarks import clips, hours, paper_size
from benchmarks.clips import MOSI_TOKENS
from benchmarks.counting import count
from benchmarks.hours import ASSUMED, Card
from mugkit import files
from mugkit.config import hyperparameters
from mugkit.experiments.registry import SYSTEMS

ROOT = Path(__file__).resolve().parents[2]
CARD = Card("a card", flops=1e12, launch=1e-5, about="made up")


def test_flops_of_linear_layers_and_lstms_are_those_of_their_products() -> None:
    layer, x = nn.Linear(5, 7, bias=False), torch.randn(3, 5)
    assert count(lambda: layer(x)).flops == 2 * 3 * 5 * 7
    assert count(lambda: layer(x).sum().backward()).flops == 2 * (2 * 3 * 5 * 7)  # no gradient of x
    lstm, series = nn.LSTM(6, 8), torch.randn(9, 2, 6)
    by_hand = 2 * 2 * 9 * (4 * 8) * (6 + 8)
    assert count(lambda: lstm(series)).flops == by_hand
    with torch.backends.mkldnn.flags(enabled=False):  # taken apart into products that torch itself counts
        assert count(lambda: lstm(series)).flops == by_hand
    assert count(lambda: lstm(series)[0].sum().backward()).flops == 3 * by_hand


def test_operators_are_counted_without_views() -> None:
    x = torch.randn(4, 4)
    assert count(lambda: (x.view(2, 8).t()[1:] + 1).relu()).operators == 2


@pytest.mark.parametrize("make", [paper_size.stage_1, paper_size.stage_3])
def test_flops_of_a_step_are_three_forwards_of_the_encoder(make: Any) -> None:
    """2·weights·tokens for every product forwards, twice that backwards; the frames' LSTMs and heads come on top."""
    tokens = [10] * 4
    todo = paper_size.work("copy", paper_size.made("mosi", tokens), text_encoder="random-bert-base")
    loader = paper_size.Tokenised(todo.dataset.train, paper_size.token_ids(tokens))
    train, batch = make(todo, loader), loader.batch(torch.arange(4))
    layer = 4 * 768 * 768 + 2 * 768 * 3072
    whole = 3 * 2 * layer * (11 * 40 + 4)  # all layers for all tokens, the last layer's for the first tokens
    assert count(lambda: train(batch)).flops == pytest.approx(whole, rel=0.06)


def test_chosen_lengths_have_mosis_quantiles() -> None:
    lengths = np.random.default_rng(0).integers(4, 80, 4000)
    chosen = clips.like_mosi(lengths, 200)
    assert (np.diff(chosen) > 0).all()
    quantiles = np.quantile(lengths[chosen], np.linspace(0, 1, len(MOSI_TOKENS)))
    np.testing.assert_allclose(quantiles[1:], MOSI_TOKENS[1:], atol=1)
    assert clips.like_mosi(np.array([60, 30, 20, 40, 25]), 2).tolist() == [2, 4]  # the nearest there are


def row(system: str, dataset: str, stage: str, **counted: float) -> dict[str, object]:
    """An hour of `CARD`."""
    counts = {"flops": 1e12, "operators": 0, "steps": 3600}
    return {"system": system, "dataset": dataset, "stage": stage, **counts, **counted}


def test_hours_are_of_all_seeds_for_stage_3_and_once_for_the_others() -> None:
    handing_over = hours.hours([row("mug", "mosi", "1", flops=1e6, operators=200_000)], CARD, seeds=5)
    assert handing_over.loc["mug", "mosi"] == pytest.approx(2)  # which takes longer than the arithmetic
    rows = [row("mug", "mosi", "3"), row("mug", "mosi", "1"), row("tfn", "mosi", "3")]
    table = hours.hours([*rows, row("mug", "sims", "3")], CARD, seeds=5)
    assert table.loc["mug"].to_dict() == {"mosi": 6, "sims": 5, "total": 11}
    assert table.loc["total"].to_dict() == {"mosi": 11, "sims": 5, "total": 16}
    assert hours.trials(rows, CARD) == {"mosi": 50 * 2}


def test_page_names_what_is_assumed_until_a_card_was_measured(tmp_path: Path) -> None:
    rows, page = [row("mug", "mosi", "3")], tmp_path / "tables" / "gpu_hours.md"
    table = gpu_hours.write(rows, tmp_path)
    assert table.loc["all of it", "total"] == pytest.approx((5 + 50) * 1e12 / ASSUMED.flops, abs=1e-3)
    assert files.read_json(tmp_path / "gpu-hours.json")["counted"] == rows
    assert ASSUMED.about in page.read_text()
    measured = {"device": "H", "precision": "bfloat16", "step_flops": 2 * ASSUMED.flops, "launch_seconds": 1e-6}
    files.write_json(tmp_path / "gpu.json", measured)
    assert gpu_hours.write(rows, tmp_path).loc["all of it", "total"] == pytest.approx(
        table.loc["all of it", "total"] / 2
    )
    assert ASSUMED.about not in page.read_text()


def test_stages_are_three_with_learned_labels_and_else_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bert, original = str(tiny_bert(tmp_path / "bert")), paper_size.work
    monkeypatch.setattr(paper_size, "work", lambda *args: original(*args, text_encoder=bert))
    monkeypatch.setattr(paper_size, "token_ids", lambda tokens: [[3] * n for n in tokens])
    found, hp = hours.stages("mug", "mosi"), hyperparameters("mosi", "paper")
    steps = {"1": 15 * 1284 / 32, "2": 3 * 65 * 1284 / 32, "3": 16 * (1284 + 229 / 3) / 32}
    assert {name: stage.steps for name, stage in found.items()} == pytest.approx(steps)
    assert found["1"].step.flops > found["3"].step.flops > 0  # projections and contrastive terms on top
    # MUCN forwards and backwards over S and D: at least three passes over |D| = 11·32 rows of (d_m + 1)·width.
    widest = max(hp.network.d_l, hp.network.d_a, hp.network.d_v)
    assert found["2"].step.flops > 2 * 11 * 32 * hp.meta.mucn_width * hp.network.d_l
    assert found["2"].step.flops < 20 * 2 * 12 * 32 * hp.meta.mucn_width * (widest + 2)
    assert set(hours.stages("tfn", "mosi")) == {"3"}


def test_committed_record_has_every_system_and_data_set_and_its_hours_follow_from_its_counts() -> None:
    record = files.read_json(ROOT / "figures" / "gpu-hours.json")
    named, counted = {name for name, system in SYSTEMS.items() if system.rows}, record["counted"]
    assert {(r["system"], r["dataset"]) for r in counted} == {(s, d) for s in named for d in hours.FAMILIES}
    table = hours.hours(counted, Card(**record["card"]), record["seeds"])
    for name in (*named, "total"):
        assert record["hours"][name]["total"] == pytest.approx(table.loc[name, "total"], abs=1e-3)
