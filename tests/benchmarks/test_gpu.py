"""The GPU's measurements: what of them does not need one, and that they say so where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from small import SPECIAL, WORDS, tiny_bert

from benchmarks import gpu, hours, paper_size
from benchmarks.counting import count
from mugkit import cli, files

CPU = torch.device("cpu")


def test_without_a_gpu_it_is_said_with_a_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["mugkit", "bench", "--gpu", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.app()
    assert ended.value.code == 2
    assert "mugkit doctor" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_ceiling_is_flops_over_the_best_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([9.0, 2.0, 4.0])
    monkeypatch.setattr(gpu, "seconds", lambda work, device: next(times))
    assert gpu.ceiling(CPU, torch.float32, 10, rounds=3) == 2 * 10**3 / 2.0


def test_measure_on_a_cpu_finds_every_number(tmp_path: Path) -> None:
    vocabulary = len(SPECIAL) + len(WORDS)
    size = gpu.Size(clips=64, encoder=str(tiny_bert(tmp_path / "bert")), vocabulary=vocabulary, matrix=64, rounds=2)
    found = gpu.measure(CPU, size)
    assert set(found["steps"]) == {f"stage {n}, {name}" for n in (1, 3) for name in gpu.PRECISIONS}
    for name, one in found["steps"].items():
        reached = one["flops"] / one["seconds"]
        assert one["share_of_ceiling"] == pytest.approx(reached / found["ceiling_flops"][name.partition(", ")[2]])
        assert one["flops"] > 0 < one["seconds"]
    files.write_json(tmp_path / gpu.NAME, found | {"mosi_table_hours": gpu.table_hours(found, tmp_path)})
    card = hours.card_of(tmp_path)
    assert (card.flops, card.launch) == (found["step_flops"], found["launch_seconds"])
    assert "measured" in card.about


@pytest.mark.parametrize("make", [paper_size.stage_1, paper_size.stage_3])
def test_flops_of_a_step_are_three_forwards_of_the_encoder(make: object, tmp_path: Path) -> None:
    """2·weights·tokens for every product forwards, twice that backwards; the frames' LSTMs and heads come on top."""
    tokens = [10] * 4
    todo = paper_size.work("copy", paper_size.made("mosi", tokens), text_encoder="random-bert-base")
    clips = paper_size.Tokenised(todo.dataset.train, paper_size.token_ids(tokens))
    one, batch = make(todo, clips), clips.batch(torch.arange(4))  # type: ignore[operator]
    layer = 4 * 768 * 768 + 2 * 768 * 3072
    whole = 3 * 2 * layer * (11 * 40 + 4)  # all layers for all tokens, the last one's for the first ones
    assert count(lambda: one(batch)).flops == pytest.approx(whole, rel=0.06)
