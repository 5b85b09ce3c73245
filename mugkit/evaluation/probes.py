"""Linear probes of single modalities: ridge regression on one vector per clip.

Ridge regression has a closed form, so a probe takes less than a second and is deterministic. Its only hyperparameter,
the strength of the penalty, is chosen on the validation split.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from mugkit.config import Network
from mugkit.data.schema import MODALITIES, MODALITY_NAMES, SPLITS, Dataset, RaggedFrames
from mugkit.device import one_thread
from mugkit.evaluation.comparison import true_labels
from mugkit.metrics import corr, mae

STRENGTHS = (10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4)
FITTED = ("train", "valid")  # no probe sees labels of the test split
Vectors = Mapping[str, Float64[np.ndarray, "clips dim"]]  # by split
Targets = Mapping[str, Float[np.ndarray, "clips"]]  # by split


def frame_means(sequences: RaggedFrames) -> Float64[np.ndarray, "clips dim"]:
    """The mean frame of each clip. This loses the order in time, which an LSTM could keep."""
    totals = np.add.reduceat(sequences.frames, sequences.offsets[:-1], axis=0, dtype=np.float64)
    return totals / sequences.lengths[:, None]


def vectors(dataset: Dataset, modality: str, network: Network) -> dict[str, Float64[np.ndarray, "clips dim"]]:
    """One vector per clip of every split: x̂_l of Eq. 1 from the frozen text encoder, or the mean of the frames."""
    if modality != "l":
        return {name: frame_means(dataset.splits[name].sequences[modality]) for name in SPLITS}
    from mugkit.data.text import frozen_features

    texts = {name: dataset.splits[name].text for name in SPLITS}
    found = {name: frozen_features(text, network.text_encoder, network.pooling) for name, text in texts.items()}
    return {name: features.numpy().astype(np.float64) for name, features in found.items()}


def ridge_predictions(inputs: Vectors, targets: Targets) -> Float64[np.ndarray, "clips"]:
    """Test predictions of ridge regression: fitted on train, penalty chosen by the MAE on valid.

    Args:
        inputs: vectors of train, valid and test.
        targets: labels of train and valid.
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
        inputs, own = vectors(dataset, m, network), {name: dataset.splits[name].true_labels[m] for name in FITTED}
        for teacher, targets in (("y", _labels(dataset)), (f"y_{m}", own)):
            scores = _scores(ridge_predictions(inputs, targets), true)
            rows.append({"modality": MODALITY_NAMES[m], "taught by": teacher, **scores})
    return pd.DataFrame(rows)


def single_streams(dataset: Dataset, network: Network) -> pd.DataFrame:
    """How well streams predict y: test MAE and Corr of a probe for each, for all three together, and of a constant.

    The constant is the median of the training labels, the best constant under MAE.
    """
    inputs = {MODALITY_NAMES[m]: vectors(dataset, m, network) for m in MODALITIES}
    together = {name: np.hstack([part[name] for part in inputs.values()]) for name in SPLITS}
    truth, targets, rows = dataset.test.labels, _labels(dataset), {}
    for stream, given in {**inputs, "all three": together}.items():
        rows[stream] = {"dims": given["train"].shape[1], **_scores(ridge_predictions(given, targets), truth)}
    constant = np.full(len(truth), np.median(dataset.train.labels))
    rows["none (a constant)"] = {"dims": 0, **_scores(constant, truth)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("stream")


def _labels(dataset: Dataset) -> Targets:
    return {name: dataset.splits[name].labels for name in FITTED}


def _scores(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    return {"MAE": mae(predicted, true), "Corr": corr(predicted, true)}
