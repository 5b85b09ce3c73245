"""The study of MOSI's words: its rows, and a result file whose numbers are those of its runs."""

from collections.abc import Callable
from pathlib import Path

import mosi_words
import numpy as np
import pytest

from mugkit import files
from mugkit.data.schema import Dataset
from mugkit.experiments import experiment


@pytest.fixture(autouse=True)
def dataset(prepared: Callable[..., Dataset]) -> None:
    prepared((24, 8, 8))


def test_rows_are_none_copies_and_mug_with_text_trained_along() -> None:
    rows = mosi_words.specifications("made-up", "quick")
    assert list(rows) == [mosi_words.NONE, "copy, β = 0.01", "mug, β = 0.01", "copy, β = 1", "mug, β = 1"]
    for specs in rows.values():
        assert len({spec.seed for spec in specs}) == len(specs) == 3
        assert all(spec.seed == spec.label_seed and dict(spec.changes)["freeze_text"] is False for spec in specs)


def test_result_file_holds_levels_and_paired_differences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosi_words, "TRAINED_TEXT", {})  # the bag of words cannot be trained
    monkeypatch.setattr(mosi_words, "BETAS", (1.0,))
    mosi_words.main(tmp_path / "words.json", "made-up", "smoke")
    found = files.read_json(tmp_path / "words.json")
    errors = {
        name: [experiment.run(spec).metrics["MAE"] for spec in specs]
        for name, specs in mosi_words.specifications("made-up", "smoke").items()
    }
    for name, values in errors.items():
        assert found["levels"][name]["MAE"]["mean"] == pytest.approx(np.mean(values))
    assert len(found["differences"]) == 3 * len(mosi_words.METRICS)
    first = found["differences"][0]
    expected = np.mean(errors[first["row"]]) - np.mean(errors[first["minus"]])
    assert (first["metric"], first["difference"]) == ("MAE", pytest.approx(expected, abs=1e-6))
