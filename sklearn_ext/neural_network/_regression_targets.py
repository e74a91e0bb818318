"""What nets for regression share: targets, losses, predictions and scores."""

from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils.validation import check_array

from sklearn_ext._dask import each_in_memory, over_partitions
from sklearn_ext._onnx.responses import add_prediction
from sklearn_ext._validation import Interval, StrOptions
from sklearn_ext.neural_network._tables import QUARTERS, weighted_quantiles

__all__ = ["RegressionTargets"]

# Losses of those who have outliers: these must not decide the scale.
ROBUST = "absolute_error", "huber", "quantile"
NORMAL_QUARTILES = 1.349  # distance of the quartiles of a normal distribution
NO_COUNTS = "loss='poisson' needs y >= 0 with a positive sum."


class RegressionTargets(RegressorMixin):
    """Numbers as targets; comes before :class:`BaseNet` among the bases of an estimator."""

    _parameter_constraints = {
        "loss": [StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson"})],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }

    _makes_net = "loss", "quantile", "huber_delta"

    @over_partitions
    def predict(self, X, return_std=False):
        """Predict targets.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.
        return_std : bool, default=False
            Whether to return the spread of the members too.

        Returns
        -------
        y : ndarray of shape (n_samples,), (n_samples, n_targets), (n_samples, n_quantiles) or \
(n_samples, n_targets, n_quantiles)
            Mean of the members' predictions.
        std : ndarray of the shape of y
            Standard deviation of the members' predictions; only with ``return_std=True``. It tells
            how unsure the model is, not how noisy y is.
        """
        members = self._shaped(self._responses(X))
        mean = self._member_mean(members)
        if not return_std:
            return mean
        n_members = self._of_net("n_members")
        if n_members == 1:
            raise ValueError(
                "return_std is the spread of the members, but n_members=1. Fit with n_members >= 2."
            )
        return mean, members[:n_members].std(axis=0, ddof=1)  # without linear ones

    def score(self, X, y, sample_weight=None):
        """Return R²; for several quantiles the mean of their D² pinball scores.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            1 is perfect; 0 is what a constant reaches.
        """
        y, predicted, sample_weight = each_in_memory(y, self.predict(X), sample_weight)
        if not self._has_many_quantiles():
            return r2_score(y, predicted, sample_weight=sample_weight)
        scores = [
            d2_pinball_score(y, predicted[..., i], sample_weight=sample_weight, alpha=level)
            for i, level in enumerate(self._of_net("quantile"))
        ]
        return float(np.mean(scores))

    def _has_many_quantiles(self):
        return self._of_net("loss") == "quantile" and np.ndim(self._of_net("quantile")) > 0

    def _levels(self):
        """Quantile levels as the user ordered them."""
        asked = self._of_net("quantile")
        levels = np.atleast_1d(np.asarray(asked, dtype=np.float64))
        if levels.ndim != 1 or not len(levels) or not np.all((levels > 0) & (levels < 1)):
            raise ValueError(f"quantile must lie in (0, 1), got {asked!r}.")
        if len(np.unique(levels)) < len(levels):
            raise ValueError(f"quantile must not repeat a level, got {asked!r}.")
        return levels

    def _shaped(self, responses):
        """Members' responses in units of y, (n_members, n_samples, ...)."""
        n_quantiles = len(self._levels()) if self._of_net("loss") == "quantile" else 1
        values = responses.reshape(*responses.shape[:2], self._n_targets, n_quantiles)
        dtype = values.dtype
        values = values * self._y_scale[:, None].astype(dtype)
        values += self._y_center[:, None].astype(dtype)
        if self._of_net("loss") == "quantile":
            values = values[..., np.argsort(np.argsort(self._levels()))]
        if not self._has_many_quantiles():
            values = values[..., 0]
        return values[:, :, 0] if self._single_target else values

    def _add_outputs(self, graph, raw, shares):
        """Predict in a graph; one target keeps its axis."""
        predicted = add_prediction(
            graph,
            raw,
            shares,
            loss=self._of_net("loss"),
            levels=self._levels() if self._of_net("loss") == "quantile" else np.zeros(1),
            center=self._y_center,
            scale=self._y_scale,
            as_table=self._has_many_quantiles() and not self._single_target,
        )
        return {"variable": predicted}

    def _plain_prediction(self, responses):
        """Predict in the form of `_plain_target`."""
        return self._member_mean(self._shaped(responses))

    def _plain_target(self, y):
        """Targets in the form that the user gave."""
        return y[:, 0] if self._single_target else y

    def _read_target(self, y, *, reset):
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        if y.ndim > 2:
            raise ValueError(f"y must have 1 or 2 dimensions, got {y.ndim}.")
        if reset:
            self._single_target = y.ndim == 1
        y = y.reshape(len(y), -1)
        if not reset and y.shape[1] != self._n_targets:
            raise ValueError(f"y has {y.shape[1]} targets, but the net has {self._n_targets}.")
        if self._of_net("loss") == "poisson" and np.any(y < 0):
            raise ValueError(NO_COUNTS)
        return y

    def _learn_target(self, y, weights, dtype):
        """Centre and scale of the targets: the net learns (y - center) / scale."""
        self._n_targets = y.shape[1]
        self.n_outputs_ = self._build_loss().n_outputs(y.shape[1])
        mean = np.average(y, axis=0, weights=weights)
        if self._of_net("loss") == "poisson":
            if not np.any(mean > 0):
                raise ValueError(NO_COUNTS)
            _check_range(y, mean, dtype)
            self._y_center, self._y_scale = np.zeros_like(mean), np.where(mean > 0, mean, 1.0)
            return
        with np.errstate(over="ignore"):
            scale = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
        if self._of_net("loss") in ROBUST:
            mean, scale = _median_and_spread(y, weights, scale)
        _check_range(y, scale, dtype)
        self._y_center, self._y_scale = mean, np.where(scale > 0, scale, 1.0)

    def _encode_target(self, y):
        return (y - self._y_center) / self._y_scale

    def _row_weights(self, y, weights):
        return weights

    def _build_loss(self):
        from sklearn_ext._torch import losses

        if self._of_net("loss") == "quantile":
            return losses.Quantile(sorted(self._levels().tolist()))
        if self._of_net("loss") == "huber":
            return losses.Huber(self._of_net("huber_delta"))
        kinds = {
            "squared_error": losses.SquaredError,
            "absolute_error": losses.AbsoluteError,
            "poisson": losses.Poisson,
        }
        return kinds[self._of_net("loss")]()

    def _validation_score(self, raw, rows):
        """R² of the validation rows (for quantiles of the middle one), the mean over members."""
        predicted = self.net_.criterion_.response(raw)
        target = rows.seen_targets
        predicted = predicted.unflatten(-1, (self._n_targets, -1))
        predicted = predicted[..., predicted.shape[-1] // 2]
        weights = target.new_ones(target.shape[:-1]) if rows.weights is None else rows.seen_weights
        shares = (weights / weights.sum(-1, keepdim=True)).unsqueeze(-1)  # (..., n, 1)
        errors = (shares * (predicted - target).square()).sum(-2)
        center = (shares * target).sum(-2, keepdim=True)
        spread = (shares * (target - center).square()).sum(-2)
        # As r2_score: a constant target is met, 1, or it is not, 0.
        scores = (1.0 - errors / spread).where(spread > 0, (errors == 0).to(errors.dtype))
        return float(scores.mean())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _median_and_spread(y, weights, std):
    """Medians and, in standard deviations of a normal y, interquartile ranges of columns."""
    lower, median, upper = np.transpose([weighted_quantiles(c, weights, QUARTERS) for c in y.T])
    spread = (upper - lower) / NORMAL_QUARTILES
    return median, np.where(spread > 0, spread, std)


def _check_range(y, scale, dtype):
    """Raise an error for targets that cannot be predicted in the dtype of the rows."""
    limits = np.finfo(dtype)
    largest, spread = np.abs(y).max(axis=0), np.ptp(y, axis=0)
    fits = np.isfinite(scale) & (largest < limits.max / 100)  # predictions may go beyond y
    fits &= (scale >= limits.tiny) | (spread == 0)
    if not fits.all():
        worst = np.argmin(fits)
        raise ValueError(
            f"y holds values of up to {largest[worst]:.3g} that vary by {spread[worst]:.3g}, which "
            f"{limits.dtype}, the precision of X, cannot hold or square. Scale y, by "
            "TransformedTargetRegressor for instance."
        )
