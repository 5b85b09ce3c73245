"""Section 4.9 in numbers: how far apart x_m and x_m′ are, with and without contrastive learning, over seeds.

Fig. 4 uses t-SNE, which preserves only neighbours: distances and shapes of its clouds prove little. Each panel also
shows a linear probe (`gap.measure`) and MMD (`mmd.discrepancy`). Each sentence of the section is tested by a
measurement whose interval over seeds decides.

Eq. 11 has two readings: its gradient stops at x_m, as the paper says, or also at x, from which x_m′ is projected and
about which the paper says nothing. The section observes that the gap narrows, and that x_m stays almost the same. A
weaker form of the latter is tested, too: does x_m move less than x_m′? The study also reports how each reading affects
the validation error of stage 3, which needs no true labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from mugkit.config import RunSpec, repeated
from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.evaluation import comparison, formats, gap, label_quality, verdicts
from mugkit.evaluation.gap import discrepancy
from mugkit.evaluation.statistics import mean_std, t_interval
from mugkit.experiments.experiment import Run
from mugkit.models.losses import l2_normalise
from mugkit.studies.study import grid
from mugkit.training.label_sources.source import LearnedLabels
from mugkit.training.pretrain import SavedRepresentations

PLAIN, PROJECTION, NETWORK = "γ = 0", "stopped at x too", "stopped at x_m alone"
READINGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {  # name → system, and fields that differ from its own values
    PLAIN: ("mug-without-contrastive", {}),
    PROJECTION: ("mug", {"contrastive_gradient_scope": "projection"}),
    NETWORK: ("mug", {"contrastive_gradient_scope": "network"}),
}
OverSeeds = Sequence[SavedRepresentations]  # of the training split, one per seed
Vectors = Float[np.ndarray, "clips d_m"]


def halves(first: Float[Tensor, "clips d_m"], second: Float[Tensor, "clips d_m"], most: int) -> tuple[Vectors, Vectors]:
    """Unit vectors (Eq. 10) of one kind for some clips and of the other kind for other clips.

    The vectors of different clips are independent, as the MMD test requires. The choice of clips, `most` in each half,
    is fixed.
    """
    order = np.random.default_rng(0).permutation(len(first))
    size = min(most, len(first) // 2)
    return l2_normalise(first).numpy()[order[:size]], l2_normalise(second).numpy()[order[size : 2 * size]]


def measure(variants: Mapping[str, OverSeeds], most: int = 400) -> pd.DataFrame:
    """One row per variant, modality and seed.

    Columns: variant, modality, seed (its position in the sequence); probe, probe_low, probe_high (%, interval over
    folds); retrieval (%, `gap.Gap`); mmd2, p (of x_m and x_m′); null, MMD² of x_m and x_m of other clips, which a gap
    must exceed; shape, MMD² of the centred clouds; distance, between the two means.
    """
    rows = [
        {"variant": variant, "modality": m, "seed": seed, **_measured(saved.unimodal[m], saved.projected[m], most)}
        for variant, seeds in variants.items()
        for seed, saved in enumerate(seeds)
        for m in MODALITIES
    ]
    return pd.DataFrame(rows)


def _measured(x: Float[Tensor, "clips d_m"], projected: Float[Tensor, "clips d_m"], most: int) -> dict[str, float]:
    found, pair = gap.measure(x, projected), halves(x, projected, most)
    test = discrepancy(*pair)
    shape = discrepancy(pair[0] - pair[0].mean(axis=0), pair[1] - pair[1].mean(axis=0), permutations=1)
    return {
        "probe": found.probe, "probe_low": found.probe_low, "probe_high": found.probe_high,
        "retrieval": found.retrieval, "mmd2": test.mmd2, "p": test.p,
        "null": discrepancy(*halves(x, x, most), permutations=1).mmd2, "shape": shape.mmd2, "distance": found.distance,
    }  # fmt: skip


def drift(plain: OverSeeds, contrastive: OverSeeds, most: int = 400) -> pd.DataFrame:
    """How far contrastive learning moves each kind of vector: MMD² of x_m without and with it, and likewise of x_m′.

    Columns: modality, seed, unimodal, projected (MMD²), cosine (mean over clips of x_m's cosine without and with).
    `contrastive` has the same seeds in the same order, or the first of them.
    """
    rows = [
        {"modality": m, "seed": seed, **_moved(before, after, m, most)}
        for seed, (before, after) in enumerate(zip(plain, contrastive, strict=False))
        for m in MODALITIES
    ]
    return pd.DataFrame(rows)


def _moved(before: SavedRepresentations, after: SavedRepresentations, m: str, most: int) -> dict[str, float]:
    pairs = {kind: (getattr(before, kind)[m], getattr(after, kind)[m]) for kind in ("unimodal", "projected")}
    moved = {kind: discrepancy(*halves(*pair, most), permutations=1).mmd2 for kind, pair in pairs.items()}
    without, with_it = map(l2_normalise, pairs["unimodal"])
    return {**moved, "cosine": float((without * with_it).sum(-1).mean())}


class Claim(NamedTuple):
    """A sentence of section 4.9, what is measured to test it, and on which side (sign) of which limit that must lie."""

    sentence: str
    measured: str
    sign: int
    metric: str = "MMD²"
    limit: float = 0.0


CLAIMS: Mapping[str, Claim] = {
    "gap": Claim("contrastive learning narrows the gap", "MMD² of x_m and x_m′: with the loss − at γ = 0", -1),
    "shape": Claim("the two shapes become alike", "MMD² of the centred clouds: with the loss − at γ = 0", -1),
    "remains": Claim("a gap remains", "MMD² of x_m and x_m′ − MMD² of x_m and x_m", 1),
    "target": Claim("x_m moves less than x_m′", "MMD² at γ = 0 and with the loss: of x_m − of x_m′", -1),
    "stays": Claim(
        "x_m is almost the same", "MMD² of x_m at γ = 0 and with it: below 0.01", -1, limit=verdicts.size_of("MMD²")
    ),
    "probe": Claim(
        "a probe tells them apart less well (ours)", "probe's accuracy in %: with the loss − at γ = 0", -1, "probe"
    ),
}
OBSERVATIONS = ("gap", "target", "stays")  # what the section says about its figure, and a weaker form of the last


def claims(table: pd.DataFrame, moved: pd.DataFrame, plain: str, contrastive: str) -> pd.DataFrame:
    """Every sentence for every modality: the mean over seeds, a 95 % interval, and a verdict, each judged by itself.

    Args:
        table: the result of `measure`, with variants named `plain` and `contrastive`.
        moved: the result of `drift`.

    Returns:
        Columns claim, metric, modality, mean, low, high, n (seeds), limit, firm, verdict: as in the ledger of claims.
        `firm`: whether Bonferroni's interval for all modalities has the same outcome (see `verdicts`).
    """
    rows = []
    for m in MODALITIES:
        measured = _differences(table[table["modality"] == m], moved[moved["modality"] == m], plain, contrastive)
        for name, values in measured.items():
            claim, (mean, _, n) = CLAIMS[name], mean_std(list(values))
            size = 0.0 if claim.limit else verdicts.size_of(claim.metric)
            ends = [t_interval(list(values), 1 - verdicts.LEVEL / among) for among in (1, len(MODALITIES))]
            by_itself, among_all = (verdicts.interval(*of, claim.sign, size, claim.limit) for of in ends)
            row = {"claim": name, "metric": claim.metric, "modality": m, "mean": mean, **ends[0]._asdict(), "n": n}
            row |= {"limit": claim.limit, "firm": by_itself == among_all, "verdict": verdicts.every([by_itself])}
            rows.append(row)
    return pd.DataFrame(rows).sort_values("claim", key=lambda names: names.map(list(CLAIMS).index), kind="stable")


def _differences(rows: pd.DataFrame, moved: pd.DataFrame, plain: str, contrastive: str) -> dict[str, np.ndarray]:
    """For every claim, one value per seed; `plain` may have more seeds."""
    before, after = (rows[rows["variant"] == name].set_index("seed") for name in (plain, contrastive))
    columns = ["mmd2", "shape", "probe"]
    change = after[columns] - before.loc[after.index, columns]
    found = {"gap": change["mmd2"], "shape": change["shape"], "remains": after["mmd2"] - after["null"]}
    found |= {"target": moved["unimodal"] - moved["projected"], "stays": moved["unimodal"], "probe": change["probe"]}
    return {claim: values.to_numpy() for claim, values in found.items()}


def gap_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats `measure`: one row per modality and variant, with mean and spread over seeds."""
    rows = {}
    for m in MODALITIES:
        for variant, part in table[table["modality"] == m].groupby("variant", sort=False):
            low, high = np.clip(t_interval(list(part["probe"])), 0, 100)
            rows[f"{MODALITY_NAMES[m]}, {variant}"] = {
                "probe, % [95 %]": formats.estimate("probe", part["probe"].mean(), low, high, signed=False),
                "own clip found, %": f"{part['retrieval'].mean():.0f}",
                "MMD²": _with_std(part["mmd2"]),
                "no gap would be": _with_std(part["null"]),
                "largest p": f"{part['p'].max():.3f}",
                "MMD² of shapes": _with_std(part["shape"]),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("x_m and x_m′")


def claim_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats `claims`."""
    columns = {
        "measured": [CLAIMS[claim].measured for claim in table["claim"]],
        "modality": table["modality"].map(dict(MODALITY_NAMES)),
        "mean": [formats.number(*of, signed=True) for of in zip(table["metric"], table["mean"], strict=True)],
        "interval": [formats.span(*of) for of in zip(table["metric"], table["low"], table["high"], strict=True)],
        "verdict": table["verdict"],
    }
    return pd.DataFrame(columns).set_index(pd.Index([CLAIMS[c].sentence for c in table["claim"]], name="section 4.9"))


def _with_std(values: "pd.Series[float]") -> str:
    mean, std, _ = mean_std(list(values))
    return formats.spread("MMD²", mean, std)


def panel_notes(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """(variant, modality) → text in that panel's title in Fig. 4: the numbers of the first seed, which it shows."""
    first = table[table["seed"] == 0]
    values = zip(first["variant"], first["modality"], first["probe"], first["mmd2"], strict=True)
    return {(variant, m): f"probe {probe:.0f} %, MMD² {mmd2:.2f}" for variant, m, probe, mmd2 in values}


def specifications(dataset: str, profile: str) -> dict[str, list[RunSpec]]:
    """Reading → its runs, one per study seed, which is the seed of all three stages."""
    return {name: repeated(system, dataset, profile, changes) for name, (system, changes) in READINGS.items()}


def validation(dataset: Dataset, runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """MAE of the validation split after stage 3: one row per reading, with its difference to no contrastive learning.

    Columns: reading, mean, std, n; what `comparison.compare` returns; verdict, whether the error is lower or higher.
    """
    rows = []
    for name, done in runs.items():
        summary = mean_std([run.valid_metrics["MAE"] for run in done])._asdict()
        row = {"reading": name, "metric": "MAE", **summary}
        found = comparison.of_runs(done, runs[PLAIN], dataset, split="valid") if name != PLAIN else {}
        rows.append({**row, **found, "verdict": verdicts.word(found, "lower", "higher") if found else ""})
    return pd.DataFrame(rows)


def validation_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats `validation`."""
    differences = comparison.columns(table)
    differences["difference"] = [text.replace("undefined", "–") for text in differences["difference"]]
    shown = {"validation MAE": formats.spreads("MAE", table["mean"], table["std"]), **differences}
    shown["than without"] = table["verdict"].replace("", "–").tolist()
    return pd.DataFrame(shown, index=pd.Index(table["reading"], name="contrastive learning"))


def labels(dataset: Dataset, learned: Mapping[str, Sequence[LearnedLabels]]) -> pd.DataFrame:
    """Learned labels against the true ones under each reading: `label_quality.compare` with the reading's name."""
    parts = [label_quality.compare(dataset, some).assign(reading=name) for name, some in learned.items()]
    return pd.concat(parts, ignore_index=True)


def label_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats `labels`: readings as rows; modalities and measures as columns."""
    cells = table.assign(cell=formats.spreads("MAE", table["mucn"], table["mucn_std"]))
    return grid(cells, "reading", ["measure", "modality"]).rename_axis(index="contrastive learning")
