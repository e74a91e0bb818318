"""Feed-forward neural networks for tables."""

import numpy as np
from sklearn.utils.metaestimators import available_if

from sklearn_ext._validation import _fit_context, with_callbacks
from sklearn_ext.neural_network._classification_targets import ClassificationTargets
from sklearn_ext.neural_network._docstrings import documented
from sklearn_ext.neural_network._regression_targets import RegressionTargets
from sklearn_ext.neural_network._tabular import BaseFeedForward

__all__ = ["FFNNClassifier", "FFNNRegressor"]

_SHARED_PARAMETERS = """\
    hidden_layer_sizes : int or array-like of int, default=(128, 128)
        Width of each hidden layer; empty for a linear model.
    {own}activation : {{"gelu", "gelu_tanh", "relu", "silu", "tanh", "logistic", "identity"}}, \
default="gelu"
        Activation of the hidden layers. "gelu" is exact, x Φ(x) with the normal distribution
        function Φ [1]_; "gelu_tanh" its approximation by a hyperbolic tangent, which is off by
        4.7e-4 at most.
    solver : {{"adam", "sgd", "lbfgs"}}, default="adam"
        Adam with decoupled weight decay; stochastic gradient descent with momentum; or L-BFGS for
        small tables, which takes all rows in every step, in float64. "lbfgs" leaves out dropout and
        held-out rows, rates and clipping do not concern it, and one of its iterations counts as an
        epoch.
    alpha : float, default=0.03
        Weight decay: every step takes the share ``learning rate * alpha`` off each weight, biases
        excepted, where MLPRegressor adds its alpha to the loss. So does "lbfgs": alpha / (2 n)
        times the sum of squares for n rows, counted by weight.
    batch_size : int or "auto", default="auto"
        Rows that one step sees. "auto" is all of them up to 64, else n / 40 within 64 and 512.
    learning_rate : {{"constant", "adaptive", "invscaling", "cosine", "flat_cosine", \
"one_cycle"}}, default="flat_cosine"
        Schedule over the whole run. "flat_cosine" is constant for one half, then falls to 0 by half
        a cosine. "adaptive" is constant as long as the watched loss falls: each time it has not
        done so by more than `tol` for `n_iter_no_change` epochs, the rate is divided by 5, and the
        run ends when that happens at a rate of at most 1e-6. Unlike in MLPRegressor, it serves
        both solvers.
    learning_rate_init : float, default=0.008
        Learning rate that the schedule starts from, > 0.
    warmup_fraction : float, default=0.03
        Share of the run, in [0, 1), in which the rate rises from 0.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int or "auto", default="auto"
        Epochs. "auto" is 48 for full batches of up to 64 rows, and 1160 / n^(1/3) within 10 and
        64 for more rows n; 200 for "lbfgs".
    shuffle : bool, default=True
        Whether rows come in a new order every epoch.
    random_state : int, RandomState instance or None, default=None
        Decides on initial weights, order of rows, dropout and validation rows. None takes entropy
        from the operating system; numpy's and torch's global generators are never used.
    tol : float, default=0.0
        By how much the watched loss has to fall to count as better, >= 0. "lbfgs" ends where no
        component of the gradient is larger.
    verbose : bool or int, default=False
        Whether to print the losses of every epoch.
    warm_start : bool, default=False
        Whether another `fit` goes on from the weights of the last one.
    momentum : float, default=0.9
        Momentum of "sgd", in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether "sgd" looks ahead along the momentum.
    early_stopping : bool or "auto", default="auto"
        Whether rows are held out, the run ends when their loss no longer falls, and the weights of
        the best epoch are kept. Members of an ensemble hold out different rows in turn, so that
        the ensemble sees all of them. "auto" does so for more than 64 rows. A `validation_set`
        given to `fit` takes the place of held-out rows.
    validation_fraction : float or "auto", default="auto"
        Share of rows that each member holds out, in (0, 1). "auto" is 1/8, or as many as make 60
        rows, but no more than 1/4.
    beta_1 : float, default=0.9
        Decay rate of Adam's first moment, in [0, 1).
    beta_2 : float, default=0.95
        Decay rate of Adam's second moment, in [0, 1).
    epsilon : float, default=1e-8
        Smallest denominator of Adam, > 0.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without a better mean loss after which a run ends. "auto" is 30 % of `max_iter`, at
        least 10; for an "adaptive" rate, which falls each time, 10 % within 2 and 10. Where there
        are no validation rows, it is the training loss that counts, and "auto" waits only for
        "constant", "adaptive" and "invscaling" rates.
    max_fun : int, default=15000
        Largest number of evaluations of the loss by "lbfgs".
    dropout : float, default=0.1
        Probability, in [0, 1), that a hidden unit is left out of a step; members share the mask.
    n_members : int, default=8
        Nets that are trained side by side and averaged. They differ in their initial weights, in
        the order of rows and in the rows held out, and one half sees the numeric columns in bins,
        the other half in waves; the held-out rows decide on the share of either half in the
        average. A single member sees bins and waves.
    n_bins : int or "auto", default="auto"
        Bins of equal weight by which each numeric column is also given as a piecewise linear
        encoding [2]_, at most 256; 0 for none. "auto" is 32, or as many as make 512 for all
        columns. Fewer than 25 rows a bin give fewer bins.
    n_frequencies : int or "auto", default="auto"
        Waves of learned frequency by which each numeric column is also given [2]_, at most 256;
        0 for none. "auto" is 16, and 0 for more than 128 numeric columns.
    blend_linear : bool, default=True
        Whether linear models are trained beside two or more members, for a share in the average
        that the held-out rows decide on. Without held-out rows there are none.
    categorical_features : array-like, "from_dtype" or None, default="from_dtype"
        Columns with categories: a mask, positions or names; "from_dtype" takes those of a
        categorical dtype. Each category has weights of its own; in a column of more than 32
        categories it is embedded as 16 learned numbers. A category that was not seen in `fit`
        counts as none of them.
    max_grad_norm : float or None, default=None
        Largest norm of a gradient, > 0; None for no clipping.
    gradient_accumulation_steps : int, default=1
        Parts in which each batch is worked through, for less memory; results change by rounding
        only.
    precision : {{"auto", "float32", "float64", "bf16-mixed"}}, default="auto"
        Precision of the training steps. "auto" is the dtype of X for full batches and float32 for
        mini-batches, whose noise is far larger; bf16-mixed on cuda. Predictions are computed in
        the dtype of X whatever it is.
    device : str or torch.device, default="auto"
        "auto" takes cuda or mps where there is one, else the CPU.
    compile : bool, default=False
        Whether to compile the module by torch.compile.
    callbacks : list or None, default=None
        Callbacks of skorch, such as EarlyStopping, EpochScoring and your own; those of scikit-learn
        are given to `set_callbacks`. ``net.history`` holds "train_loss" and, where there are
        validation rows, "valid_loss" and "valid_score" of each epoch. ``dataset_valid`` holds the
        rows of `validation_set`, or else those that any member holds out; with `n_members` > 2,
        other members are trained on them. ``net.predict`` and ``net.predict_proba`` predict such
        rows as the estimator would; class labels are positions in `classes_`. Rates in
        ``net.optimizer_.param_groups`` may be changed where `learning_rate` is "constant" or
        "adaptive", once the warm-up is over; LRScheduler needs ``warmup_fraction=0.0`` too.
        EarlyStopping and Checkpoint with ``load_best=True`` decide on the weights that are kept.
        Single batches are those of training only.
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
        Number of rows seen in training.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of outputs.
    n_parameters_ : int
        Number of trained parameters of all members.
    net_ : skorch.NeuralNet
        The trained net. ``net_.module_`` maps raw rows to raw outputs of shape
        (n_samples, n_members, n_outputs), linear members last.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X had names that are all strings.
"""

