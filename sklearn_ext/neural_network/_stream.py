"""Sequences that grow while a fitted net follows them."""

import copy

import numpy as np
from sklearn.utils.metaestimators import available_if

from sklearn_ext._sequences import check_channels, read_sequences

__all__ = ["SequenceStream"]


def _classifies(stream):
    return hasattr(stream.estimator, "predict_proba")


class SequenceStream:
    """A fitted recurrent net and how far it has come in some sequences.

    Made by the method `stream` of a fitted :class:`RNNClassifier` or :class:`RNNRegressor`. After
    any number of updates the predictions are those of the estimator for all steps so far.

    Parameters
    ----------
    estimator : RNNClassifier or RNNRegressor
        Fitted with ``bidirectional=False``. A copy of it is kept.

    Attributes
    ----------
    estimator : RNNClassifier or RNNRegressor
        The copy.
    n_timesteps_ : int
        Number of steps so far.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext import RNNClassifier
    >>> X, y = np.random.default_rng(0).normal(size=(20, 12)), np.arange(20) % 2
    >>> model = RNNClassifier(bidirectional=False, max_iter=2, random_state=0).fit(X[..., None], y)
    >>> stream = model.stream().update(X[:, :5]).update(X[:, 5:])
    >>> np.allclose(stream.predict_proba(), model.predict_proba(X[..., None]))
    True
    """

    def __init__(self, estimator):
        self.estimator = copy.copy(estimator)
        self.n_timesteps_ = 0
        self._positions = self._pooled = None

    def update(self, X):
        """Take new steps of all sequences.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_new) or (n_samples, n_new, n_channels)
            New steps, as many for each sequence, in the estimator's `axis_order`. The sequences
            are those of the first call, in the same order.

        Returns
        -------
        self : SequenceStream
            This object.
        """
        import torch

        from sklearn_ext._torch.threads import one_thread

        values = self._checked(X)
        self._dtype = values.dtype
        module = self.estimator.net_.module_
        device = next(module.parameters()).device
        with torch.no_grad(), one_thread():
            tensor = torch.from_numpy(np.array(values)).to(device)
            found = module.follow(tensor, self._positions)
        self._pooled, self._positions = found
        self.n_timesteps_ += values.shape[1]
        return self

    def predict(self):
        """Predict from all steps so far.

        Returns
        -------
        y : ndarray
            What ``predict`` of the estimator gives for the sequences up to here.
        """
        if _classifies(self):
            return self.estimator._labels(self.predict_proba())
        return self.estimator._member_mean(self.estimator._shaped(self._responses()))

    @available_if(_classifies)
    def predict_proba(self):
        """Predict probabilities from all steps so far.

        Returns
        -------
        probability : ndarray
            What ``predict_proba`` of the estimator gives for the sequences up to here.
        """
        return self.estimator._probability(self._responses())

    def _responses(self):
        import torch

        from sklearn_ext._torch.threads import one_thread

        if self._pooled is None:
            raise ValueError("This stream has seen no steps yet. Call update first.")
        net = self.estimator.net_
        with torch.no_grad(), one_thread():
            response = net.criterion_.response(net.module_.judged(self._pooled))
        return response.cpu().numpy().astype(self._dtype)

    def _checked(self, X):
        """Read new steps, (n, n_new, n_channels)."""
        found = read_sequences(X, axis_order=self.estimator.axis_order)
        if np.any(found.lengths < found.n_timesteps):
            raise ValueError("A stream takes equally many steps of all its sequences.")
        check_channels(self.estimator, found)
        if self._pooled is not None and len(found) != self._pooled.shape[1]:
            raise ValueError(
                f"X has {len(found)} sequences, but this stream follows {self._pooled.shape[1]}."
            )
        return found.values.reshape(len(found), found.n_timesteps, found.n_channels)
