"""Finds slow tests by measurement; `make test` leaves them to `make test-slow`.

    pytest --durations=0 … | python .ci/upkeep/durations.py

Reads pytest's report of durations, sums the tests of each function (all parameters, including setup), and writes the
functions that take long, and files whose tests share a slow fixture, to `tests/slow.json`, from which
`tests/conftest.py` marks them. A function that was never measured does not count as slow.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

from mugkit import files

LIMIT = 8.0  # seconds of all tests of a function together
TARGET = Path(__file__).resolve().parents[2] / "tests" / "slow.json"
_LINE = re.compile(r"^\s*([\d.]+)s (call|setup|teardown)\s+((tests/\S+?)::\w+)")


if __name__ == "__main__":
    seconds: defaultdict[str, float] = defaultdict(float)
    for found in filter(None, map(_LINE.match, sys.stdin)):
        taken, when, function, file = float(found[1]), *found.groups()[1:]
        # A slow setup is mostly a fixture's that the file shares: without this function, the next one would pay for it.
        seconds[file if when == "setup" and taken > LIMIT else function] += taken
    if not seconds:
        sys.exit("no durations in the input; fix: run pytest with --durations=0 and pipe its output here")
    slowest = sorted(seconds, key=seconds.__getitem__, reverse=True)
    slow = {name: round(seconds[name], 1) for name in slowest if seconds[name] > LIMIT}
    files.write_json(TARGET, slow)
    rest = sum(seconds.values()) - sum(slow.values())
    print(f"{len(slow)} of {len(seconds)} functions are slow: {sum(slow.values()):.0f} s; the others: {rest:.0f} s")
