"""How a command prints and ends: bad input exits with 2 and a line that says how to fix it, a signal with its code."""

import contextlib
import logging
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.table import Table

from mugkit.errors import UserError

if TYPE_CHECKING:
    from mugkit.config import RunSpec
    from mugkit.data.schema import Dataset

# Tables are as wide as their cells: in 80 columns, as in a pipe, rich would cut names that are there to be copied.
console = Console(soft_wrap=True, markup=False, highlight=False, width=1000)
errors = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


class Stopped(BaseException):
    """SIGINT or SIGTERM: not a KeyboardInterrupt, which typer would handle itself. Half-written files are removed."""


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], lines: bool = True) -> None:
    """Prints a table; with `lines`, draws lines around it."""
    table = Table(*header) if lines else Table(*header, box=None)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_unknown(dataset: "Dataset", spec: "RunSpec") -> None:
    """Prints how many tokens a run's text encoder does not know, and a warning if they are many."""
    from mugkit.data.vocabulary import unknown
    from mugkit.experiments.registry import configuration

    if found := unknown(dataset, configuration(spec, dataset.family).network.text_encoder):
        console.print(str(found))
        if found.warning:
            errors.print(found.warning)


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """Turns a UserError or file system error into a message and exit code 2, a signal into a message and its code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    before = {number: signal.signal(number, _stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Stopped as stop:
        errors.print(f"stopped by {stop}: finished work is kept; the same command resumes")
        sys.exit(128 + signal.Signals[str(stop)])
    except UserError as error:
        _refuse(error)
    except OSError as error:
        if error.filename is None:  # not about a file
            raise
        fix = "check that the path exists, and who may read and write it"
        _refuse(UserError(str(error.strerror), file=error.filename, fix=fix))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopped(number: int, _: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # further signals are ignored; the command ends soon
    raise Stopped(signal.Signals(number).name)


def _refuse(error: UserError) -> NoReturn:
    errors.print(f"error: {error}", style="red")
    sys.exit(2)
