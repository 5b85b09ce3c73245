"""Compares the numbers that notebooks wrote with the committed numbers, each kind with its own tolerance.

The same machine writes the same numbers to the last bit; another processor adds up in another order. Measured on
`reviews`, profile quick, one seed, with and without vector instructions: without training nothing moves beyond the 7th
digit; test MAE moves by 0.007, Corr by 0.001, accuracies and F1 by up to 0.9 points; losses within an epoch of stage 2
by 18 %, its share of open gates by 0.2; a single clip's learned label by up to 0.67 (its path on the way by 1.3), for
the gate of Eq. 22 is a switch; the learned labels' MAE to the true labels by up to 0.09, their correlation by 0.04.
All seeds and systems, a processor with AVX-512 beside a processor without: MISA's spread over seeds from 0.05 to 0.09,
all other numbers within four fifths of what is allowed. Tolerances leave more than that: they catch a broken method,
not a rounding error.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be off; the larger of the two counts."""

    absolute: float = 0.0  # in the number's own unit
    relative: float = 0.0  # as a share of the committed number
    lengths: bool = True  # whether lists must have equal lengths; if not, their common part is compared

    def allows(self, expected: float, found: float) -> bool:
        return abs(found - expected) <= max(self.absolute, self.relative * abs(expected))


EXACT = Tolerance(1e-4, 1e-4)  # no training: computed from data, configuration or the paper
PROBED = Tolerance(0.03, 0.01)  # a linear probe's metrics: a clip at a threshold may fall on its other side
METRIC = Tolerance(0.08)  # MAE, correlation, and what is measured in units of labels
SPREAD = Tolerance(0.13)  # over five seeds, one of which may stay on a plateau or leave it
PERCENT = Tolerance(6.0)  # accuracies and F1
LOSS = Tolerance(0.05, 0.4)  # of one epoch
CURVE = Tolerance(0.05, 0.4, lengths=False)  # early stopping may end an epoch sooner or later
LEARNED = Tolerance(0.15)  # how far learned labels are from the true labels
SHARE = Tolerance(0.5)  # of open gates in one epoch
ANY = Tolerance(math.inf)  # there and finite: a single clip's fate, positions in a t-SNE picture
INTERVAL = Tolerance(0.3)  # ends of Student's interval over three or five seeds: up to 2.5 times their spread
TRAINED = Tolerance(0.08, 0.15)  # everything else that training decides

# File, key anywhere on the way to the number, tolerance. The first that fits counts.
RULES: tuple[tuple[str, str, Tolerance], ...] = (
    ("data_prep*.json", ".*", ANY),  # another version of the speech synthesizer speaks in another way
    # At the rate that validation chose, some seeds end at a constant, whose correlation is undefined.
    ("*", "MISA", ANY),
    ("*", "paper|n|n_clips|rows|pool|seeds|copy|true|y|parameters", EXACT),
    ("tables/table[26].json", ".*", EXACT),
    ("tables/st*.json", ".*", ANY),  # step_times, stage_shares: ratios of times
    ("tables/*_order.json", ".*", ANY),  # rows that lie close together change places
    ("*", "seeds_.*", INTERVAL),
    ("tables/label_sources.json", ".*", PERCENT),  # holds percentages beside errors
    ("*fig5*.json", "p", ANY),
    ("tables/hyperparameter_importance.json", ".*", ANY),  # p and forests over trials that training moves
    ("tables/search_peeking.json", "trials", EXACT),
    ("tables/tuned.json", ".*", EXACT),  # read, not trained
    ("search.json", "trial", EXACT),
    ("search_tuning.json", "peeked.*|honest.*", PERCENT),
    ("tables/assumptions.json", "label_.*", LEARNED),
    ("*noise_robustness.json", "labels_.*|against_copy_.*", LEARNED),
    ("fig1.json", ".*", EXACT),
    ("data_streams.json", ".*", EXACT),
    ("lambda_decay.json", ".*", EXACT),
    ("tables/agreement.json", ".*", EXACT),
    ("*dial*.json", ".*", PROBED),
    ("selection.json", ".*", PROBED),
    ("fig4.json", "clip|seed", EXACT),  # which clips are drawn does not depend on training
    ("fig6.json", "learned", ANY),
    ("fig6.json", "frames", Tolerance(0.01)),
    ("tables/case_claims.json", ".*low|.*high", ANY),  # ends of intervals over as few as twenty clips
    ("tables/case_claims.json", "share|reference|difference", Tolerance(12.0)),  # percentages of such groups
    ("tables/conventions.json", "Acc.*|F1.*", Tolerance(0.5)),
    ("tables/conventions.json", ".*", PROBED),
    ("label_trajectories.json", "learned", ANY),
    ("*label_quality*.json", ".*", LEARNED),
    ("tables/readings_labels.json", ".*", LEARNED),
    ("*label_payoff*.json", "share", ANY),  # of a gain, which may be small
    ("*label_payoff*.json", "corr_.*", LEARNED),
    ("stage3_curves.json", "train|valid", CURVE),
    ("*", "best_epoch|across|up", ANY),
    ("*", "gate_open", SHARE),
    ("*", "unimodal|pre|post|.*loss", LOSS),
    ("*", "probe.*|retrieval", Tolerance(15.0)),
    ("*", "(Acc|F1).*", PERCENT),
    ("*", ".*std", SPREAD),
    ("*", "MAE|Corr|mucn|difference|.*low|.*high", METRIC),
    ("*", ".*", TRAINED),
)

# Words that follow from intervals: where an interval barely excludes zero, another machine's may not.
FREE_WORDS = re.compile(r".*verdict.*|MUCN is|firm")

Path = tuple[str, ...]


def tolerance(file: str, path: Path) -> Tolerance:
    """The rule for a place in a file."""
    keys = path or ("",)
    return next(
        rule for name, key, rule in RULES if fnmatch(file, name) and any(re.fullmatch(key, part) for part in keys)
    )


def differences(file: str, expected: Any, found: Any, path: Path = ()) -> Iterator[str]:
    """A line for each place where `found` is not what `expected` allows."""
    where = f"{file}: {'/'.join(path)}"
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() != found.keys():
            yield f"{where}: keys {sorted(found)} instead of {sorted(expected)}"
        if isinstance(metric := expected.get("metric"), str):
            path = (*path, metric)  # a row of mean, std, … of that metric: the metric's rule holds for them
        if isinstance(system := expected.get("system"), str):
            path = (*path, system)
        for key in expected.keys() & found.keys():
            yield from differences(file, expected[key], found[key], (*path, key))
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found) and tolerance(file, path).lengths:
            yield f"{where}: {len(found)} entries instead of {len(expected)}"
        for i, (entry, other) in enumerate(zip(expected, found, strict=False)):
            yield from differences(file, entry, other, (*path, str(i)))
    elif _is_number(expected) and _is_number(found):
        if not tolerance(file, path).allows(expected, found):
            yield f"{where}: {found} instead of {expected}"
    elif expected != found and not (path and FREE_WORDS.fullmatch(path[-1])):
        undefined = found is None or _is_number(found)  # of a constant there is no correlation
        if not (undefined and tolerance(file, path) is ANY):
            yield f"{where}: {found!r} instead of {expected!r}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
