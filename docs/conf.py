"""Configuration of Sphinx: `make docs`."""

import sklearn_ext

project = "sklearn_ext"
author = "sklearn_ext developers"
copyright = f"2026, {author}"
release = version = sklearn_ext.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Estimators under scikit-learn's own contract"}

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more than the annotations
# scikit-learn's inherited methods are documented in scikit-learn.
numpydoc_show_inherited_class_members = False
numpydoc_class_members_toctree = False
# Our docstrings write shapes and words such as `array-like` in type positions.
numpydoc_xref_param_type = False

# Methods inherited from scikit-learn refer to sections of its user guide.
suppress_warnings = ["ref.ref"]
