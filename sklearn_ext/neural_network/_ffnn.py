"""Feed-forward neural networks for tables."""

from numbers import Real

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import d2_pinball_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_array

from sklearn_ext._validation import Interval, StrOptions, _fit_context, with_callbacks
from sklearn_ext.neural_network._base import BaseFeedForward

__all__ = ["FFNNClassifier", "FFNNRegressor"]

_SHARED_PARAMETERS = """\
    hidden_layer_sizes : int or array-like of int, default=(128, 128)
        Width of each hidden layer; empty for a linear model.
    {own}activation : {{"gelu", "gelu_tanh", "relu", "silu", "tanh", "logistic", "identity"}}, \
default="gelu"
        Activation of the hidden layers. "gelu" is exact, x Φ(x) with the normal distribution
        function Φ [1]_; "gelu_tanh" its approximation by a hyperbolic tangent, which is off by
        4.7e-4 at most.
    solver : {{"adam", "sgd"}}, default="adam"
        Adam with decoupled weight decay, or stochastic gradient descent with momentum.
    alpha : float, default=0.01
        Weight decay: every step takes the share ``learning rate * alpha`` off each weight, biases
        excepted, where MLPRegressor adds its alpha to the loss.
    batch_size : int or "auto", default="auto"
        Rows that one step sees. "auto" is all of them up to 200, else n / 16 within 64 and 512.
    learning_rate : {{"constant", "invscaling", "cosine", "flat_cosine", "one_cycle"}}, \
default="flat_cosine"
        Schedule over the whole run. "flat_cosine" is constant for one half, then falls to 0 by half
        a cosine.
    learning_rate_init : float, default=0.003
        Learning rate that the schedule starts from, > 0.
    warmup_fraction : float, default=0.03
        Share of the run, in [0, 1), in which the rate rises from 0.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int or "auto", default="auto"
        Epochs. "auto" is 60 for full batches of up to 200 rows; for more rows n as many as give
        150 (n / 200)^0.8 steps, at most 4000 steps and at least 10 epochs.
    shuffle : bool, default=True
        Whether rows come in a new order every epoch.
    random_state : int, RandomState instance or None, default=None
        Decides on initial weights, order of rows, dropout and validation rows. None takes entropy
        from the operating system; numpy's and torch's global generators are never used.
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
    early_stopping : bool or "auto", default="auto"
        Whether rows are held out, the run ends when their loss no longer falls, and the weights of
        the best epoch are kept. Members of an ensemble hold out different rows in turn, so that
        the ensemble sees all of them. "auto" does so for more than 200 rows. A `validation_set`
        given to `fit` takes the place of held-out rows.
    validation_fraction : float, default=0.25
        Share of rows that each member holds out, in (0, 1).
    beta_1 : float, default=0.9
        Decay rate of Adam's first moment, in [0, 1).
    beta_2 : float, default=0.95
        Decay rate of Adam's second moment, in [0, 1).
    epsilon : float, default=1e-8
        Smallest denominator of Adam, > 0.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without a better loss after which a run ends. "auto" is 15 % of `max_iter`, at least
        10. Without validation rows only "constant" and "invscaling" runs end early, by the
        training loss.
    dropout : float, default=0.1
        Probability, in [0, 1), that a hidden unit is left out of a step; members share the mask.
    n_members : int, default=4
        Nets that are trained side by side and averaged. They differ in their initial weights, in
        the order of rows and in the rows held out.
    n_bins : int, default=16
        Bins of equal weight by which each numeric column is also given as a piecewise linear
        encoding [2]_; 0 for none. Tables with more than 4096 bins in total are encoded without.
    categorical_features : array-like, "from_dtype" or None, default="from_dtype"
        Columns with categories: a mask, positions or names; "from_dtype" takes those of a
        categorical dtype. Each category has weights of its own; one that was not seen in `fit`
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
        Number of rows seen in training.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of outputs.
    n_parameters_ : int
        Number of trained parameters of all members.
    net_ : skorch.NeuralNet
        The trained net. ``net_.module_`` maps raw rows to raw outputs of shape
        (n_samples, n_members, n_outputs).
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had names that are all strings.
"""

_SHARED_NOTES = """\
    Numeric columns of any scale can be given as they are: they are centred at the median, divided
    by the interquartile range and clipped smoothly to (-3, 3) inside [3]_. A missing value is
    put at the median, and a further column tells that it was missing where `fit` saw some.

    Up to 200 rows a fit takes full batches without held-out rows, and `sample_weight` counts
    repetitions exactly: weight 2 is the row twice, weight 0 no row. For mini-batches this holds in
    expectation.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415,
       2016; section 2.
    .. [2] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in
       tabular deep learning", NeurIPS 2022, arXiv:2203.05556; eq. 1.
    .. [3] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", NeurIPS 2024, arXiv:2407.04491; section 3.
"""


