"""What a claim of the paper is: what it says, the numbers it rests on, and the test that decides it.

Tests are data, carried out by `mugkit.claims.ledger`, so that no verdict is written by hand. Systems are named as in
`mugkit systems`, rows and columns as in the paper's tables (`mugkit.evaluation.published`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

On = Literal["test split", "labels", "labels of disagreeing clips"]
PLACES = ("abstract", "4.6", "4.7", "4.8", "4.9", "4.10", "4.11", "4.12")


# --- kinds of tests ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Better:
    """One system is better than others, in every metric or (`most`) in more than half of the metrics.

    Attributes:
        ours: the system that is said to be better.
        theirs: those it is compared with.
        metrics: those named by the claim; () is all of the table's columns.
        on: predictions of the test split, or unimodal labels of the training split against the true ones.
        most: whether more than half of the metrics suffice.
    """

    ours: str
    theirs: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    on: On = "test split"
    most: bool = False


@dataclass(frozen=True)
class SameOrder:
    """Our rows of a table come in the paper's order: Kendall's τ."""

    table: int
    metrics: tuple[str] = ("MAE",)


@dataclass(frozen=True)
class SameLevel:
    """Our mean over seeds on the paper's own data set is the paper's number, row by row and column by column."""

    table: int
    dataset: str


@dataclass(frozen=True)
class SameCount:
    """Rows of Table 6 have the paper's number of parameters."""

    rows: tuple[str, ...]


@dataclass(frozen=True)
class InOrder:
    """Rows of Table 6 in ascending order of their parameters."""

    rows: tuple[str, ...]


@dataclass(frozen=True)
class FasterStep:
    """A training step of one system takes less time than a step of Self-MM."""

    system: str


@dataclass(frozen=True)
class SmallShare:
    """These stages, run once, take a smaller share of all training time than `below`, stage 3 running once a seed."""

    stages: tuple[str, ...]
    below: float


@dataclass(frozen=True)
class Contradicted:
    """Human annotators gave a modality the sign opposite to the clip's in more than `share` of the clips."""

    share: float


@dataclass(frozen=True)
class SmallerGap:
    """With the contrastive loss a linear probe tells x_m′ from x_m less well than without it."""


@dataclass(frozen=True)
class Embedding:
    """A sentence of section 4.9, put to MMD² over label seeds by notebook 11.

    Attributes:
        sentence: gap (with contrastive learning − without), shape (the same of centred clouds), remains (the gap − that
            of x_m to itself), target (what the loss changes of x_m − what it changes of x_m′).
        sign: what the difference must have.
    """

    sentence: Literal["gap", "shape", "remains", "target"]
    sign: Literal[-1, 1]


@dataclass(frozen=True)
class Noisy:
    """Labels that a system learned differ from the true ones."""

    system: str


@dataclass(frozen=True)
class Steadier:
    """The error of one system's labels varies less from seed to seed than that of another's."""

    ours: str
    theirs: str


@dataclass(frozen=True)
class Sweep:
    """Test MAE over a grid of one hyperparameter, against that at the run's own value (Fig. 5).

    Attributes:
        field: the hyperparameter.
        good: smallest and largest value of the range that is said to be as good as the run's own value.
        bad: smallest and largest value of the range that is said to be worse; None: the claim names none.
    """

    field: str
    good: tuple[float, float]
    bad: tuple[float, float] | None = None


@dataclass(frozen=True)
class AllClips:
    """A question of section 4.11, asked by notebook 13 of all clips: learned labels do it more often than a reference.

    Attributes:
        question: as `results.case_claims` has it.
    """

    question: str


@dataclass(frozen=True)
class Unmeasured:
    """What it rests on is not here: what is missing, and what would bring it."""

    missing: str
    fix: str


Test = (
    Better | SameOrder | SameLevel | SameCount | InOrder | FasterStep | SmallShare | Contradicted | SmallerGap
    | Embedding | Noisy | Steadier | Sweep | AllClips | Unmeasured
)  # fmt: skip


# --- what the paper says ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        name: unique; begins with its place, and a hyphen.
        says: the claim, in our words.
        test: what decides it.
        about: the data that the paper claims it for; () where it names none.
        tables: the paper's tables with the numbers that it rests on.
        rows: their rows; () where the test names them.
        quoted: the data sets whose columns it rests on; () is all that it is about.
        sizes: differences of the first two rows that the text puts a number to, by metric, in the metric's unit; the
            table's own need not be the same.
        precision: of these: that size, more than it, or about it (within half a point).
        said: other numbers of the text, by what they are.
    """

    name: str
    says: str
    test: Test
    about: tuple[str, ...] = ()
    tables: tuple[int, ...] = ()
    rows: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()
    sizes: Mapping[str, float] = field(default_factory=dict)
    precision: Literal["exactly", "over", "about"] = "exactly"
    said: Mapping[str, float] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it stands: the abstract, or a section."""
        return self.name.partition("-")[0]
