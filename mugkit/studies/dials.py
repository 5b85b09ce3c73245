"""The two dials of `reviews`: how well a stream can be read at each setting of expression, and how far apart the
modalities' labels are at each setting of disagreement, compared with human labels.

Only what a network reads takes trainings, one per setting of expression.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from safetensors.torch import load_model

from mugkit import config
from mugkit.data import prepare, reviews, simulate
from mugkit.data.agreement import agreement
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import FRAME_MODALITIES, MODALITIES, MODALITY_NAMES, PAPER_SPLITS, Dataset
from mugkit.evaluation.probes import frame_means, ridge_predictions
from mugkit.experiments import experiment, scheduler
from mugkit.experiments.registry import Experiment
from mugkit.metrics import corr
from mugkit.models.mug import MUGNetwork, build
from mugkit.plots.style import MODALITY_COLORS, canvas
from mugkit.studies import label_payoff
from mugkit.studies.sentences import listed
from mugkit.training.pretrain import save_representations

SIMS, CREMA_D = "CH-SIMS's annotators", "CREMA-D's voters"
# Correlation of the valence of emotions that voters of CREMA-D (Cao et al., IEEE Transactions on Affective Computing
# 2014) named for a clip's sound or picture alone with that of the emotions they named for the whole clip.
CREMA_D_AGREEMENT: Mapping[str, float] = {"clips": 7442, "corr(y, y_a)": 0.665, "corr(y, y_v)": 0.944}
EXPRESSIONS = tuple(simulate.EXPRESSION)  # from what can be read best to what can be read least
READERS = ("ceiling", "probe", "network")
MARKERS = {"l": "s", "a": "o", "v": "^"}
SIZES, SEED = PAPER_SPLITS["reviews"], 2024  # as in the default data set


def ceiling(labels: Float[np.ndarray, "clips"], noise: float) -> float:
    """The largest correlation with y_m that any reader of a stream alone can reach: that of E[y_m | y_m + noise].

    Labels are on a ±1 scale; `noise` is the standard deviation of what a clip expresses besides y_m.
    """
    values, counts = np.unique(labels, return_counts=True)
    shown = np.linspace(-1 - 6 * noise, 1 + 6 * noise, 4001)
    density = counts * np.exp(-(((shown[:, None] - values) / noise) ** 2) / 2)
    weight = density.sum(axis=1)
    centred = values - np.average(values, weights=counts)
    variance = np.average((density @ centred / weight) ** 2, weights=weight)
    return float(np.sqrt(variance / np.average(centred**2, weights=counts)))


def network_correlations(profile: str) -> dict[str, dict[str, float]]:
    """Expression → modality → r of a network's unimodal predictions with y_m on the test split.

    The network is trained on the true labels, so that nothing but the stream limits it. Each setting with strong
    disagreement takes one training, which notebook 14's map also uses; without that map, only the default is read.
    """
    settings = [setting for setting in label_payoff.settings(profile) if setting.disagreement == "strong"]
    first, changes = config.profile(profile).study_seeds[:1], {"beta": label_payoff.betas(profile)[0]}
    names = {setting.expression: prepare.simulated(setting) for setting in settings}
    specs = {e: config.repeated(label_payoff.TRUE, n, profile, changes, first)[0] for e, n in names.items()}
    scheduler.run_all(list(specs.values()))
    return {expression: _against_truth(experiment.work(spec)) for expression, spec in specs.items()}


def _against_truth(work: Experiment) -> dict[str, float]:
    true = work.dataset.test.true_labels
    return {m: round(float(corr(read, true[m])), 4) for m, read in unimodal_predictions(work).items()}


def unimodal_predictions(work: Experiment) -> dict[str, Float32[np.ndarray, "clips"]]:
    """ŷ_m (Eq. 24) of the test split's clips, in their order, from the stored weights of a run of MUG's networks."""
    clips = ClipLoader(work.dataset.test, work.hp.network)
    network: MUGNetwork = build(work.hp.network, work.dataset.dims, clips.text_width)
    load_model(network, work.result() / "weights.safetensors")
    predicted = network.predict_unimodal(save_representations(network, clips).unimodal)
    return {m: values.detach().numpy() for m, values in predicted.items()}


def reading(
    sentences: pd.DataFrame, network: Mapping[str, Mapping[str, float]], sizes: Sequence[int] = SIZES
) -> list[dict[str, Any]]:
    """One record per setting of expression and stream, at the default disagreement.

    Keys: `expression`, `modality`, `noise`, `ceiling` (of all clips), and test correlations: `probe` and `with y`, of
    a ridge probe of mean frames trained on y_m, with y_m and with y; `network`, of `network_correlations` (else None).
    """
    records = []
    for expression in EXPRESSIONS:
        dataset = reviews.assemble(sentences, SEED, reviews.Dials(expression=expression), sizes)
        for style in simulate.stream_styles(expression):
            m, noise = style.modality, style.expression_noise
            labels = np.concatenate([split.true_labels[m] for split in dataset.splits.values()]) / dataset.label_scale
            bound = round(ceiling(labels.round(1), noise), 4)
            head = {"expression": expression, "modality": m, "noise": noise, "ceiling": bound}
            records.append(head | _probed(dataset, m) | {"network": network.get(expression, {}).get(m)})
    return records


def _probed(dataset: Dataset, modality: str) -> dict[str, float]:
    inputs = {name: frame_means(split.sequences[modality]) for name, split in dataset.splits.items()}
    true = {name: split.true_labels[modality] for name, split in dataset.splits.items()}
    predicted = ridge_predictions(inputs, true)
    with_m, with_y = (round(float(corr(predicted, labels)), 4) for labels in (true["test"], dataset.test.labels))
    return {"probe": with_m, "with y": with_y}


def reading_table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row per setting: for each stream the ceiling, and r of a probe and of a network with y_m."""
    rows: dict[str, dict[str, str]] = {}
    for record in records:
        row = rows.setdefault(f"{record['expression']} ({_noise(record['expression'])})", {})
        row |= {f"{MODALITY_NAMES[record['modality']]}: {reader}": _told(record, reader) for reader in READERS}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("expression (noise)")


