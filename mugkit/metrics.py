"""The metrics of the paper's section 4.2, in every convention that the field uses for them.

The same predictions score differently under each convention, so every function is named after its convention:

    acc7, acc5             MOSI, MOSEI: clip to ±3 or ±2, round half to even, compare
    acc2_f1_non0           MOSI, MOSEI, as in the paper: drop clips whose label is 0, then > 0 on both sides
    acc2_f1_has0           MOSI, MOSEI: keep every clip, ≥ 0 on both sides
    sims_*                 SIMS, after MMSA: clip to ±1 first, keep every clip, cut at 0, ±0.1, ±0.7
    mag_*                  MAG-BERT and the authors' earlier code: drop neutral clips for all metrics, ≥ 0
    misa_f1_non0           MISA: F1 of non0 with prediction and truth swapped

Accuracies and F1 are in percent, as in the paper's tables; MAE has the unit of the labels; F1 is weighted by the
number of clips of each true class. An undefined metric is NaN: the correlation of a constant (its variance is 0), and
metrics that drop neutral clips, if all clips are neutral. Files store null for NaN; `undefined` gives the reason.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from scipy.stats import pearsonr
from sklearn.metrics import f1_score

from mugkit.data.schema import LABEL_SCALE
from mugkit.errors import UserError, unknown_name

Labels = Float[np.ndarray, " clips"]

# The columns of the paper's tables, in its order (Table 3; Table 4 for SIMS).
HEADLINE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("reviews", "mosi", "mosei"), ("Acc7", "Acc2", "F1", "MAE", "Corr")),
    "sims": ("MAE", "Corr", "Acc2", "F1"),
}
HIGHER_IS_BETTER: Mapping[str, bool] = {
    **dict.fromkeys(("Acc7", "Acc5", "Acc3", "Acc2", "F1", "Acc2_has0", "F1_has0"), True),
    "MAE": False,
    "Corr": True,
}

SIMS_CUTS_3 = (-0.1, 0.1)
SIMS_CUTS_5 = (-0.7, -0.1, 0.1, 0.7)


def evaluate(prediction: Labels, truth: Labels, family: str) -> dict[str, float]:
    """All metrics of a data set's family under the names that tables use, from unclipped predictions.

    For sims: MAE, Corr, Acc2, F1, Acc3, Acc5 (the `sims_*` conventions). For the others: Acc7, Acc5, Acc2 and F1 (non0,
    as in the paper), Acc2_has0, F1_has0, MAE, Corr.

    Raises:
        UserError: if the family is unknown, there are no clips, the numbers of clips differ, or values are not finite.
    """
    if family not in LABEL_SCALE:
        raise unknown_name("family of data sets", family, LABEL_SCALE)
    return _evaluate_sims(prediction, truth) if family == "sims" else _evaluate_mosi(prediction, truth)


def undefined(prediction: Labels, truth: Labels, family: str) -> dict[str, str]:
    """The metrics of `evaluate` that are undefined, each with the reason in words; raises as `evaluate` does."""
    names = [name for name, value in evaluate(prediction, truth, family).items() if np.isnan(value)]
    clip = _sims_clipped if family == "sims" else _checked
    return {name: _reason(name, *clip(prediction, truth)) for name in names}


def _reason(name: str, prediction: Labels, truth: Labels) -> str:
    if name != "Corr":
        return "every clip is neutral (its label is 0), and this metric leaves neutral clips out"
    if len(truth) < 2:
        return "there is a single clip"
    which = "labels" if _is_constant(truth) else "predictions"
    values = truth if _is_constant(truth) else prediction
    return f"all {len(values)} {which} are equal ({values[0]:.3g}), and a constant correlates with nothing"


def _evaluate_mosi(prediction: Labels, truth: Labels) -> dict[str, float]:
    classes = {"Acc7": acc7(prediction, truth), "Acc5": acc5(prediction, truth)}
    classes |= zip(("Acc2", "F1"), acc2_f1_non0(prediction, truth), strict=True)
    classes |= zip(("Acc2_has0", "F1_has0"), acc2_f1_has0(prediction, truth), strict=True)
    return {**classes, "MAE": mae(prediction, truth), "Corr": corr(prediction, truth)}


def _evaluate_sims(prediction: Labels, truth: Labels) -> dict[str, float]:
    regression = {"MAE": sims_mae(prediction, truth), "Corr": sims_corr(prediction, truth)}
    regression |= zip(("Acc2", "F1"), sims_acc2_f1(prediction, truth), strict=True)
    return {**regression, "Acc3": sims_acc3(prediction, truth), "Acc5": sims_acc5(prediction, truth)}


# --- regression: all clips, unclipped ---------------------------------------------------------------------


def mae(prediction: Labels, truth: Labels) -> float:
    """Mean absolute error over all clips of unclipped predictions, in units of the labels."""
    prediction, truth = _checked(prediction, truth)
    return float(np.abs(prediction - truth).mean())


def corr(prediction: Labels, truth: Labels) -> float:
    """Pearson's correlation over all clips of unclipped predictions; NaN if either side is constant."""
    return _corr(*_checked(prediction, truth))


