"""A fitted polynomial as nodes of an ONNX graph."""

from dataclasses import replace

from scipy.sparse import issparse

from sklearn_ext._onnx.polynomial import add_kernel, add_polynomial
from sklearn_ext.linear_model._reading import listed_terms
from sklearn_ext.linear_model._rows import kernel_factors

# The kernel of a higher total degree is a recursion over the columns, too long for a graph.
_KERNEL_DEGREE = 3


def add_fitted(graph, X, estimator, continued):
    """Evaluate a fitted polynomial; one of the solver "dual" in kernel form where that is short.

    Parameters
    ----------
    graph : Graph
        Graph that computes in float64.
    X : str
        Rows, (n, n_features), float64.
    estimator : PolynomialRegressor
        Fitted.
    continued : bool
        Whether polynomials go on as tangents outside the bounds.

    Returns
    -------
    values : str
        (n, n_outputs).
    """
    fitted = estimator._fitted
    terms = fitted.terms
    if fitted.dual is not None and terms.truncation == 1.0 and fitted.degree <= _KERNEL_DEGREE:
        basis = replace(fitted.basis, continued=continued)
        return add_kernel(graph, X, basis, **_kernel_form(fitted))
    try:
        basis, coefficients = listed_terms(estimator)
    except AttributeError as error:
        raise NotImplementedError(
            f"to_onnx has to list the terms of solver='dual' for a degree above {_KERNEL_DEGREE} "
            f"or a truncation below 1, but there are {fitted.n_terms:,} of them. Lower degree or "
            "truncation."
        ) from error
    return add_polynomial(graph, X, replace(basis, continued=continued), coefficients)


def _kernel_form(fitted):
    """Arrays of a kernel fit, with the parts of the penalty on the side of the fitted rows."""
    growth = fitted.terms.penalty_growth
    highest = 1 if fitted.terms.interaction_only else fitted.degree
    factors = kernel_factors(fitted.basis, fitted.dual["X_fit"])[:highest]
    dense = [factor.toarray() if issparse(factor) else factor for factor in factors]
    return {
        "fitted": [factor * growth**-k for k, factor in enumerate(dense, start=1)],
        "degree": fitted.degree,
        "coefficients": growth * fitted.dual["coefficients"],
        "intercept": fitted.dual["intercept"],
    }
