"""Models of other kinds that show how much of a target can be learned from a table."""

import numpy as np
from scipy.sparse import issparse
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ext._sequences import columns_of_arrays, named_columns
from sklearn_ext.linear_model import PolynomialRegressor

__all__ = [
    "constant_model",
    "default_references",
    "numeric_table",
    "residual_models",
]

# Above that many rows gradient boosting is both the faster and the better of the trees.
_MOST_ROWS_OF_EXTRA_TREES = 2000
_MOST_VALUES = 10**8  # of a sparse matrix written out


def constant_model(classification):
    """Best constant prediction.

    Parameters
    ----------
    classification : bool
        Whether labels are predicted.

    Returns
    -------
    model : estimator
        The mean, or the shares of the classes.
    """
    return DummyClassifier(strategy="prior") if classification else DummyRegressor()


def default_references(classification, n_samples, random_state, n_outputs=1):
    """Reference models for a table of numbers, by name.

    Parameters
    ----------
    classification : bool
        Whether labels are predicted.
    n_samples : int
        Number of rows.
    random_state : int
        Seed of those that draw.
    n_outputs : int, default=1
        Number of targets of a regression.

    Returns
    -------
    models : dict of str to estimator
        Unfitted models.
    """
    n_neighbors = min(int(np.clip(np.sqrt(n_samples) / 2, 5, 50)), n_samples)
    trees = _trees(classification, n_samples, random_state)
    if n_outputs > 1 and isinstance(trees, HistGradientBoostingRegressor):
        trees = MultiOutputRegressor(trees)
    if classification:
        kernel = Nystroem(n_components=min(100, max(1, n_samples // 4)), random_state=random_state)
        return {
            "kernel logistic regression": make_pipeline(
                StandardScaler(), kernel, LogisticRegression(max_iter=1000)
            ),
            "trees": trees,
            "nearest neighbours": make_pipeline(
                StandardScaler(), KNeighborsClassifier(n_neighbors)
            ),
        }
    return {
        "automatic polynomial": PolynomialRegressor("auto", alpha="auto"),
        "trees": trees,
        "nearest neighbours": make_pipeline(StandardScaler(), KNeighborsRegressor(n_neighbors)),
    }


def residual_models(classification, random_state):
    """Models that predict what another model left over, by name.

    Parameters
    ----------
    classification : bool
        Whether the residuals are those of class probabilities.
    random_state : int
        Seed.

    Returns
    -------
    models : dict of str to estimator
        Unfitted regressors; for several outputs where they are those of classes.
    """
    trees = ExtraTreesRegressor(50, min_samples_leaf=5, random_state=random_state)
    if classification:
        return {"trees on its residuals": trees}
    polynomial = PolynomialRegressor("auto", alpha="auto")
    return {"trees on its residuals": trees, "a polynomial on its residuals": polynomial}


def _trees(classification, n_samples, random_state):
    """Bagged or boosted trees, by the number of rows."""
    if n_samples > _MOST_ROWS_OF_EXTRA_TREES:
        kinds = (HistGradientBoostingRegressor, HistGradientBoostingClassifier)
        return kinds[classification](random_state=random_state)
    kinds = (ExtraTreesRegressor, ExtraTreesClassifier)
    return kinds[classification](100, min_samples_leaf=3, random_state=random_state)


def numeric_table(X):
    """Write a table as numbers, for models that take nothing else.

    Text and categories become the numbers of their sorted values, missing values the median of
    their column, and tensors rows of all their numbers.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features, ...)
        Arrays, data frames, tensors.

    Returns
    -------
    table : ndarray of shape (n_samples, n_columns), float64
        The numbers.

    Raises
    ------
    ValueError
        If X has no columns, as a list of texts, or holds arrays in them, or is a sparse matrix of
        too many.
    """
    if issparse(X):
        if X.shape[0] * X.shape[1] > _MOST_VALUES:
            raise ValueError(_no_table(f"a sparse matrix of shape {X.shape}"))
        return np.asarray(X.toarray(), dtype=float)
    if columns_of_arrays(X) is not None:
        raise ValueError(_no_table("columns of arrays"))
    if hasattr(X, "columns"):
        columns = named_columns(X).values()
        return np.column_stack([_numbers(np.asarray(column)) for column in columns])
    try:
        values = np.asarray(X)
    except ValueError:
        raise ValueError(_no_table("sequences of unequal lengths")) from None
    if values.ndim < 2:
        raise ValueError(_no_table(f"one dimension of {values.dtype} values"))
    return np.column_stack([_numbers(column) for column in values.reshape(len(values), -1).T])


def _no_table(what):
    return (
        f"X is {what}, and the default reference models need a table. Pass references, a dict of "
        "names to estimators that take this X."
    )


def _numbers(column):
    """Write a column as finite floats."""
    try:
        numbers = column.astype(float)
    except (TypeError, ValueError):
        # None and nan are no strings to be sorted among others, and a value of their own here.
        return np.unique(column.astype(str), return_inverse=True)[1].astype(float)
    known = np.isfinite(numbers)
    return np.where(known, numbers, np.median(numbers[known]) if known.any() else 0.0)
