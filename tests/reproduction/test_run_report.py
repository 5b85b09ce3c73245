"""The report of one run."""

import json
import shlex
from pathlib import Path
from unittest.mock import Mock

import pytest
from made_up import make_dataset
from typer.testing import CliRunner

from mugkit.cli import commands
from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.experiments import experiment
from mugkit.experiments.experiment import Run
from mugkit.reproduction.run_report import command, run_report

CHANGES = (("beta", 0.1), ("freeze_text", False), ("text_encoder", "my encoders/bert"), ("text_learning_rate", 5e-5))
SPEC = RunSpec("mug", "made-up", 1112, "smoke", 1113, CHANGES, "table2")
RUN = Run(SPEC, Path("somewhere"), {"MAE": 1.0, "Corr": None}, {"MAE": 1.1, "Corr": 0.5}, 3, False)


def test_command_asks_for_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Mock(side_effect=UserError("enough"))
    monkeypatch.setattr(experiment, "work", asked)
    program, *words = shlex.split(command(RUN))
    CliRunner().invoke(commands, words)
    assert (program, asked.call_args.args) == ("mugkit", (SPEC,))


def test_run_report_names_data_caveats_and_configuration() -> None:
    dataset = make_dataset()
    report = json.loads(json.dumps(run_report(RUN, dataset, "cpu")))
    assert report["data"]["caveats"] == ["made up"]
    assert report["data"]["sizes"] == {"train": 48, "valid": 16, "test": 16}
    assert report["data"]["dims"] == {"a": 5, "v": 4}
    assert report["hyperparameters"]["joint"]["beta"] == 0.1
    assert report["test"] == {"MAE": 1.0, "Corr": None}
    assert report["device"] == "cpu"
    assert "somewhere" not in json.dumps(report)
