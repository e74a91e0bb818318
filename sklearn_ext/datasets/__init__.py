"""Small data sets that ship with the package, and generators of sequences."""

from sklearn_ext.datasets._concrete import load_concrete
from sklearn_ext.datasets._memory_tasks import (
    make_adding_problem,
    make_copy_memory,
    make_first_token_recall,
)
from sklearn_ext.datasets._nist import list_nist, load_nist

__all__ = [
    "list_nist",
    "load_concrete",
    "load_nist",
    "make_adding_problem",
    "make_copy_memory",
    "make_first_token_recall",
]
