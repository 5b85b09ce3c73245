"""One exception for everything that a user can fix: it names the file, the field and the fix."""

import difflib
from collections.abc import Iterable
from functools import partial
from pathlib import Path


class UserError(Exception):
    """Bad input or a missing part, described in the user's terms; the command line prints it and exits with 2.

    Args:
        problem: what is wrong, in one sentence.
        field: the field, column, row or configuration key.
        fix: what the user can do about it.
    """

    def __init__(
        self, problem: str, *, file: Path | str | None = None, field: str | None = None, fix: str | None = None
    ) -> None:
        self.problem, self.file, self.field, self.fix = problem, file, field, fix
        where = ": ".join(str(part) for part in (file, field) if part is not None)
        super().__init__((f"{where}: " if where else "") + problem + (f"\n  fix: {fix}" if fix else ""))

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: only the message. IPython calls it instead of formatting the traceback."""
        return [f"UserError: {self}"]

    def __reduce__(self) -> tuple:
        # Worker processes send errors back pickled; keyword arguments need to survive that.
        return partial(UserError, file=self.file, field=self.field, fix=self.fix), (self.problem,)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among the known ones; suggests the nearest, or lists all."""
    names = sorted(known)
    alike = difflib.get_close_matches(name, names, n=len(names) or 1, cutoff=0.5)
    # The fewest edits decide: the ratio of common letters would prefer 'halfway' to 'alpha' for 'alfa'.
    nearest = min(alike, key=lambda known_name: (not known_name.startswith(name), _edits(name, known_name)), default="")
    hint = f"did you mean '{nearest}'?" if nearest else "one of: " + ", ".join(names)
    return UserError(f"unknown {kind} '{name}'", fix=hint)


def _edits(typed: str, other: str) -> int:
    """Levenshtein distance: the number of letters to insert, delete or replace."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(typed, start=1):
        before, row = row, [i]
        for j, wanted in enumerate(other, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted)))
    return row[-1]
