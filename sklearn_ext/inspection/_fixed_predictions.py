"""Predictions that are known already, in the form of an estimator that a scorer takes."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

__all__ = ["FixedClassifier", "FixedRegressor", "fixed", "one_hot", "outputs"]


class FixedRegressor(RegressorMixin, BaseEstimator):
    """Predicts the given values, whatever the rows.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        One for each row that will be asked for.
    """

    def __init__(self, values):
        self.values = values

    def predict(self, X):
        """Return the values."""
        return self.values

    def __sklearn_is_fitted__(self):
        return True


class FixedClassifier(ClassifierMixin, BaseEstimator):
    """Predicts classes of the given probabilities, whatever the rows.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_classes)
        Probabilities, or numbers near them: they are clipped at 0 and made to sum to 1.
    classes : ndarray of shape (n_classes,)
        Labels.
    """

    def __init__(self, values, classes):
        self.values = values
        self.classes = classes

    @property
    def classes_(self):
        """Labels."""
        return self.classes

    def predict(self, X):
        """Return the likeliest labels."""
        return self.classes[np.argmax(self.values, axis=1)]

    def predict_proba(self, X):
        """Return the probabilities."""
        values = np.clip(self.values, 1e-12, None)
        return values / values.sum(axis=1, keepdims=True)

    def __sklearn_is_fitted__(self):
        return True


def fixed(values, classes=None):
    """Make an estimator of known outputs.

    Parameters
    ----------
    values : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Values, or probabilities.
    classes : ndarray of shape (n_classes,), default=None
        Labels; None for values.

    Returns
    -------
    estimator : FixedRegressor or FixedClassifier
        What predicts them.
    """
    return FixedRegressor(values) if classes is None else FixedClassifier(values, classes)


def outputs(estimator, X, classes=None):
    """Predict values, or probabilities as far as the estimator has them.

    Parameters
    ----------
    estimator : estimator
        Fitted regressor or classifier.
    X : array-like of shape (n_samples, ...)
        Rows.
    classes : ndarray of shape (n_classes,), default=None
        All labels, of which the estimator may have seen some only; None for values.

    Returns
    -------
    outputs : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Values, or probabilities; 0 and 1 where the estimator has labels only.
    """
    if classes is None:
        predicted = np.asarray(estimator.predict(X), dtype=float)
        # Some regressors put out one target as a column.
        return predicted[:, 0] if predicted.shape[1:] == (1,) else predicted
    if not hasattr(estimator, "predict_proba"):
        return one_hot(estimator.predict(X), classes)
    known = estimator.predict_proba(X)
    probabilities = np.zeros((len(known), len(classes)))
    probabilities[:, np.searchsorted(classes, estimator.classes_)] = known
    return probabilities


def one_hot(labels, classes):
    """Write labels as certain probabilities.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        Labels.
    classes : ndarray of shape (n_classes,)
        All labels.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes)
        0 and 1.
    """
    return (np.asarray(labels)[:, None] == classes).astype(float)
