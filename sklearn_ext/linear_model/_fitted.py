"""A fitted polynomial: its numbers, how it is stored, and the form that predicts."""

from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np

from sklearn_ext.linear_model._degree_reduction import ReducedPolynomial, reduce_degree
from sklearn_ext.linear_model._polynomial_basis import PolynomialBasis
from sklearn_ext.linear_model._streaming import Moments
from sklearn_ext.linear_model._terms import Terms

_EPS = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Fitted:
    """A fitted polynomial.

    Attributes
    ----------
    basis : PolynomialBasis
        Terms; for the kernel form, the univariate families only.
    terms : Terms
        What the terms are; its family is "empirical" where that replaced the one asked for.
    solver, degree, alpha
        What was used.
    rank : int
        Number of terms that the data determine.
    coefficients : ndarray of shape (n_terms + 1, n_outputs), or None
        Coefficients of the basis, the constant first (0 where there is none).
    low : ndarray, or None
        Second words of the coefficients where they are double-double.
    root : ndarray of shape (n_terms + 1, r), or None
        W with W W' the (regularised) inverse of A'A.
    noise_variance : ndarray of shape (n_outputs,)
        Residual variance; nan without degrees of freedom.
    dof : float
        Residual degrees of freedom.
    spent : float
        Terms in effect, the constant not counted.
    loo : float or None
        Leave-one-out R².
    dependent : ndarray of shape (n_dependent, n_features)
        Terms that the data cannot tell from others.
    moments : Moments, or None
        What the rows say, for more rows to come.
    selected : ndarray of shape (n_selected,), or None
        Rows of the basis' terms that were kept, where some were left out.
    dual : dict, or None
        Kernel form: "coefficients" (n_rows, n_outputs), "intercept" (n_outputs,), "X_fit" and
        "sample_weight".
    reduced : ReducedPolynomial, or None
        The polynomial in the form that is fast to evaluate.
    """

    basis: PolynomialBasis
    terms: Terms
    solver: str
    degree: int
    alpha: float
    rank: int
    noise_variance: np.ndarray
    dof: float
    spent: float
    loo: float | None = None
    coefficients: np.ndarray | None = None
    low: np.ndarray | None = None
    root: np.ndarray | None = None
    dependent: np.ndarray | None = None
    moments: Moments | None = None
    selected: np.ndarray | None = None
    dual: dict | None = None
    reduced: ReducedPolynomial | None = None

    @property
    def n_terms(self):
        """Number of terms without the constant; those selected where some were left out."""
        if self.dual is not None:
            return self.terms.count(self.degree)
        if self.selected is not None:
            return len(self.selected)
        return self.basis.n_columns - 1


def noise_variance(residual_sum, dof):
    """Residual variance; nan where the model leaves no degree of freedom."""
    if dof <= _EPS * 1e3:
        return np.full_like(residual_sum, np.nan)
    return residual_sum / dof


def with_constant(fitted, first):
    """Give a model without constant the row 0 for it, so that all models look alike."""
    if first == 0:
        return fitted
    pad = [(1, 0), (0, 0)]
    return replace(
        fitted,
        coefficients=np.pad(fitted.coefficients, pad),
        low=None if fitted.low is None else np.pad(fitted.low, pad),
        root=np.pad(fitted.root, pad),
    )


def with_fast_form(fitted):
    """Add the form that is fast to evaluate."""
    if fitted.dual is not None:
        return fitted
    return replace(fitted, reduced=reduce_degree(fitted.basis, fitted.coefficients))


_KINDS = (Fitted, Moments, PolynomialBasis, ReducedPolynomial, Terms)
_STORED = {kind.__name__: kind for kind in _KINDS}


def to_plain(value):
    """Turn the dataclasses of a fitted model into dicts of arrays and numbers.

    Pickles then hold nothing of ours but the estimator, and skops has one type to trust.
    """
    if not is_dataclass(value):
        return value
    plain = {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    return {"kind": type(value).__name__, **plain}


def from_plain(value):
    """Undo :func:`to_plain`."""
    if not (isinstance(value, dict) and "kind" in value):
        return value
    parts = {name: from_plain(part) for name, part in value.items() if name != "kind"}
    return _STORED[value["kind"]](**parts)
