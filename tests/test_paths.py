"""Pages, notebooks' prose and docstrings name files of the repository that are there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("mugkit", "tests", "notebooks", "data_prep", ".ci")
NAMED = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]+\.(?:py|md|ipynb|toml|json)\b")


def prose() -> Iterator[tuple[Path, str]]:
    """Every page, every source file but the tests', which make names up, and of notebooks their markdown."""
    for path in [*ROOT.glob("*.md"), *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*"))]:
        if path.suffix == ".md" or (path.suffix == ".py" and "tests" not in path.relative_to(ROOT).parts):
            yield path, path.read_text(encoding="utf-8")
        elif path.suffix == ".ipynb" and "checkpoints" not in str(path):
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            yield path, "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def missing(text: str) -> list[str]:
    return [name for name in NAMED.findall(text) if not (ROOT / name).is_file()]


def test_named_files_are_there() -> None:
    assert {str(path.relative_to(ROOT)): names for path, text in prose() if (names := missing(text))} == {}