# --- MOSI and MOSEI ---------------------------------------------------------------------------------------


def acc7(prediction: Labels, truth: Labels) -> float:
    """Accuracy of the seven classes −3 … +3, in percent (section 4.2)."""
    return _rounded_accuracy(prediction, truth, limit=3)


def acc5(prediction: Labels, truth: Labels) -> float:
    """Accuracy of the five classes −2 … +2, in percent; labels beyond ±2 count as ±2."""
    return _rounded_accuracy(prediction, truth, limit=2)


def acc2_f1_non0(prediction: Labels, truth: Labels) -> tuple[float, float]:
    """Acc2 and weighted F1 over clips whose label is not 0, positive against the rest; NaN if no clip is left."""
    prediction, truth = _without_neutral(*_checked(prediction, truth))
    return _acc2_f1(prediction > 0, truth > 0)


def acc2_f1_has0(prediction: Labels, truth: Labels) -> tuple[float, float]:
    """Acc2 and weighted F1 over all clips, negative against the rest."""
    prediction, truth = _checked(prediction, truth)
    return _acc2_f1(prediction >= 0, truth >= 0)


def misa_f1_non0(prediction: Labels, truth: Labels) -> float:
    """F1 of non0 as in MISA's code: prediction and truth are swapped, so classes are weighted by how often they are
    predicted. Accuracy does not change with the swap."""
    prediction, truth = _without_neutral(*_checked(prediction, truth))
    return _acc2_f1(truth > 0, prediction > 0)[1]


# --- SIMS, after MMSA -------------------------------------------------------------------------------------


def sims_mae(prediction: Labels, truth: Labels) -> float:
    """Mean absolute error after clipping to ±1."""
    return mae(*_sims_clipped(prediction, truth))


def sims_corr(prediction: Labels, truth: Labels) -> float:
    """Pearson's correlation after clipping to ±1; NaN if either side is constant."""
    return corr(*_sims_clipped(prediction, truth))


def sims_acc2_f1(prediction: Labels, truth: Labels) -> tuple[float, float]:
    """Acc2 and weighted F1 over all clips, positive against the rest: neutral clips count as negative."""
    prediction, truth = _sims_clipped(prediction, truth)
    return _acc2_f1(prediction > 0, truth > 0)


def sims_acc3(prediction: Labels, truth: Labels) -> float:
    """Accuracy of three classes, in percent: ≤ −0.1, (−0.1, 0.1], > 0.1."""
    return _cut_accuracy(prediction, truth, SIMS_CUTS_3)


def sims_acc5(prediction: Labels, truth: Labels) -> float:
    """Accuracy of five classes, in percent: ≤ −0.7, (−0.7, −0.1], (−0.1, 0.1], (0.1, 0.7], > 0.7."""
    return _cut_accuracy(prediction, truth, SIMS_CUTS_5)


# --- MAG-BERT and the authors' earlier code ---------------------------------------------------------------


