"""Low-rank adaptation of nets as a meta-estimator."""

from numbers import Integral, Real

from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from sklearn_ext._documentation import DocumentationLinkMixin
from sklearn_ext._optional import import_optional
from sklearn_ext._validation import (
    Interval,
    StrOptions,
    _fit_context,
    all_or_nothing,
    check_is_fitted,
    with_callbacks,
)
from sklearn_ext.neural_network._adaptation import adapted_copy, merged_copy, trained
from sklearn_ext.neural_network._base import BaseNet
from sklearn_ext.neural_network._ffnn import FFNNRegressor

__all__ = ["LoRAAdapter"]

# Parameters that decide what is adapted, and those of the training.
ADAPTATION = (
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "use_rslora",
    "use_dora",
    "init_lora_weights",
    "modules_to_save",
    "bias",
    "loraplus_lr_ratio",
)
TRAINING = (
    "alpha",
    "batch_size",
    "early_stopping",
    "learning_rate_init",
    "max_iter",
    "random_state",
    "validation_fraction",
    "verbose",
)


def _base_has(name):
    """Whether the base, or what it became, has an attribute."""

    def check(adapter):
        getattr(getattr(adapter, "estimator_", None) or adapter._inner(), name)
        return True

    return check


class LoRAAdapter(DocumentationLinkMixin, CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator):
    """Low-rank adaptation (LoRA) of a net.

    The weights of a trained net are frozen. What it learns in addition is a product of two narrow
    matrices for each of its weights, W = W_0 + s B A [1]_, a small share of its parameters.

    Parameters
    ----------
    estimator : estimator, default=None
        What is adapted: `FFNNRegressor`, `FFNNClassifier`, `RNNRegressor` or `RNNClassifier`. A
        fitted one inside :class:`~sklearn.frozen.FrozenEstimator` is adapted as it is; it is never
        changed, and clones of the adapter share it. Any other is cloned and fitted to the data
        first. None is an `FFNNRegressor` with the `random_state` of the adapter.
    r : int, default=8
        Rank of the changes, >= 1.
    lora_alpha : float, default=16
        Changes are scaled by ``lora_alpha / r``; > 0.
    lora_dropout : float, default=0.0
        Probability, in [0, 1), that an input unit is left out of the low-rank path in a step, the
        same units for all rows.
    target_modules : str or array-like of str, default="all-linear"
        What is adapted. "all-linear" is every linear and recurrent layer; another string a
        regular expression that has to match the whole name of a layer or weight; otherwise names,
        or ends of names, of layers, weights, or of what contains them. `summary` of the base lists
        the weights; embeddings and convolutions are adapted where they are named.
    use_rslora : bool, default=False
        Whether changes are scaled by ``lora_alpha / sqrt(r)`` [2]_, which keeps larger ranks as
        fast as small ones.
    use_dora : bool, default=False
        Whether the norm of each output's weights is learned apart from their direction [3]_.
    init_lora_weights : bool or {"gaussian", "pissa"}, default=True
        Start of A: True is Kaiming's uniform distribution, "gaussian" the normal one of standard
        deviation 1 / r; B starts at 0. "pissa" starts both at the largest singular values [4]_,
        and r may then not be larger than the smaller side of a weight. The net starts as the base
        with each of them.
    modules_to_save : array-like of str or None, default=None
        Names, as in `target_modules`, of layers that are trained whole.
    bias : {"none", "all", "lora_only"}, default="none"
        Which biases are trained: none, all, or those of adapted layers.
    loraplus_lr_ratio : float or None, default=None
        Learning rate of B over that of A [5]_, > 0; None for 1.
    alpha : float, default=0.0
        Weight decay, as in `FFNNRegressor`, of A, B and weights that are trained whole.
    batch_size : int or "auto", default="auto"
        Rows that one step sees; "auto" is what it is for the kind of the base.
    learning_rate_init : float, default=0.004
        Learning rate that the schedule of the base starts from, > 0.
    max_iter : int or "auto", default="auto"
        Epochs; "auto" is what it is for the kind of the base.
    early_stopping : bool or "auto", default="auto"
        Whether rows are held out and the changes of the best epoch are kept; "auto" is what it is
        for the kind of the base.
    validation_fraction : float or "auto", default="auto"
        Share of rows that each member holds out, in (0, 1). "auto" is 1/8, or as many as make 60
        rows, but no more than 1/4.
    random_state : int, RandomState instance or None, default=None
        Decides on the start, order of rows, dropout and validation rows, and on all that is random
        in a base that has to be fitted and has no `random_state`.
    verbose : bool or int, default=False
        Whether to print the losses of every epoch.
    warm_start : bool, default=False
        Whether another `fit` goes on from the changes of the last one.

    Attributes
    ----------
    estimator_ : estimator
        The adapted estimator, of the class of the base and with its parameters.
    n_trainable_params_ : int
        Number of parameters that were trained.
    trainable_fraction_ : float
        Their share in all parameters, those of the base included.
    loss_curve_ : list of float
        Training loss of each epoch of the adaptation.
    n_iter_ : int
        Number of epochs of the adaptation.
    classes_ : ndarray of shape (n_classes,)
        Class labels, for classifiers.
    n_features_in_ : int
        Number of columns, or channels of sequences.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had names that are all strings.

    See Also
    --------
    sklearn.frozen.FrozenEstimator : Keeps a fitted estimator as it is.

    Notes
    -----
    All other training parameters (schedule, solver, dropout of the base, clipping, precision) are
    those of the base. An adapted weight that no gradient reaches is an error.

    References
    ----------
    .. [1] E. J. Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022,
       arXiv:2106.09685; eq. 3.
    .. [2] D. Kalajdzievski, "A rank stabilization scaling factor for fine-tuning with LoRA",
       arXiv:2312.03732, 2023; theorem 3.2.
    .. [3] S.-Y. Liu et al., "DoRA: Weight-decomposed low-rank adaptation", ICML 2024,
       arXiv:2402.09353; eq. 5.
    .. [4] F. Meng, Z. Wang and M. Zhang, "PiSSA: Principal singular values and singular vectors
       adaptation of large language models", NeurIPS 2024, arXiv:2404.02948; eq. 2 to 4.
    .. [5] S. Hayou, N. Ghosh and B. Yu, "LoRA+: Efficient low rank adaptation of large models",
       ICML 2024, arXiv:2402.12354; section 4.

    Examples
    --------
    >>> from sklearn_ext import FFNNRegressor
    >>> from sklearn_ext.datasets import load_concrete
    >>> from sklearn_ext.neural_network._lora import LoRAAdapter
    >>> X, y = load_concrete(return_X_y=True)
    >>> base = FFNNRegressor(n_members=2, random_state=0).fit(X[:800], y[:800])
    >>> adapter = LoRAAdapter.from_fitted(base, r=2, random_state=0)
    >>> adapter.fit(X[800:], y[800:]).trainable_fraction_ < 0.2
    True
    >>> adapter.score(X[800:], y[800:]) > base.score(X[800:], y[800:])
    True
    """

    _parameter_constraints = {
        "estimator": [BaseEstimator, None],
        "r": [Interval(Integral, 1, None, closed="left")],
        "lora_alpha": [Interval(Real, 0, None, closed="neither")],
        "lora_dropout": [Interval(Real, 0, 1, closed="left")],
        "target_modules": [str, "array-like"],
        "use_rslora": ["boolean"],
        "use_dora": ["boolean"],
        "init_lora_weights": [StrOptions({"gaussian", "pissa"}), "boolean"],
        "modules_to_save": ["array-like", None],
        "bias": [StrOptions({"none", "all", "lora_only"})],
        "loraplus_lr_ratio": [Interval(Real, 0, None, closed="neither"), None],
        "warm_start": ["boolean"],
        **{name: BaseNet._parameter_constraints[name] for name in TRAINING},
    }

    def __init__(
        self,
        estimator=None,
        *,
        r=8,
        lora_alpha=16,
        lora_dropout=0.0,
        target_modules="all-linear",
        use_rslora=False,
        use_dora=False,
        init_lora_weights=True,
        modules_to_save=None,
        bias="none",
        loraplus_lr_ratio=None,
        alpha=0.0,
        batch_size="auto",
        learning_rate_init=0.004,
        max_iter="auto",
        early_stopping="auto",
        validation_fraction="auto",
        random_state=None,
        verbose=False,
        warm_start=False,
    ):
        values = locals()
        for name in self._get_param_names():
            setattr(self, name, values[name])

    @classmethod
    def from_fitted(cls, estimator, **params):
        """Make an adapter of a fitted estimator, which is frozen.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        **params : dict
            Parameters of the adapter.

        Returns
        -------
        adapter : LoRAAdapter
            Not fitted yet.
        """
        check_is_fitted(estimator)
        return cls(FrozenEstimator(estimator), **params)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None, validation_set=None):
        """Fit the base, where it is not frozen, and adapt it.

        Parameters
        ----------
        X : array-like
            Samples, in a form that the base takes.
        y : array-like, default=None
            Targets. Those for a frozen classifier are of the classes that it knows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        validation_set : tuple, default=None
            ``(X, y)`` or ``(X, y, sample_weight)`` whose loss is watched, instead of held-out rows.

        Returns
        -------
        self : LoRAAdapter
            The fitted adapter.
        """
        for module in ("torch", "skorch"):
            import_optional(module, extra="torch", purpose=type(self).__name__)
        context = self._init_callback_context(max_subtasks=2)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with all_or_nothing(self):
            self._fit_checked(context, (X, y, sample_weight, validation_set))
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _fit_checked(self, context, data):
        """Adapt what was adapted already, the frozen base, or a new one."""
        self._check_adaptation()
        if self.warm_start and hasattr(self, "estimator_"):
            adapted = self.estimator_
        else:
            base = self._frozen_base() or self._fitted(context, "base", self._new_base(), data)
            adapted = adapted_copy(base, self._settings(), self._generator())
        plan = {name: getattr(self, name) for name in TRAINING}
        self.estimator_ = trained(
            adapted, plan, lambda model: self._fitted(context, "adaptation", model, data)
        )
        self._read(self.estimator_)

    def _fitted(self, context, task_name, model, data):
        """Fit an estimator as a task of its own."""
        X, y, sample_weight, validation_set = data
        task = context.subcontext(task_name=task_name)
        task.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with task.propagate_callback_context(model):
            model.fit(X, y, sample_weight=sample_weight, validation_set=validation_set)
        task.call_on_fit_task_end(estimator=self, X=X, y=y)
        return model

    def _check_adaptation(self):
        """Check what the constraints cannot say."""
        if self.init_lora_weights is False:
            raise ValueError(
                "init_lora_weights=False would start away from the base. Use True, 'gaussian' or "
                "'pissa'."
            )
        inner = self._inner()
        if not isinstance(inner, BaseNet):
            raise TypeError(
                "estimator must be an FFNNRegressor, FFNNClassifier, RNNRegressor or "
                f"RNNClassifier, or a FrozenEstimator of one, got {type(inner).__name__}."
            )

    def _inner(self):
        """Give the estimator that is adapted, without its frame."""
        found = self.estimator
        if found is None:
            return FFNNRegressor(random_state=self.random_state)
        if isinstance(found, FrozenEstimator):
            found = found.estimator
            # An adapter that is frozen is a base like any other: its changes are merged.
            return found.estimator_ if isinstance(found, LoRAAdapter) else found
        return found

    def _frozen_base(self):
        """Give the fitted estimator to start from; None if it has to be fitted first."""
        if not isinstance(self.estimator, FrozenEstimator):
            return None
        check_is_fitted(self.estimator)
        return self._inner()

    def _new_base(self):
        """Clone the estimator; without a seed of its own it has that of the adapter."""
        base = clone(self._inner())
        if base.random_state is None:
            base.set_params(random_state=self.random_state)
        return base

    def _settings(self):
        """Fields of `LoRASettings`, as plain values that the fitted estimator can keep."""
        settings = {name: getattr(self, name) for name in ADAPTATION}
        for name in ("target_modules", "modules_to_save"):
            if settings[name] is not None and not isinstance(settings[name], str):
                settings[name] = [str(value) for value in settings[name]]
        return settings

    def _generator(self):
        from sklearn_ext._torch.random import make_generator

        return make_generator(self.random_state)

    def _read(self, model):
        """Set the attributes that tell of the adapted estimator."""
        module = model.net_.module_
        self.n_trainable_params_ = sum(p.numel() for p in module.parameters())
        n_frozen = sum(p.numel() for p in module.base.parameters())
        self.trainable_fraction_ = self.n_trainable_params_ / (self.n_trainable_params_ + n_frozen)
        self.loss_curve_, self.n_iter_ = model.loss_curve_, model.n_iter_
        for name in ("classes_", "n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))

    def merge(self):
        """Give a plain estimator with the changed weights.

        Returns
        -------
        merged : estimator
            Of the class of the base, with predictions equal to rounding; it shares nothing with
            the adapter.
        """
        check_is_fitted(self)
        return merged_copy(self.estimator_)

    # What the base can do

    @available_if(_base_has("predict"))
    def predict(self, X, **params):
        """Predict by the adapted estimator.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.
        **params : dict
            Parameters of the base's `predict`.

        Returns
        -------
        y : ndarray
            What the base's `predict` gives.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X, **params)

    @available_if(_base_has("predict_proba"))
    def predict_proba(self, X):
        """Predict probabilities by the adapted estimator.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.

        Returns
        -------
        probability : ndarray
            What the base's `predict_proba` gives.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_base_has("predict_log_proba"))
    def predict_log_proba(self, X):
        """Predict logarithms of probabilities by the adapted estimator.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.

        Returns
        -------
        log_probability : ndarray
            What the base's `predict_log_proba` gives.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_base_has("decision_function"))
    def decision_function(self, X):
        """Compute decision values by the adapted estimator.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.

        Returns
        -------
        decision : ndarray
            What the base's `decision_function` gives.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @available_if(_base_has("transform"))
    def transform(self, X):
        """Transform by the adapted estimator.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.

        Returns
        -------
        X_transformed : ndarray
            What the base's `transform` gives.
        """
        check_is_fitted(self)
        return self.estimator_.transform(X)

    @available_if(_base_has("transform"))
    def fit_transform(self, X, y=None, **fit_params):
        """Fit the adapter and transform the same samples.

        Parameters
        ----------
        X : array-like
            Samples, in a form that the base takes.
        y : array-like, default=None
            Targets.
        **fit_params : dict
            Further arguments of `fit`.

        Returns
        -------
        X_transformed : ndarray
            What `transform` gives after `fit`.
        """
        return self.fit(X, y, **fit_params).transform(X)

    @available_if(_base_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features=None):
        """Name the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Ignored.

        Returns
        -------
        names : ndarray of str
            What the base's `get_feature_names_out` gives.
        """
        check_is_fitted(self)
        return self.estimator_.get_feature_names_out(input_features)

    @available_if(_base_has("stream"))
    def stream(self):
        """Follow sequences while they grow, as the base does.

        Returns
        -------
        stream : SequenceStream
            At the beginning of all its sequences.
        """
        check_is_fitted(self)
        return self.estimator_.stream()

    def score(self, X, y, sample_weight=None):
        """Score the adapted estimator.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.
        y : array-like
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            What the base's `score` gives.
        """
        check_is_fitted(self)
        return self.estimator_.score(X, y, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        of_base = get_tags(self._inner())
        for name in (
            "estimator_type",
            "target_tags",
            "transformer_tags",
            "classifier_tags",
            "regressor_tags",
            "input_tags",
        ):
            setattr(tags, name, getattr(of_base, name))
        return tags
