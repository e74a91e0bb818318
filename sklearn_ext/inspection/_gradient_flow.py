"""How far back in time the gradient of a recurrent net reaches.

What a recurrent estimator brings along for it is one method::

    _state_gradients(X, y, *, initial) -> (norms, steps_between_states, n_timesteps)

`norms` is a dict of str to ndarray of shape (n_states,). For each layer, named in the order of the
net (one entry for each direction of a bidirectional one), it holds the norm of the gradient of the
training loss on (X, y) with respect to the state, by the number of states that the layer had still
to come in its sequence (entry 0 is its last). It is the root mean square over the sequences that
have so many states, times the root of the number of all: that fewer sequences are left far from
the end does not make it fall. `steps_between_states` is the number of steps of the sequences from
one state to the next, above 1 in a net that shortens sequences first, and `n_timesteps` the number
of steps of the longest sequence.

With ``initial=True`` it is that of the weights that `fit` on (X, y) begins with, and the estimator
may be unfitted. The estimator is not changed.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import theilslopes
from sklearn.utils import check_consistent_length

from sklearn_ext._validation import check_is_fitted

__all__ = ["GradientFlow", "decay_rate", "gradient_flow", "summarize_flow"]

# More lags than this are thinned out evenly: the robust slope looks at all pairs of them.
_MOST_LAGS = 400
# A memory of that many steps is told from an endless one by rounding only.
ENDLESS = 1e6


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """What :func:`gradient_flow` measured.

    Parameters
    ----------
    norms : dict of str to ndarray of shape (n_states,)
        For each layer the norm of the gradient of the loss with respect to the state, from the
        last state that the layer had of a sequence to the first. For a layer that walks back,
        the last one is at the beginning of the sequence. Where only some sequences have so many
        states, it is scaled up to the number of all.
    decay_rates : dict of str to float
        Slope of the logarithm of the norm, per step of the sequences; negative where it decays.
    memory_lengths : dict of str to float
        Steps in which the norm falls by the factor e: -1 / rate, infinite where it does not fall.
    verdicts : dict of str to {"vanishing", "healthy", "exploding"}
        What that means for sequences of this length.
    n_timesteps : int
        Length of the longest sequence.
    threshold : float
        Share of the length that the memory length must reach.
    steps_between_states : int, default=1
        Steps of the sequences from one state to the next: above 1 in a net that shortens them
        first, as `max_steps` of `RNNClassifier` does.

    See Also
    --------
    GradientFlowDisplay : The picture of it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.inspection import GradientFlow
    >>> flow = GradientFlow(
    ...     norms={"layer 1": np.exp(-np.arange(100) / 4)},
    ...     decay_rates={"layer 1": -0.25},
    ...     memory_lengths={"layer 1": 4.0},
    ...     verdicts={"layer 1": "vanishing"},
    ...     n_timesteps=100,
    ...     threshold=0.2,
    ... )
    >>> print(flow)
    vanishing: the gradient reaches 4 steps back, sequences have 100
      layer 1: rate -0.25 per step, memory 4 steps, vanishing
    """

    norms: dict
    decay_rates: dict
    memory_lengths: dict
    verdicts: dict
    n_timesteps: int
    threshold: float
    steps_between_states: int = 1

    @property
    def memory_length(self):
        """Memory length of the layer that remembers longest: it suffices that one does."""
        return max(self.memory_lengths.values())

    @property
    def verdict(self):
        """The word for the whole net: exploding if a layer is, else that of its longest memory."""
        if "exploding" in self.verdicts.values():
            return "exploding"
        return "healthy" if "healthy" in self.verdicts.values() else "vanishing"

    def __str__(self):
        lines = [
            f"{self.verdict}: the gradient reaches {_steps(self.memory_length)} back, sequences "
            f"have {self.n_timesteps}"
        ]
        lines += [
            f"  {layer}: rate {rate:.3g} per step, memory {_steps(self.memory_lengths[layer])}, "
            f"{self.verdicts[layer]}"
            for layer, rate in self.decay_rates.items()
        ]
        return "\n".join(lines)


def _steps(length):
    return f"{length:.3g} steps" if length < ENDLESS else "any number of steps"


def gradient_flow(estimator, X, y, *, initial=False, threshold=0.2):
    """Measure how the gradient of a recurrent net decays on its way back in time.

    A net learns that an early step matters only if the gradient of the loss reaches that step.
    Through a plain recurrence it shrinks, or grows, by about the same factor at every step
    ([1]_); how many steps it takes to fall by the factor e is the memory length of the net.

    Parameters
    ----------
    estimator : estimator
        Recurrent net of this library, such as `RNNClassifier`, or a fitted `LoRAAdapter` of one.
    X : array-like of shape (n, T) or (n, T, n_channels), or sequence of n arrays
        Sequences. A few dozen suffice.
    y : array-like of shape (n,) or (n, n_outputs)
        Targets.
    initial : bool, default=False
        Whether to measure the net with the weights that training begins with; the estimator need
        not be fitted then, and is not changed. Otherwise the fitted weights are measured.
    threshold : float, default=0.2
        Share of the length of the sequences that the memory length must reach to count as
        healthy; above 0.

    Returns
    -------
    flow : GradientFlow
        Norms by distance from the last state, decay rates, memory lengths, verdicts.

    Raises
    ------
    TypeError
        If the estimator has no recurrent state.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted and `initial` is False.

    See Also
    --------
    GradientFlowDisplay : Draw it for several estimators.

    Notes
    -----
    The rate is the Theil-Sen slope (median over all pairs of lags) of the logarithm of the norm,
    so that neither the first steps nor a few odd ones decide. Norms that underflow to 0 are left
    out; where all but the last step do, the memory length is 0.

    The norm at a distance is the root mean square over the sequences that are as long, times the
    root of the number of all, so that it falls with the gradient only and not with the number of
    sequences that are left.

    A net that shortens sequences first, as `max_steps` does, has fewer states than they have steps.
    Rates and memory lengths are still in steps of the sequences.

    With T steps, a layer is *vanishing* where its memory length is below `threshold` * T,
    *exploding* where the norm grows by the factor e in fewer steps than that, and *healthy*
    otherwise. In trials on memory tasks, T / 5 before training told the cells that went on to
    learn from those that did not.

    References
    ----------
    .. [1] Y. Bengio, P. Simard, P. Frasconi, "Learning long-term dependencies with gradient
       descent is difficult", IEEE Trans. Neural Networks 5(2), 157-166, 1994.
    .. [2] R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013, PMLR 28(3), 1310-1318.

    Examples
    --------
    An estimator tells the norms by a private method; this one stands for a net whose gradient
    halves at each step.

    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from sklearn_ext.inspection import gradient_flow
    >>> class HalvingNet(BaseEstimator):
    ...     def _state_gradients(self, X, y, *, initial):
    ...         return {"layer 1": 0.5 ** np.arange(X.shape[1])}, 1, X.shape[1]
    >>> flow = gradient_flow(HalvingNet(), np.zeros((4, 30)), np.zeros(4), initial=True)
    >>> flow.verdict, round(flow.memory_length, 2)
    ('vanishing', 1.44)
    """
    if not hasattr(estimator, "_state_gradients"):
        raise TypeError(
            f"estimator must be a recurrent net with states to differentiate by, got "
            f"{type(estimator).__name__}. Of a pipeline, pass the last step and transformed X; of "
            "a search, its best_estimator_."
        )
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold!r}.")
    if not initial:
        check_is_fitted(estimator)
    check_consistent_length(X, y)
    measured = estimator._state_gradients(X, y, initial=initial)
    return summarize_flow(*measured, threshold=threshold)


def summarize_flow(norms, steps_between_states, n_timesteps, *, threshold=0.2):
    """Draw rates, memory lengths and verdicts from norms.

    Parameters
    ----------
    norms : dict of str to array-like of shape (n_states,)
        Norms of each layer from its last state to its first.
    steps_between_states : int
        Steps of the sequences from one state to the next.
    n_timesteps : int
        Length of the longest sequence.
    threshold : float, default=0.2
        Share of the length that the memory length must reach.

    Returns
    -------
    flow : GradientFlow
        All of it.
    """
    norms = {layer: np.asarray(values) for layer, values in norms.items()}
    rates = {layer: decay_rate(values) / steps_between_states for layer, values in norms.items()}
    return GradientFlow(
        norms=norms,
        decay_rates=rates,
        memory_lengths={layer: _memory_length(rate) for layer, rate in rates.items()},
        verdicts={layer: _verdict(rate, threshold * n_timesteps) for layer, rate in rates.items()},
        n_timesteps=n_timesteps,
        threshold=threshold,
        steps_between_states=steps_between_states,
    )


def decay_rate(norms):
    """Slope of the logarithm of norms per state, robust to odd ones.

    Parameters
    ----------
    norms : ndarray of shape (n_states,)
        Norms from the last state to the first.

    Returns
    -------
    rate : float
        Negative where they fall: -inf where all but one underflow; inf where one overflows.
    """
    if not np.isfinite(norms).all():
        return np.inf
    lags = np.flatnonzero(norms >= np.finfo(norms.dtype).tiny)
    if len(norms) == 1:
        return 0.0  # one state: there is nothing to forget
    if len(lags) < 2:
        return -np.inf
    if len(lags) > _MOST_LAGS:
        lags = lags[np.linspace(0, len(lags) - 1, _MOST_LAGS).astype(int)]
    return float(theilslopes(np.log(norms[lags]), lags).slope)


def _memory_length(rate):
    return -1.0 / rate if rate < 0 else np.inf


def _verdict(rate, least):
    """Compare the steps in which the norm changes by the factor e with the least number wanted."""
    if abs(rate) * least <= 1:
        return "healthy"
    return "vanishing" if rate < 0 else "exploding"
