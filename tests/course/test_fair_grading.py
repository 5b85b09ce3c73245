"""The solution earns every automatic point and the blank release none; wrong answers lose points where they should,
right ones nowhere."""

from __future__ import annotations

import pytest
import variants
from right_answers import RIGHT, Right
from wrong_answers import WRONG, Wrong

from mugkit.course.assignment import all_assignments, grade_id, points

NUMBERS = range(1, len(all_assignments()) + 1)


@pytest.mark.parametrize("number", NUMBERS)
def test_solution_gets_all_automatic_points(number: int) -> None:
    outcomes = variants.results(number, {})
    assert {name: one.message for name, one in outcomes.items() if not one.passed} == {}
    one = variants.numbered(number)
    assert len(outcomes) == len(one.cells("test"))
    assert sum(points(cell) for cell in one.cells("test") if outcomes[grade_id(cell)].passed) == one.automatic_points


@pytest.mark.parametrize("number", NUMBERS)
def test_blank_release_gets_none(number: int) -> None:
    outcomes = variants.results(number, variants.blank(number))
    assert outcomes
    assert not any(outcome.passed for outcome in outcomes.values())


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: f"{one.assignment}-{one.answer}-{one.mistake}")
def test_wrong_answer_loses_points_in_the_test_meant_to_catch_it(wrong: Wrong) -> None:
    right = variants.solution(wrong.assignment, wrong.answer)
    assert wrong.old in right
    edited = right.replace(wrong.old, wrong.new)
    outcomes = variants.results(wrong.assignment, {wrong.answer: edited})
    assert not outcomes[wrong.test].passed
    lost = {name for name, outcome in outcomes.items() if not outcome.passed}
    assert lost <= {name for name in outcomes if name.startswith(f"test-{wrong.answer}")}, "one mistake, one loss"


@pytest.mark.parametrize("right", RIGHT, ids=lambda one: f"{one.assignment}-{one.answer}-{one.manner}")
def test_right_answer_written_differently_loses_nothing(right: Right) -> None:
    outcomes = variants.results(right.assignment, {right.answer: right.code})
    assert {name: one.message for name, one in outcomes.items() if not one.passed} == {}


@pytest.mark.parametrize("number", NUMBERS)
def test_every_test_catches_some_wrong_answer(number: int) -> None:
    tests = {grade_id(cell) for cell in variants.numbered(number).cells("test")}
    assert tests == {wrong.test for wrong in WRONG if wrong.assignment == number}
