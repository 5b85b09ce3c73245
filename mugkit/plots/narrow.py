"""Source code as a page has room for it: no line wider than `WIDTH`, and the same program.

Lines of code are broken inside brackets, docstrings and comments between words; a comment at a long line's end moves
above it, and marks for tools (`type: ignore`, `fmt: skip`) are left out there.
"""

from __future__ import annotations

import io
import re
import textwrap
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH = 88  # columns of a cell's output in the book and in JupyterLab beside a file browser
# Where lines may be broken: behind commas and brackets, before the others; from the best kind of place to the worst.
_KINDS = {"for": 0, ",": 1} | dict.fromkeys(("if", "else", "and", "or", *"+-*/@|&<>"), 2) | dict.fromkeys("([{", 3)
_MARK = re.compile(r"# (?:type:|fmt:|noqa)")
_ITEM = re.compile(r"\s*\S+: \S")  # of a docstring's list, such as `width: of the network`


@dataclass(frozen=True)
class _Token:
    text: str
    column: int
    depth: int  # open brackets before it
    begins: bool  # a statement


def narrow(source: str, width: int = WIDTH) -> str:
    """Source code, its lines broken where they are too wide."""
    tokens, prose = _read(source)
    shown: list[str] = []
    for number, line in enumerate(source.splitlines(), start=1):
        if number in prose:
            if prose[number] == number:
                end = max(row for row, start in prose.items() if start == number)
                shown += _filled(source.splitlines()[number - 1 : end], width)
        else:
            shown += _broken(line, tokens[number], width) if len(line) > width else [line]
    return "\n".join(shown)


def _read(source: str) -> tuple[dict[int, list[_Token]], dict[int, int]]:
    """Tokens by line; and of every line of a docstring the line where that begins."""
    by_line: dict[int, list[_Token]] = defaultdict(list)
    prose: dict[int, int] = {}
    depth, begins = 0, True
    for kind, text, (row, column), (end, _), _ in tokenize.generate_tokens(io.StringIO(source).readline):
        depth -= kind == tokenize.OP and text in ")]}"
        by_line[row].append(_Token(text, column, depth, begins))
        depth += kind == tokenize.OP and text in "([{"
        if kind == tokenize.STRING and begins:
            prose |= dict.fromkeys(range(row, end + 1), row)
        between = kind in (tokenize.NL, tokenize.COMMENT) and begins
        begins = kind in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT) or between
    return by_line, prose


def _filled(lines: Sequence[str], width: int) -> Iterator[str]:
    """A docstring whose paragraphs are filled anew where they have too wide a line."""
    groups: list[list[str]] = []
    for line in lines:
        if groups and _goes_on(groups[-1], line):
            groups[-1].append(line)
        else:
            groups.append([line])
    for group in groups:
        if all(len(line) <= width for line in group):
            yield from group
            continue
        first = _indent(group[0])
        others = _indent(group[1]) if len(group) > 1 else first + "    " * bool(_ITEM.match(group[0]))
        yield from _words(" ".join(line.strip() for line in group), first, others, width)


def _goes_on(group: Sequence[str], line: str) -> bool:
    """Whether a line belongs to the paragraph, or to the item of a list, above it."""
    if not line.strip() or not group[0].strip() or line.strip() == '"""':
        return False
    deeper = len(group) == 1 and bool(_ITEM.match(group[0])) and len(_indent(line)) > len(_indent(group[0]))
    return deeper or (_indent(line) == _indent(group[-1]) and not _ITEM.match(line))


def _words(text: str, first: str, others: str, width: int) -> list[str]:
    filler = textwrap.TextWrapper(width, first, others, break_long_words=False, break_on_hyphens=False)
    return filler.wrap(text)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _broken(line: str, tokens: Sequence[_Token], width: int) -> Iterator[str]:
    """A wide line of code in several, its comment above it."""
    indent, first = _indent(line), next(token for token in tokens if token.text.strip())
    if comments := [token for token in tokens if token.text.startswith("#")]:
        line, said = line[: comments[0].column].rstrip(), comments[0].text
        yield from [] if _MARK.match(said) else _words(said, indent, f"{indent}# ", width)
    prefix, at = indent, len(indent)
    while len(prefix) + len(line) - at > width:
        places = [place for place in _places(tokens, at) if len(prefix) + place[2] - at <= width - 2 * (not place[0])]
        if not places:
            break
        depth, _, cut = min(places, key=_rank)
        yield prefix + line[at:cut].rstrip() + ("" if depth else " \\")
        at = cut + len(line[cut:]) - len(line[cut:].lstrip())
        inner = depth > first.depth or not first.depth
        prefix = indent + "    " * (inner + (first.text in ("def", "class")))
    if line.strip():
        yield prefix + line[at:]


def _rank(place: tuple[int, int, int]) -> tuple[int, int, int]:
    """Few open brackets first, but none last (it takes a backslash); late in the line, of brackets the first."""
    depth, kind, column = place
    return depth or 99, kind, column if kind == 3 else -column


def _places(tokens: Sequence[_Token], after: int) -> Iterator[tuple[int, int, int]]:
    """Where a line may be broken: open brackets there, kind of place (best first), column; not behind `->`."""
    for last, token in pairwise(tokens):
        if token.text == "->":
            return
        unary = _KINDS.get(token.text) == 2 and (last.text in _KINDS or last.text == "=")
        if token.column > after and token.text in _KINDS and not unary:
            opens, behind = token.text in "([{", token.text in ",([{"
            yield token.depth + opens, _KINDS[token.text], token.column + behind
