"""The paper as data: Tables 2–6, the numbers it quotes from others, and its contradictions.

Accuracies and F1 are in percent, MAE is in units of the labels. Row names are the paper's, without citation numbers
("MuT" in the text is the Multimodal Transformer, MulT).

Source: S. Mai, Y. Zhao, Y. Zeng, J. Yao, H. Hu, "Meta-Learn Unimodal Signals with Weak Supervision for Multimodal
Sentiment Analysis", arXiv:2408.16029v2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Table = Mapping[str, Mapping[str, Mapping[str, float]]]  # row → data set → metric → value

DATASETS = ("mosi", "mosei", "sims")
CAPTION: Mapping[int, str] = {
    2: "Hyperparameters of MUG",
    3: "MUG against its baselines on CMU-MOSI and CMU-MOSEI",
    4: "MUG against its baselines on SIMS",
    5: "Ablations and another label learner on CMU-MOSI",
    6: "Trainable parameters",
}

# Table 2: the row, the field of our configuration, and its values on MOSI, MOSEI and SIMS.
_TABLE2: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    ("Batch Size", "batch_size", (32, 16, 32)),
    ("Learning Rate", "learning_rate", (3e-5, 1e-5, 2e-5)),
    ("Pre-Training Epochs", "pretrain_epochs", (15, 10, 20)),
    ("Meta-Training Epochs", "meta_epochs", (65, 50, 80)),
    ("Meta-training Learning Rate α", "alpha", (5e-3, 5e-3, 5e-3)),
    ("Meta-testing Learning Rate α′", "alpha_prime", (1e-3, 1e-3, 1e-3)),
    ("Contrastive Loss Weight γ", "gamma", (0.01, 0.01, 0.01)),
    ("Projected Predictive Loss Weight η", "eta", (0.01, 0.01, 0.01)),
    ("Fusion Dimensionality d", "d", (32, 16, 128)),
    ("Acoustic Dimensionality d_a", "d_a", (256, 128, 256)),
    ("Visual Dimensionality d_v", "d_v", (64, 64, 256)),
    ("Language Dimensionality d_l", "d_l", (64, 64, 64)),
    ("Unimodal Task Loss Weight β", "beta", (0.01, 0.0001, 0.01)),
)
TABLE2: Mapping[str, Mapping[str, float]] = {
    row: dict(zip(DATASETS, values, strict=True)) for row, _, values in _TABLE2
}
FIELDS: Mapping[str, str] = {row: field for row, field, _ in _TABLE2}

_COLUMNS = ("Acc7", "Acc2", "F1", "MAE", "Corr")
_SIMS_COLUMNS = ("MAE", "Corr", "Acc2", "F1")


def _row(columns: tuple[str, ...], **by_dataset: tuple[float, ...]) -> dict[str, dict[str, float]]:
    return {dataset: dict(zip(columns, values, strict=True)) for dataset, values in by_dataset.items()}


TABLE3: Table = {
    system: _row(_COLUMNS, mosi=mosi, mosei=mosei)
    for system, (mosi, mosei) in {
        "Graph-MFN": ((34.4, 80.2, 80.1, 0.939, 0.656), (51.9, 84.0, 83.8, 0.569, 0.725)),
        "MFM": ((33.3, 80.0, 80.1, 0.948, 0.664), (50.8, 83.4, 83.4, 0.580, 0.722)),
        "MISA": ((43.5, 83.5, 83.5, 0.752, 0.784), (52.2, 84.3, 84.3, 0.550, 0.758)),
        "MMIM": ((45.0, 85.1, 85.0, 0.738, 0.781), (53.1, 85.1, 85.0, 0.547, 0.752)),
        "Self-MM": ((45.8, 84.9, 84.8, 0.731, 0.785), (53.0, 85.2, 85.2, 0.540, 0.763)),
        "HyCon": ((46.6, 85.2, 85.1, 0.741, 0.779), (52.8, 85.4, 85.6, 0.554, 0.751)),
        "SUGRM": ((44.9, 84.6, 84.6, 0.739, 0.772), (53.7, 85.4, 85.3, 0.537, 0.759)),
        "CubeMLP": ((45.5, 85.6, 85.5, 0.770, 0.767), (54.9, 85.1, 84.5, 0.529, 0.760)),
        "AOBERT": ((40.2, 85.6, 86.4, 0.856, 0.700), (54.4, 86.2, 85.9, 0.515, 0.763)),
        "UniMSE (T5)": ((48.7, 86.9, 86.4, 0.691, 0.809), (54.4, 87.5, 87.5, 0.523, 0.773)),
        "MUG (BERT)": ((47.5, 85.8, 85.6, 0.711, 0.795), (54.7, 86.2, 86.1, 0.527, 0.772)),
        "MUG (T5)": ((49.1, 87.5, 87.5, 0.682, 0.816), (54.8, 87.5, 87.6, 0.521, 0.776)),
    }.items()
}

TABLE4: Table = {
    system: _row(_SIMS_COLUMNS, sims=sims)
    for system, sims in {
        "TFN": (0.432, 0.591, 78.38, 78.62),
        "LMF": (0.441, 0.576, 77.77, 77.88),
        "MFN": (0.435, 0.582, 77.90, 77.88),
        "Graph-MFN": (0.445, 0.578, 78.77, 78.21),
        "MulT": (0.453, 0.564, 78.56, 79.66),
        "Self-MM": (0.425, 0.592, 80.04, 80.44),
        "SUGRM": (0.418, 0.596, 79.26, 79.13),
        "MUG (Without Unimodal Tasks)": (0.434, 0.573, 78.16, 78.10),
        "MUG (With True Label)": (0.410, 0.601, 80.74, 80.67),
        "MUG": (0.415, 0.601, 80.31, 80.36),
    }.items()
}

TABLE5: Table = {
    system: _row(_COLUMNS, mosi=mosi)
    for system, mosi in {
        "W/O Unimodal Tasks": (45.9, 83.6, 83.8, 0.719, 0.786),
        "W/O Multimodal Denoising Task": (46.8, 84.7, 84.7, 0.715, 0.797),
        "W/O Contrastive Learning": (46.6, 85.2, 85.1, 0.715, 0.795),
        "y_mc ← y": (46.6, 84.8, 84.8, 0.718, 0.794),
        "MLC": (47.1, 84.9, 84.9, 0.713, 0.794),
        "MUG": (47.5, 85.8, 85.6, 0.711, 0.795),
    }.items()
}

# The paper does not say for which data set it counted; the counts fit MOSEI's input dims (see NOTES).
TABLE6: Table = {
    system: _row(("Parameters",), mosei=(count,))
    for system, count in {
        "Self-MM": 109_647_908,
        "MISA": 110_917_345,
        "MMIM": 109_821_129,
        "MUG": 110_089_956,
    }.items()
}

RESULTS: Mapping[int, Table] = {3: TABLE3, 4: TABLE4, 5: TABLE5, 6: TABLE6}

# Row → the tables that contain it. Table 2 is about MUG itself and has no systems.
SYSTEM_ROWS: Mapping[str, tuple[int, ...]] = {
    row: tuple(n for n, rows in RESULTS.items() if row in rows)
    for row in dict.fromkeys(row for rows in RESULTS.values() for row in rows)
}

# Numbers that do not come from the authors' own runs: table → row → where they come from.
_THEIR_PAPER = "quoted by the authors from that system's own paper (Table 3's caption)"
_MMSA = "equal to the result that MMSA publishes for SIMS, although the caption says that its code was run"
QUOTED: Mapping[int, Mapping[str, str]] = {
    3: dict.fromkeys(("CubeMLP", "AOBERT", "UniMSE (T5)"), _THEIR_PAPER),
    4: dict.fromkeys(("TFN", "LMF", "MFN", "Graph-MFN", "MulT"), _MMSA)
    | {"Self-MM": _MMSA.replace("equal", "but for one digit equal")},
}


@dataclass(frozen=True)
class Note:
    """What the paper states at a place, and what its own tables, or the baselines' published code, say instead."""

    place: str
    stated: str
    found: str


