"""The book's Sphinx extension: formulas without a network, and docstrings as they are written.

matplotlib's mathtext typesets formulas as small pictures inside the page; MathJax would be fetched from a
network, and LaTeX would have to be installed. Docstrings are plain text in Google's style, in which |y|, x_ and * are
literal; reStructuredText reads them as markup unless they are escaped.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache, partial
from html import escape
from io import BytesIO
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from matplotlib import rc_context
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image

SIZE = 11.5  # points, of a formula in running text

# mathtext knows most of LaTeX's mathematics; these commands have another name there or none.
_REPLACEMENTS = (
    (r"\\tag\{([^}]*)\}", r"\\qquad (\1)"),
    (r"\\(ge|le|ne)(?![a-zA-Z])", r"\\\1q"),
    (r"\\(math\w+)\s+(\w)", r"\\\1{\2}"),
    (r"\\tfrac", r"\\frac"),
    (r"\\(textstyle|displaystyle)", ""),
    (r"\\[lr]Vert", r"\\Vert"),
    (r"\\operatorname\{([^}]*)\}", r"\\mathrm{\1}"),
    (r"\\frac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}"),
    (r"\\sqrt\s+(\w)", r"\\sqrt{\1}"),
    (r"\\text\{", r"\\mathrm{"),
    (r"([_^])\\mathrm\{(\w+)\}", r"\1{\\mathrm{\2}}"),
    (r"\\begin\{[^}]*\}|\\end\{[^}]*\}|&", ""),
)


def for_mathtext(tex: str) -> str:
    """The notebooks' LaTeX on one line, rewritten with the commands that mathtext knows."""
    text = " ".join(tex.split())
    for pattern, replacement in _REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    return text.strip()


@lru_cache(maxsize=4096)
def picture(tex: str) -> str:
    """A formula as an image element: SVG inside the page, on the line's baseline, LaTeX as its text alternative.

    Raises:
        ValueError: if mathtext cannot read the formula.
    """
    buffer = BytesIO()
    with rc_context({"mathtext.fontset": "cm", "svg.hashsalt": tex, "svg.fonttype": "path"}):
        depth = math_to_image(f"${for_mathtext(tex)}$", buffer, FontProperties(size=SIZE), dpi=72, format="svg")
    svg = re.sub(rb"<metadata>.*?</metadata>", b"", buffer.getvalue(), flags=re.DOTALL)
    source = base64.b64encode(svg).decode()
    style = f"vertical-align:{-depth / SIZE:.3f}em" if depth else "vertical-align:baseline"
    return f'<img class="math" src="data:image/svg+xml;base64,{source}" alt="{escape(tex)}" style="{style}">'


def _typeset(translator: Any, node: nodes.Node, block: bool) -> None:
    """Writes a formula; if it cannot be typeset, logs a warning and writes its LaTeX."""
    from sphinx.util import logging

    tex = node.astext()
    try:
        shown = picture(tex)
    except ValueError as error:
        logging.getLogger(__name__).warning("formula '%s': %s", tex, error, location=node)
        shown = f"<code>{escape(tex)}</code>"
    translator.body.append(f'<div class="formula">{shown}</div>' if block else shown)
    raise nodes.SkipNode


def plain(line: str) -> str:
    """A docstring's line with anything escaped that reStructuredText would read as markup, except code in backticks."""
    parts = re.split(r"(`+[^`]*`+)", line)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*|\\])|(?<=\w)(_)(?!\w)", r"\\\g<0>", part) for part in parts
    )


def of_module(lines: list[str]) -> list[str]:
    """Formats a module's docstring: separates lists and keeps the spaces of indented blocks (tables, diagrams)."""
    made: list[str] = []
    inside, kind = 0, "text"  # where the current block's lines begin, and what it is: text, list or literal
    for line in lines:
        indent, item = len(line) - len(line.lstrip()), line.startswith("- ")
        if not line.strip() or (kind == "literal" and indent):
            made.append(line.rstrip())
            continue
        goes_on = kind == "list" and (item or indent == inside)
        now = "list" if item or goes_on else "literal" if indent else "text"
        if now != kind and made and made[-1]:
            made.append("")
        made += ["::", "", line] if now == "literal" else [plain(line)]
        inside, kind = (2 if item else inside if goes_on else 0), now
    return made


def escape_docstring(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Prepares a docstring for napoleon: only its sections are markup. Modules have lists and blocks instead."""
    lines[:] = of_module(lines) if what == "module" else [plain(line) for line in lines]


def skip_foreign(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leaves out what a module only imports; autodoc takes some wrapped functions of scipy for the module's own."""
    return True if not str(getattr(obj, "__module__", "mugkit") or "mugkit").startswith("mugkit") else None


def setup(app: Any) -> dict[str, Any]:
    """Sphinx's entry point."""
    inline, displayed = partial(_typeset, block=False), partial(_typeset, block=True)
    app.add_html_math_renderer("mathtext", (inline, None), (displayed, None))
    app.connect("autodoc-process-docstring", escape_docstring, priority=100)
    app.connect("autodoc-skip-member", skip_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
