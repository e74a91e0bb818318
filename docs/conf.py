"""Configuration of Sphinx: `make docs`. Nothing in it needs a network."""

import os
import shutil
from pathlib import Path

import sklearn_ext

HERE = Path(__file__).parent
ROOT = HERE.parent

project = "sklearn_ext"
author = "sklearn_ext developers"
copyright = f"2026, {author}"
release = version = sklearn_ext.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "measured"]  # the measured tables are parts of benchmarks.md

# -- appearance -------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = "sklearn_ext"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_sidebars = {"index": [], "quick_start": [], "migration": [], "benchmarks": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# -- API reference ----------------------------------------------------------------------------
templates_path = ["_templates"]
autosummary_generate = True
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings say more than the annotations
# The template of classes lists methods with all they take; a table of them is not needed.
numpydoc_show_class_members = False
# Our docstrings write shapes and words such as `array-like` in type positions.
numpydoc_xref_param_type = False

# Methods inherited from scikit-learn refer to sections of its user guide.
suppress_warnings = ["ref.ref"]

# -- gallery ----------------------------------------------------------------------------------
# Estimators shown in the gallery, one folder deep, link to the reference of this very site.
os.environ["SKLEARN_EXT_DOCS"] = ".."
# The examples save their pictures where they run: beside a copy of them, not in the sources.
copied = shutil.copytree(
    ROOT / "examples",
    HERE / "_build/examples",
    ignore=shutil.ignore_patterns("*.png", "__pycache__"),
    dirs_exist_ok=True,
)
sphinx_gallery_conf = {
    "examples_dirs": [str(copied)],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("sklearn_ext",),
    "backreferences_dir": "generated/backreferences",
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,  # the page of times loads scripts from elsewhere
    "download_all_examples": False,
    "abort_on_example_error": True,
}


def setup(app):
    """Take formulas as SVG: browsers refuse MathJax's web fonts in pages opened from a disk."""
    app.config.mathjax_path = "mathjax/tex-svg.js"