# fmt: off
NOTES: tuple[Note, ...] = (
    Note("section 4.2", "Acc2 and F1 leave neutral clips out",
         "true of Tables 3 and 5; Table 4 follows MMSA's SIMS convention, which keeps them (≤ 0 against > 0)"),
    Note("section 4.5", "the list of baselines",
         "MFM is in Table 3 but not in the list; MAG-BERT, named in section 4.12, is neither listed nor in a table"),
    Note("section 4.6, MOSEI", "MUG (BERT) is 0.5 points of Acc2 and 1.1 points of F1 above CubeMLP",
         "Table 3 gives 1.1 points of Acc2 (86.2, 85.1) and 1.6 of F1 (86.1, 84.5)"),
    Note("section 4.6, MOSEI", "MUG (BERT) has the best Acc2 of the systems on BERT",
         "it shares the 86.2 with AOBERT"),
    Note("section 4.6, T5", "MUG (T5) is better than UniMSE",
         "in nine of Table 3's ten columns; in Acc2 on MOSEI both have 87.5, and both are marked best"),
    Note("Table 3, Acc2 on MOSEI", "one second best: MUG (BERT), 86.2",
         "AOBERT's 86.2 is as good and is not marked"),
    Note("Table 4", "second best marked for MAE alone",
         "Acc2's is MUG (80.31) and F1's is Self-MM (80.44), ahead of MUG (80.36)"),
    Note("section 4.7", "true unimodal labels improve every metric, learned labels are slightly behind them",
         "in Corr learned labels equal true ones (0.601); every metric improves only over no unimodal tasks"),
    Note("Table 5, Corr", "each part of MUG helps",
         "without the multimodal denoising task Corr is higher (0.797 against 0.795), as the bold face says; without "
         "contrastive learning it is the same"),
    Note("section 4.10", "β from 0.01 to 1 works on MOSI, and small β is much worse",
         "Table 2's 0.01 on MOSI is the smallest β that it calls good, and on MOSEI Table 2 has 0.0001"),
    Note("section 4.12", "110,917,345 is the number of parameters of both MISA and MAG-BERT",
         "Table 6 gives it to MISA, and MISA's code has exactly that many at MOSEI's dims; two different networks "
         "would share it only by accident"),
    Note("Table 6", "no data set is named",
         "Self-MM's, MISA's and MMIM's published code has exactly these counts at MOSEI's dims (acoustic 74, visual "
         "35)"),
)
# fmt: on
