"""Import of optional packages at first use, with an error that says how to install them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from sklearn_ext.exceptions import MissingDependencyError

__all__ = ["import_optional"]


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import and return an optional module.

    Parameters
    ----------
    module : str
        Dotted name of the module, such as ``"sympy"`` or ``"dask.array"``.
    extra : str
        Extra of this distribution that installs it, such as ``"symbolic"``.
    purpose : str
        What needs it, as the start of a sentence: ``"formula(format='sympy')"``.

    Returns
    -------
    module : module
        The imported module; for a dotted name the innermost one.

    Raises
    ------
    MissingDependencyError
        If the package is not installed. An ``ImportError`` from inside an installed
        package is passed on as it is: that package is broken, and installing it again
        would not be the cure.

    Examples
    --------
    >>> from sklearn_ext._optional import import_optional
    >>> import_optional("json", extra="none", purpose="This example").dumps([1])
    '[1]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if not _is_same_or_parent(error.name, module):
            raise
        raise MissingDependencyError(
            f"{purpose} needs the package {module.partition('.')[0]!r}, which is not "
            f'installed. Install it with: pip install "sklearn-ext[{extra}]"',
            name=error.name,
        ) from error


def _is_same_or_parent(missing: str | None, module: str) -> bool:
    """Tell whether `missing` is `module` itself or one of the packages it lies in."""
    return missing is not None and f"{module}.".startswith(f"{missing}.")
