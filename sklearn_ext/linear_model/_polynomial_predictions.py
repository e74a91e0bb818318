"""What a fitted PolynomialRegressor says of rows: values, deviations, intervals and scores."""

import numpy as np
from scipy.special import stdtrit
from sklearn import get_config
from sklearn.metrics import r2_score

from sklearn_ext._dask import each_in_memory, over_partitions
from sklearn_ext._validation import check_is_fitted, check_same_namespace, validate_data
from sklearn_ext.linear_model._device_rows import namespace_of
from sklearn_ext.linear_model._prediction import continued, predicted_values, variance_factors
from sklearn_ext.linear_model._reading import warn_of_extrapolation

__all__ = ["PredictionMixin"]


class PredictionMixin:
    """Predictions of a fitted polynomial; comes before `RegressorMixin` among the bases."""

    @over_partitions
    def predict(self, X, return_std=False):
        """Evaluate the polynomial.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows. For a dask collection the results are dask arrays, computed when needed.
        return_std : bool, default=False
            Whether to return the standard deviation of a new observation too: noise and
            uncertainty of the coefficients together.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions, in the dtype of X.
        std : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Standard deviations in the units of y. Only returned with `return_std`.

        Raises
        ------
        ValueError
            If the model leaves no residual degree of freedom to estimate the noise from.
        """
        check_is_fitted(self)
        if namespace_of(X) is not None:
            return self._predict_on_device(X, return_std)
        check_same_namespace(X, self, attribute="bounds_", method="predict")
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        found = self._predict_rows(X, return_std)
        return found if return_std else found[0]

    @over_partitions
    def predict_interval(self, X, confidence_level=0.95):
        """Give intervals that hold a new observation with a given probability.

        Exact for normal noise of equal variance around a polynomial of the model's degree
        (``alpha=0``), from Student's t distribution.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        confidence_level : float, default=0.95
            Probability, in (0, 1).

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Ends of the intervals in the units of y.
        """
        if not 0 < confidence_level < 1:
            raise ValueError(f"confidence_level must be in (0, 1), got {confidence_level!r}.")
        mean, std = self.predict(X, return_std=True)
        reach = float(stdtrit(self._fitted.dof, 0.5 + confidence_level / 2)) * std
        return mean - reach, mean + reach

    def score(self, X, y, sample_weight=None):
        r"""Return the coefficient of determination R² of the predictions.

        :math:`R^2 = 1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2`. 1: every prediction is
        exact. 0: no better than always predicting the mean of y. Negative: worse than that mean,
        as happens on new rows to a model that overfits. On the training rows R² never falls as
        the degree grows, so it cannot choose one: `loo_score_`, new rows and, roughly,
        :meth:`adjusted_r2` can.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Observed targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            R², the mean over targets.
        """
        y, predicted, weights = each_in_memory(y, self.predict(X), sample_weight)
        return r2_score(y, predicted, sample_weight=weights)

    def adjusted_r2(self, X, y, sample_weight=None):
        r"""Return R² with a charge for the number of terms.

        :math:`1 - (1 - R^2)(n - 1) / (n - r - 1)`: unlike R², it falls when a term is added that
        explains no more than chance would. r is the number of terms, `rank_`; with a penalty, the
        number of terms that it leaves in effect (the trace of the hat matrix).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts.

        Returns
        -------
        score : float
            Adjusted R²; nan where n is not above r + 1.
        """
        score = self.score(X, y, sample_weight)
        n_samples = len(y) if sample_weight is None else float(np.sum(sample_weight))
        free = n_samples - self._fitted.spent - 1
        return 1.0 - (1.0 - score) * (n_samples - 1) / free if free > 0 else float("nan")

    def _predict_rows(self, X, return_std):
        """Predictions of checked rows in the dtype of X, and standard deviations if wanted."""
        if self.degree_ > 1 and not self._goes_on_linearly():
            warn_of_extrapolation(X, self._fitted.terms.bounds.T)
        found = [self._evaluate(predicted_values, X)]
        if return_std:
            found.append(self._deviation(X))
        return tuple(self._shaped(part).astype(X.dtype, copy=False) for part in found)

    def _evaluate(self, function, X):
        """Call one of the functions of `_prediction` with the chosen extrapolation."""
        arguments = self._fitted, X, get_config()["working_memory"]
        if self._goes_on_linearly():
            return continued(function, *arguments)
        return function(*arguments)

    def _goes_on_linearly(self):
        """Whether polynomials go on as tangents outside the bounds."""
        if self.extrapolation == "auto":
            return self.degree == "auto" and self.alpha == "auto"
        return self.extrapolation == "linear"

    def _deviation(self, X):
        """Standard deviation of new observations, (n_rows, n_targets)."""
        noise = self._fitted.noise_variance
        if not np.all(np.isfinite(noise)):
            raise ValueError(
                f"return_std needs residual degrees of freedom, but the model has {self.rank_} "
                "terms of full weight for as many samples. Lower degree, set alpha > 0 or add rows."
            )
        return np.sqrt(np.multiply.outer(1.0 + self._evaluate(variance_factors, X), noise))

    def _shaped(self, values):
        """Give (n_rows, n_targets) the shape of y."""
        return values[:, 0] if self._single_target else values

    def _some_row(self, shape):
        """Middle of the training range."""
        check_is_fitted(self)
        return self._fitted.terms.bounds.mean(axis=0)
