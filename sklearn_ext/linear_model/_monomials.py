"""The fitted polynomial in raw monomials of the caller's columns: numbers, names, formulas."""

import math
import warnings

import numpy as np
from scipy.sparse import csr_array

from sklearn_ext._optional import import_optional
from sklearn_ext.exceptions import PrecisionWarning
from sklearn_ext.linear_model import _double_double as dd
from sklearn_ext.linear_model._extended_basis import monomial_matrix
from sklearn_ext.linear_model._index_sets import downward_closure

_EPS = np.finfo(np.float64).eps
# Digits that coef_ must keep before a warning says that it does not.
_WANTED = 1e-8


def monomial_form(basis, coefficients, low=None, root=None):
    """Change the coefficients of a basis to those of raw monomials.

    Parameters
    ----------
    basis : PolynomialBasis
        Terms.
    coefficients : ndarray of shape (n_terms + 1, n_outputs)
        Coefficients, the constant first.
    low : ndarray of shape (n_terms + 1, n_outputs), default=None
        Second words of the coefficients.
    root : ndarray of shape (n_terms + 1, rank), default=None
        Root of the coefficients' covariance.

    Returns
    -------
    dict
        "powers" (n_monomials + 1, n_features), the constant first; "coef" (n_monomials + 1,
        n_outputs); "spread" (n_monomials + 1,), the norm of each row of the root.
    """
    powers = downward_closure(basis.powers)
    rows, columns, values = monomial_matrix(basis, powers)
    shape = (len(powers), basis.n_columns)
    matrix = csr_array((values[0], (rows, columns)), shape=shape)
    spread = None
    if root is not None:
        spread = np.sqrt(np.sum((matrix @ root) ** 2, axis=1))
    low = np.zeros_like(coefficients) if low is None else low
    coef = [
        _exact_sums(rows, values, high[columns], rest[columns], len(powers))
        for high, rest in zip(coefficients.T, low.T, strict=True)
    ]
    return {"powers": powers, "coef": np.column_stack(coef), "spread": spread}


def _exact_sums(rows, values, high, low, n_rows):
    """Sum products of pairs by rows, each sum rounded once."""
    product = dd.multiply(values, (high, low))
    parts = [[] for _ in range(n_rows)]
    for row, first, second in zip(rows.tolist(), *map(np.ndarray.tolist, product), strict=True):
        parts[row] += (first, second)
    return np.array([math.fsum(part) for part in parts])


def warn_of_cancellation(form, bounds, scale):
    """Warn where raw coefficients are too large beside the polynomial that they add up to.

    Parameters
    ----------
    form : dict
        Result of :func:`monomial_form`.
    bounds : ndarray of shape (2, n_features)
        Training bounds.
    scale : ndarray of shape (n_outputs,)
        Size of the polynomial's values.
    """
    largest = np.abs(bounds).max(axis=0)
    sizes = np.prod(largest ** form["powers"].astype(np.float64), axis=1)
    amplified = (sizes @ np.abs(form["coef"])) / np.maximum(scale, np.finfo(float).tiny)
    lost = float(np.max(amplified))
    if lost * _EPS > _WANTED:
        warnings.warn(
            "coef_ and intercept_ are written in raw powers of the columns, whose values cancel "
            f"here to 1 part in {lost:.0e}: about {max(0.0, -math.log10(lost * _EPS)):.0f} "
            "digits of the raw form can be relied on. predict does not use them and is not "
            "affected. Centre or rescale the columns, lower degree, or use solver='refined'.",
            PrecisionWarning,
            stacklevel=4,
        )


def term_names(powers, feature_names):
    """Names of monomials as PolynomialFeatures writes them: "1", "x0", "x0^2 x1"."""
    names = []
    for row in powers:
        active = np.flatnonzero(row)
        factors = [
            feature_names[j] if row[j] == 1 else f"{feature_names[j]}^{row[j]}" for j in active
        ]
        names.append(" ".join(factors) or "1")
    return names


def formula_text(coefficients, names, precision, target="y"):
    """Write ``y = 1.5 + 2 x0 - 0.25 x0^2``; terms with a coefficient of 0 are left out."""
    text = ""
    for value, name in zip(coefficients, names, strict=True):
        if value == 0:
            continue
        number = f"{abs(value):.{precision}g}"
        term = number if name == "1" else f"{number} {name}"
        sign = "-" if value < 0 else "+"
        text += f" {sign} {term}" if text else ("-" if value < 0 else "") + term
    return f"{target} = {text or '0'}"


def formula_expression(coefficients, powers, feature_names):
    """Write the polynomial as a sympy expression in symbols named like the columns."""
    sympy = import_optional("sympy", extra="symbolic", purpose="Writing formulas as expressions")
    symbols = [sympy.Symbol(name) for name in feature_names]
    monomials = (
        sympy.Mul(*(s ** int(k) for s, k in zip(symbols, row, strict=True) if k)) for row in powers
    )
    return sympy.Add(
        *(sympy.Float(c) * m for c, m in zip(coefficients, monomials, strict=True) if c != 0)
    )
