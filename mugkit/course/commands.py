"""`mugkit course`: builds, checks and grades assignments."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mugkit.terminal import console, print_table

if TYPE_CHECKING:
    from mugkit.course.sandbox import Layer

commands = typer.Typer(help="Build, check and grade assignments.", no_args_is_help=True)
BUILD = Path("build/course")


@commands.command()
def build(out: Annotated[Path, typer.Option(help="folder of the build; replaced as a whole")] = BUILD) -> None:
    """Build release versions, pages to read, a zip for students and the instructor's guide.

    Example: mugkit course build --out build/course
    """
    from mugkit.course.build import build as build_course

    for path in build_course(out):
        console.print(path)


@commands.command()
def check(out: Annotated[Path, typer.Option(help="a build to compare with the sources")] = BUILD) -> None:
    """Check the sources (ids, points, locked tests, hints) and the build (no solutions, same as the sources).

    Example: mugkit course build && mugkit course check
    """
    from mugkit.course import assignment, lint

    every = assignment.all_assignments()
    complaints = [text for found in every for text in lint.problems(found)] + lint.build_problems(out, every)
    if complaints:
        console.print(*complaints, sep="\n")
        raise typer.Exit(1)
    console.print(f"{len(every)} assignments, {sum(found.automatic_points for found in every)} automatic points: ok")


@commands.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="one folder per student: NAME/ASSIGNMENT.ipynb")],
    out: Annotated[Path, typer.Option(help="folder of gradebook, feedback and points.csv; kept and extended")],
    only: Annotated[list[str] | None, typer.Option("--assignment", help="repeat for several; by default all")] = None,
    unprotected: Annotated[bool, typer.Option(help="grade even if students' code cannot be contained")] = False,
) -> None:
    """Grade submissions in a sandbox: points, nbgrader's gradebook and feedback. First shows the active protection.

    Example: mugkit course grade submissions --out graded
    """
    from mugkit.course import assignment, sandbox
    from mugkit.course.grade import grade as grade_all

    layers = _print_protection()
    if not unprotected:
        sandbox.require(layers)
    chosen = [assignment.find(name) for name in only] if only else None
    for row in grade_all(submissions, out, sandbox.contains(layers), chosen=chosen):
        console.print(f"{row.student}  {row.assignment}  {row.automatic:g} of {row.of:g}  {row.status}")
    console.print(f"points: {out / 'points.csv'}, feedback: {out / 'feedback'}")


@commands.command()
def protection() -> None:
    """Show which layers of protection against students' code work on this machine; exits with 1 if one does not.

    Example: mugkit course protection
    """
    raise typer.Exit(0 if all(layer.active for layer in _print_protection()) else 1)


def _print_protection() -> "list[Layer]":
    from mugkit.course import sandbox

    layers = sandbox.protection()
    rows = [(layer.name, "yes" if layer.active else "no", layer.detail) for layer in layers]
    print_table(("protection", "active", "evidence"), rows, lines=False)
    return layers
