"""Recurrent neural networks for sequences."""

import numpy as np

from sklearn_ext._validation import _fit_context, with_callbacks
from sklearn_ext.neural_network._classification_targets import ClassificationTargets
from sklearn_ext.neural_network._docstrings import documented
from sklearn_ext.neural_network._regression_targets import RegressionTargets
from sklearn_ext.neural_network._sequential import BaseRecurrent

__all__ = ["RNNClassifier", "RNNRegressor"]

_SHARED_PARAMETERS = """\
    cell : {{"mingru", "gru", "lstm", "rnn"}}, default="mingru"
        Recurrent cell: the minimal gated recurrent unit [1]_, whose gates see the input only, so
        that it is the fastest here; the gated recurrent unit; the long short-term memory; the
        plain recurrent net without gates.
    {own}hidden_size : int, default=32
        Size of the state of one direction.
    num_layers : int, default=1
        Recurrent layers, one upon another.
    bidirectional : bool, default=True
        Whether the net also walks from the end of each sequence. A net that walks ahead only can
        follow a sequence while it grows, see `stream`.
    pooling : {{"last", "mean", "max", "attention"}} or tuple of them, \
default=("mean", "max", "attention")
        What the states of all steps become. "last" is the state at the end of each way; "attention"
        a mean with weights that are learned. Several ones are put side by side.
    stem_channels : int, default=32
        Channels of four dilated convolutions in front of the recurrence; 0 for none. Their outputs
        are pooled too, beside the states.
    max_steps : int or None, default=128
        Behind the convolutions the maximum over windows leaves at most so many steps of the longest
        training sequence. None leaves all of them, as does ``stem_channels=0``.
    nonlinearity : {{"tanh", "relu"}}, default="tanh"
        Of the cell "rnn".
    recurrent_init : {{"orthogonal", "identity", "uniform"}}, default="orthogonal"
        First recurrent weights. "identity" goes with ``nonlinearity="relu"`` [2]_; "uniform" is the
        start of torch for all weights of its layers, with a memory of two steps. The cell "mingru"
        has no recurrent weights.
    gate_bias : "chrono" or float, default="chrono"
        First bias of the gates that keep the state. "chrono" draws it so that the units remember
        for 2 steps up to the length of the longest training sequence [3]_; 0 is the start of torch.
    axis_order : {{"channels_last", "channels_first"}}, default="channels_last"
        Whether 3-D input is (n_samples, n_timesteps, n_channels), or has its channels before its
        steps as in aeon and sktime; likewise for each of several arrays.
    solver : {{"adam", "sgd"}}, default="adam"
        Adam with decoupled weight decay, or stochastic gradient descent with momentum.
    alpha : float, default=0.01
        Weight decay: every step takes the share ``learning rate * alpha`` off each weight, biases
        excepted, where MLPRegressor adds its alpha to the loss.
    batch_size : int or "auto", default="auto"
        Sequences that one step sees. "auto" is n / 8, but no more than 64 or, with convolutions,
        8192 / T for a longest sequence of T steps, and at least 8. A batch is made of sequences of
        about the same length.
    learning_rate : {{"constant", "adaptive", "invscaling", "cosine", "flat_cosine", \
"one_cycle"}}, default="one_cycle"
        Schedule over the whole run. "one_cycle" rises by half a cosine for 30 % of it and falls by
        another. "adaptive" is divided by 5 each time the watched loss has not fallen by more than
        `tol` for `n_iter_no_change` epochs; the run ends when that happens at 1e-6 or less.
    learning_rate_init : float, default=0.002
        Largest learning rate, > 0.
    warmup_fraction : float, default=0.0
        Share of the run, in [0, 1), in which the rate rises from 0; "one_cycle" has its own.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int or "auto", default="auto"
        Epochs, at least 5. "auto" is as many as give 450 gradient steps, times (n / 1000)^0.5 for
        n > 1000 sequences; without convolutions no fewer than 1000, for nothing but the recurrence
        can find what is far away. Times T / 32, but at least 0.15, if the longest sequence has
        T < 32 steps.
    shuffle : bool, default=True
        Whether sequences come in a new order every epoch.
    random_state : int, RandomState instance or None, default=None
        Decides on initial weights, order of sequences, dropout and held-out sequences. None takes
        entropy from the operating system; numpy's and torch's global generators are never used.
    tol : float, default=0.0
        By how much the watched loss has to fall to count as better, >= 0.
    verbose : bool or int, default=False
        Whether to print the losses of every epoch.
    warm_start : bool, default=False
        Whether another `fit` goes on from the weights of the last one.
    momentum : float, default=0.9
        Momentum of "sgd", in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether "sgd" looks ahead along the momentum.
    early_stopping : bool or "auto", default=False
        Whether sequences are held out, the run ends when their loss no longer falls, and the
        weights of the best epoch are kept. Members hold out different sequences in turn. "auto"
        does so for more than 2000 sequences. A `validation_set` given to `fit` takes the place of
        held-out sequences.
    validation_fraction : float, default=0.1
        Share of sequences that each member holds out, in (0, 1).
    beta_1 : float, default=0.9
        Decay rate of Adam's first moment, in [0, 1).
    beta_2 : float, default=0.95
        Decay rate of Adam's second moment, in [0, 1).
    epsilon : float, default=1e-8
        Smallest denominator of Adam, > 0.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without a better loss after which a run ends. "auto" is 30 % of `max_iter`, at least
        10; for an "adaptive" rate 10 % within 2 and 10. Without held-out sequences only
        "constant", "adaptive" and "invscaling" runs end early, by the training loss.
    dropout : float, default=0.2
        Probability, in [0, 1), that a pooled value, or between recurrent layers a unit at all steps
        of a sequence, is left out of a step.
    n_members : int, default=3
        Nets that are trained side by side and averaged. They differ in their initial weights, in
        the order of sequences and in the sequences held out.
    max_grad_norm : float or None, default=1.0
        Largest norm of a gradient, > 0; None for no clipping.
    gradient_accumulation_steps : int, default=1
        Parts in which each batch is worked through, for less memory; results change by rounding
        only.
    precision : {{"auto", "float32", "float64", "bf16-mixed"}}, default="auto"
        Precision of the training steps. "auto" is the dtype of X for full batches and float32 for
        mini-batches, whose noise is far larger. Predictions are computed in
        the dtype of X whatever it is.
    device : str or torch.device, default="auto"
        "auto" takes cuda or mps where there is one, else the CPU.
    compile : bool, default=False
        Whether to compile the module by torch.compile.
    callbacks : list or None, default=None
        Callbacks of skorch. Those of scikit-learn are given to `set_callbacks`.
"""

