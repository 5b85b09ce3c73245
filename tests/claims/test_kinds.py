"""Each kind of test at its edges: supported, refuted and open, on outputs made up for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reproductions import compared, counts, difference, evidence, levels
from scipy import stats

from mugkit.claims import kinds
from mugkit.claims.comparisons import Better
from mugkit.claims.evidence import Missing

YES, NO, OPEN = "supported", "not supported", "undecided"
HYCON = Better("mug", ("hycon",), ("Acc7", "MAE"))


@pytest.mark.parametrize(
    ("acc7", "mae", "verdict"),
    [
        ((2.0, 1.0), (-0.004, 0.002), YES),  # beyond zero, if by little
        ((2.0, 1.0), (0.1, 0.05), NO),
        ((2.0, 1.0), (-0.1, 0.2), OPEN),
        ((2.0, 1.0), (0.0, 0.005), NO),  # no effect above 0.01
        ((0.0, 0.3), (-0.1, 0.05), NO),  # nor above half a point
        ((2.0, 1.0), (0.1, 0.095), OPEN),  # the other way round by itself, not among two
        ((2.0, 1.99), (-0.1, 0.099), YES),  # both hold, each by itself
    ],
)
def test_better_is_decided_by_intervals_and_size(
    acc7: tuple[float, float], mae: tuple[float, float], verdict: str, tmp_path: Path
) -> None:
    found = HYCON.find(evidence(tmp_path, compared("hycon", "Acc7", *acc7), compared("hycon", "MAE", *mae)))
    assert (found.verdict, found.clips, found.seeds) == (verdict, 686, 3)


def test_better_in_most_metrics_needs_each_of_them_against_all(tmp_path: Path) -> None:
    test = Better("mug", ("hycon", "misa"), ("Acc7", "Acc2", "Corr"), most=True)
    made = [compared(system, metric, 1.0, 0.1) for system in test.theirs for metric in ("Acc7", "Acc2")]
    made += [compared("hycon", "Corr", -0.1, 0.01), compared("misa", "Corr", 0.1, 0.01)]
    assert test.find(evidence(tmp_path, *made)).verdict == YES
    made[3] = compared("misa", "Acc2", 1.0, 2.0)  # Acc2 is open, Corr is lost: one of three metrics is left
    assert test.find(evidence(tmp_path, *made)).verdict == OPEN


def test_better_with_a_run_missing_is_never_supported(tmp_path: Path) -> None:
    test = Better("mug", ("hycon", "misa"), ("MAE",))
    assert test.find(evidence(tmp_path, compared("hycon", "MAE", 0.1))).verdict == NO
    for made in ([], [compared("hycon", "MAE", -0.1)]):
        with pytest.raises(Missing, match="finished runs of mug, hycon, misa"):
            test.find(evidence(tmp_path, *made))


def order(tau: float, p: float) -> dict[str, Any]:
    return {"table3_order": [{"metric": "MAE", "rows": 12, "tau": tau, "p": p}], "table3": levels("reviews")}


def step(low: float, high: float) -> dict[str, Any]:
    row = {"system": "mug", "over": "ulgm", "ratio": (low + high) / 2, "lower_quartile": low, "upper_quartile": high}
    return {"step_times": [row]}


def shares(spread: float) -> dict[str, Any]:
    """Stages 1 and 2 take 0.318 of the time with five seeds of stage 3."""
    rows = [
        {"stage": name, "share": share, "lower_quartile": share - spread, "upper_quartile": share + spread}
        for name, share in (("1", 0.3), ("2", 0.4), ("3", 0.3))
    ]
    return {"stage_shares": rows, "table3": levels("reviews")}


def embedding(low: float, high: float, claim: str = "gap") -> dict[str, Any]:
    row = {"metric": "probe" if claim == "probe" else "MMD²", "mean": (low + high) / 2, "low": low, "high": high}
    row |= {"n": 5, "firm": True, "limit": 0.01 if claim == "stays" else 0}
    return {"embedding_claims": [{**row, "claim": name, "modality": m} for name in (claim, "shape") for m in "lav"]}


def cases(middle: float, half: float, seeds: tuple[float, float]) -> dict[str, Any]:
    row = {"metric": "share %", "n_clips": 80, "share": 20.0, **difference(middle, half, seeds)}
    questions = ("neutral modality found", "another")
    return {"case_claims": [{**row, "question": question, "modality": m} for question in questions for m in "lav"]}


def labels(mean: float = 0.8, **spread: float) -> dict[str, Any]:
    """Labels whose MAE is `mean` on average over five seeds."""
    row = {"clips": "all", "n_clips": 1284, "measure": "MAE", "mean": mean, "n": 5}
    names = ("language", "acoustic", "visual")
    return {
        "label_sources": [{**row, "source": s, "std": std, "modality": m} for s, std in spread.items() for m in names]
    }


NEUTRAL, SHARE = kinds.AllClips("neutral modality found"), ("1", "2")


@pytest.mark.parametrize(
    ("test", "tables", "verdict", "results"),
    [
        (kinds.SameOrder(3), order(0.6, 0.01), YES, 1),
        (kinds.SameOrder(3), order(0.4, 0.08), OPEN, 1),
        (kinds.SameLevel(3, "mosi"), {"table3": levels("mosi", 0.72, 0.02)}, YES, 1),
        (kinds.SameLevel(3, "mosi"), {"table3": levels("mosi", 0.80, 0.02)}, NO, 1),
        (kinds.SameLevel(3, "mosi"), {"table3": levels("mosi", 0.72, None)}, OPEN, 1),
        (kinds.SameCount(("MUG", "MISA")), {"table6": counts(mug=110_089_956, misa=110_917_345)}, YES, 2),
        (kinds.SameCount(("MUG", "MISA")), {"table6": counts(mug=110_089_957, misa=110_917_345)}, NO, 2),
        (kinds.InOrder(("MMIM", "MUG")), {"table6": counts(mmim=1, mug=2)}, YES, 1),
        (kinds.InOrder(("MMIM", "MUG", "MISA")), {"table6": counts(mmim=1, mug=2, misa=2)}, NO, 2),  # as many
        (kinds.FasterStep("mug", "ulgm"), step(0.6, 0.9), YES, 1),
        (kinds.FasterStep("mug", "ulgm"), step(1.1, 1.3), NO, 1),
        (kinds.FasterStep("mug", "ulgm"), step(0.9, 1.1), OPEN, 1),
        (kinds.SmallShare(SHARE, 0.36), shares(0.0), YES, 1),
        (kinds.SmallShare(SHARE, 0.28), shares(0.0), NO, 1),
        (kinds.SmallShare(SHARE, 0.33), shares(0.0), OPEN, 1),  # nearer than reproductions are to each other
        (kinds.Contradicted(0.01), {}, YES, 3),
        (kinds.Contradicted(0.07), {}, OPEN, 3),
        (kinds.Contradicted(0.2), {}, NO, 3),
        (kinds.Embedding("gap", -1), embedding(-0.2, -0.1), YES, 3),
        (kinds.Embedding("gap", 1), embedding(0.1, 0.2), YES, 3),
        (kinds.Embedding("gap", -1), embedding(-0.005, 0.1), NO, 3),  # no effect above 0.01
        (kinds.Embedding("probe", -1), embedding(-0.4, 0.2, "probe"), NO, 3),  # nor above half a point
        (kinds.Embedding("stays", -1), embedding(0.002, 0.004, "stays"), YES, 3),
        (kinds.Embedding("stays", -1), embedding(0.02, 0.04, "stays"), NO, 3),
        (kinds.Noisy("mug"), labels(mug=0.01), YES, 3),
        (kinds.Noisy("mug"), labels(mug=0.01, mean=0.01), OPEN, 3),
        (kinds.Steadier("mug", "mlc"), labels(mug=0.001, mlc=0.01), YES, 3),
        (kinds.Steadier("mug", "mlc"), labels(mug=0.1, mlc=0.01), NO, 3),
        (kinds.Steadier("mug", "mlc"), labels(mug=0.011, mlc=0.01), OPEN, 3),
        (NEUTRAL, cases(10, 5, (8, 12)), YES, 3),
        (NEUTRAL, cases(10, 5, (-1, 12)), OPEN, 3),  # other seeds
        (NEUTRAL, cases(7, 8, (5, 9)), OPEN, 3),  # other clips
    ],
)
def test_verdict(test: kinds.Test, tables: dict[str, Any], verdict: str, results: int, tmp_path: Path) -> None:
    found = test.find(evidence(tmp_path, **tables))
    assert (found.verdict, len(found.results)) == (verdict, results)


@pytest.mark.parametrize(
    ("test", "tables", "needs"),
    [
        (kinds.FasterStep("mug", "self-mm"), step(0.6, 0.9), "10_table6_cost"),  # over ULGM, not over Self-MM
        (kinds.SameLevel(3, "mosi"), {"table3": levels("reviews")}, "mugkit prepare mosi --source PATH"),
    ],
)
def test_rows_of_another_comparison_or_data_set_are_not_taken(
    test: kinds.Test, tables: dict[str, Any], needs: str, tmp_path: Path
) -> None:
    with pytest.raises(Missing, match=needs):
        test.find(evidence(tmp_path, **tables))


def test_level_is_asked_of_each_number_at_the_level_of_all_together(tmp_path: Path) -> None:
    row, _ = levels("mosi", 0.72, 0.02)
    row["metrics"]["Corr"] = {"mean": 0.8, "std": 0.02, "n": 5}
    rows = [{**row, "paper": {"MAE": 0.711, "Corr": 0.795}}]
    (mae, _) = kinds.SameLevel(3, "mosi").find(evidence(tmp_path, table3=rows)).results
    expected = stats.t.interval(1 - 0.05 / 2, 4, 0.72, 0.02 / 5**0.5)
    assert (mae["low"], mae["high"]) == pytest.approx(expected)


def test_small_share_counts_stage_3_once_a_seed(tmp_path: Path) -> None:
    (result,) = kinds.SmallShare(SHARE, 0.5).find(evidence(tmp_path, **shares(0.1))).results
    assert result["value"] == pytest.approx(0.7 / (0.7 + 5 * 0.3))
    assert result["low"] == pytest.approx(0.9 * 0.5 / (0.5 + 5 * 0.4))  # a tenth less
    assert result["high"] == pytest.approx(1.1 * 0.9 / (0.9 + 5 * 0.2))  # and more


def test_contradicted_shares_are_those_of_ch_sims(tmp_path: Path) -> None:
    found = kinds.Contradicted(0.01).find(evidence(tmp_path))
    assert [round(result["value"], 3) for result in found.results] == [0.082, 0.06, 0.07]


def test_steadier_interval_is_that_of_the_f_distribution(tmp_path: Path) -> None:
    """With 4 and 4 degrees of freedom its distribution function is 3t² − 2t³ at t = f/(1 + f)."""
    (result, *_) = kinds.Steadier("mug", "mlc").find(evidence(tmp_path, **labels(mug=0.02, mlc=0.01))).results
    assert result["value"] == 2
    for end, expected in (("low", 1 - 0.05 / 6), ("high", 0.05 / 6)):
        f = (2 / result[end]) ** 2
        t = f / (1 + f)
        assert 3 * t**2 - 2 * t**3 == pytest.approx(expected)


def swept(value: float, change: float, half: float = 0.005, field: str = "beta") -> dict[str, Any]:
    """One value of Fig. 5, at MAE 1.5 + change."""
    return {"field": field, "value": value, "metric": "MAE", "mean": 1.5 + change, "n": 3, **difference(change, half)}


FAILED = {"mean": None, "difference": None}


@pytest.mark.parametrize(
    ("small", "large", "amount", "verdict"),
    [
        (swept(0.001, 0.1), swept(0.1, 0.0001), "any", YES),
        (swept(0.001, 0.1, half=0.2), swept(0.1, 0.0001), "any", OPEN),
        (swept(0.001, -0.1), swept(0.1, 0.0001), "any", NO),  # smaller is better
        (swept(0.001, 0.0), swept(0.1, 0.0001), "any", NO),  # smaller is no worse by 0.01
        (swept(0.001, 0.1), swept(0.1, 0.004, half=0.003), "any", YES),  # worse by less than is of interest
        (swept(0.001, 0.1) | FAILED, swept(0.1, 0.0001), "any", YES),  # training diverged
        (swept(0.001, 0.1), swept(0.1, 0.0001) | FAILED, "any", NO),
        (swept(0.001, 0.004, half=0.003), swept(0.1, 0.0001), "any", YES),  # worse, if by little
        (swept(0.001, 0.004, half=0.003), swept(0.1, 0.0001), "over", NO),  # only those said to be worse are held to it
        (swept(0.001, 0.1), swept(0.1, 0.0001), "over", YES),
    ],
)
def test_sweep_of_a_hyperparameter(small: dict, large: dict, amount: Any, verdict: str, tmp_path: Path) -> None:
    others = [swept(0.01, 0.0, half=0.0), swept(0.001, -9.0, field="alpha")]  # the run's own value; another field
    made = replace(evidence(tmp_path, fig5=[small, large, *others]), amount=amount)
    found = kinds.Sweep("beta", (0.01, 1.0), (0.0, 0.009)).find(made)
    assert (found.verdict, len(found.results)) == (verdict, 2)
