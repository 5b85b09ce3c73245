"""The report: one self-contained HTML file with all results of a reproduction, to read, send or print.

Tables, pictures and style are part of the page; it needs no network and runs no script.
"""

import base64
import re
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mugkit import files
from mugkit.claims import words
from mugkit.claims.ledger import MAKER, made_with, manifest_of, mixture
from mugkit.config import open_choices
from mugkit.errors import UserError
from mugkit.evaluation import formats
from mugkit.evaluation.tables import markdown, page
from mugkit.evaluation.verdicts import VERDICTS
from mugkit.experiments import options
from mugkit.reproduction import captions

# Tables in reading order; others follow by name. Those of claims and assumptions have their own sections.
ORDER = (
    "table3", "table3_differences", "table3_order", "table4", "table4_differences", "table4_order", "table5",
    "table5_differences", "table6", "step_times", "stage_shares", "label_quality",
    "label_quality_without_multimodal_denoising", "label_sources", "embedding_claims", "case_claims", "table2",
)  # fmt: skip
NAME = "report.html"  # beside the tables
MAIN = "label_payoff"  # the figure that the summary shows
SUMMARY = (
    "15_other_settings", "07_table3_mosi_mosei", "05_stage2_meta_learning", "11_embedding_space",
    "14_beyond_the_paper",
)  # fmt: skip
ELSEWHERE = ("claims", "assumptions")
UNKNOWN: Mapping[str, Any] = {
    "dataset": "", "data": "", "profile": "", "seeds": [], "versions": {}, "device": "", "seconds": 0.0
}  # fmt: skip
MARKS: Mapping[str, str] = {"supported": "✓", "not supported": "✗", "undecided": "~", "needs data": "…"}


def parse_table(text: str) -> tuple[list[str], list[list[str]], str]:
    """A table that `tables.markdown` wrote, with the caption below it: header, rows, caption."""
    lines = text.strip().splitlines()
    cells = [_cells(line) for line in lines if line.startswith("|")]
    below = " ".join(line for line in lines if line and not line.startswith("|"))
    return cells[0], cells[2:], below


def _cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def all_tables(folder: Path) -> list[dict[str, Any]]:
    """Every table in an output folder, those of `ORDER` first."""
    names = {path.stem for path in (folder / "tables").glob("*.md")} - set(ELSEWHERE)
    ordered = [name for name in ORDER if name in names]
    return [table(folder, name) for name in [*ordered, *sorted(names - set(ordered))]]


def table(folder: Path, name: str) -> dict[str, Any]:
    """One table in an output folder, as the page shows it."""
    header, rows, caption = parse_table(page(folder / "tables", name))
    title = captions.TABLES.get(name, name.replace("_", " ").capitalize())
    return {"name": name, "title": title, "header": header, "rows": rows, "caption": caption}


def all_figures(folder: Path, manifest: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every picture of the manifest: bytes as a data URL, size in pixels, caption; numbered as in the paper first.

    Raises:
        UserError: if a file is not a PNG.
    """
    names = [Path(name).stem for name in manifest if name.endswith(".png") and (folder / name).is_file()]
    found = []
    for name in sorted(names, key=lambda name: (not re.fullmatch(r"fig\d+", name), name)):
        data, notebook = (folder / f"{name}.png").read_bytes(), str(manifest[f"{name}.png"]["notebook"])
        if not data.startswith(b"\x89PNG"):
            fix = f"run notebook {notebook} again"
            raise UserError("this is not a PNG picture", file=folder / f"{name}.png", fix=fix)
        source = "data:image/png;base64," + base64.b64encode(data).decode()
        width, height = struct.unpack(">II", data[16:24])
        caption = captions.FIGURES.get(name, f"{name.replace('_', ' ').capitalize()}, from notebook {notebook}.")
        found.append({"name": name, "source": source, "width": width, "height": height, "caption": caption})
    return found


def findings(folder: Path) -> list[str]:
    """The first finding of each notebook in `SUMMARY` that recorded findings."""
    paths = [folder / "findings" / f"{name}.md" for name in SUMMARY]
    texts = [path.read_text(encoding="utf-8") for path in paths if path.is_file()]
    return [text.splitlines()[0].removeprefix("- ") for text in texts if text]


def lacking(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """What claims without a verdict need, and how many claims need it; the most frequent first."""
    return Counter(row["needs"] for row in rows if row["verdict"] == "needs data").most_common()


def counted(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many claims have each verdict."""
    counts = Counter(row["verdict"] for row in rows)
    return {verdict: counts[verdict] for verdict in VERDICTS}


def provenance(manifest: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry per notebook: how it ran, and the files it wrote with their hashes."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in manifest.items():
        known = found.setdefault(str(entry["notebook"]), {**UNKNOWN, "files": [], **entry})
        known["seconds"] = max(known["seconds"], entry.get("seconds", 0.0))
        known["files"].append((name, entry["sha256"]))
    return [found[name] for name in sorted(found, key=lambda name: (name == MAKER, name))]


def real_input(folder: Path) -> list[dict[str, Any]]:
    """Single runs that were saved as files (`mugkit run --report`)."""
    runs = [files.read_json(path) | {"file": path.name} for path in sorted((folder / "runs").glob("*.json"))]
    return [run for run in runs if "command" in run and "headline" in run]


def render(folder: Path, failed: Mapping[str, str] | None = None) -> str:
    """The report as HTML.

    Args:
        failed: notebooks that did not run to their end, with the reason; the page lists them at its top.

    Raises:
        UserError: if nothing was reproduced in this folder, or it has no ledger of claims.
    """
    manifest, ledger = manifest_of(folder), folder / "claims.json"
    if not ledger.is_file():
        raise UserError("there is no ledger of claims", file=ledger, fix="run `mugkit report`")
    rows = files.read_json(ledger)
    figures = all_figures(folder, manifest)
    studied = (folder / "tables" / "assumptions.md").is_file()
    environment = Environment(
        loader=PackageLoader("mugkit.reproduction"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    environment.globals |= {
        "result": words.result, "numbers": words.paper_numbers, "compactly": words.compactly, "cell": formats.number,
        "marks": MARKS,
    }  # fmt: skip
    return environment.get_template("report.html").render(
        claims=rows,
        counts=list(counted(rows).items()),
        places=list(dict.fromkeys(row["place"] for row in rows)),
        tables=all_tables(folder),
        main=[figure for figure in figures if figure["name"] == MAIN],
        figures=[figure for figure in figures if figure["name"] != MAIN],
        findings=findings(folder),
        lacking=lacking(rows),
        assumptions=table(folder, "assumptions") if studied else None,
        choices=parse_table(markdown(open_choices())),
        runs=real_input(folder),
        provenance=provenance(manifest),
        about=made_with(manifest),
        failed=dict(failed or {}),
        mixed=mixture(manifest),
        manifest_sha256=files.sha256(folder / "manifest.json"),
    )


def write(folder: Path, to: Path, failed: Mapping[str, str] | None = None) -> None:
    """Writes the page, atomically.

    Raises:
        UserError: if there is nothing to show (see `render`), or the target cannot be written.
    """
    options.check_file(to, "--to")
    page = render(folder, failed)
    with files.atomic_path(to) as temporary:
        temporary.write_text(page, encoding="utf-8")
