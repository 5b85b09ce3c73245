"""A clip to scores with a trained run: the run's own predictions come out again, and what does not fit is refused."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import typer
from features.clips import Scaling
from features.prediction import TrainedRun
from made_up import make_dataset
from tones import openface_rows, tone, write_rows
from typer.testing import CliRunner

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import store
from mugkit.data.schema import Dataset, RaggedFrames
from mugkit.errors import UserError
from mugkit.experiments import experiment

SCRIPT = Path(__file__).resolve().parents[2] / "data_prep" / "predict_clip.py"


@pytest.fixture(autouse=True)
def _encoder(cheap_text: None) -> None:
    experiment._dataset.cache_clear()


DATASET = make_dataset((24, 8, 8))


def trained(dataset: Dataset) -> Path:
    store.save(dataset, files.data_home() / dataset.name)
    return experiment.run(RunSpec("mug", dataset.name, 1111, "smoke")).folder


def test_scores_are_the_runs_own_predictions() -> None:
    folder = trained(DATASET)
    scores = TrainedRun.open(folder).scores(DATASET.test)
    saved = pd.read_parquet(folder / "predictions.parquet")
    saved = saved[saved["split"] == "test"] if "split" in saved else saved
    expected = saved.set_index("id").loc[DATASET.test.ids, "prediction"]
    assert np.allclose(scores["M"], expected, atol=1e-5)
    assert set(scores) == {"M", "l", "a", "v"}
    assert len({round(float(values[0]), 4) for values in scores.values()}) == 4


def test_predict_scales_frames_like_the_corpus_and_a_modality_changes_its_own_score_and_the_whole() -> None:
    scaling = Scaling.of({m: DATASET.train.sequences[m].frames for m in "av"})
    splits = {}
    for name, split in DATASET.splits.items():
        frames = scaling({m: split.sequences[m].frames for m in "av"})
        sequences = {m: RaggedFrames(frames[m], split.sequences[m].offsets) for m in "av"}
        splits[name] = replace(split, sequences=sequences)
    scaled = replace(DATASET, splits=splits, about={**DATASET.about, "scaling": scaling.plain()})
    run, raw = TrainedRun.open(trained(scaled)), DATASET.test
    scores = run.scores(scaled.test)
    for i in (0, 5):
        clip = {m: raw.sequences[m][i] for m in "av"}
        found = run.predict(raw.text[i], clip)
        assert found == pytest.approx({name: float(values[i]) for name, values in scores.items()}, abs=1e-4)
    after = run.predict(raw.text[5], clip | {"a": raw.sequences["a"][3]})
    assert [name for name in found if found[name] != after[name]] == ["M", "a"]
    with pytest.raises(UserError) as caught:
        run.predict("  ", clip)
    assert caught.value.field == "text"


def test_open_of_what_is_no_run_of_mug_is_refused(tmp_path: Path) -> None:
    folder = trained(make_dataset((24, 8, 8)))
    labels, weights = next((files.home() / "runs" / "labels").iterdir()), folder / "weights.safetensors"

    def refused(folder: Path) -> tuple[object, object]:
        with pytest.raises(UserError) as caught:
            TrainedRun.open(folder)
        return caught.value.file, caught.value.field

    assert refused(tmp_path) == (tmp_path, "run")
    assert refused(labels) == (labels / "done.json", "identity")
    weights.write_bytes((labels / "labels.safetensors").read_bytes())
    assert refused(folder) == (weights, None)
    weights.unlink()
    assert refused(folder) == (weights, None)
    store.save(make_dataset((24, 8, 8), seed=1), files.data_home() / "made-up", replace=True)
    assert refused(folder) == (folder, "data")


@pytest.mark.parametrize("dims", [(33, 709), (5, 4)])
def test_command_prints_four_scores_or_names_other_columns(dims: tuple[int, int], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", tone(200, 0.3), 22_050)
    write_rows(tmp_path / "clip.csv", openface_rows(3))
    given = {"--audio": tmp_path / "clip.wav", "--openface": tmp_path / "clip.csv", "--text": "good film"}
    given["--run"] = trained(make_dataset((24, 8, 8), dims=dims))
    app = typer.Typer()
    app.command()(runpy.run_path(str(SCRIPT))["command"])
    answer = CliRunner().invoke(app, [str(part) for option in given.items() for part in option])
    if dims == (5, 4):
        assert answer.exit_code == 2
        assert "error: a: the clip has 33 acoustic columns, the run reads 5" in answer.stderr
        return
    assert answer.exit_code == 0
    first, *scores = answer.output.splitlines()
    assert first == "13 acoustic and 3 visual frames; run on 'made-up'"
    assert [line.split()[0] for line in scores] == ["multimodal", "language", "acoustic", "visual"]
    assert all(-9 < float(line.split()[1]) < 9 for line in scores)
