"""What a fitted estimator tells: raw coefficients, formulas, sensitivity indices, warnings."""

import warnings
from functools import partial

import numpy as np
from sklearn.utils import Bunch

from sklearn_ext._validation import _check_feature_names_in, check_is_fitted
from sklearn_ext.exceptions import ExtrapolationWarning, RankWarning
from sklearn_ext.linear_model._basis_change import change_of_basis
from sklearn_ext.linear_model._monomials import (
    formula_expression,
    formula_text,
    monomial_form,
    term_names,
    warn_of_cancellation,
)
from sklearn_ext.linear_model._polynomial_basis import make_basis
from sklearn_ext.linear_model._rows import column_ranges
from sklearn_ext.linear_model._rows import terms as evaluate_terms

# More raw monomials than this are not listed: nobody reads them, and a kernel fit never did.
_MOST_MONOMIALS = 100_000
# Rows may leave the training bounds by this share of the range before predict warns.
_MARGIN = 0.1
_MOST_NAMES = 8


class ReadablePolynomialMixin:
    """Raw coefficients, names, formulas and sensitivity indices of a fitted polynomial."""

    def get_term_names(self, input_features=None):
        """Name the raw monomials as PolynomialFeatures does.

        Parameters
        ----------
        input_features : array-like of shape (n_features,) of str, default=None
            Names of the columns. None takes those seen in fit, or x0, x1, ...

        Returns
        -------
        names : ndarray of shape (n_terms,) of str
            Names in the order of `powers_`.
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        return np.array(term_names(self.powers_, names), dtype=object)

    def formula(self, precision=4, *, input_features=None, format="text"):
        """Write the polynomial in raw monomials.

        Parameters
        ----------
        precision : int, default=4
            Significant digits of the text; expressions keep all.
        input_features : array-like of shape (n_features,) of str, default=None
            Names of the columns. None takes those seen in fit, or x0, x1, ...
        format : {"text", "sympy"}, default="text"
            A str, or a sympy expression in symbols named like the columns.

        Returns
        -------
        formula : str or sympy.Expr, or list of these
            One for each target where y has several columns.
        """
        if format not in ("text", "sympy"):
            raise ValueError(f"format must be 'text' or 'sympy', got {format!r}.")
        check_is_fitted(self)
        columns = list(_check_feature_names_in(self, input_features))
        form = monomials_of(self)
        if format == "sympy":
            write = partial(formula_expression, powers=form["powers"], feature_names=columns)
        else:
            names = term_names(form["powers"], columns)
            write = partial(formula_text, names=names, precision=precision)
        written = [write(c) for c in form["coef"].T]
        return written[0] if self._single_target else written

    @property
    def powers_(self):
        """Exponents of the raw monomials, (n_terms, n_features)."""
        return monomials_of(self)["powers"][1:].astype(np.int64)

    @property
    def coef_(self):
        """Coefficients of the raw monomials, (n_terms,) or (n_targets, n_terms)."""
        return self._by_target(monomials_of(self)["coef"][1:])

    @property
    def intercept_(self):
        """Constant of the raw polynomial, float or (n_targets,)."""
        constant = monomials_of(self)["coef"][0]
        return float(constant[0]) if self._single_target else constant

    @property
    def coef_stderr_(self):
        """Standard errors of `coef_`, in its shape."""
        return self._by_target(self._standard_errors()[1:])

    @property
    def intercept_stderr_(self):
        """Standard errors of `intercept_`, in its shape."""
        constant = self._standard_errors()[0]
        return float(constant[0]) if self._single_target else constant

    @property
    def basis_coef_(self):
        """Coefficients of the orthonormal basis, (n_terms,) or (n_targets, n_terms)."""
        return self._by_target(listed_terms(self)[1][1:])

    @property
    def sobol_indices_(self):
        """Sobol indices of the columns, a Bunch of ``first_order`` and ``total_order``."""
        return sobol_indices(self)

    def _standard_errors(self):
        """Standard errors of the raw coefficients, (n_terms + 1, n_targets)."""
        spread = monomials_of(self)["spread"]
        if spread is None:
            raise AttributeError("Standard errors need a solver other than 'dual'.")
        return np.multiply.outer(spread, np.sqrt(self._fitted.noise_variance))

    def _by_target(self, values):
        """Give (n_terms, n_targets) scikit-learn's shape of coef_."""
        return values[:, 0] if self._single_target else values.T


