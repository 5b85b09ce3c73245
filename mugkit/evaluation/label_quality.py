"""How close learned labels are to the true unimodal labels, compared with copies of the clip's label (y_m ← y).

MOSI and MOSEI have no unimodal labels, so this cannot be measured there. Every difference to copying has intervals over
seeds of stages 1 and 2 and over clips (`comparison`) and a verdict from `verdicts`, as in the ledger of claims.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.evaluation import comparison, formats
from mugkit.evaluation.comparison import LABELS, Rows, Values
from mugkit.evaluation.statistics import mean_std
from mugkit.evaluation.verdicts import word
from mugkit.training.label_sources.source import LearnedLabels


def compare(dataset: Dataset, learned: Sequence[LearnedLabels], others: Sequence[LearnedLabels] = ()) -> pd.DataFrame:
    """One row per modality and measure: copies, MUCN over seeds, and their difference with both intervals.

    Args:
        learned: stage 2's labels, one per seed.
        others: labels with the same seeds, to compare with instead of copies; their column is `others`, not `copy`.

    Raises:
        UserError: if the data set has no true unimodal labels.
    """
    true, ours = comparison.true_labels(dataset), comparison.label_rows([seed.labels for seed in learned])
    copies = {m: np.broadcast_to(dataset.train.labels, ours[m].shape) for m in MODALITIES}
    theirs = comparison.label_rows([seed.labels for seed in others]) if others else copies
    rows = [_row(name, m, ours[m], theirs[m], true[m]) for m in MODALITIES for name in ("MAE", "Corr")]
    return pd.DataFrame(rows).rename(columns={"copy": "others"} if others else {})


def _row(name: str, modality: str, ours: Rows, theirs: Rows, true: Values) -> dict[str, object]:
    metric, ours, theirs = LABELS[name], ours.astype(np.float64), theirs.astype(np.float64)
    (mean, std, n), (other, *_) = (mean_std([metric.of(of_seed, true) for of_seed in rows]) for rows in (ours, theirs))
    found = comparison.compare(metric, ours, theirs, true)
    levels = {"modality": MODALITY_NAMES[modality], "measure": name, "copy": other, "mucn": mean}
    return {**levels, "mucn_std": std, "n": n, **found, "verdict": word(found, "closer", "farther")}


def comparison_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats the result of `compare`."""
    name, reference = ("others", "others") if "others" in table else ("y_m ← y", "copy")
    shown = {
        name: table[reference].map("{:.3f}".format),
        "MUCN": formats.spreads("MAE", table["mucn"], table["mucn_std"]),
        **comparison.columns(table),
        "MUCN is": table["verdict"],
    }
    names = table["modality"] + ", " + table["measure"]
    return pd.DataFrame(shown).set_index(pd.Index(names, name="labels against the truth"))