def mag_mae(prediction: Labels, truth: Labels) -> float:
    """Mean absolute error over clips whose label is not 0; NaN if no clip is left."""
    prediction, truth = _without_neutral(*_checked(prediction, truth))
    return float(np.abs(prediction - truth).mean()) if len(truth) else float("nan")


def mag_corr(prediction: Labels, truth: Labels) -> float:
    """Pearson's correlation over clips whose label is not 0; NaN if it is undefined."""
    return _corr(*_without_neutral(*_checked(prediction, truth)))


def mag_acc2_f1(prediction: Labels, truth: Labels) -> tuple[float, float]:
    """Acc2 and weighted F1 over clips whose label is not 0. Unlike non0, a prediction of exactly 0 is positive."""
    prediction, truth = _without_neutral(*_checked(prediction, truth))
    return _acc2_f1(prediction >= 0, truth >= 0)


# --- parts ------------------------------------------------------------------------------------------------


def _checked(prediction: Labels, truth: Labels) -> tuple[Float64[np.ndarray, " clips"], Float64[np.ndarray, " clips"]]:
    prediction, truth = np.asarray(prediction, np.float64), np.asarray(truth, np.float64)
    if prediction.ndim != 1 or prediction.shape != truth.shape:
        shapes = f"predictions {prediction.shape}, labels {truth.shape}"
        raise UserError(f"metrics need one prediction a label: {shapes}", fix="pass two vectors of one length")
    if not len(truth):
        raise UserError("metrics of no clips are undefined", fix="pass at least one prediction and label")
    for name, values, fix in (
        ("prediction", prediction, "the model diverged: lower its learning rate"),
        ("label", truth, "repair or leave out the clips without a label"),
    ):
        if bad := int((~np.isfinite(values)).sum()):
            raise UserError(f"{bad} of {len(values)} values are not finite", field=name, fix=fix)
    return prediction, truth


def _without_neutral(prediction: Labels, truth: Labels) -> tuple[Labels, Labels]:
    return prediction[truth != 0], truth[truth != 0]


def _sims_clipped(prediction: Labels, truth: Labels) -> tuple[Labels, Labels]:
    prediction, truth = _checked(prediction, truth)
    return np.clip(prediction, -1, 1), np.clip(truth, -1, 1)


def _is_constant(values: Labels) -> bool:
    """Whether all values are equal up to float64 rounding; a correlation would then be that of rounding errors."""
    return bool(np.linalg.norm(values - values.mean()) <= 1e-12 * abs(values.mean()))


def _corr(prediction: Labels, truth: Labels) -> float:
    if len(truth) < 2 or _is_constant(prediction) or _is_constant(truth):
        return float("nan")  # a constant has no variance
    return float(pearsonr(prediction, truth).statistic)


def _rounded_accuracy(prediction: Labels, truth: Labels, limit: int) -> float:
    prediction, truth = _checked(prediction, truth)
    classes = [np.round(np.clip(values, -limit, limit)) for values in (prediction, truth)]  # half to even
    return _percentage(classes[0] == classes[1])


def _cut_accuracy(prediction: Labels, truth: Labels, cuts: tuple[float, ...]) -> float:
    prediction, truth = _sims_clipped(prediction, truth)
    return _percentage(_class_of(prediction, cuts) == _class_of(truth, cuts))


def _class_of(values: Labels, cuts: tuple[float, ...]) -> Int[np.ndarray, " clips"]:
    # Labels are stored in single precision, where 0.1 is a little more than 0.1: compare in that precision.
    return np.searchsorted(np.asarray(cuts, np.float32), values.astype(np.float32), side="left")


def _acc2_f1(predicted: Bool[np.ndarray, " clips"], actual: Bool[np.ndarray, " clips"]) -> tuple[float, float]:
    if not len(actual):
        return float("nan"), float("nan")
    f1 = f1_score(actual, predicted, average="weighted", zero_division=0)
    return _percentage(predicted == actual), 100 * float(f1)


def _percentage(hits: Bool[np.ndarray, " clips"]) -> float:
    return 100 * float(hits.mean())
