"""The book: executed notebooks, the pages about data, the claims, and the API, as linked HTML that needs no network.

`make book` and `mugkit report --book FOLDER` call this. Notebooks are shown as they were executed and committed;
nothing runs while the book is built. Sources are gathered in a separate folder, so the repository does not change.
"""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import mugkit
from mugkit import files
from mugkit.errors import UserError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Chapter → its source. Sources that do not exist are left out.
PAGES: Mapping[str, str] = {
    "readme.md": "README.md",
    "results.md": "figures/README.md",
    "data_prep/README.md": "data_prep/README.md",
    "data_prep/MEDIA.md": "data_prep/MEDIA.md",
}


def build(target: Path) -> Path:
    """Builds the book into a folder, in place of an earlier build; returns its first page.

    Raises:
        UserError: if Sphinx is missing, the target holds something else, or the build warns; it shows the warnings.
    """
    if importlib.util.find_spec("sphinx") is None:
        raise UserError("Sphinx is not installed", fix="make setup EXTRAS=report")
    target = files.replaceable(target, ".buildinfo")
    with tempfile.TemporaryDirectory() as scratch, files.atomic_folder(target, replace=True) as pages:
        source = Path(scratch) / "source"
        gather(ROOT, source)
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "--no-color"]
        command += ["-d", str(Path(scratch) / "doctrees"), "-c", str(HERE), str(source), str(pages)]
        # A separate process, because Sphinx leaves roles and directives behind in docutils.
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            told = done.stderr.replace(scratch, "").strip()
            raise UserError(f"the book was built with warnings:\n{told}", fix="fix the pages that they name")
    return target / "index.html"


# --- sources ----------------------------------------------------------------------------------------------


def gather(root: Path, source: Path) -> None:
    """Collects the book's sources: chapters, pictures, generated pages."""
    chapters = {page: root / path for page, path in PAGES.items() if (root / path).is_file()}
    chapters |= {f"notebooks/{path.name}": path for path in sorted((root / "notebooks").glob("[0-9]*.ipynb"))}
    chapters |= {f"data_prep/{path.name}": path for path in sorted((root / "data_prep").glob("*.ipynb"))}
    for page, path in chapters.items():
        (source / page).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".ipynb":
            shutil.copy(path, source / page)
        else:
            text = relinked(path.read_text(encoding="utf-8"), path.parent, root, chapters)
            (source / page).write_text(text, encoding="utf-8")
    pictures = shutil.ignore_patterns(
        "*.svg", "*.json", "*.csv", "*.html", "*.md", "tables", "runs", "search", "tuning", "findings"
    )
    shutil.copytree(root / "figures", source / "figures", ignore=pictures)
    write_api(source / "api")
    (source / "index.md").write_text(contents(source), encoding="utf-8")


def relinked(text: str, folder: Path, root: Path, chapters: Mapping[str, Path]) -> str:
    """A page of a folder whose links stay inside the book: links to files that are not chapters become their text."""
    page_of = {path.resolve(): page for page, path in chapters.items()}

    def link(match: re.Match[str]) -> str:
        mark, words, address = match.groups()
        if re.match(r"[a-z]+:|#", address):
            return match[0]
        path = (folder / address.partition("#")[0]).resolve()
        if mark and path.is_file():
            return f"![{words}](/{path.relative_to(root.resolve()).as_posix()})"
        return f"[{words}](/{page_of[path]})" if path in page_of else words

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", link, text)


def write_api(folder: Path) -> None:
    """Writes one page per package: its modules in the order of their names, each with its public members."""
    folder.mkdir(parents=True)
    pages: dict[str, list[str]] = {}
    for module in pkgutil.walk_packages(mugkit.__path__, "mugkit."):
        if "._" not in module.name:
            package = module.name if module.ispkg else module.name.rpartition(".")[0]
            pages.setdefault(package, []).append(module.name)
    for package, names in pages.items():
        parts = [f"# {package}"]
        for name in names:
            heading = [] if name == package else [f"## {name.removeprefix(package + '.')}"]
            parts += [*heading, f"```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```"]
        (folder / f"{package}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def contents(source: Path) -> str:
    """The first page, with the table of contents."""
    data = sorted((source / "data_prep").iterdir(), key=lambda path: (path.stem != "README", path.name))
    parts = {
        "The suite": ["readme", *(["results"] if (source / "results.md").is_file() else [])],
        "Notebooks": sorted(f"notebooks/{path.stem}" for path in (source / "notebooks").glob("*.ipynb")),
        "Data": [f"data_prep/{path.stem}" for path in data],
        "API": sorted(f"api/{path.stem}" for path in (source / "api").glob("*.md")),
    }
    trees = [
        f"```{{toctree}}\n:caption: {caption}\n:maxdepth: 1\n\n" + "\n".join(pages) + "\n```"
        for caption, pages in parts.items()
        if pages
    ]
    about = (
        "Notebooks and a library that teach and reproduce *Meta-Learn Unimodal Signals with Weak Supervision for "
        "Multimodal Sentiment Analysis* (arXiv:2408.16029). The chapters are the notebooks as they were executed."
    )
    return "\n\n".join(["# mugkit", about, *trees]) + "\n"


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else files.home() / "book")))
