"""PolynomialRegressor on rows that come in chunks, or lie in the partitions of a collection."""

from functools import partial

import numpy as np
from sklearn.utils.metaestimators import available_if

from sklearn_ext._validation import _fit_context, all_or_nothing
from sklearn_ext.linear_model._dask import reduce_partitions
from sklearn_ext.linear_model._primal import solve_stream
from sklearn_ext.linear_model._streaming import merge_moments, moments_of
from sklearn_ext.linear_model._training_data import (
    check_chunk,
    check_rows,
    declare_columns,
    terms_over,
)

__all__ = ["StreamedFitMixin"]


def _settings_stream(estimator):
    """Whether the settings need no second look at the rows; an error that names one that does."""
    needs_all_rows = {
        "degree": estimator.degree == "auto",
        "truncation": estimator.truncation == "auto",
        "alpha": estimator.alpha == "auto",
        "selection": estimator.selection is not None,
        "solver": estimator.solver in ("dual", "refined"),
        "compute_loo": estimator.compute_loo is True,
    }
    for name, needed in needs_all_rows.items():
        if needed:
            raise AttributeError(
                f"{name}={getattr(estimator, name)!r} needs all rows at once: partial_fit and dask "
                f"collections work for other values of {name} only. Fit an array instead."
            )
    return True


def _chunk_moments(estimator, X, y, sample_weight):
    """Moments of one partition, on the worker that holds it; None for no rows that count."""
    if len(X) == 0 or (sample_weight is not None and not np.any(sample_weight)):
        return None
    rows = check_chunk(X, y, sample_weight)
    return moments_of(rows, *estimator._streaming_setup(rows.X))


class StreamedFitMixin:
    """What `PolynomialRegressor` does with rows that it sees once: it sums them into moments."""

    @available_if(_settings_stream)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Fit to more rows: the result is that of one fit to all rows seen.

        Works for a fixed `degree`, `truncation` and `alpha` with ``selection=None``, by the
        solvers "auto" (which is "qr" here), "qr" and "cholesky". The columns' bounds may grow
        from chunk to chunk. Continues after `fit` as well, unless that chose by leave-one-out
        scores, refined, gave up the classical basis, or had more than 2000 terms.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Further rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts, in [0, inf).

        Returns
        -------
        self : PolynomialRegressor
            This estimator.

        Raises
        ------
        AttributeError
            If a setting needs all rows at once.
        ValueError
            As for `fit`.
        """
        with all_or_nothing(self):
            first = not hasattr(self, "_fitted")
            rows, single = check_rows(self, X, y, sample_weight, reset=first)
            chunk = moments_of(rows, *self._streaming_setup(rows.X))
            if first:
                self._single_target = single
                return self._keep(solve_stream(chunk, self.alpha))
            seen = self._fitted.moments
            if seen is None or chunk.n_outputs != seen.n_outputs:
                raise ValueError(
                    "partial_fit cannot continue this model: it was fitted by settings that keep "
                    "no sums over rows, or y has another number of columns. Start from clone(self)."
                )
            return self._keep(solve_stream(merge_moments(seen, chunk), self.alpha))

    def _fit_dask(self, X, y, sample_weight):
        """Reduce the moments of all partitions on the cluster."""
        try:
            _settings_stream(self)
        except AttributeError as error:
            raise ValueError(str(error)) from None
        declare_columns(self, X)
        self._single_target = y.ndim == 1
        moments = reduce_partitions(partial(_chunk_moments, self), X, y, sample_weight)
        return self._keep(solve_stream(moments, self.alpha))

    def _streaming_setup(self, X):
        """Terms, degree and solver of a chunk."""
        terms = terms_over(self.get_params(deep=False), X)
        return terms, self.degree, "cholesky" if self.solver == "cholesky" else "qr"

    def _one_look_is_enough(self):
        try:
            return _settings_stream(self)
        except AttributeError:
            return False
