"""What the notebooks wrote under nbval against the committed figures/, as numbers (nbval never looks at pictures)."""

import os
from pathlib import Path
from typing import Any

import pytest
from golden import differences

from mugkit import files
from mugkit.claims.ledger import MAKER

STUDIES = ("12_hyperparameters", "14_beyond_the_paper", "15_other_settings")
FIGURES = Path(__file__).resolve().parents[2] / "figures"


@pytest.fixture(scope="module")
def committed() -> dict[str, dict[str, Any]]:
    """The committed manifest."""
    path = FIGURES / "manifest.json"
    assert path.is_file(), "figures/ has no manifest: run `make reproduce` and commit what it wrote"
    return files.read_json(path)


@pytest.fixture(scope="module")
def written() -> Path:
    """Where nbval's notebooks wrote."""
    folder = os.environ.get("MUGKIT_OUT")
    if not folder:
        pytest.skip("MUGKIT_OUT is not set: `make test-slow` sets it, runs nbval, then this file again")
    return Path(folder)


def rerun(committed: dict[str, Any], written: Path) -> dict[str, Any]:
    """The outputs to compare: all but the ledger, which `test_claims` compares; those of `data_prep/` on a machine that
    cannot speak (`make test-slow` says so); and those of the studies, which `make test-studies` runs."""
    ran = {entry["notebook"] for entry in files.read_json(written / "manifest.json").values()}
    silent = {*STUDIES, *(path.stem for path in (FIGURES.parent / "data_prep").glob("*.ipynb"))} - ran
    return {name: entry for name, entry in committed.items() if entry["notebook"] not in {MAKER, *silent}}


def test_committed_figures_are_as_their_manifest_says(committed: dict[str, Any]) -> None:
    assert committed
    changed = [
        n for n, e in committed.items() if not (FIGURES / n).is_file() or files.sha256(FIGURES / n) != e["sha256"]
    ]
    assert changed == [], "run `make reproduce` and commit all of figures/"
    assert {(entry["profile"], entry["dataset"]) for entry in committed.values()} == {("quick", "reviews")}
    notebooks = {path.stem for at in ("notebooks", "data_prep") for path in (FIGURES.parent / at).glob("*.ipynb")}
    assert {entry["notebook"] for entry in committed.values()} <= {MAKER, *notebooks}


def test_every_output_was_written_again(committed: dict[str, Any], written: Path) -> None:
    manifest = files.read_json(written / "manifest.json")
    committed = rerun(committed, written)
    assert manifest.keys() == committed.keys()
    for name, entry in manifest.items():
        assert files.sha256(written / name) == entry["sha256"], name
    for key in ("notebook", "data", "seeds"):
        assert {n: e[key] for n, e in manifest.items()} == {n: e[key] for n, e in committed.items()}


def test_numbers_are_the_committed_ones_within_tolerances(committed: dict[str, Any], written: Path) -> None:
    found = []
    for name in rerun(committed, written):
        if name.endswith(".json"):
            found += differences(name, files.read_json(FIGURES / name), files.read_json(written / name))
    assert found == []


ROW = {"system": "MUG", "metrics": {"MAE": {"mean": 1.0, "n": 3}, "Acc2": {"mean": 80.0}}, "verdict": "closer"}


def row(mae: Any, n: Any = 3, acc2: Any = 80.0, **others: Any) -> list[dict[str, Any]]:
    return [ROW | {"metrics": {"MAE": {"mean": mae, "n": n}, "Acc2": {"mean": acc2}}} | others]


@pytest.mark.parametrize(
    ("file", "expected", "found", "problems"),
    [
        # by that metric's rule
        ("fig5.json", [{"metric": "Acc2", "mean": 80.0}], [{"metric": "Acc2", "mean": 80.5}], 0),
        ("fig5.json", [{"metric": "MAE", "mean": 1.0}], [{"metric": "MAE", "mean": 1.5}], 1),
        # within the tolerance of a metric, and beyond it
        ("tables/table3.json", [ROW], row(1.07, 3, 85.0, verdict="undecided"), 0),
        ("tables/table3.json", [ROW], row(1.09, 4, 73.9, system="SUGRM"), 4),
        ("tables/table3.json", [ROW], row(float("nan"), 3, "80.0"), 2),
        # rows and keys that are missing or of another kind
        ("t.json", [ROW, ROW], [ROW], 1),
        ("t.json", {"a": [1]}, {"a": {"0": 1}}, 1),
        # curves may end an epoch later, and be no further off
        ("stage3_curves.json", {"train": [1.5, 1.2], "best_epoch": 1}, {"train": [1.5, 1.3, 1.1], "best_epoch": 2}, 0),
        ("stage3_curves.json", {"train": [1.5, 1.2]}, {"train": [1.5, 2.3]}, 1),
        # where any number will do, it must be finite
        ("label_trajectories.json", [{"learned": [0.5, -2.0]}], [{"learned": [3.0, 0.1]}], 0),
        ("label_trajectories.json", [{"learned": [0.5, -2.0]}], [{"learned": [float("nan"), 0.1]}], 1),
        ("fig1.json", {"l": {"joint": [1.0]}}, {"l": {"joint": [1.001]}}, 1),  # without training nothing moves
    ],
)
def test_differences_follow_the_rule_of_their_place(file: str, expected: Any, found: Any, problems: int) -> None:
    assert len(list(differences(file, expected, found))) == problems
