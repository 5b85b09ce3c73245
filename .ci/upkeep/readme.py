"""Puts generated tables into the README and RUNNING.md, so that none of their numbers is typed by hand.

A block between `<!-- table: NAME -->` and `<!-- end -->` is replaced by table NAME as `tables.page` shows it, by the
table of open choices, by what `figures/bench.json` holds, by Table 3 in seven columns, or by what notebooks found.
`python .ci/upkeep/readme.py` rewrites the pages; a test fails if one is out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from mugkit import files
from mugkit.config import open_choices
from mugkit.evaluation.formats import spread
from mugkit.evaluation.tables import markdown, page
from mugkit.evaluation.verdicts import written

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from benchmarks.command import saved_table  # noqa: E402

PAGES = ("README.md", "RUNNING.md", "figures/README.md")
_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

ABLATIONS = "09_table5_ablations"
SETTINGS = "15_other_settings"
LABELS = "05_stage2_meta_learning"
BRIEF = {  # notebook → the README's heading for its first finding; for labels, for all its findings
    "07_table3_mosi_mosei": "Table 3", "08_table4_sims": "Table 4", LABELS: "Labels",
    "11_embedding_space": "Modality gap", "14_beyond_the_paper": "When it pays",
}  # fmt: skip
STEPS = {
    "copies": "copies of y, against no unimodal tasks", "MUG": "MUG, against no unimodal tasks",
    "MUG over copies": "MUG, against copies of y", "true labels over MUG": "true labels, against MUG",
}  # fmt: skip


def found(figures: Path, *notebooks: str) -> str:
    """The sentences that code wrote at the end of these notebooks."""
    paths = [figures / "findings" / f"{name}.md" for name in notebooks]
    return "".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())


def _written(figures: Path) -> list[str]:
    return sorted(path.stem for path in (figures / "findings").glob("*.md"))


def findings_brief(figures: Path) -> str:
    """What the parts of MUG contribute, then each notebook's first sentence; the README names the data once above."""
    said = {"Parts of MUG": found(figures, ABLATIONS).splitlines()[-1:]}
    for name, about in BRIEF.items():
        said[about] = found(figures, name).splitlines()[: None if name == LABELS else 1]
    said["Labels elsewhere"] = found(figures, SETTINGS).splitlines()[-1:]
    bare = {about: " ".join(map(_bare, lines)) for about, lines in said.items()}
    return "".join(f"- **{about}.** {text}\n" for about, text in bare.items() if text)


def _bare(line: str) -> str:
    """A finding without leading data and intervals; beyond ten intervals, also without values in parentheses."""
    text = re.sub(r"^- (On [^(]*\([^)]*\), )?", "", line)
    short, intervals = re.subn(r" \[[-+0-9., ]+\]", "", text[:1].upper() + text[1:])
    return re.sub(r" \([-+0-9.]+\)", "", short) if intervals > 10 else short


def headline(figures: Path) -> str:
    """Whether MUG works: the steps of Table 5 in test MAE at each setting of the data, with the interval that decides
    and, beside the setting, the number of seeds."""
    rows = [row for row in files.read_json(figures / "tables" / "table5_steps.json") if row["metric"] == "MAE"]
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        dials = row["setting"].removeprefix("reviews").removeprefix("-").replace("-", ", ") or "default: vivid, strong"
        seeds = sorted({other["seeds"] for other in rows if other["setting"] == row["setting"]})
        setting = f"{dials} ({' or '.join(map(str, seeds))} seeds)"
        cells.setdefault(setting, {})[STEPS[row["step"]]] = f"{written(row)} {row['verdict']}"
    answer = found(figures, SETTINGS).partition("\n")[0].removeprefix("- ")
    return f"{answer}\n\n{markdown(pd.DataFrame.from_dict(cells, orient='index').rename_axis('test MAE at'))}"


def table3_brief(figures: Path) -> str:
    """Table 3 on the data of this run, in seven columns: ours, the paper's, and whether MAE differs from MUG's."""
    rows = files.read_json(figures / "tables" / "table3.json")
    differences = files.read_json(figures / "tables" / "table3_differences.json")
    against = {pair["system"]: pair for pair in differences if pair.get("metric", "MAE") == "MAE"}
    shown = []
    for row in (row for row in rows if row["origin"] == "run"):
        metrics = {name: row["metrics"][name] for name in ("Acc2", "MAE", "Corr")}
        ours = {name: spread(name, values["mean"], values["std"]) for name, values in metrics.items()}
        paper = {f"{name}, paper": f"{row['paper'][name]:g}" for name in ("Acc2", "MAE") if name in row["paper"]}
        verdict = against.get(row["system"], {}).get("verdict", "–")
        shown.append({"system": row["system"], **ours, **paper, "MAE is": verdict})
    return markdown(pd.DataFrame(shown).set_index("system"))


def mosi_words(figures: Path) -> str:
    """What `data_prep/mosi_words.py` measured on MOSI: levels, and MAE against no unimodal tasks and against copies."""
    result = files.read_json(figures / "runs" / "mosi-words.json")
    against = {
        (pair["row"], pair["minus"]): f"{written(pair)} {pair['verdict']}"
        for pair in result["differences"] if pair["metric"] == "MAE"
    }  # fmt: skip
    none = result["differences"][0]["minus"]
    shown = [
        {"labels": "none" if row == none else row,
         **{name: spread(name, of["mean"], of["std"]) for name, of in metrics.items()},
         "MAE, against none": against.get((row, none), "–"),
         "MAE, against copies": against.get((row, row.replace("mug", "copy")), "–")}
        for row, metrics in result["levels"].items()
    ]  # fmt: skip
    return markdown(pd.DataFrame(shown).set_index("labels"))


# Blocks that are not a table of figures/tables: name → function from the figures folder to the text.
BLOCKS: Mapping[str, Callable[[Path], str]] = {
    "open_choices": lambda _: markdown(open_choices()),
    "bench": lambda figures: saved_table(figures / "bench.json"),
    "table3_brief": table3_brief,
    "headline": headline,
    "findings": lambda figures: found(figures, *dict.fromkeys([SETTINGS, ABLATIONS, *_written(figures)])),
    "findings_brief": findings_brief,
    "mosi_words": mosi_words,
}


def content(name: str, figures: Path) -> str:
    """What a block shows; a UserError if there is no such table."""
    return BLOCKS[name](figures) if name in BLOCKS else page(figures / "tables", name)


def rewritten(text: str, figures: Path) -> str:
    """A page's text with every block brought up to date."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{content(block[2], figures)}\n{block[4]}", text)


if __name__ == "__main__":
    for path in (ROOT / name for name in PAGES):
        text = rewritten(path.read_text(encoding="utf-8"), ROOT / "figures")
        with files.atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
