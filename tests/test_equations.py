"""Every equation of the paper stands as a comment beside the line of code that is that equation."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mugkit"
MARKER = re.compile(r"^\s*[^\s#].*#.*?(Eqs?\. .*)$", re.M)  # a comment behind code
NUMBERS = re.compile(r"\d+(?:–\d+)?")

# Where each equation belongs, read off the paper's sections.
HOME = {
    **dict.fromkeys((1, 2, 3, 4, 5, 7, 8, 24, 28), "models/mug.py"),
    **dict.fromkeys((10, 11), "models/losses.py"),
    **dict.fromkeys((6, 9, 12), "training/pretrain.py"),
    **dict.fromkeys((13, 14, 16, 17, 18, 19, 21), "training/denoising.py"),
    **dict.fromkeys((15, 20, 22, 23), "training/meta.py"),
    **dict.fromkeys((25, 26, 27), "training/joint.py"),
}


def marked(source: str) -> set[int]:
    """The equations that comments behind code name: 'Eq. 4', 'Eqs. 5, 8, 24', 'Eqs. 13–15'."""
    found: set[int] = set()
    for comment in MARKER.findall(source):
        for numbers in re.findall(r"Eqs?\. (\d+(?:(?:, |–| and )\d+)*)", comment):
            for part in NUMBERS.findall(numbers):
                ends = [int(n) for n in part.split("–")]
                found |= set(range(ends[0], ends[-1] + 1))
    return found


@pytest.fixture(scope="module")
def places() -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for path in (path for room in ("models", "training") for path in (PACKAGE / room).glob("*.py")):
        for number in marked(path.read_text(encoding="utf-8")):
            found[number].add(path.relative_to(PACKAGE).as_posix())
    return found


@pytest.mark.parametrize("number", range(1, 29))
def test_equation_is_marked_beside_its_code(places: dict[int, set[str]], number: int) -> None:
    assert HOME[number] in places[number], f"put '# Eq. {number}' beside its line in mugkit/{HOME[number]}"


def test_no_marker_names_an_equation_the_paper_has_not(places: dict[int, set[str]]) -> None:
    assert set(places) <= set(range(1, 29))
