"""Versions of this library, of what it stands on, and which extras are there."""

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version

__all__ = ["show_versions"]

_DISTRIBUTION = "sklearn-ext"
_DEPENDENCIES = ("scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl")


def show_versions():
    """Print what a bug report needs: the system, versions, and which extras are installed.

    ``python -m sklearn_ext`` prints the same. Nothing is imported for it.

    See Also
    --------
    sklearn.show_versions : Compilers and thread pools as well.

    Examples
    --------
    >>> import sklearn_ext
    >>> sklearn_ext.show_versions()
    System:
    ...
    Versions:
       sklearn-ext: ...
    """
    print("System:")
    print(f"   python: {sys.version.replace(chr(10), ' ')}")
    print(f"   executable: {sys.executable}")
    print(f"   machine: {platform.platform()}")
    print("\nVersions:")
    for name in (_DISTRIBUTION, *_DEPENDENCIES):
        print(f"   {name}: {installed_version(name) or 'not installed'}")
    print("\nExtras:")
    for extra, packages in sorted(extras_of(requirements()).items()):
        print(f"   {extra}: {_state(packages)}")


def installed_version(name):
    """Version of a distribution.

    Parameters
    ----------
    name : str
        Name that it is installed by.

    Returns
    -------
    version : str or None
        None where it is not installed.
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def requirements():
    """Requirements of this library as its installed metadata state them.

    Returns
    -------
    requirements : list of str
        In the form of PEP 508; empty in a source tree that was never installed.
    """
    try:
        return requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        return []


def extras_of(requirements):
    """Sort requirements by the extra that asks for them.

    Parameters
    ----------
    requirements : list of str
        In the form of PEP 508.

    Returns
    -------
    extras : dict of str to list of str
        Names of the packages that each extra adds.
    """
    extras = {}
    for text in requirements:
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", text)
        if extra is not None:
            extras.setdefault(extra[1], []).append(re.match(r"[\w.-]+", text)[0])
    return extras


def _state(packages):
    """Versions of installed packages, and the names of those that are missing."""
    versions = {name: installed_version(name) for name in packages}
    missing = [name for name, found in versions.items() if found is None]
    if missing:
        return f"missing {', '.join(missing)}"
    return ", ".join(f"{name} {found}" for name, found in versions.items())
