"""Made-up outputs of a reproduction, for tests of claims."""

from pathlib import Path
from typing import Any

from mugkit import files
from mugkit.claims.evidence import Evidence


def difference(middle: float, half: float = 0.0, seeds: tuple[float, float] | None = None) -> dict[str, Any]:
    """A difference whose intervals over clips and over seeds reach as far to both sides, unless seeds differ."""
    low, high = middle - half, middle + half
    near, far = seeds or (low, high)
    ends = {"clips_low": low, "clips_high": high, "seeds_low": near, "seeds_high": far}
    return {"difference": middle, **ends, "seeds": 3}


def compared(theirs: str, metric: str, middle: float, half: float = 0.0) -> dict[str, Any]:
    """MUG minus another system on the test split."""
    place = {"ours": "mug", "theirs": theirs, "metric": metric, "on": "test split", "modality": ""}
    return {**place, **difference(middle, half), "clips": 686}


def of_runs(*comparisons: dict[str, Any]) -> dict[str, Any]:
    """What `comparisons.measure` returns."""
    return {"family": "mosi", "caption": "made up", "profile": "quick", "comparisons": list(comparisons)}


def write(folder: Path, **tables: list[dict[str, Any]]) -> Path:
    """The tables below a folder of outputs."""
    for name, records in tables.items():
        place = folder if name.startswith("fig") else folder / "tables"
        files.write_json(place / f"{name}.json", records)
    return folder


def evidence(folder: Path, *comparisons: dict[str, Any], **tables: list[dict[str, Any]]) -> Evidence:
    return Evidence(write(folder, **tables), of_runs(*comparisons))


def counts(**numbers: int) -> list[dict[str, Any]]:
    """Rows of Table 6, named in capitals."""
    return [{"system": name.upper(), "metrics": {"Parameters": {"mean": n}}} for name, n in numbers.items()]


def levels(dataset: str, mean: float = 1.0, std: float | None = 0.1) -> list[dict[str, Any]]:
    """Two rows of Table 3, of which one has run with five seeds."""
    metrics = {"MAE": {"mean": mean, "std": std, "n": 5}}
    row = {"system": "MUG (BERT)", "dataset": dataset, "metrics": metrics, "paper": {"MAE": 0.711}, "origin": "run"}
    return [row, {**row, "system": "HyCon", "metrics": {}, "origin": "quoted"}]
