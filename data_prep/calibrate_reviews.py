"""Fits the constants of the simulated labels of `reviews` to the human labels of CH-SIMS v1.

    python data_prep/calibrate_reviews.py --sims PATH/labels.csv

Needs CH-SIMS's labels (columns label_M, label_T, label_A, label_V, and is_v1, which marks the clips of version 1)
and the sentences of `reviews`, which it fetches. Prints CH-SIMS's agreement statistics next to those of the fit, and
writes the former with the constants to `mugkit/data/sims_agreement.json`: numbers only, no label. Takes half a minute.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from jaxtyping import Float64
from scipy.optimize import minimize

from mugkit.data import reviews
from mugkit.data.agreement import LABELS, agreement
from mugkit.data.simulate import LabelDraws, LabelStructure, joint_labels
from mugkit.errors import UserError
from mugkit.files import home, write_json

OUT = Path(__file__).resolve().parents[1] / "mugkit" / "data" / "sims_agreement.json"
ABOUT = "agreement of CH-SIMS v1's human labels; constants fitted to it by data_prep/calibrate_reviews.py"
COLUMNS = {"label_M": "y", "label_T": "y_l", "label_A": "y_a", "label_V": "y_v"}
SEED = 0  # not the seed of the data set: constants must not be fitted to the draws that it uses
# Start of the search: each modality leads in a fifth of the clips, and labels are of similar size.
START = LabelStructure(
    acoustic_from_language=1.0, acoustic_spread=0.5, visual_from_language=1.0, visual_from_acoustic=0.5,
    visual_spread=0.5, acoustic_neutral=0.05, visual_neutral=0.05, lead_language=0.2, lead_acoustic=0.2,
    lead_visual=0.2, blend=0.45,
)  # fmt: skip
# The real ratings alone determine the spread of language and how often it is neutral: no constant changes these.
FREE = ["std(y_l)", "neutral(y_l)"]


def read_sims(path: Path) -> pd.DataFrame:
    """CH-SIMS v1's labels as columns y, y_l, y_a, y_v.

    Raises:
        UserError: if the file or a column is missing.
    """
    if not path.is_file():
        raise UserError("no such file", file=path, fix="give the path of CH-SIMS's labels.csv")
    table = pd.read_csv(path)
    if missing := {*COLUMNS, "is_v1"} - set(table.columns):
        raise UserError("a column is missing", file=path, field=", ".join(sorted(missing)), fix="see --help")
    return table[table["is_v1"].astype(bool)].rename(columns=COLUMNS)[list(LABELS)]


def fit(target: pd.Series, language: Float64[np.ndarray, "clips"], draws: LabelDraws) -> LabelStructure:
    """The constants that minimize the sum of squared differences between simulated and target statistics."""
    names = list(asdict(START))

    def structure(values: Float64[np.ndarray, "constants"]) -> LabelStructure:
        return LabelStructure(**dict(zip(names, map(float, values), strict=True)))

    def loss(values: Float64[np.ndarray, "constants"]) -> float:
        miss = agreement(joint_labels(language, draws, structure(values)), scale=1.0) - target
        return float((miss.drop(FREE) ** 2).sum())

    start = np.array(list(asdict(START).values()))
    found = minimize(
        loss, start, method="Nelder-Mead", options={"maxiter": 3000, "xatol": 1e-3, "fatol": 1e-7, "adaptive": True}
    )
    print(f"{found.nit} steps, sum of squared differences {found.fun:.5f}")
    return structure(np.round(found.x, 3))


def calibrate(sims: Path, sdist: Path | None, out: Path) -> None:
    """Computes the statistics of CH-SIMS, fits the constants, prints both and writes `out`."""
    labels = read_sims(sims)
    target = agreement(labels, scale=1.0)
    sentences = reviews.read_sentences(reviews.fetch(home() / "downloads", sdist))
    language = reviews.language_labels(sentences["rating"])
    draws = LabelDraws.of(sentences["id"].astype(str).tolist(), SEED)
    structure = fit(target, language, draws)
    fitted = agreement(joint_labels(language, draws, structure), scale=1.0)
    table = pd.DataFrame({"CH-SIMS v1": target, "reviews": fitted, "difference": fitted - target})
    print(table.round(3).to_string(), pd.Series(asdict(structure)).to_string(), sep="\n\n")
    statistics = target.round(4).to_dict()
    write_json(out, {"about": ABOUT, "clips": len(labels), "statistics": statistics, "constants": asdict(structure)})


def command(
    sims: Annotated[Path, typer.Option(help="CH-SIMS's labels.csv")],
    sdist: Annotated[Path | None, typer.Option(help="a local copy of the sdist with the sentences")] = None,
    out: Annotated[Path, typer.Option(help="where to write statistics and constants")] = OUT,
) -> None:
    """Fits the label structure of `reviews` to CH-SIMS v1's human labels."""
    try:
        calibrate(sims, sdist, out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    typer.run(command)
