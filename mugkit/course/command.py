"""`mugkit course`: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mugkit.course.sandbox import Layer

console = Console(soft_wrap=True)
commands = typer.Typer(help="Assignments: build, check and grade them.", no_args_is_help=True)
_BUILD = Path("build/course")


@commands.command()
def build(out: Annotated[Path, typer.Option(help="replaced as a whole")] = _BUILD) -> None:
    """Build release versions, pages to read, a zip for students and the instructor's guide.

    Example: mugkit course build --out build/course
    """
    from mugkit.course.build import build as build_course

    for path in build_course(out):
        console.print(path, markup=False, highlight=False)


@commands.command()
def check(out: Annotated[Path, typer.Option(help="a build to compare with the sources")] = _BUILD) -> None:
    """Check the sources: ids, points, locked tests, hints; and the build: no solutions, same as the sources.

    Example: mugkit course build && mugkit course check
    """
    from mugkit.course import assignment, lint

    every = assignment.all_assignments()
    complaints = [text for source in every for text in lint.problems(source)] + lint.build_problems(out, every)
    for text in complaints:
        console.print(text, markup=False, highlight=False)
    if complaints:
        raise typer.Exit(1)
    console.print(f"{len(every)} assignments, {sum(source.automatic_points for source in every)} automatic points: ok")


@commands.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="one folder per student: NAME/ASSIGNMENT.ipynb")],
    out: Annotated[Path, typer.Option(help="gradebook, feedback and points.csv; kept and extended")],
    only: Annotated[list[str] | None, typer.Option("--assignment", help="repeat for several; by default all")] = None,
    unprotected: Annotated[bool, typer.Option(help="grade even where students' code cannot be contained")] = False,
) -> None:
    """Grade submissions in a sandbox: points, nbgrader's gradebook and feedback. Says first what protection there is.

    Example: mugkit course grade submissions --out graded
    """
    from mugkit.course import assignment, sandbox
    from mugkit.course.grade import grade as grade_all

    layers = sandbox.protection()
    console.print(_protection(layers))
    if not unprotected:
        sandbox.require(layers)
    chosen = [assignment.find(name) for name in only] if only else None
    for result in grade_all(submissions, out, sandbox.contains(layers), chosen=chosen):
        line = f"{result.student}  {result.assignment}  {result.automatic:g} of {result.of:g}  {result.status}"
        console.print(line, markup=False, highlight=False)
    console.print(f"points: {out / 'points.csv'}, feedback: {out / 'feedback'}", markup=False)


@commands.command()
def protection() -> None:
    """Show which layers of protection against students' code hold on this machine; exits with 1 if one does not.

    Example: mugkit course protection
    """
    from mugkit.course import sandbox

    layers = sandbox.protection()
    console.print(_protection(layers))
    if not all(layer.active for layer in layers):
        raise typer.Exit(1)


def _protection(layers: list[Layer]) -> Table:
    table = Table("protection", "active", "how it shows", box=None)
    for layer in layers:
        table.add_row(layer.name, "yes" if layer.active else "no", layer.detail)
    return table
