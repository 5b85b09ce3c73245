"""Every equation of the paper stands as a comment beside the line of code that is that equation."""

from __future__ import annotations

import io
import re
import tokenize
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mugkit"
MARKED = sorted([*(PACKAGE / "models").glob("*.py"), *(PACKAGE / "training").glob("*.py")])
MARKER = re.compile(r"Eqs?\.\s*(\d+(?:\s*(?:,|–|-|and|or)\s*\d+)*)")
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

# Where each equation belongs, read off the paper's sections.
HOME = {
    **dict.fromkeys((1, 2, 3, 4, 5, 7, 8, 24, 28), "models/mug.py"),
    **dict.fromkeys((10, 11), "models/losses.py"),
    **dict.fromkeys((6, 9, 12), "training/pretrain.py"),
    **dict.fromkeys((13, 14, 16, 17, 18, 19, 21), "training/denoising.py"),
    **dict.fromkeys((15, 20, 22, 23), "training/meta.py"),
    **dict.fromkeys(range(25, 28), "training/joint.py"),
}


def equations(comment: str) -> set[int]:
    """The numbers a comment names: 'Eq. 4', 'Eqs. 5, 8, 24', 'Eqs. 13–15'."""
    found: set[int] = set()
    for numbers in MARKER.findall(comment):
        for part in re.split(r",|and|or", numbers):
            ends = [int(n) for n in re.split(r"–|-", part)]
            found |= set(range(ends[0], ends[-1] + 1))
    return found


def marked(source: str) -> dict[int, list[int]]:
    """Equation → lines that hold both code and its marker; comments alone on a line and docstrings do not count."""
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    code = {t.start[0] for t in tokens if t.type not in _LAYOUT} | {t.end[0] for t in tokens if t.type not in _LAYOUT}
    places: dict[int, list[int]] = defaultdict(list)
    for token in tokens:
        if token.type == tokenize.COMMENT and token.start[0] in code:
            for number in equations(token.string):
                places[number].append(token.start[0])
    return places


@pytest.fixture(scope="module")
def places() -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for path in MARKED:
        for number in marked(path.read_text(encoding="utf-8")):
            found[number].add(path.relative_to(PACKAGE).as_posix())
    return found


@pytest.mark.parametrize("number", range(1, 29))
def test_equation_is_marked_beside_its_code(places: dict[int, set[str]], number: int) -> None:
    assert HOME[number] in places[number], f"put '# Eq. {number}' beside its line in mugkit/{HOME[number]}"


def test_no_marker_names_an_equation_the_paper_has_not(places: dict[int, set[str]]) -> None:
    assert set(places) <= set(range(1, 29))


def test_equations_reads_lists_and_ranges() -> None:
    assert equations("# Eq. 20 at θ") == {20}
    assert equations("# state: (1, batch); Eqs. 5, 8, 24") == {5, 8, 24}
    assert equations("# Eqs. 13–15 and Eq. 23") == {13, 14, 15, 23}
    assert equations("# no equation 4 here") == set()


def test_marked_ignores_comments_alone_and_docstrings() -> None:
    source = '"""Eq. 1"""\n# Eq. 2\nx = 1  # Eq. 3\ny = (\n    1  # Eq. 4\n)  # Eq. 5\n'
    assert set(marked(source)) == {3, 4, 5}
