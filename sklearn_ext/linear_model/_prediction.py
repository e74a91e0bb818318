"""Values and variances of a fitted polynomial on new rows, whatever solver fitted it."""

from dataclasses import replace

from scipy.sparse import issparse
from sklearn.utils import gen_batches

from sklearn_ext.linear_model._dual import predict_dual, spread_dual
from sklearn_ext.linear_model._least_squares import block_rows
from sklearn_ext.linear_model._refinement import predict_extended
from sklearn_ext.linear_model._rows import predict_terms, rows_outside, spread_terms

# Arrays of the size of a block that double-double arithmetic holds at a time.
_EXTENDED = 12


def predicted_values(fitted, X, working_memory):
    """Evaluate a fitted polynomial: (n_rows, n_outputs).

    Parameters
    ----------
    fitted : Fitted
        The polynomial.
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        Rows.
    working_memory : float
        MiB that a block may take.
    """
    if fitted.dual is not None:
        return predict_dual(fitted, X, working_memory)
    if fitted.low is not None:
        size = block_rows(_EXTENDED * len(fitted.low), working_memory)
        pair = fitted.coefficients, fitted.low
        return predict_extended(fitted.basis, pair, X, gen_batches(X.shape[0], size))
    return predict_terms(fitted.basis, fitted.reduced, fitted.coefficients, X, working_memory)


def variance_factors(fitted, X, working_memory):
    """Variance of the fitted value over that of the noise, (n_rows,).

    Parameters are those of :func:`predicted_values`.
    """
    if fitted.dual is not None:
        return spread_dual(fitted, X, working_memory)
    return spread_terms(fitted.basis, fitted.root, X, working_memory)


def continued(evaluate, fitted, X, working_memory):
    """Evaluate with every p_k continued as its tangent outside the bounds.

    Parameters
    ----------
    evaluate : callable
        One of the two functions above.
    fitted, X, working_memory
        Its arguments.
    """
    values = evaluate(fitted, X, working_memory)
    outside = rows_outside(X, fitted.terms.bounds.T)
    if outside.any():
        rows = X[outside].toarray() if issparse(X) else X[outside]
        tangent = replace(fitted, basis=replace(fitted.basis, continued=True), low=None)
        values[outside] = evaluate(tangent, rows, working_memory)
    return values