def _noise(expression: str) -> str:
    """The noise of a setting; of both streams if they differ."""
    return " / ".join(dict.fromkeys(f"{style.expression_noise:.1f}" for style in simulate.stream_styles(expression)))


def one_rater(sentences: pd.DataFrame) -> float:
    """The correlation r of a single rater of a sentence with the mean of all, from the raters' spread."""
    between = float(sentences["rating"].var(ddof=0))
    return float(np.sqrt(between / (between + (sentences["spread"] ** 2).mean())))


def apart(sentences: pd.DataFrame, sizes: Sequence[int] = SIZES) -> dict[str, dict[str, float]]:
    """Statistics of `agreement` and the number of `clips`: at each setting of disagreement, then for human labels."""
    clips = pd.concat(reviews.choose(sentences, sizes).values())
    language, draws = reviews.language_labels(clips["rating"]), simulate.LabelDraws.of(clips["clip"].tolist(), SEED)
    found: dict[str, dict[str, float]] = {}
    for setting in reversed(list(simulate.DISAGREEMENT)):
        labels = simulate.joint_labels(language, draws, simulate.LabelStructure.of(setting))
        statistics = agreement(labels, scale=1.0).round(4)
        found[setting] = {"clips": len(clips), **{str(name): value for name, value in statistics.items()}}
    people = simulate.sims_agreement()
    found[SIMS] = {"clips": people["clips"], **people["statistics"]}
    return found | {CREMA_D: dict(CREMA_D_AGREEMENT)}


def apart_table(found: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """One row per setting or group of people: clips, corr(y, y_m), shares with the same value and opposite sign."""
    rows = {}
    for name, numbers in found.items():
        pairs = [f"corr(y, y_{m})" for m in MODALITIES]
        row = {"clips": f"{numbers['clips']:,}"} | {pair: _told(numbers, pair) for pair in pairs}
        for column, statistic in (("same value", "equal"), ("opposite sign", "opposite")):
            shares = [_told(numbers, f"{statistic}(y_{m})", ".0%") for m in MODALITIES]
            row[column] = " / ".join(shares) if set(shares) != {"–"} else "–"
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("labels")


def _told(numbers: Mapping[str, Any], name: str, shape: str = ".2f") -> str:
    return "–" if numbers.get(name) is None else format(numbers[name], shape)


def figure(records: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, float]]) -> Figure:
    """Left: ceiling, probe and network at each setting of expression. Right: corr(y, y_m), also of human labels."""
    drawn, (left, right) = canvas((11.5, 4.2), 1, 2, sharey=True)
    for m in FRAME_MODALITIES:
        _reading_lines(left, [record for record in records if record["modality"] == m], m)
    left.set(title="expression: what can be read of a stream", xlabel="setting (noise of expression, labels of ±1)")
    left.set(ylabel="correlation", ylim=(0, 1))
    for m in MODALITIES:
        known = {name: numbers[pair] for name, numbers in found.items() if (pair := f"corr(y, y_{m})") in numbers}
        look: dict[str, Any] = {"color": MODALITY_COLORS[m], "marker": MARKERS[m], "s": 70, "label": MODALITY_NAMES[m]}
        right.scatter([list(found).index(name) for name in known], list(known.values()), **look)
    right.set(title="disagreement: $y_m$ against the clip's label $y$", xlim=(-0.5, len(found) - 0.5))
    right.set_xticks(range(len(found)), [name.replace(" ", "\n") for name in found])
    right.legend(title="corr(y, $y_m$)", loc="lower left")
    return drawn


def _reading_lines(axes: Axes, records: Sequence[Mapping[str, Any]], m: str) -> None:
    color, marker, name = MODALITY_COLORS[m], MARKERS[m], MODALITY_NAMES[m]
    for reader, line in zip(READERS, ("--", "-", ":"), strict=True):
        read = [np.nan if record[reader] is None else record[reader] for record in records]
        filled = "white" if reader == "ceiling" else color
        axes.plot(read, line, color=color, marker=marker, mfc=filled, label=f"{name}: {reader}")
    axes.set_xticks(range(len(EXPRESSIONS)), [f"{setting}\n{_noise(setting)}" for setting in EXPRESSIONS])
    axes.legend(loc="lower left")


def sentence(records: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, float]]) -> str:
    """Two sentences on what both dials do: readings at both ends, labels at each setting and of people."""
    parts = []
    for setting in (EXPRESSIONS[0], EXPRESSIONS[-1]):
        pair = [record for record in records if record["expression"] == setting]
        streams = [f"{r['probe']:.2f} of {r['ceiling']:.2f} ({MODALITY_NAMES[r['modality']]})" for r in pair]
        parts.append(f"{listed(streams)} at {setting}")
    lie = {name: listed(_told(numbers, f"corr(y, y_{m})") for m in MODALITIES) for name, numbers in found.items()}
    labels = [f"{lie[name]} at {name}" for name in found if name in simulate.DISAGREEMENT]
    return (
        f"On {reviews.CAPTION}), a probe's r with y_m, of the ceiling for any reader: {'; '.join(parts)}. "
        f"corr(y, y_m) for language, voice and face is {'; '.join(labels)}; of {SIMS} it is {lie[SIMS]}."
    )
