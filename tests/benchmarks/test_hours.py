"""GPU hours: arithmetic by hand, what is counted, and that the page's numbers come from the record."""

from __future__ import annotations

from pathlib import Path

import gpu_hours
import pytest
from small import tiny_bert

from benchmarks import hours, paper_size
from benchmarks.counting import Count
from benchmarks.hours import ASSUMED, Card, Stage
from mugkit import files
from mugkit.config import hyperparameters
from mugkit.experiments.registry import SYSTEMS

ROOT = Path(__file__).resolve().parents[2]
CARD = Card("a card", flops=1e12, launch=1e-5, about="made up")


def row(system: str, dataset: str, stage: str, **count: float) -> dict[str, object]:
    return {"system": system, "dataset": dataset, "stage": stage, "flops": 0, "operators": 0, "steps": 0, **count}


def test_step_takes_the_longer_of_arithmetic_and_handing_over() -> None:
    assert Stage(Count(2e12, 100), 10).seconds(CARD) == pytest.approx(20)
    assert Stage(Count(1e6, 50_000), 10).seconds(CARD) == pytest.approx(5)


def test_hours_are_of_all_seeds_for_stage_3_and_once_for_the_others() -> None:
    hour = {"flops": 1e12, "steps": 3600}
    rows = [row("mug", "mosi", "3", **hour), row("mug", "mosi", "1", **hour), row("tfn", "mosi", "3", **hour)]
    table = hours.hours([*rows, row("mug", "sims", "3", **hour)], CARD, seeds=5)
    assert table.loc["mug"].to_dict() == {"mosi": 6, "sims": 5, "total": 11}
    assert table.loc["total"].to_dict() == {"mosi": 11, "sims": 5, "total": 16}
    assert hours.trials(rows, CARD) == {"mosi": 50 * 2}


def test_write_names_what_is_assumed_until_a_card_was_measured(tmp_path: Path) -> None:
    rows = [row("mug", "mosi", "3", flops=1e12, steps=3600)]
    table = gpu_hours.write(rows, tmp_path)
    record, page = files.read_json(tmp_path / "gpu-hours.json"), (tmp_path / "tables" / "gpu_hours.md").read_text()
    assert record["card"]["about"] == ASSUMED.about
    assert record["counted"] == rows
    assert record["hours"]["all of it"]["total"] == pytest.approx((5 + 50) * 1e12 / ASSUMED.flops, abs=1e-3)
    assert "Assumed: early stopping after 16 epochs" in page
    assert ASSUMED.about in page
    measured = {"device": "H", "precision": "bfloat16", "step_flops": 2 * ASSUMED.flops, "launch_seconds": 1e-6}
    files.write_json(tmp_path / "gpu.json", measured)
    faster = gpu_hours.write(rows, tmp_path)
    assert faster.loc["all of it", "total"] == pytest.approx(table.loc["all of it", "total"] / 2)
    assert "measured (`mugkit bench --gpu`)" in (tmp_path / "tables" / "gpu_hours.md").read_text()


def test_stages_of_systems_with_learned_labels_are_three_of_others_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bert = str(tiny_bert(tmp_path / "bert"))
    original = paper_size.work
    monkeypatch.setattr(paper_size, "work", lambda *args: original(*args, text_encoder=bert))
    monkeypatch.setattr(paper_size, "token_ids", lambda tokens: [[3] * n for n in tokens])
    found = hours.stages("mug", "mosi")
    assert set(found) == {"1", "2", "3"}
    hp = hyperparameters("mosi", "paper")
    assert found["1"].steps == pytest.approx(15 * 1284 / 32)
    assert found["2"].steps == pytest.approx(3 * 65 * 1284 / 32)
    assert found["3"].steps == pytest.approx(16 * (1284 + 229 / 3) / 32)
    assert found["1"].step.flops > found["3"].step.flops > 0  # projections and contrastive terms on top
    # MUCN forwards and backwards over S and D: at least three passes over |D| = 11·32 rows of (d_m + 1)·width.
    widest = max(hp.network.d_l, hp.network.d_a, hp.network.d_v)
    assert found["2"].step.flops > 2 * 11 * 32 * hp.meta.mucn_width * hp.network.d_l
    assert found["2"].step.flops < 20 * 2 * 12 * 32 * hp.meta.mucn_width * (widest + 2)
    assert set(hours.stages("tfn", "mosi")) == {"3"}


def test_committed_record_has_every_system_and_data_set_and_its_hours_follow_from_its_counts() -> None:
    record = files.read_json(ROOT / "figures" / "gpu-hours.json")
    named = {name for name, one in SYSTEMS.items() if one.rows}
    counted = record["counted"]
    assert {(r["system"], r["dataset"]) for r in counted} == {(s, d) for s in named for d in hours.FAMILIES}
    table = hours.hours(counted, Card(**record["card"]), record["seeds"])
    for name in (*named, "total"):
        assert record["hours"][name]["total"] == pytest.approx(table.loc[name, "total"], abs=1e-3)
