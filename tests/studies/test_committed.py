"""Pages and findings are what the committed numbers say: every table is formatted and every sentence written anew."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mugkit import config, files
from mugkit.claims import case_study
from mugkit.evaluation import comparison, label_quality, tables
from mugkit.evaluation.tables import records
from mugkit.plots import stage_figures
from mugkit.studies import (
    beside,
    dials,
    embedding,
    hyperparameter_curves,
    label_payoff,
    label_table,
    noise_robustness,
    search_analysis,
    sensitivity,
    sentences,
)

FIGURES = Path(__file__).resolve().parents[2] / "figures"
DATA = files.read_json(FIGURES / "claim_tests.json")["caption"]
APART = files.read_json(FIGURES / "dials.json")["disagreement"]


def read(name: str) -> pd.DataFrame:
    return pd.DataFrame(files.read_json(FIGURES / "tables" / f"{name}.json"))


SHOWN: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "assumptions": sensitivity.ledger_table,
    "case_claims": case_study.answers_table,
    "dial_of_disagreement": lambda table: dials.apart_table(APART),
    "dial_of_expression": lambda table: dials.reading_table(records(table)),
    "embedding_claims": embedding.claim_table,
    "embedding_gap": embedding.gap_table,
    "fig5_values": hyperparameter_curves.curve_table,
    "gap": stage_figures.gap_table,
    "hyperparameter_importance": search_analysis.importance_table,
    "label_disagreement": noise_robustness.bin_table,
    "label_payoff": lambda table: label_payoff.payoff_table(table, table["beta"].iloc[0]),
    "label_quality": label_quality.comparison_table,
    "label_sources": label_table.source_table,
    "noise_robustness": noise_robustness.level_table,
    "readings_labels": embedding.label_table,
    "readings_validation": embedding.validation_table,
    "table2_beta": hyperparameter_curves.beta_table,
    "table3_differences": comparison.differences_table,
    "table5_steps": beside.step_table,
}


@pytest.mark.parametrize("name", SHOWN)
def test_page_of_a_table_is_what_its_numbers_say(name: str) -> None:
    page = (FIGURES / "tables" / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith(tables.markdown(SHOWN[name](read(name))) + "\n")


def steps() -> dict[str, dict[str, list[dict[str, Any]]]]:
    return {
        str(setting): {str(step): records(changes) for step, changes in rows.groupby("step", sort=False)}
        for setting, rows in read("table5_steps").groupby("setting", sort=False)
    }


SAID: Mapping[str, tuple[str, Callable[[], str]]] = {
    "dials": ("01", lambda: dials.sentence(records(read("dial_of_expression")), APART)),
    "gap": ("04", lambda: sentences.gap(DATA, read("gap"))),
    "label quality": ("05", lambda: sentences.label_quality(DATA, read("label_quality"))),
    "baselines": ("07", lambda: sentences.baselines(DATA, read("table3_differences"), 3)),
    "parts": ("09", lambda: sentences.parts(DATA, read("table5_differences"))),
    "ablations": ("09", lambda: sentences.ablations(DATA, steps()["reviews"])),
    "cost": ("10", lambda: sentences.cost(read("step_times"), read("stage_shares"))),
    "embedding": ("11", lambda: sentences.embedding_gap(DATA, read("embedding_claims"))),
    "readings": ("11", lambda: sentences.two_readings(DATA, read("readings_claims"), read("readings_validation"))),
    "search": (
        "12",
        lambda: sentences.search(DATA, records(read("search_peeking"))[0], read("hyperparameter_importance")),
    ),
    "curves": ("12", lambda: sentences.curves(DATA, read("fig5_values"))),
    "open choices": ("12", lambda: sensitivity.sentence(DATA, read("assumptions"))),
    "cases": ("13", lambda: sentences.cases(DATA, read("case_claims"))),
    "payoff": ("14", lambda: label_payoff.sentence(records(read("label_payoff")))),
    "answer": ("15", lambda: sentences.answer(DATA, steps(), config.chosen("mug", "reviews", "quick")["beta"])),
}


@pytest.mark.parametrize("name", SAID)
def test_finding_is_what_the_numbers_say(name: str) -> None:
    number, sentence = SAID[name]
    (page,) = (FIGURES / "findings").glob(f"{number}_*.md")
    assert f"- {sentence()}" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", sorted((FIGURES / "findings").glob("*.md")), ids=lambda page: page.stem)
def test_findings_begin_with_what_they_hold_for(page: Path) -> None:
    assert all(line.startswith("- On ") for line in page.read_text(encoding="utf-8").splitlines())
