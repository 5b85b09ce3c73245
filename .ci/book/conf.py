"""Sphinx's configuration of the book."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "mugkit"
author = "mugkit's authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "book_extension"]
default_role = "code"
html_theme = "sphinx_book_theme"
html_title = "mugkit"
html_theme_options = {"use_download_button": False, "use_fullscreen_button": False, "show_toc_level": 2}
html_math_renderer = "mathtext"  # MathJax would come from a network
html_context = {"default_mode": "light"}
html_static_path = ["book.css"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sourcelink = False
nb_execution_mode = "off"
# Widgets appear as their static picture; their script would come from a network.
nb_ipywidgets_js: dict[str, str] = {}
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
# Sphinx looks up words before a colon under "Returns" as types, and several attributes may have that name.
suppress_warnings = ["ref.python"]
