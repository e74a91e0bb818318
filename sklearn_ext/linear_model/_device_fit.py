"""PolynomialRegressor on arrays of other libraries: fit, predict, and what goes to the host."""

import numpy as np
from sklearn import get_config

from sklearn_ext._validation import (
    _check_sample_weight,
    _max_precision_float_dtype,
    check_same_namespace,
    move_to,
    validate_data,
)
from sklearn_ext.linear_model._device_rows import (
    column_bounds,
    moments_on_device,
    namespace_of,
    predict_on_device,
)
from sklearn_ext.linear_model._fit_rows import fit_rows
from sklearn_ext.linear_model._primal import solve_stream
from sklearn_ext.linear_model._reading import warn_of_extrapolation
from sklearn_ext.linear_model._training_data import check_rows, terms_over

__all__ = ["DeviceMixin"]


def host(*arrays):
    """Copy arrays of any library to numpy; None stays None."""
    return move_to(*arrays, xp=np, device="cpu")


class DeviceMixin:
    """What `PolynomialRegressor` does with arrays that are dispatched on.

    Rows are folded into one small triangle on their device. Settings that look at the rows more
    than once ("auto" choices, a selection, the solvers "dual" and "refined") copy the rows to the
    host instead. Either way `bounds_` and all predictions are arrays of the library of X.
    """

    def _fit_on_device(self, X, y, sample_weight):
        """Fit, and leave `bounds_` on the device of X."""
        xp, device = namespace_of(X)
        if self._one_look_is_enough() and self.solver != "cholesky":
            X, y, sample_weight = self._check_device_rows(X, y, sample_weight)
            terms = terms_over(self.get_params(deep=False), column_bounds(X))
            memory = get_config()["working_memory"]
            moments = moments_on_device(X, y, sample_weight, terms, self.degree, memory)
            self._keep(solve_stream(moments, self.alpha))
        else:
            rows, self._single_target = check_rows(self, *host(X, y, sample_weight), reset=True)
            self._keep(fit_rows(rows, self.get_params(deep=False)))
        exact = _max_precision_float_dtype(xp, device)
        self.bounds_ = xp.asarray(self.bounds_, dtype=exact, device=device)
        if not self._single_target:
            self.noise_variance_ = xp.asarray(self.noise_variance_, dtype=exact, device=device)
        return self

    def _check_device_rows(self, X, y, sample_weight):
        """Validate rows; those of weight 0 are left out."""
        xp, device = namespace_of(X)
        y, sample_weight = move_to(y, sample_weight, xp=xp, device=device)
        X, y = validate_data(
            self, X, y, dtype=[xp.float64, xp.float32], multi_output=True, y_numeric=True
        )
        self._single_target = y.ndim == 1
        y = xp.reshape(y, (X.shape[0], -1))
        if sample_weight is None:
            return X, y, None
        weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        counted = xp.nonzero(weight > 0)[0]
        return tuple(xp.take(values, counted, axis=0) for values in (X, y, weight))

    def _predict_on_device(self, X, return_std):
        """Predict, in the library, on the device and in the dtype of X."""
        check_same_namespace(X, self, attribute="bounds_", method="predict")
        xp, device = namespace_of(X)
        X = validate_data(self, X, dtype=[xp.float64, xp.float32], reset=False)
        fitted, linear = self._fitted, self._goes_on_linearly()
        if return_std or linear or fitted.dual is not None or fitted.low is not None:
            found = self._predict_rows(host(X), return_std)
            back = [xp.asarray(np.array(part), device=device) for part in found]
            return tuple(back) if return_std else back[0]
        if self.degree_ > 1:
            warn_of_extrapolation(column_bounds(X), fitted.terms.bounds.T)
        memory = get_config()["working_memory"]
        found = predict_on_device(fitted.basis, fitted.coefficients, X, memory)
        return xp.astype(self._shaped(found), X.dtype)
