"""The documentation site.

    pip install '.[example,docs]'
    forced_phot_example example && python docs/run_chapters.py example   # outputs of the tutorial
    sphinx-build -W -n docs docs/_build/html

Without the second line the chapters of the tutorial have no outputs.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import run_chapters

project = "romancal_forcedphot"
author = "The romancal_forcedphot developers"
version = release = version_of("romancal_forcedphot")

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [("py:class", r"(enum|roman_datamodels|romancal_forcedphot\.pipeline)\..*")]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(run_chapters.CACHE)
nb_execution_excludepatterns = [
    f"tutorial/{chapter.name}"
    for chapter in run_chapters.CHAPTERS
    if not run_chapters.has_run(chapter)
]
nb_output_stderr = "remove"  # logs

suppress_warnings = ["misc.highlighting_failure"]  # shell in cells of chapters that have not run
default_role = "code"
autodoc_typehints = "none"  # they are in the docstrings, in words
autodoc_default_options = {"member-order": "groupwise", "imported-members": True}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = f"romancal_forcedphot {release}"
html_theme_options = {"show_prev_next": True, "secondary_sidebar_items": ["page-toc"]}
