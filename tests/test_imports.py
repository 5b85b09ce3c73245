"""The library has layers: no module, and no package, is imported by what it imports."""

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import mugkit

ROOT = Path(mugkit.__file__).parents[1]


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, also inside functions and for types alone, and the names it takes from them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports() -> dict[str, set[str]]:
    """Module → the modules that it imports. The top package holds only the version, so it is left out."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / "mugkit").rglob("*.py")}
    known = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    return {name: set(imported(path)) & known.keys() - {name, "mugkit"} for name, path in known.items()}


def by_package(found: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same between packages; a module directly under `mugkit` counts as a package of its own."""
    joined: dict[str, set[str]] = {}
    for name, targets in found.items():
        package, *others = (".".join(module.split(".")[:2]) for module in (name, *targets))
        joined.setdefault(package, set()).update(set(others) - {package})
    return joined


def test_no_circle_of_modules_or_packages() -> None:
    """A circle is a CycleError that names its members."""
    TopologicalSorter(imports()).prepare()
    TopologicalSorter(by_package(imports())).prepare()


def test_rooms_are_told_in_the_order_of_their_imports() -> None:
    rooms = [f"mugkit.{name}" for name in re.findall(r"^- `(\w+)`:", mugkit.__doc__ or "", re.MULTILINE)]
    found = by_package(imports())
    assert set(rooms) == {name for name in found if (ROOT / name.replace(".", "/")).is_dir()} - {"mugkit"}
    assert [(room, later) for i, room in enumerate(rooms) for later in found[room] & set(rooms[i:])] == []
