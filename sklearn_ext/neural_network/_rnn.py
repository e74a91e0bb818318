"""Recurrent neural networks for sequences."""

from sklearn_ext._validation import _fit_context, assign_parameters, with_callbacks
from sklearn_ext.neural_network._classification_targets import ClassificationTargets
from sklearn_ext.neural_network._net_docstrings import (
    CLASSES,
    CLASSIFICATION_PARAMETERS,
    REGRESSION_PARAMETERS,
)
from sklearn_ext.neural_network._regression_targets import RegressionTargets
from sklearn_ext.neural_network._rnn_docstrings import documented_sequence_net
from sklearn_ext.neural_network._sequential import BaseRecurrent

__all__ = ["RNNClassifier", "RNNRegressor"]


@documented_sequence_net(REGRESSION_PARAMETERS)
class RNNRegressor(RegressionTargets, BaseRecurrent):
    """Recurrent neural network for regression on sequences.

    Convolutions of several widths, a recurrent layer in both directions, and several poolings of
    its states, on sequences of any lengths with any number of channels.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    RNNClassifier : The same for classes.
    FFNNRegressor : For tables.

    Notes
    -----
    <notes>

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext import RNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(rng.integers(5, 20), 2)) for _ in range(100)]
    >>> y = [steps[:, 0].mean() for steps in X]
    >>> model = RNNRegressor(random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.8
    True
    """

    _parameter_constraints = {
        **BaseRecurrent._parameter_constraints,
        **RegressionTargets._parameter_constraints,
    }

    def __init__(
        self,
        *,
        cell="mingru",
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.0,
        hidden_size=32,
        num_layers=1,
        bidirectional=True,
        pooling=("mean", "max", "attention"),
        stem_channels=32,
        max_steps=128,
        nonlinearity="tanh",
        recurrent_init="orthogonal",
        gate_bias="chrono",
        axis_order="channels_last",
        solver="adam",
        alpha=0.01,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.002,
        warmup_fraction=0.0,
        power_t=0.5,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=0.0,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change="auto",
        dropout=0.2,
        n_members=3,
        max_grad_norm=1.0,
        gradient_accumulation_steps=1,
        precision="auto",
        device="auto",
        compile=False,
        callbacks=None,
    ):
        assign_parameters(self, locals())

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, validation_set=None):
        """Fit the net.

        Parameters
        ----------
        X : array-like
            Training sequences, see the notes.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        validation_set : tuple, default=None
            ``(X, y)`` or ``(X, y, sample_weight)`` whose loss is watched, instead of held-out
            sequences.

        Returns
        -------
        self : RNNRegressor
            The fitted estimator.
        """
        return self._fit_rows(X, y, sample_weight, validation_set)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Go once through some sequences, at the initial learning rate.

        Scales and memory are those of the first call. A channel of one value there has the scale 1
        about it.

        Parameters
        ----------
        X : array-like
            Sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : RNNRegressor
            The fitted estimator.
        """
        return self._fit_rows(X, y, sample_weight, None, partial=True)


@documented_sequence_net(CLASSIFICATION_PARAMETERS, CLASSES)
class RNNClassifier(ClassificationTargets, BaseRecurrent):
    """Recurrent neural network for classification of sequences.

    Convolutions of several widths, a recurrent layer in both directions, and several poolings of
    its states, on sequences of any lengths with any number of channels.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    RNNRegressor : The same for numbers.
    FFNNClassifier : For tables.

    Notes
    -----
    <notes>

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=rng.integers(20, 60)).cumsum() for _ in range(60)]
    >>> y = ["up" if steps[-1] > steps[0] else "down" for steps in X]
    >>> model = RNNClassifier(random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints = {
        **BaseRecurrent._parameter_constraints,
        **ClassificationTargets._parameter_constraints,
    }

    def __init__(
        self,
        *,
        cell="mingru",
        class_weight=None,
        label_smoothing=0.1,
        hidden_size=32,
        num_layers=1,
        bidirectional=True,
        pooling=("mean", "max", "attention"),
        stem_channels=32,
        max_steps=128,
        nonlinearity="tanh",
        recurrent_init="orthogonal",
        gate_bias="chrono",
        axis_order="channels_last",
        solver="adam",
        alpha=0.01,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.002,
        warmup_fraction=0.0,
        power_t=0.5,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=0.0,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change="auto",
        dropout=0.2,
        n_members=3,
        max_grad_norm=1.0,
        gradient_accumulation_steps=1,
        precision="auto",
        device="auto",
        compile=False,
        callbacks=None,
    ):
        assign_parameters(self, locals())

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, validation_set=None):
        """Fit the net.

        Parameters
        ----------
        X : array-like
            Training sequences, see the notes.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type, or an indicator matrix of several labels a sequence.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        validation_set : tuple, default=None
            ``(X, y)`` or ``(X, y, sample_weight)`` whose loss is watched, instead of held-out
            sequences.

        Returns
        -------
        self : RNNClassifier
            The fitted estimator.
        """
        self._forget_announced_classes()
        return self._fit_rows(X, y, sample_weight, validation_set)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go once through some sequences, at the initial learning rate.

        Scales and memory are those of the first call. A channel of one value there has the scale 1
        about it.

        Parameters
        ----------
        X : array-like
            Sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type, or an indicator matrix of several labels a sequence.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : RNNClassifier
            The fitted estimator.
        """
        self._announce_classes(classes)
        return self._fit_rows(X, y, sample_weight, None, partial=True)
