"""Made-up benchmarks: `measures.BENCHES` names their functions."""

from benchmarks.measures import Found, Ratio

FAST = Ratio("ours over theirs", "a made-up step beside another", [2.5, 3.0, 4.0, 3.5, 2.0], bar=2.0)
SLOW = Ratio("slower", "a made-up step that is too slow", [1.0, 1.5, 1.2], bar=2.0)
EQUAL = Ratio("largest difference", "of made-up losses", [1e-7], bar=1e-6, at_least=False, unit="")
SHOWN = Ratio("shown", "not judged", [0.5], unit="×")


def fast() -> Found:
    return Found([FAST, EQUAL], "made up")


def slow() -> Found:
    return Found([SLOW, SHOWN])