def _documented(own):
    """Fill the shared sections of the docstring of an estimator class."""

    def fill(cls):
        cls.__doc__ = (
            cls.__doc__.replace("    <parameters>\n", _SHARED_PARAMETERS.format(own=own))
            .replace("    <attributes>\n", _SHARED_ATTRIBUTES)
            .replace("    <notes>\n", _SHARED_NOTES)
        )
        return cls

    return fill


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
class FFNNRegressor(RegressorMixin, BaseFeedForward):
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
        "loss": [StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson"})],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
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
        alpha=0.01,
        batch_size="auto",
        learning_rate="flat_cosine",
        learning_rate_init=0.003,
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
        validation_fraction=0.25,
        beta_1=0.9,
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change="auto",
        dropout=0.1,
        n_members=4,
        n_bins=16,
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
        X : array-like or data frame of shape (n_samples, n_features)
            Training rows.
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

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Go once through some rows, at the initial learning rate.

        Scales, bins and categories are those of the first call.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
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

    def predict(self, X, return_std=False):
        """Predict targets.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.
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
        mean = members.mean(axis=0)
        if not return_std:
            return mean
        if self.n_members == 1:
            raise ValueError(
                "return_std is the spread of the members, but n_members=1. Fit with n_members >= 2."
            )
        return mean, members.std(axis=0, ddof=1)

    def score(self, X, y, sample_weight=None):
        """Return R²; for several quantiles the mean of their D² pinball scores.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            1 is perfect; 0 is what a constant reaches.
        """
        if not self._has_many_quantiles():
            return super().score(X, y, sample_weight)
        predicted = self.predict(X)
        scores = [
            d2_pinball_score(y, predicted[..., i], sample_weight=sample_weight, alpha=level)
            for i, level in enumerate(self.quantile)
        ]
        return float(np.mean(scores))

    def _has_many_quantiles(self):
        return self.loss == "quantile" and not isinstance(self.quantile, Real)

    def _levels(self):
        """Quantile levels as the user ordered them."""
        levels = np.atleast_1d(np.asarray(self.quantile, dtype=np.float64))
        if levels.ndim != 1 or not len(levels) or not np.all((levels > 0) & (levels < 1)):
            raise ValueError(f"quantile must lie in (0, 1), got {self.quantile!r}.")
        if len(np.unique(levels)) < len(levels):
            raise ValueError(f"quantile must not repeat a level, got {self.quantile!r}.")
        return levels

    def _shaped(self, responses):
        """Members' responses in units of y, (n_members, n_samples, ...)."""
        n_quantiles = len(self._levels()) if self.loss == "quantile" else 1
        values = responses.reshape(*responses.shape[:2], self._n_targets, n_quantiles)
        dtype = values.dtype
        values = values * self._y_scale[:, None].astype(dtype)
        values += self._y_center[:, None].astype(dtype)
        if self.loss == "quantile":
            values = values[..., np.argsort(np.argsort(self._levels()))]
        if not self._has_many_quantiles():
            values = values[..., 0]
        return values[:, :, 0] if self._single_target else values

    def _read_target(self, y, *, reset):
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self)
        if y.ndim > 2:
            raise ValueError(f"y must have 1 or 2 dimensions, got {y.ndim}.")
        if reset:
            self._single_target = y.ndim == 1
        y = y.reshape(len(y), -1)
        if not reset and y.shape[1] != self._n_targets:
            raise ValueError(f"y has {y.shape[1]} targets, but the net has {self._n_targets}.")
        if self.loss == "poisson" and (np.any(y < 0) or not y.sum() > 0):
            raise ValueError("loss='poisson' needs y >= 0 with a positive sum.")
        return y

    def _learn_target(self, y, weights):
        """Centre and scale of the targets: the net learns (y - center) / scale."""
        self._n_targets = y.shape[1]
        self.n_outputs_ = self._build_loss().n_outputs(y.shape[1])
        mean = np.average(y, axis=0, weights=weights)
        if self.loss == "poisson":
            self._y_center, self._y_scale = np.zeros_like(mean), np.where(mean > 0, mean, 1.0)
            return
        std = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
        self._y_center, self._y_scale = mean, np.where(std > 0, std, 1.0)

    def _encode_target(self, y):
        return (y - self._y_center) / self._y_scale

    def _row_weights(self, y, weights):
        return weights

    def _build_loss(self):
        from sklearn_ext._torch import losses

        if self.loss == "quantile":
            return losses.Quantile(sorted(self._levels().tolist()))
        if self.loss == "huber":
            return losses.Huber(self.huber_delta)
        kinds = {
            "squared_error": losses.SquaredError,
            "absolute_error": losses.AbsoluteError,
            "poisson": losses.Poisson,
        }
        return kinds[self.loss]()

    def _validation_score(self, raw, rows):
        """R² of the validation rows (for quantiles of the middle one), the mean over members."""
        predicted = self.net_.criterion_.response(raw)
        target = rows.seen_targets
        predicted = predicted.unflatten(-1, (self._n_targets, -1))
        predicted = predicted[..., predicted.shape[-1] // 2]
        errors = (predicted - target).square().sum(-2)
        spread = (target - target.mean(-2, keepdim=True)).square().sum(-2).clamp_min(1e-30)
        return float((1.0 - errors / spread).mean())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


@_documented(
    own="""\
class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied by `sample_weight`. "balanced" makes all classes weigh
        the same.
    label_smoothing : float, default=0.0
        Probability, in [0, 1), taken from each label and spread over all classes.
    """
)
class FFNNClassifier(ClassifierMixin, BaseFeedForward):
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
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(128, 128),
        *,
        class_weight=None,
        label_smoothing=0.0,
        activation="gelu",
        solver="adam",
        alpha=0.01,
        batch_size="auto",
        learning_rate="flat_cosine",
        learning_rate_init=0.003,
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
        validation_fraction=0.25,
        beta_1=0.9,
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change="auto",
        dropout=0.1,
        n_members=4,
        n_bins=16,
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
        X : array-like or data frame of shape (n_samples, n_features)
            Training rows.
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
        self._known_classes = None
        return self._fit_rows(X, y, sample_weight, validation_set)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go once through some rows, at the initial learning rate.

        Scales, bins and categories are those of the first call.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
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

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels.
        """
        probability = self.predict_proba(X)
        if self._kind == "multilabel":
            return (probability > 0.5).astype(np.int64)
        return self.classes_[probability.argmax(axis=1)]

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; for multilabel y the probability of each label.
        """
        found = np.exp(self._log_probabilities(X))
        if self._kind == "multilabel":
            return found[..., 1]
        return found[:, 0] if self._kind == "binary" else found

    def predict_log_proba(self, X):
        """Predict logarithms of probabilities.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes)
            Logarithms of what `predict_proba` gives.
        """
        probability = self.predict_proba(X)
        return np.log(np.maximum(probability, np.finfo(probability.dtype).tiny))

    def decision_function(self, X):
        """Compute log-odds of two classes and of labels, log-probabilities of several classes.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        decision : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            Above 0 for the second class, or for a label; the largest is the class.
        """
        found = self._log_probabilities(X)
        if self._kind == "multiclass":
            return found
        odds = found[..., 1] - found[..., 0]
        return odds[:, 0] if self._kind == "binary" else odds

    def _log_probabilities(self, X):
        """Log of the members' mean probabilities, (n, n_classes) or (n, n_labels, 2)."""
        members = self._responses(X)
        highest = members.max(axis=0)
        mean = np.exp(members - highest).mean(axis=0)
        return highest + np.log(mean)

    def _read_target(self, y, *, reset):
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=self)
        check_classification_targets(y)
        multilabel = type_of_target(y) == "multilabel-indicator"
        if not multilabel:
            y = column_or_1d(y, warn=True)
        if reset:
            self._learn_classes(y, multilabel)
        if self._kind == "multilabel":
            return y.astype(np.float64)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y holds classes {unknown.tolist()}, which are not in classes_.")
        return np.searchsorted(self.classes_, y)

    def _learn_classes(self, y, multilabel):
        """Set classes and the kind of the problem."""
        known = getattr(self, "_known_classes", None)
        if multilabel:
            self.classes_, self._kind = np.arange(y.shape[1]), "multilabel"
            self._n_targets = self.n_outputs_ = y.shape[1]
            return
        self.classes_ = unique_labels(y) if known is None else known
        self._kind = "multiclass" if len(self.classes_) > 2 else "binary"
        self._n_targets = self.n_outputs_ = len(self.classes_) if len(self.classes_) > 2 else 1
        if len(self.classes_) < 2:
            raise ValueError(
                f"Classifier can't train when only one class is present: {self.classes_.tolist()}"
            )

    def _learn_target(self, y, weights):
        if self._kind != "multilabel" and len(np.unique(y)) < 2 and self._known_classes is None:
            raise ValueError(
                "Classifier can't train when only one class is present after rows of zero "
                "sample_weight were left out."
            )

    def _encode_target(self, y):
        if self._kind == "multiclass":
            return y.astype(np.int64)
        return y.reshape(len(y), -1).astype(np.float64)

    def _row_weights(self, y, weights):
        """Weights of the rows times those of their classes."""
        if self.class_weight is None:
            return weights
        if self._kind == "multilabel":
            of_class = compute_sample_weight(self.class_weight, y.astype(np.int64))
        elif self.class_weight == "balanced":
            ones = np.ones(len(y)) if weights is None else weights
            sums = np.bincount(y, weights=ones, minlength=len(self.classes_))
            of_class = (ones.sum() / (np.count_nonzero(sums) * np.maximum(sums, 1e-300)))[y]
        else:
            of_class = compute_sample_weight(self.class_weight, self.classes_[y])
        return of_class if weights is None else of_class * weights

    def _build_loss(self):
        from sklearn_ext._torch import losses

        kind = losses.CrossEntropy if self._kind == "multiclass" else losses.BinaryCrossEntropy
        return kind(self.label_smoothing)

    def _strata(self, y):
        return None if self._kind == "multilabel" else y

    def _validation_score(self, raw, rows):
        """Accuracy of the validation rows, the mean over members."""
        target = rows.seen_targets
        if self._kind == "multiclass":
            return float((raw.argmax(-1) == target).to(raw.dtype).mean())
        return float(((raw > 0) == (target > 0.5)).all(-1).to(raw.dtype).mean())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
