"""Robustness of labels: bins by hand, verdicts from made labels, one real small study."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from made_study import two_seeds
from made_up import make_dataset

from mugkit.data.schema import MODALITIES, Dataset
from mugkit.experiments import noise
from mugkit.studies import noise_robustness as robustness
from mugkit.studies.noise_robustness import LEVELS, SOURCES, Runs, SeenLabels


def test_by_disagreement_bins_clips_and_averages_modalities() -> None:
    dataset = make_dataset((50, 4, 4))
    true = dataset.train.true_labels
    off_by_one = {m: true[m] + (1.0 if m == "l" else 0.0) for m in MODALITIES}
    table = robustness.by_disagreement(dataset, {"true": [true], "one off": [off_by_one, true]})
    near = robustness.disagreement(true) <= 0.01 * 2 * dataset.label_scale
    assert table.query("source == 'true' and bin == '0'")["clips"].sum() == near.sum()
    assert table.groupby("source")["clips"].sum().tolist() == [50, 50]
    others = table.query("source == 'one off'")
    np.testing.assert_allclose(others["mean"], 1 / 6, atol=1e-6)  # a third in one of two seeds
    np.testing.assert_allclose(others["std"], 1 / 3 / np.sqrt(2), atol=1e-6)


def test_disagreement_does_not_depend_on_rounding_errors_of_labels() -> None:
    tenths = np.arange(-30, 19)
    low, high = ((numbers / 10).astype(np.float32) for numbers in (tenths, tenths + 12))
    assert set(robustness.disagreement({"l": low, "a": high, "v": low})) == {1.2}


@pytest.fixture
def made(tmp_path: Path) -> tuple[Dataset, Runs, SeenLabels]:
    """Copies are off by 0.5 + k, MUCN by half of that, ULGM by as much; stage 3 is worse for copies at k = 2 alone."""
    dataset, runs, labels = make_dataset((60, 4, 60)), {}, {}
    for system, k in product(SOURCES, LEVELS):
        off = (0.5 + k) * (0.5 if system == "mug" else 1.0)
        true = dataset.train.true_labels
        labels[system, k] = {m: np.stack([true[m] + off + 0.01 * s for s in (0, 1)]) for m in MODALITIES}
        wrong = 1.0 if (system, k) == ("copy", 2.0) else 0.2
        runs[system, k] = two_seeds(dataset, tmp_path / f"{system}-{k}", wrong)
    return dataset, runs, labels


def test_robustness_verdicts_and_figure_are_those_of_the_made_labels(made: tuple[Dataset, Runs, SeenLabels]) -> None:
    table = robustness.robustness(*made).set_index(["source", "k"])
    assert table["against_copy_verdict"].loc["mug"].tolist() == ["closer"] * 2
    assert table["against_copy_verdict"].loc["ulgm"].tolist() == ["no difference above 0.01"] * 2
    assert table["test_change_verdict"].loc["copy"].tolist()[1:] == ["worse"]
    assert table["test_against_copy_verdict"].loc["mug"].tolist() == ["no difference above 0.01", "better"]
    assert table.loc[("mug", 2.0), "test_against_copy_difference"] == pytest.approx(-0.8, abs=1e-5)
    assert table.loc[("mug", 2.0), "against_copy_difference"] == pytest.approx(-1.25, abs=1e-5)
    dataset, _, labels = made
    first = {s: [{m: labels[s, 0.0][m][i] for m in MODALITIES} for i in range(2)] for s in SOURCES}
    figure = robustness.draw(robustness.by_disagreement(dataset, first), table.reset_index())
    for axes, column in zip(figure.axes[1:], ("labels_mean", "test_mean"), strict=True):
        drawn = [list(container.lines[0].get_ydata()) for container in axes.containers]
        assert drawn == [table.loc[source, column].tolist() for source in SOURCES]


def test_sentence_tells_mug_s_labels_and_stage_3_against_copies(made: tuple[Dataset, Runs, SeenLabels]) -> None:
    labels, stage_3 = robustness.sentence("made up", robustness.robustness(*made)).split(";", 1)
    assert "closer at k = 0 (-0.250 [-0.250, -0.250]) and 2 (-1.250 [-1.250, -1.250])" in labels
    assert "no difference above 0.01 at k = 0" in stage_3
    assert "better at k = 2 (-0.800 [-0.800, -0.800])" in stage_3


def test_study_runs_all_sources_at_all_levels(
    prepared: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = prepared((24, 8, 8))
    monkeypatch.setattr(noise, "rater_spread", lambda split: np.full(len(split), 0.5))
    runs, labels = robustness.study(dataset, "smoke")
    assert runs.keys() == labels.keys() == {(s, k) for s in SOURCES for k in LEVELS}
    copies = {k: labels["copy", k]["l"] for k in LEVELS}
    np.testing.assert_allclose(copies[0.0], np.stack([dataset.train.labels] * 2))
    moved = np.abs(copies[2.0] - copies[0.0]).mean(1)
    assert (moved > 0.1).all()
    assert not np.allclose(copies[2.0][0], copies[2.0][1])  # every seed has a draw of its own
    assert len({run.folder for group in runs.values() for run in group}) == 12
