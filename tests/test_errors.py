"""UserError says where and how to mend it, and survives the way back from a worker process."""

import pickle
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from mugkit.errors import UserError, unknown_name


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, "it broke"),
        ({"file": Path("a/b.pkl"), "field": "beta"}, "a/b.pkl: beta: it broke"),
        ({"field": "beta", "fix": "give a number"}, "beta: it broke\n  fix: give a number"),
    ],
)
def test_user_error_message_survives_pickling(where: dict, expected: str) -> None:
    error = UserError("it broke", **where)
    back = pickle.loads(pickle.dumps(error))
    assert str(back) == str(error) == expected
    assert (type(back), back.file, back.field, back.fix) == (UserError, error.file, error.field, error.fix)


@pytest.mark.parametrize(
    ("typed", "meant"), [("alfa", "alpha"), ("bta", "beta"), ("half", "halfway"), ("gama", "gamma")]
)
def test_unknown_name_suggests_by_the_fewest_edits(typed: str, meant: str) -> None:
    known = ("alpha", "alpha_prime", "beta", "eta", "gamma", "halfway", "patience")
    assert str(unknown_name("field", typed, known)) == f"unknown field '{typed}'\n  fix: did you mean '{meant}'?"
    assert unknown_name("field", "zzzz", ["mug", "copy"]).fix == "one of: copy, mug"


def test_user_error_in_a_notebook_is_its_message_alone() -> None:
    shell = InteractiveShell()
    shown: list[list[str]] = []
    shell._showtraceback = lambda kind, error, lines: shown.append(lines)  # where a kernel sends it to the page
    shell.run_cell(
        "from mugkit.errors import UserError\nraise UserError('it broke', field='beta', fix='give a number')"
    )
    assert shown == [["UserError: beta: it broke\n  fix: give a number"]]