_SHARED_ATTRIBUTES = """\
    loss_curve_ : list of float
        Training loss of each epoch.
    loss_ : float
        Last training loss.
    best_loss_ : float
        Smallest validation loss, or training loss where there were no validation rows.
    validation_loss_curve_ : list of float or None
        Validation loss of each epoch.
    validation_scores_ : list of float or None
        Validation score of each epoch, the mean over members.
    best_validation_score_ : float or None
        Validation score of the epoch whose weights were kept.
    n_iter_ : int
        Number of epochs.
    t_ : int
        Number of sequences seen in training.
    n_outputs_ : int
        Number of outputs.
    n_parameters_ : int
        Number of trained parameters of all members.
    net_ : skorch.NeuralNet
        The trained net. ``net_.module_`` maps a dictionary of padded "values" (n_samples,
        n_timesteps, n_channels) and "lengths" to raw outputs (n_samples, n_members, n_outputs).
    n_channels_ : int
        Number of channels.
    n_features_in_ : int
        Number of columns of a matrix, else of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a data frame, where all are strings.
"""

_SHARED_NOTES = """\
    X is a matrix (n_samples, n_timesteps) of one channel; a 3-D array (n_samples, n_timesteps,
    n_channels), where steps at the end that are NaN in all channels are padding; or a list, object
    array, Series or column of a data frame of arrays of shape (n_timesteps,) or (n_timesteps,
    n_channels); several columns of arrays are the channels. Lengths may differ inside of X and
    between `fit` and `predict`, except for the columns of a matrix. Padding changes nothing: what
    is predicted for a sequence does not depend on the others.

    Channels are standardised inside. A net that walks both ways also sees each sequence, and its
    changes from step to step, standardised by their own mean and deviation.

    `sample_weight` counts repetitions exactly: weight 2 is the sequence twice, weight 0 no
    sequence. Nor does the order of the sequences matter: `fit` first makes one of equal sequences
    with equal targets and sorts them, unless ``shuffle=False`` asks for batches in the order given.

    References
    ----------
    .. [1] L. Feng, F. Tung, M. O. Ahmed, Y. Bengio and H. Hajimirsadeghi, "Were RNNs all we
       needed?", arXiv:2410.01201, 2024; section 3.1.2.
    .. [2] Q. V. Le, N. Jaitly and G. E. Hinton, "A simple way to initialize recurrent networks of
       rectified linear units", arXiv:1504.00941, 2015; section 2.
    .. [3] C. Tallec and Y. Ollivier, "Can recurrent neural networks warp time?", ICLR 2018,
       arXiv:1804.11188; eq. 16.
"""


_documented = documented(_SHARED_PARAMETERS, _SHARED_ATTRIBUTES, _SHARED_NOTES)


@_documented(
    own="""\
loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, \
default="squared_error"
        What is minimised. "poisson" has a log link and needs y >= 0.
    quantile : float or array-like of float, default=0.5
        Quantile or quantiles, in (0, 1), of ``loss="quantile"``. Several ones never cross, and
        `predict` gives a column for each.
    huber_delta : float, default=1.0
        Where "huber" becomes linear, > 0, in standard deviations of y.
    """
)
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
        values = locals()
        for name in self._get_param_names():
            setattr(self, name, values[name])

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

        Scales and memory are those of the first call.

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


@_documented(
    own="""\
class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied by `sample_weight`. "balanced" makes all classes weigh
        the same.
    label_smoothing : float, default=0.1
        Probability, in [0, 1), taken from each label and spread over all classes.
    """
)
class RNNClassifier(ClassificationTargets, BaseRecurrent):
    """Recurrent neural network for classification of sequences.

    Convolutions of several widths, a recurrent layer in both directions, and several poolings of
    its states, on sequences of any lengths with any number of channels.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel y the positions of the labels.
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
        values = locals()
        for name in self._get_param_names():
            setattr(self, name, values[name])

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
        vars(self).pop("_known_classes", None)  # those of an earlier partial_fit
        return self._fit_rows(X, y, sample_weight, validation_set)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go once through some sequences, at the initial learning rate.

        Scales and memory are those of the first call.

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
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        self._known_classes = None if classes is None else np.unique(classes)
        return self._fit_rows(X, y, sample_weight, None, partial=True)
