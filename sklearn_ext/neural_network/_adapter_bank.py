"""Several adapters around one base."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
from sklearn.frozen import FrozenEstimator

from sklearn_ext._missing import is_missing
from sklearn_ext._validation import _num_samples, _safe_indexing, check_is_fitted
from sklearn_ext.neural_network._adapter_state import MissingBase, are_same_classes
from sklearn_ext.neural_network._lora import LoRAAdapter

__all__ = ["AdapterBank"]


class AdapterBank:
    """Names to adapters of one frozen base, which is in memory once.

    Parameters
    ----------
    adapters : dict of str to LoRAAdapter
        Fitted adapters of the same :class:`~sklearn.frozen.FrozenEstimator`, or of frozen copies of
        it with equal weights.

    See Also
    --------
    LoRAAdapter : One adapter.

    Notes
    -----
    There is nothing to load when another adapter is asked: each has its own estimator, whose base
    shares the memory of the frozen one.

    Examples
    --------
    >>> from sklearn_ext import FFNNRegressor, LoRAAdapter
    >>> from sklearn_ext.datasets import load_concrete
    >>> from sklearn_ext.neural_network import AdapterBank
    >>> X, y = load_concrete(return_X_y=True)
    >>> base = FFNNRegressor(n_members=2, max_iter=5, random_state=0).fit(X[:800], y[:800])
    >>> adapter = LoRAAdapter.from_fitted(base, r=2, max_iter=5, random_state=0)
    >>> bank = AdapterBank({"north": adapter.fit(X[800:900], y[800:900])})
    >>> bank.predict(X[:4], ["north", None, "north", None]).shape
    (4,)
    >>> type(bank.merge({"north": 0.5})).__name__
    'FFNNRegressor'
    """

    def __init__(self, adapters):
        self.adapters = adapters

    @property
    def names(self):
        """Names of the adapters.

        Returns
        -------
        names : list of str
            In their order.
        """
        return list(self.adapters)

    def __getitem__(self, name):
        return self._checked()[name]

    def _checked(self):
        """Give the adapters, of which all have one base."""
        if not isinstance(self.adapters, Mapping) or not self.adapters:
            raise ValueError("adapters must be a dict of names to fitted adapters, and not empty.")
        for name, adapter in self.adapters.items():
            if not isinstance(adapter, LoRAAdapter):
                raise TypeError(f"{name!r} is no LoRAAdapter but a {type(adapter).__name__}.")
            check_is_fitted(adapter)
            if isinstance(adapter.estimator, MissingBase):
                raise adapter.estimator.not_here()
            if not isinstance(adapter.estimator, FrozenEstimator):
                raise ValueError(
                    f"The base of {name!r} is its own. Fit one base and use "
                    "LoRAAdapter.from_fitted for all adapters."
                )
            self._check_base(name, adapter)
        return self.adapters

    def _check_base(self, name, adapter):
        """Raise an error if the base of an adapter is not that of the first."""
        from sklearn_ext._torch.adapter_state import base_is

        first = next(iter(self.adapters.values()))
        adaptation, base = first._adaptation(), first._frozen_base()
        if adapter._frozen_base() is base:
            return
        module = adaptation.module(adapter.estimator_)
        labels = (getattr(one, "classes_", None) for one in (adapter, first))
        if not are_same_classes(*labels) or not base_is(
            module, adaptation.module(adaptation.merged(base))
        ):
            raise ValueError(f"{name!r} has another base than {self.names[0]!r}.")

    def predict(self, X, names):
        """Predict each row by its own adapter.

        Parameters
        ----------
        X : array-like
            Samples, in a form that the base takes.
        names : array-like of (str or None) of shape (n_samples,), or str
            Adapter of each sample; None, or NaN in its place, is the base itself. A single one is
            that of all.

        Returns
        -------
        y : ndarray
            What `predict` of each gives, in the order of the samples.
        """
        return self._by_row("predict", X, names)

    def predict_proba(self, X, names):
        """Predict probabilities of each row by its own adapter.

        Parameters
        ----------
        X : array-like
            Samples, in a form that the base takes.
        names : array-like of (str or None) of shape (n_samples,), or str
            Adapter of each sample; None is the base itself. A single one is that of all.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            What `predict_proba` of each gives, in the order of the samples.
        """
        return self._by_row("predict_proba", X, names)

    def _by_row(self, method, X, names):
        adapters, n_rows = self._checked(), _n_rows(X)
        if names is None or isinstance(names, str):
            names = [names] * n_rows
        names = np.array([None if is_missing(name) else name for name in names], dtype=object)
        if len(names) != n_rows:
            raise ValueError(f"names must have one name a sample, {n_rows}, got {len(names)}.")
        found = None
        if not n_rows:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        for name in dict.fromkeys(names):
            rows = np.flatnonzero([other == name for other in names])
            part = getattr(self._estimator(adapters, name), method)(_taken(X, rows))
            if found is None:
                found = np.empty((n_rows, *part.shape[1:]), dtype=part.dtype)
            found[rows] = part
        return found

    def _estimator(self, adapters, name):
        if name is None:
            return next(iter(adapters.values()))._frozen_base()
        if name not in adapters:
            raise ValueError(f"There is no adapter {name!r}. There are: {', '.join(adapters)}.")
        return adapters[name]

    def merge(self, weights):
        """Give a plain estimator with a weighted sum of the changes.

        Parameters
        ----------
        weights : dict of str to float
            Weight of each adapter's change; the others have none.

        Returns
        -------
        merged : estimator
            Of the class of the base, with W_0 + sum of w_i (W_i - W_0). Buffers of real numbers,
            such as running means, are combined alike and kept within the range of those combined;
            other buffers are those of the base.
        """
        import torch

        adapters = self._checked()
        _check_weights(weights)
        models = {name: self._estimator(adapters, name) for name in weights}
        first = next(iter(models.values()))
        adaptation = first._adaptation()
        learned = [adaptation.module(model.estimator_) for model in models.values()]
        with torch.inference_mode(False), torch.no_grad():  # or it could never be trained
            merged = adaptation.merged(first.estimator_)
            module = adaptation.module(adaptation.merged(first._frozen_base()))
            start = dict(module.named_parameters())
            changed = [module.weights() for module in learned]
            for name, parameter in adaptation.module(merged).named_parameters():
                values = [of[name] for of in changed]
                parameter.copy_(_combined(start[name].to(parameter), values, weights))
            for name, buffer in adaptation.module(merged).named_buffers():
                values = [of.base.get_buffer(name) for of in learned]
                buffer.copy_(_within(module.get_buffer(name).to(buffer), values, weights))
        return merged


def _combined(start, values, weights):
    """Compute W_0 + sum of w_i (W_i - W_0)."""
    pairs = zip(weights.values(), values, strict=True)
    return start + sum(weight * (value.to(start) - start) for weight, value in pairs)


def _within(start, values, weights):
    """Combine real numbers alike, no further than they reach: a variance stays positive."""
    import torch

    if not start.is_floating_point():
        return start
    reach = torch.stack([start, *(value.to(start) for value in values)])
    return _combined(start, values, weights).clamp(reach.amin(0), reach.amax(0))


def _n_rows(X):
    """Count samples; a skorch net may get a dict of arrays, each with all of them."""
    return _num_samples(next(iter(X.values())) if isinstance(X, Mapping) and X else X)


def _taken(X, rows):
    if isinstance(X, Mapping):
        return {name: _safe_indexing(values, rows) for name, values in X.items()}
    return _safe_indexing(X, rows)


def _check_weights(weights):
    """Raise an error if something is no name of an adapter with a finite number."""
    if not isinstance(weights, Mapping) or not weights or None in weights:
        raise ValueError(
            "weights must be a dict of names of adapters, such as {'first': 0.5}, got "
            f"{weights!r}."
        )
    for name, weight in weights.items():
        if not isinstance(weight, Real) or not np.isfinite(weight):
            raise ValueError(f"The weight of {name!r} must be a finite number, got {weight!r}.")