def monomials_of(estimator):
    """Raw monomial form of a fitted estimator, computed at first use.

    Returns
    -------
    dict
        See :func:`~sklearn_ext.linear_model._monomials.monomial_form`.

    Raises
    ------
    AttributeError
        Where the kernel form has too many terms to list.
    """
    check_is_fitted(estimator)
    if estimator._monomials is None:
        basis, coefficients = listed_terms(estimator)
        fitted = estimator._fitted
        form = monomial_form(basis, coefficients, fitted.low, fitted.root)
        if not fitted.terms.fit_intercept:
            form["coef"][0] = 0.0
        if fitted.low is None:
            scale = np.sqrt(np.sum(coefficients**2, axis=0))
            warn_of_cancellation(form, fitted.terms.bounds, scale)
        estimator._monomials = form
    return estimator._monomials


def listed_terms(estimator):
    """Terms and coefficients; those of a kernel fit are listed at each call.

    Returns
    -------
    basis : PolynomialBasis
        Terms.
    coefficients : ndarray of shape (n_terms + 1, n_outputs)
        Coefficients, the constant first.
    """
    check_is_fitted(estimator)
    fitted = estimator._fitted
    if fitted.dual is None:
        return fitted.basis, fitted.coefficients
    if estimator.n_terms_ > _MOST_MONOMIALS:
        raise AttributeError(
            f"coef_ and powers_ are absent: the kernel solver fitted {estimator.n_terms_:,} terms "
            f"without listing them, and more than {_MOST_MONOMIALS:,} are not listed afterwards "
            "either. Lower degree or truncation to read coefficients; predict needs none."
        )
    basis = fitted.basis.restricted(fitted.terms.powers(fitted.degree))
    coefficients = evaluate_terms(basis, fitted.dual["X_fit"]) @ fitted.dual["coefficients"]
    coefficients[1:] /= fitted.terms.penalty(basis.powers[1:])[:, None]
    coefficients[0] = fitted.dual["intercept"]
    return basis, coefficients


def sobol_indices(estimator):
    """Sobol indices of a fitted estimator from its orthonormal Legendre coefficients."""
    basis, coefficients = listed_terms(estimator)
    terms = estimator._fitted.terms
    legendre = make_basis("legendre", terms.bounds, basis.powers, degree=basis.recurrence.shape[2])
    if estimator.basis_ != "legendre" or not terms.fit_intercept:
        coefficients = change_of_basis(legendre, basis).T @ coefficients
    shares = coefficients[1:] ** 2
    active = basis.powers[1:] > 0
    variance = shares.sum(axis=0)
    alone = active & (active.sum(axis=1) == 1)[:, None]
    with np.errstate(invalid="ignore"):  # 0 / 0 for a constant polynomial
        first, total = ((mask.T @ shares / variance).T for mask in (alone, active))
    if estimator._single_target:
        first, total = first[0], total[0]
    return Bunch(first_order=first, total_order=total)


def warn_of_dependent_terms(estimator):
    """Say which terms the training rows cannot tell from others."""
    fitted = estimator._fitted
    if fitted.rank >= fitted.n_terms or fitted.alpha > 0:
        return
    names = "more terms than rows can tell apart"
    if fitted.dependent is not None:
        names = f"these depend on others: {_some_names(estimator, fitted.dependent)}"
    warnings.warn(
        f"The training rows determine {fitted.rank} of {fitted.n_terms} terms (rank_); {names}. Of "
        "all equally good coefficients, those of the smallest norm are taken. Remove constant or "
        "repeated columns, lower degree, set interaction_only=True, or set alpha > 0.",
        RankWarning,
        stacklevel=4,
    )


def _some_names(estimator, powers):
    columns = getattr(estimator, "feature_names_in_", None)
    if columns is None:
        columns = [f"x{j}" for j in range(estimator.n_features_in_)]
    listed = term_names(powers[:_MOST_NAMES], columns)
    more = len(powers) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")


def warn_of_extrapolation(X, bounds):
    """Warn once where rows lie outside the training bounds by more than the margin."""
    low, high = column_ranges(X)
    reach = _MARGIN * (bounds[:, 1] - bounds[:, 0])
    outside = (low < bounds[:, 0] - reach) | (high > bounds[:, 1] + reach)
    if outside.any():
        warnings.warn(
            f"Some rows lie outside the training bounds (bounds_) by more than {_MARGIN:.0%} of "
            f"the range, first in column {int(np.argmax(outside))}: polynomials grow fast there. "
            "Check units and column order, or fit on data that covers the range.",
            ExtrapolationWarning,
            stacklevel=5,
        )
