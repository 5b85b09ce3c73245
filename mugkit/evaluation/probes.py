"""Linear probes of single modalities: ridge regression on one vector per clip.

Ridge regression has a closed form, so a probe takes less than a second and is deterministic. Its only hyperparameter,
the strength of the penalty, is chosen on the validation split.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from mugkit.config import Network
from mugkit.data.schema import MODALITIES, MODALITY_NAMES, SPLITS, Dataset, RaggedFrames, Split
from mugkit.device import one_thread
from mugkit.evaluation.comparison import true_labels
from mugkit.metrics import corr, mae

STRENGTHS = (10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4)
Vectors = Mapping[str, Float64[np.ndarray, "clips dim"]]  # by split
Targets = Mapping[str, Float[np.ndarray, "clips"]]  # by split; `test` is never read


def frame_means(sequences: RaggedFrames) -> Float64[np.ndarray, "clips dim"]:
    """The mean frame of each clip. This loses the order in time, which an LSTM could keep."""
    totals = np.add.reduceat(sequences.frames, sequences.offsets[:-1], axis=0, dtype=np.float64)
    return totals / sequences.lengths[:, None]


def clip_vectors(split: Split, modality: str, network: Network) -> Float64[np.ndarray, "clips dim"]:
    """One vector per clip: x̂_l of Eq. 1 from the frozen text encoder, or the mean of the frames."""
    if modality != "l":
        return frame_means(split.sequences[modality])
    from mugkit.data.text import frozen_features

    return frozen_features(split.text, network.text_encoder, network.pooling).numpy().astype(np.float64)


def vectors(dataset: Dataset, modality: str, network: Network) -> dict[str, Float64[np.ndarray, "clips dim"]]:
    """`clip_vectors` of every split."""
    return {name: clip_vectors(dataset.splits[name], modality, network) for name in SPLITS}


def ridge_predictions(inputs: Vectors, targets: Targets) -> Float64[np.ndarray, "clips"]:
    """Test predictions of ridge regression: fitted on train, penalty chosen by the MAE on valid.

    Args:
        inputs: vectors of train, valid and test.
        targets: labels of train and valid; other splits are ignored.
    """
    with one_thread():
        scaler = StandardScaler().fit(inputs["train"])
        x = {name: scaler.transform(values) for name, values in inputs.items()}
        models = [Ridge(strength, solver="cholesky").fit(x["train"], targets["train"]) for strength in STRENGTHS]
        best = min(models, key=lambda model: mae(model.predict(x["valid"]), targets["valid"]))
        return np.asarray(best.predict(x["test"]))


def teachers(dataset: Dataset, network: Network) -> pd.DataFrame:
    """What noisy labels cost: probes of one modality, trained on y or on y_m and tested against the true y_m.

    Returns:
        Two rows per modality: `modality`, `taught by` (y or y_m), `MAE` (units of the labels) and `Corr` against y_m.

    Raises:
        UserError: if the data set has no true unimodal labels.
    """
    rows = []
    for m, true in true_labels(dataset, "test").items():
        inputs = vectors(dataset, m, network)
        for teacher, targets in (("y", _targets(dataset)), (f"y_{m}", _targets(dataset, m))):
            predicted = ridge_predictions(inputs, targets)
            scores = {"MAE": mae(predicted, true), "Corr": corr(predicted, true)}
            rows.append({"modality": MODALITY_NAMES[m], "taught by": teacher, **scores})
    return pd.DataFrame(rows)


def _targets(dataset: Dataset, modality: str = "") -> Targets:
    """The labels that a probe trains on: a modality's true labels, or the clips'; never those of the test split."""
    splits = {name: dataset.splits[name] for name in ("train", "valid")}
    return {name: split.true_labels[modality] if modality else split.labels for name, split in splits.items()}


def single_streams(dataset: Dataset, network: Network) -> pd.DataFrame:
    """How well streams predict y: test MAE and Corr of a probe for each, for all three together, and of a constant.

    The constant is the median of the training labels, the best constant under MAE.
    """
    inputs = {MODALITY_NAMES[m]: vectors(dataset, m, network) for m in MODALITIES}
    together = {name: np.hstack([part[name] for part in inputs.values()]) for name in SPLITS}
    truth, targets = dataset.test.labels, _targets(dataset)
    rows = {}
    for stream, given in {**inputs, "all three": together}.items():
        predicted = ridge_predictions(given, targets)
        rows[stream] = {"dims": given["train"].shape[1], "MAE": mae(predicted, truth), "Corr": corr(predicted, truth)}
    constant = np.full(len(truth), np.median(dataset.train.labels))
    rows["none (a constant)"] = {"dims": 0, "MAE": mae(constant, truth), "Corr": corr(constant, truth)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("stream")
