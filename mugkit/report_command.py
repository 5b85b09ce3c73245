"""`mugkit report`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mugkit import files

console = Console(soft_wrap=True)


def report(
    out: Annotated[Path, typer.Option(help="where a reproduction wrote its tables and figures")] = Path("figures"),
    to: Annotated[Path | None, typer.Option(help="the page; by default report.html beside the tables")] = None,
    book: Annotated[
        Path | None, typer.Option(help="also build the book of executed notebooks into this folder (needs a checkout)")
    ] = None,
) -> None:
    """Write the ledger of claims and one HTML page with claims, tables, figures, assumptions and provenance.

    Example: mugkit report --out figures --to report.html
    """
    from collections import Counter

    from mugkit.claims import ledger
    from mugkit.reproduction import report as page

    maker = files.checkout_module(".ci/book", "make_book") if book else None
    rows = ledger.write(out)
    target = to or out / page.NAME
    page.write(out, target)
    counts = Counter(row["verdict"] for row in rows)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in page.VERDICTS)
    console.print(f"{len(rows)} claims: {told}\nreport: {target}", markup=False, highlight=False)
    if maker and book:
        console.print(f"book: {maker.build(book)}", markup=False, highlight=False)