_SHARED_NOTES = """\
    Numeric columns of any scale can be given as they are: they are centred at the median, divided
    by the interquartile range and clipped smoothly to (-3, 3) inside [3]_. A missing value is
    put at the median, and a further column tells that it was missing where `fit` saw some.

    A sparse X gives what the dense table gives. It is made dense in parts only, and if its encoding
    is too large to be kept, batch by batch; with `categorical_features` it is made dense at once.

    Up to 64 rows a fit takes full batches without held-out rows, and `sample_weight` counts
    repetitions exactly: weight 2 is the row twice, weight 0 no row. For mini-batches this holds in
    expectation.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415,
       2016; section 2.
    .. [2] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in
       tabular deep learning", NeurIPS 2022, arXiv:2203.05556; eq. 1 and 2.
    .. [3] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", NeurIPS 2024, arXiv:2407.04491; section 3.
"""


def _takes_steps(estimator):
    """Let scikit-learn offer `partial_fit`, which "lbfgs" has no use for."""
    if estimator.solver == "lbfgs":
        raise AttributeError('partial_fit is there for solver="adam" and "sgd", not for "lbfgs".')
    return True


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
class FFNNRegressor(RegressionTargets, BaseFeedForward):
    """Feed-forward neural network for regression on tables.

    An ensemble of small nets trained in one go, on columns that are scaled and encoded inside.
    The parameters are those of :class:`~sklearn.neural_network.MLPRegressor` wherever it has them.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    FFNNClassifier : The same for classes.
    sklearn.neural_network.MLPRegressor : A plain net.

    Notes
    -----
    <notes>

    Examples
    --------
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_ext import FFNNRegressor
    >>> from sklearn_ext.datasets import load_concrete
    >>> data = load_concrete()
    >>> X, X_test, y, y_test = train_test_split(data.data, data.target, random_state=0)
    >>> model = FFNNRegressor(n_members=2, random_state=0).fit(X, y)
    >>> model.score(X_test, y_test) > 0.85
    True
    >>> mean, std = model.predict(X_test, return_std=True)
    """

    _parameter_constraints = {
        **BaseFeedForward._parameter_constraints,
        **RegressionTargets._parameter_constraints,
    }

    def __init__(
        self,
        hidden_layer_sizes=(128, 128),
        *,
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.0,
        activation="gelu",
        solver="adam",
        alpha=0.03,
        batch_size="auto",
        learning_rate="flat_cosine",
        learning_rate_init=0.008,
        warmup_fraction=0.03,
        power_t=0.5,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=0.0,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping="auto",
        validation_fraction="auto",
        beta_1=0.9,
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change="auto",
        max_fun=15_000,
        dropout=0.1,
        n_members=8,
        n_bins="auto",
        n_frequencies="auto",
        blend_linear=True,
        categorical_features="from_dtype",
        max_grad_norm=None,
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
        """Fit the ensemble.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Training rows. A dask collection streams by, partition by partition: `max_iter`
            passes (10 for "auto") of `partial_fit` in their order, after first steps on up to
            10,000 rows from the heads of all partitions.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        validation_set : tuple, default=None
            ``(X, y)`` or ``(X, y, sample_weight)`` whose loss is watched, instead of held-out rows.

        Returns
        -------
        self : FFNNRegressor
            The fitted estimator.
        """
        return self._fit_rows(X, y, sample_weight, validation_set)

    @available_if(_takes_steps)
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Go once through some rows, at the initial learning rate.

        Scales, bins and categories are those of the first call.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : FFNNRegressor
            The fitted estimator.
        """
        return self._fit_rows(X, y, sample_weight, None, partial=True)


@_documented(
    own="""\
class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied by `sample_weight`. "balanced" makes all classes weigh
        the same.
    label_smoothing : float, default=0.0
        Probability, in [0, 1), taken from each label and spread over all classes.
    """
)
class FFNNClassifier(ClassificationTargets, BaseFeedForward):
    """Feed-forward neural network for classification of tables.

    An ensemble of small nets trained in one go, on columns that are scaled and encoded inside.
    The parameters are those of :class:`~sklearn.neural_network.MLPClassifier` wherever it has them.

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
    FFNNRegressor : The same for numbers.
    sklearn.neural_network.MLPClassifier : A plain net.

    Notes
    -----
    The probabilities of the members are averaged.

    <notes>

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_ext import FFNNClassifier
    >>> X, X_test, y, y_test = train_test_split(
    ...     *load_breast_cancer(return_X_y=True), random_state=0
    ... )
    >>> model = FFNNClassifier(n_members=2, random_state=0).fit(X, y)
    >>> model.score(X_test, y_test) > 0.93
    True
    """

    _parameter_constraints = {
        **BaseFeedForward._parameter_constraints,
        **ClassificationTargets._parameter_constraints,
    }

    def __init__(
        self,
        hidden_layer_sizes=(128, 128),
        *,
        class_weight=None,
        label_smoothing=0.0,
        activation="gelu",
        solver="adam",
        alpha=0.03,
        batch_size="auto",
        learning_rate="flat_cosine",
        learning_rate_init=0.008,
        warmup_fraction=0.03,
        power_t=0.5,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=0.0,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping="auto",
        validation_fraction="auto",
        beta_1=0.9,
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change="auto",
        max_fun=15_000,
        dropout=0.1,
        n_members=8,
        n_bins="auto",
        n_frequencies="auto",
        blend_linear=True,
        categorical_features="from_dtype",
        max_grad_norm=None,
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
        """Fit the ensemble.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Training rows. A dask collection streams by, partition by partition: `max_iter`
            passes (10 for "auto") of `partial_fit` in their order, after first steps on up to
            10,000 rows from the heads of all partitions.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type, or an indicator matrix of several labels a row.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        validation_set : tuple, default=None
            ``(X, y)`` or ``(X, y, sample_weight)`` whose loss is watched, instead of held-out rows.

        Returns
        -------
        self : FFNNClassifier
            The fitted estimator.
        """
        vars(self).pop("_known_classes", None)  # those of an earlier partial_fit
        return self._fit_rows(X, y, sample_weight, validation_set)

    @available_if(_takes_steps)
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go once through some rows, at the initial learning rate.

        Scales, bins and categories are those of the first call.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : FFNNClassifier
            The fitted estimator.
        """
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        self._known_classes = None if classes is None else np.unique(classes)
        return self._fit_rows(X, y, sample_weight, None, partial=True)
