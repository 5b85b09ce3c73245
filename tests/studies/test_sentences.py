"""Sentences say what the numbers are, whichever way they come out."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_study import difference, finished
from made_up import make_dataset

from mugkit.config import RunSpec
from mugkit.studies import sentences
from mugkit.studies.search_analysis import MATTERS, UNSEEN

BETTER, WORSE, NONE, OPEN = difference(-0.06), difference(0.06), difference(0.001), difference(0.0, 0.02)


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (BETTER, "lowers MAE by 0.060 [0.055, 0.065]"),
        (WORSE, "raises MAE by 0.060 [0.055, 0.065]"),
        (difference(1.2, 0.4, "Acc2"), "raises Acc2 by 1.2 [0.8, 1.6]"),
        (difference(-0.004, 0.002), "lowers MAE by 0.004 [0.002, 0.006], less than 0.01"),
        (NONE, "has no effect on MAE above 0.01 (+0.001 [-0.004, +0.006])"),
        (OPEN, "has an undecided effect on MAE (+0.000 [-0.020, +0.020])"),
        (difference(0.0) | {"seeds_low": None, "seeds_high": None}, "has an undecided effect on MAE (+0.000)"),
    ],
)
def test_effect_is_told_with_the_interval_that_decides(effect: dict[str, Any], said: str) -> None:
    assert sentences.effect(effect) == said


def test_ablations_go_from_no_tasks_to_true_labels_as_far_as_they_ran() -> None:
    found = {"copies": [NONE], "MUG": [BETTER], "MUG over copies": [OPEN], "true labels over MUG": [WORSE]}
    text = sentences.ablations("made up, vivid", found)
    assert text.startswith("On made up, vivid: compared with no unimodal tasks, training them on copies")
    places = [text.index(sentences.effect(effect)) for effect in (NONE, BETTER, OPEN, WORSE)]
    assert places == sorted(places)
    bare = sentences.ablations("made up", {"MUG": [BETTER]})
    assert bare.endswith(f"no unimodal tasks, training them on MUG's labels {sentences.effect(BETTER)}.")


def test_answer_counts_settings_by_verdict() -> None:
    here, there = {"MUG": [BETTER], "copies": [OPEN]}, {"MUG": [NONE], "copies": [WORSE]}
    text = sentences.answer("made up", {"vivid": here, "faint": there}, 1.0)
    assert "MUG's labels against none: better at 1 (by 0.060) and no difference above 0.01 at 1." in text
    assert "Copies against none: undecided at 1 and worse at 1 (by 0.060)." in text
    assert "True labels" not in text  # did not run


def test_labels_elsewhere_are_grouped_by_what_they_are() -> None:
    said = {"l": "closer", "a": "farther", "v": "farther"}
    rows = [{"modality": m, "measure": "MAE", **WORSE, "verdict": word} for m, word in said.items()]
    text = sentences.labels_elsewhere("made up", {"far": pd.DataFrame([*rows, {**rows[0], "measure": "Corr"}])})
    assert text.endswith("On far: closer for language; farther for acoustic and visual.")


def test_steps_are_those_of_systems_that_ran(tmp_path: Path) -> None:
    dataset, wrong = make_dataset((4, 4, 30)), {"mug-without-unimodal": 0.5, "copy": 0.4, "mug": 0.2}
    runs = {name: [finished(dataset, tmp_path / name, by, RunSpec(name, "made-up", 1))] for name, by in wrong.items()}
    found = {name: changes[0]["difference"] for name, changes in sentences.steps(dataset, runs).items()}
    assert found == pytest.approx({"copies": -0.1, "MUG": -0.3, "MUG over copies": -0.2}, abs=1e-5)


def test_baselines_are_counted_by_themselves_and_together() -> None:
    close = difference(0.02, 0.019)  # beyond zero by itself, not among five
    rows = {"MISA": WORSE, "HyCon": BETTER, "MMIM": NONE, "CubeMLP": OPEN, "Self-MM": close, "y_mc ← y": WORSE}
    table = pd.DataFrame([{"system": name, **effect} for name, effect in rows.items()])
    text = sentences.baselines("made up", table, 3)
    assert "better than that of 2 of Table 3's 5 baselines, and than that of 1 after" in text
    assert "worse against HyCon (-0.060 [-0.065, -0.055])" in text
    assert "y_mc" not in text
    assert sentences.baselines("made up", table[table["system"] == "y_mc ← y"], 3) == "On made up, no baseline has run."


def test_cases_are_told_with_hits_false_alarms_and_what_is_missed() -> None:
    rows = [
        ("contradiction found", "l", 20.0, 5.0, "more often"),
        ("contradiction found", "a", 40.0, 4.0, "more often"),
        ("neutral modality found", "l", float("nan"), 1.0, "undecided"),
    ]
    table = pd.DataFrame(rows, columns=["question", "modality", "share", "reference", "verdict"])
    differences = pd.DataFrame([difference(share - reference, 3.0, "share %") for _, _, share, reference, _ in rows])
    text = sentences.cases("made up", table.join(differences))
    for said in ("language 20 % against 5 % false alarms", "60 to 80 % are missed", "neutral modality found: no clip"):
        assert said in text.lower()


def test_readings_are_told_apart_by_the_observations_that_hold() -> None:
    held = {"one": "supported", "other": "undecided"}
    numbers = {"metric": "MMD²", "modality": "l", "mean": -0.1, "low": -0.2, "high": -0.05}
    rows = [
        {"reading": reading, "claim": claim, **numbers, "verdict": verdict}
        for reading, verdict in held.items()
        for claim in ("gap", "target")
    ]
    errors = pd.DataFrame([{"reading": name, "verdict": "lower", **BETTER} for name in held])
    text = sentences.two_readings("made up", pd.DataFrame(rows), errors)
    assert "With the gradient one: that contrastive learning narrows the gap is supported for language." in text
    assert "holds in every modality with the gradient one." in text
    none = pd.DataFrame([row | {"verdict": "undecided"} for row in rows])
    assert "With neither reading" in sentences.two_readings("made up", none, errors)


@pytest.mark.parametrize("named", [[], ["d_a"], ["d_a", "eta"]])
def test_search_names_the_fields_that_matter_and_counts_the_others(named: list[str]) -> None:
    verdicts = {name: MATTERS if name in named else UNSEEN for name in ("d_a", "eta", "batch_size")}
    importance = pd.DataFrame({"field": list(verdicts), "rho": 0.5, "verdict": list(verdicts.values())})
    text = sentences.search("made up", {"trials": 50, "gain": 0.002, "low": 0.0, "high": 0.05}, importance)
    assert [name for name in verdicts if name in text] == named
    assert text.count("+0.50") == len(named)
    assert f"{3 - len(named)}" in text.partition("cannot tell about")[2]
