"""The library has layers: no module, and no package, is imported by what it imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import mugkit

ROOT = Path(mugkit.__file__).parents[1]
Imports = Mapping[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Name → file of every module of the library under `root`."""
    paths = {".".join(path.relative_to(root).with_suffix("").parts): path for path in (root / "mugkit").rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in paths.items()}


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, also inside functions and for types alone, and the names it takes from them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(root: Path) -> dict[str, set[str]]:
    """Module → the modules that it imports. The top package holds only the version, so it is left out."""
    known = modules(root)
    return {name: set(imported(path)) & known.keys() - {name, "mugkit"} for name, path in known.items()}


def by_package(found: Imports) -> dict[str, set[str]]:
    """The same between packages; a module directly under `mugkit` counts as a package of its own."""
    joined: dict[str, set[str]] = {}
    for name, targets in found.items():
        package = _package(name)
        joined.setdefault(package, set()).update(_package(target) for target in targets if _package(target) != package)
    return joined


def _package(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circle(found: Imports) -> list[str]:
    """A circle among these imports; empty if there is none."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_of_modules() -> None:
    assert circle(imports(ROOT)) == []


def test_no_circle_of_packages() -> None:
    assert circle(by_package(imports(ROOT))) == []


def test_rooms_are_told_in_the_order_of_their_imports() -> None:
    rooms = [f"mugkit.{name}" for name in re.findall(r"^- `(\w+)`:", mugkit.__doc__ or "", re.MULTILINE)]
    found = by_package(imports(ROOT))
    assert set(rooms) == {name for name in found if (ROOT / name.replace(".", "/")).is_dir()} - {"mugkit"}
    assert [(room, later) for i, room in enumerate(rooms) for later in found[room] & set(rooms[i:])] == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("import mugkit.b.two", "from mugkit.a import one"),
        ("def late():\n    from mugkit.b.two import x", "from mugkit.a.one import y"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mugkit.b import two", "import mugkit.a.one"),
    ],
)
def test_circle_is_found(tmp_path: Path, first: str, second: str) -> None:
    for name, text in (("a/one", first), ("b/two", second)):
        path = tmp_path / "mugkit" / f"{name}.py"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert {"mugkit.a.one", "mugkit.b.two"} <= set(circle(imports(tmp_path)))
    assert {"mugkit.a", "mugkit.b"} <= set(circle(by_package(imports(tmp_path))))
