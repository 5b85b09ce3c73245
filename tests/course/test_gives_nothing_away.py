"""Nothing that students see does an answer's work: neither the tests nor the cells to explore with.

Such code would be an answer to paste. So a visible test compares with numbers, and visible cells call the student's own
functions, what the notebook gives, and the few others listed here, none of which is part of an answer.
"""

import ast
from collections.abc import Iterator

import pytest
import variants

from mugkit.course.assignment import grade_id, names, without_solution

ANYWHERE = {"expect", "expect_close", "print", "array", "tensor", "zeros", "range", "items", "item"}
ALLOWED = {
    1: {"default_rng", "normal", "size=", "join"},
    # "sum" and "abs": whether a gradient is 0; "backward": a loss must let itself be differentiated
    2: {"eye", "seed=", "requires_grad_", "backward", "sum", "abs"},
    # "abs", "sum", "backward", "max": whether a step has a graph
    3: {"dtype=", "zeros_like", "requires_grad=", "detach", "abs", "sum", "backward", "max"},
    4: {"start", "labels_of", "runs"},
    # "ttest_rel": a p-value for `holm`, which no answer returns
    5: {"isinstance", "len", "hyperparameters", "run", "RunSpec", "changes=", "tuple", "ttest_rel", "zip"},
}
KNOWN = {
    number: ANYWHERE
    | allowed
    | {name for cell in variants.numbered(number).cells("answer", "given") for name in names(cell.source)}
    for number, allowed in ALLOWED.items()
}


def operations(source: str) -> Iterator[str]:
    """Functions and methods that code calls, their named arguments, matrix products, transposes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), keywords=keywords):
                yield name
                if name not in ("expect", "expect_close"):
                    yield from (f"{keyword.arg}=" for keyword in keywords)
            case ast.BinOp(op=ast.MatMult()):
                yield "a matrix product"
            case ast.Attribute(attr="T"):
                yield "a transpose"


def formulas(source: str) -> Iterator[str]:
    """What `expect_close` expects, where that is arithmetic with variables."""
    nodes = list(ast.walk(ast.parse(source)))
    assignments = [node for node in nodes if isinstance(node, ast.Assign)]
    assigned = {
        target.id: node.value for node in assignments for target in node.targets if isinstance(target, ast.Name)
    }
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name(id="expect_close"), args=[_, expected, *_]):
                expected = assigned.get(getattr(expected, "id", ""), expected)
                arithmetic = [part for part in ast.walk(expected) if isinstance(part, ast.BinOp)]
                if any(isinstance(part, ast.Name) for whole in arithmetic for part in ast.walk(whole)):
                    yield ast.unparse(expected)


def given_away(number: int, source: str) -> set[str]:
    """What visible code holds that could be part of an answer."""
    return (set(operations(source)) - KNOWN[number]) | set(formulas(source))


@pytest.mark.parametrize("number", ALLOWED)
def test_visible_cells_do_no_answers_work(number: int) -> None:
    visible = variants.numbered(number).cells("test", "explore")
    found = {grade_id(cell) or cell.id: given_away(number, without_solution(cell)) for cell in visible}
    assert {name: parts for name, parts in found.items() if parts} == {}
