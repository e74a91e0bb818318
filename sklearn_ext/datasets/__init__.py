"""Small data sets that ship with the package."""

from sklearn_ext.datasets._concrete import load_concrete
from sklearn_ext.datasets._nist import list_nist, load_nist

__all__ = ["list_nist", "load_concrete", "load_nist"]
