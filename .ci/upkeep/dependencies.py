"""`DEPENDENCIES.md`: every package that mugkit declares, why it is there (the comment in pyproject), and its licence.

`python .ci/upkeep/dependencies.py` writes the page from `pyproject.toml`, the metadata of what is installed, and
the versions that the tests passed with (`tested.py`); a test fails when the page says something else.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mugkit import files
from mugkit.errors import UserError

NAME = "DEPENDENCIES.md"
TESTED = Path("figures") / "versions.json"
_UNASKED = {"zh": "unclear of its weights, so nothing installs it unasked"}
_ENTRY = re.compile(r'^\s*"(?P<name>[A-Za-z0-9._-]+)(?P<bound>[^"]*)",\s*#\s*(?P<reason>.+?)\s*$')
_ENTRIES = re.compile(r"^(?P<key>[a-z0-9]+) = \[$(?P<lines>.*?)^\]$", re.MULTILINE | re.DOTALL)
_HEAD = """\
# Dependencies

Written by `python .ci/upkeep/dependencies.py` from `pyproject.toml` and the packages' own metadata; do not edit.
What these need in turn is pinned in `constraints.txt`; `make audit` looks all of it up among known vulnerabilities.
"""


@dataclass(frozen=True)
class Dependency:
    """A declared package.

    Attributes:
        group: `dependencies`, or the extra.
        bound: the versions allowed, as declared.
    """

    group: str
    name: str
    bound: str
    reason: str


def declared(pyproject: str) -> list[Dependency]:
    """Every package of `dependencies` and of the extras, in their order.

    Raises:
        UserError: one has no reason beside it.
    """
    project = tomllib.loads(pyproject)["project"]
    groups = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    found = list(_commented(pyproject, groups.keys()))
    known = {(one.group, one.name + one.bound) for one in found}
    for group, entries in groups.items():
        for entry in entries:
            if (group, entry) not in known:
                fix = 'write "NAME>=VERSION",  # what it is needed for'
                raise UserError("a dependency without its reason", file="pyproject.toml", field=entry, fix=fix)
    return found


def _commented(pyproject: str, groups: object) -> Iterator[Dependency]:
    for block in _ENTRIES.finditer(pyproject):
        if block["key"] in groups:  # type: ignore[operator]
            for line in block["lines"].splitlines():
                if entry := _ENTRY.match(line):
                    yield Dependency(block["key"], entry["name"], entry["bound"], entry["reason"])


def licence(name: str) -> str:
    """A package's licence by its metadata: the expression, else the classifiers, else its text if that is a line.

    Raises:
        UserError: it is not installed.
    """
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError as error:
        raise UserError(f"{name} is not installed", fix="make setup") from error
    stated = [one.rpartition(" :: ")[2] for one in about.get_all("Classifier", []) if one.startswith("License ::")]
    text = next(iter("".join(about.get_all("License", [])).strip().splitlines()), "")
    expression = "".join(about.get_all("License-Expression", []))
    short = text if len(text) <= 60 else ""  # longer ones are the licence itself
    return expression or ", ".join(one for one in stated if one != "OSI Approved") or short or "not stated"


def _passed(tested: Mapping[str, Any]) -> str:
    """A line for each environment in which all unit tests passed."""
    if not tested:
        return ""
    lines = [
        f"- `make test-{name}`, Python {one['python']}: {one['passed']:,} passed, {one['skipped']} skipped.\n"
        for name, one in tested.items()
    ]
    return "\nThe unit tests pass with the lowest and with the newest versions:\n\n" + "".join(lines)


def page(pyproject: str, tested: Mapping[str, Any]) -> str:
    """The page, a table for each group.

    Args:
        tested: what `tested.py` recorded of each environment; may be empty.

    Raises:
        UserError: a package without its reason, or one that is not installed.
    """
    parts, group = [_HEAD, _passed(tested)], ""
    for one in declared(pyproject):
        if one.group != group:
            group = one.group
            title = "Always" if group == "dependencies" else f"Extra `{group}`"
            head = "| package | versions | tested with | needed for | licence |\n| --- | --- | --- | --- | --- |\n"
            parts.append(f"\n## {title}\n\n{head}")
        versions = dict.fromkeys(each["versions"].get(one.name, "–") for each in tested.values())
        cells = (one.name, one.bound, ", ".join(versions) or "–", one.reason, _UNASKED.get(group) or licence(one.name))
        parts.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n")
    return "".join(parts)


def recorded(root: Path) -> dict[str, Any]:
    """What `tested.py` recorded so far."""
    found: dict[str, Any] = files.read_json(root / TESTED) if (root / TESTED).exists() else {}
    return found


def main() -> None:
    """Writes the page beside pyproject.toml."""
    root = files.repository()
    if root is None:
        raise UserError("pyproject.toml is not beside the package", fix="clone the repository and run `make setup`")
    written = page((root / "pyproject.toml").read_text(encoding="utf-8"), recorded(root))
    with files.atomic_path(root / NAME) as temporary:
        temporary.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
