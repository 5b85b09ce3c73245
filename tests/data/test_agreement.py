"""Agreement statistics against numbers worked out by hand, scipy and scikit-learn."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.linear_model import LinearRegression

from mugkit.data.agreement import agreement
from mugkit.data.simulate import sims_agreement
from mugkit.errors import UserError

# Eight clips on ±3, small enough to count by eye.
BY_HAND = pd.DataFrame(
    {
        "y": [3.0, 0.0, -1.8, 0.6, -3.0, 1.2, 0.0, -0.6],
        "y_l": [3.0, 0.6, 1.8, 0.0, -3.0, 1.2, -0.6, 0.6],
        "y_a": [1.8, 0.0, -1.8, 0.6, -1.2, 0.0, 0.0, 0.0],
        "y_v": [-3.0, 0.0, -1.2, -0.6, -3.0, 3.0, 1.2, -0.6],
    }
)


def test_agreement_of_eight_clips_is_as_counted_by_hand() -> None:
    expected = {
        "equal(y_l)": 3 / 8, "equal(y_a)": 4 / 8, "equal(y_v)": 3 / 8,
        "opposite(y_l)": 2 / 8, "opposite(y_a)": 0.0, "opposite(y_v)": 2 / 8,
        "neutral(y_l)": 1 / 8, "neutral(y_a)": 2 / 8, "neutral(y_v)": 0.0,
        "gap(y_l)": (0.6 + 3.6 + 0.6 + 0.6 + 1.2) / 8 / 3,
        "gap(y_a)": (1.2 + 1.8 + 1.2 + 0.6) / 8 / 3,
        "gap(y_v)": (6.0 + 0.6 + 1.2 + 1.8 + 1.2) / 8 / 3,
    }  # fmt: skip
    rounded = BY_HAND.assign(y=BY_HAND["y"].astype("float32").astype("float64"))  # equal labels stay equal
    found = agreement(rounded, scale=3.0)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_agreement_correlations_and_regression_match_scipy_and_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    table = rng.normal(size=(300, 1)) + rng.normal(size=(300, 4)) * [0.3, 0.9, 0.7, 0.5]
    labels = pd.DataFrame(table, columns=["y", "y_l", "y_a", "y_v"])
    found = agreement(labels * 2, scale=2.0)
    for p, q in itertools.combinations(labels, 2):
        assert found[f"corr({p}, {q})"] == pytest.approx(pearsonr(labels[p], labels[q]).statistic)
    parts, whole = labels[["y_l", "y_a", "y_v"]].to_numpy(), labels["y"].to_numpy()
    reference = LinearRegression().fit(parts, whole)
    weights = [found[f"weight({m})"] for m in ("y_l", "y_a", "y_v")]
    assert weights == pytest.approx(list(reference.coef_))
    assert found["R²"] == pytest.approx(reference.score(parts, whole))


@pytest.mark.parametrize(
    ("labels", "field"),
    [(BY_HAND.drop(columns="y_v"), "y_v"), (BY_HAND.assign(y_a=0.0), "y_a"), (BY_HAND.assign(y_l=np.nan), "y_l")],
    ids=["missing", "constant", "not a number"],
)
def test_agreement_refuses_a_column_by_name(labels: pd.DataFrame, field: str) -> None:
    with pytest.raises(UserError) as caught:
        agreement(labels, scale=3.0)
    assert caught.value.field == field


@pytest.mark.shared_data
def test_sims_agreement_stored_numbers_are_those_of_the_labels(shared_data: Path) -> None:
    """And, measured independently of this module, the correlation with the language label."""
    table = pd.read_csv(shared_data / "sims" / "labels.csv")
    columns = {"label_M": "y", "label_T": "y_l", "label_A": "y_a", "label_V": "y_v"}
    labels = table[table["is_v1"].astype(bool)].rename(columns=columns)
    stored = sims_agreement()
    assert stored["clips"] == len(labels) == 2281
    found = agreement(labels, scale=1.0).to_dict()
    assert found == pytest.approx(stored["statistics"], abs=1e-4)
    assert found["corr(y, y_l)"] == pytest.approx(0.717, abs=5e-4)
