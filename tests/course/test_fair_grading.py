"""The solution earns every automatic point and the blank release none; wrong answers lose points where they should,
right answers nowhere."""

import pytest
import variants
from variants import RIGHT, WRONG, Variant

from mugkit.course.assignment import all_assignments, grade_id

NUMBERS = range(1, len(all_assignments()) + 1)


@pytest.mark.parametrize("number", NUMBERS)
def test_solution_gets_all_automatic_points_and_the_blank_release_none(number: int) -> None:
    tests = {grade_id(cell) for cell in variants.numbered(number).cells("test")}
    assert variants.failed(number, {}) == {}
    assert variants.failed(number, variants.blank(number)).keys() == tests
    assert tests == {wrong.place for wrong in WRONG if wrong.assignment == number}, "every test catches something"


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.assignment}-{wrong.place}-{wrong.what}")
def test_wrong_answer_loses_points_in_the_test_meant_to_catch_it(wrong: Variant) -> None:
    (answer,) = changed = variants.wrong(wrong)
    lost = variants.failed(wrong.assignment, changed)
    assert "Hint: " in lost[wrong.place] or "fix: " in lost[wrong.place]
    assert all(test.startswith(f"test-{answer}") for test in lost), "one mistake, one loss"


@pytest.mark.parametrize("right", RIGHT, ids=lambda right: f"{right.assignment}-{right.place}-{right.what}")
def test_right_answer_written_differently_loses_nothing(right: Variant) -> None:
    assert variants.failed(right.assignment, {right.place: right.code}) == {}


@pytest.mark.parametrize(("code", "why"), [
    ("def mae(prediction, truth)\n    return 0.0", "SyntaxError"),
    ("raise ValueError('a slip')\ndef mae(prediction, truth): ...", "ValueError: a slip"),
    ("from mugkit import nothing as mae", "ImportError"),
    ("def mae(prediction, truth):\n    abs(prediction - truth).mean()", "`return`"),
])  # fmt: skip
def test_message_says_why_there_is_no_answer(code: str, why: str) -> None:
    assert why in variants.failed(1, {"mae": code})["test-mae"]
