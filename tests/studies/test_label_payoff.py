"""The map of when learned labels pay: what is trained, what is counted, what is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_study import difference, finished
from made_up import make_dataset

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data.schema import MODALITIES
from mugkit.experiments.experiment import Run
from mugkit.studies import label_payoff
from mugkit.studies.label_payoff import SETTINGS, SOURCES, TRUE, WITHOUT


def row(source: str, worth: float, beta: float = 1.0, **place: Any) -> dict[str, Any]:
    at = {"expression": "vivid", "disagreement": "strong", "noise": 0.3, "beta": beta, "source": source, **place}
    quality = dict.fromkeys(("corr_l", "corr_a", "corr_v"), {"copy": 0.6, "mug": 0.7, TRUE: 1.0}[source])
    return {**at, **difference(worth, 0.01), "seeds": 3, "share": None, **quality}


def rows(**place: Any) -> list[dict[str, Any]]:
    return [row("copy", -0.02, **place), row("mug", -0.06, **place), row(TRUE, -0.1, **place)]


def test_every_beta_trains_every_source_and_none_trains_without_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_payoff, "betas", lambda profile: (1.0, 0.01))
    monkeypatch.setattr("mugkit.data.prepare.simulated", lambda dials: "made-up")
    groups = label_payoff.specifications(SETTINGS[0], "smoke")
    assert set(groups) == {(WITHOUT, 1.0), *((source, beta) for source in SOURCES for beta in (1.0, 0.01))}
    for (system, beta), specs in groups.items():
        assert {(spec.system, dict(spec.changes)["beta"]) for spec in specs} == {(system, beta)}


@pytest.mark.parametrize(
    ("found", "true", "share"), [(-0.05, -0.1, 0.5), (-0.1, -0.1, 1.0), (0.05, -0.1, -0.5), (-0.05, -0.005, None)]
)
def test_share_is_of_what_true_labels_gain_where_they_gain(found: float, true: float, share: float | None) -> None:
    counted = label_payoff._share(row("mug", found), row(TRUE, true))
    assert counted == share if share is None else counted == pytest.approx(share)


def test_study_counts_from_no_tasks_and_shares_from_true_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, wrong = make_dataset((6, 4, 60)), {WITHOUT: 0.5, "copy": 0.4, "mug": 0.3, TRUE: 0.1}

    def run_all(specs: list[RunSpec]) -> list[Run]:
        return [finished(data, tmp_path / f"{spec.system}-{spec.seed}", wrong[spec.system], spec) for spec in specs]

    monkeypatch.setattr(label_payoff, "betas", lambda profile: (1.0,))
    monkeypatch.setattr(label_payoff, "load", lambda name: data)
    monkeypatch.setattr(label_payoff.prepare, "simulated", lambda dials: data.name)
    monkeypatch.setattr(label_payoff.experiment, "work", lambda spec: spec)
    monkeypatch.setattr(label_payoff.scheduler, "run_all", run_all)
    copies = dict.fromkeys(MODALITIES, data.train.labels[None])
    monkeypatch.setattr(label_payoff.comparison, "training_labels", lambda works: copies)
    table = label_payoff.study("smoke")
    assert table["source"].tolist() == ["copy", "mug", TRUE]
    np.testing.assert_allclose(table["difference"], [-0.1, -0.2, -0.4], atol=1e-5)
    np.testing.assert_allclose(table["share"].astype(float), [0.25, 0.5, 1.0], atol=1e-4)
    for m, true in data.train.true_labels.items():
        np.testing.assert_allclose(table[f"corr_{m}"], np.corrcoef(data.train.labels, true)[0, 1], atol=1e-6)


def test_figure_has_a_row_for_each_beta_and_one_for_labels() -> None:
    found = [row for beta in (1.0, 0.01) for e in ("vivid", "faint") for row in rows(beta=beta, expression=e)]
    worth, other, labels = label_payoff.draw(found).axes
    assert [list(bar.lines[0].get_ydata()) for bar in worth.containers] == [[-0.02] * 2, [-0.06] * 2, [-0.1] * 2]
    assert len(other.containers) == len(SOURCES)
    assert [list(line.get_ydata()) for line in labels.lines] == [[0.6] * 2] * 3 + [[0.7] * 2] * 3


def test_sentence_counts_where_labels_pay() -> None:
    paying, lost = rows(), [row("copy", 0.0), row("mug", 0.001, expression="faint"), row(TRUE, 0.0)]
    sentence = label_payoff.sentence(paying + lost)
    assert "at 2 settings of the dials" in sentence
    assert sentence.count("better at 1 and ") == len(SOURCES)


def test_at_hand_reads_what_the_last_run_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_payoff, "available", lambda: [])  # nothing is prepared, nothing has run
    assert label_payoff.at_hand("quick", tmp_path) == []
    files.write_json(tmp_path / "label_payoff.json", rows())
    assert label_payoff.at_hand("quick", tmp_path) == rows()
