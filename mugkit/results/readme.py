"""Puts generated tables into the README and RUNNING.md, so that none of its numbers is typed by hand.

A block between `<!-- table: NAME -->` and `<!-- end -->` is replaced by `figures/tables/NAME.md`, by the table
of open choices, or by what `figures/bench.json` holds. `python -m mugkit.results.readme` rewrites the pages; a test
fails when one is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mugkit import files
from mugkit.bench.wording import saved_table
from mugkit.config import open_choices
from mugkit.errors import UserError
from mugkit.results.tables import markdown

PAGES = ("README.md", "RUNNING.md")
_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def content(name: str, figures: Path) -> str:
    """What a block shows.

    Raises:
        UserError: there is no such table.
    """
    if name == "open_choices":
        return markdown(open_choices())
    if name == "bench":
        return saved_table(figures / "bench.json")
    path = figures / "tables" / f"{name}.md"
    if not path.is_file():
        raise UserError("the README shows a table that does not exist", file=path, fix="run `make reproduce`")
    return path.read_text(encoding="utf-8")


def rewritten(text: str, figures: Path) -> str:
    """The README's text with every block brought up to date."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{content(block[2], figures)}\n{block[4]}", text)


def main(root: Path) -> None:
    """Rewrites the pages of a repository, each atomically."""
    for path in (root / name for name in PAGES):
        text = rewritten(path.read_text(encoding="utf-8"), root / "figures")
        with files.atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
