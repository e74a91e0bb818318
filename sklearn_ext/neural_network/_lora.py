"""Low-rank adaptation of nets as a meta-estimator."""

import warnings
from numbers import Integral, Real

from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from sklearn_ext._documentation import DocumentationLinkMixin
from sklearn_ext._validation import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    assign_parameters,
    check_is_fitted,
    with_callbacks,
)
from sklearn_ext.exceptions import PrecisionWarning
from sklearn_ext.neural_network._adapter_exchange import load_adapter, save_adapter
from sklearn_ext.neural_network._adapter_fit import TRAINING, AdapterFit
from sklearn_ext.neural_network._base import BaseNet
from sklearn_ext.neural_network._delegation import DelegatedMethods, base_has

__all__ = ["LoRAAdapter"]


class LoRAAdapter(
    AdapterFit,
    DelegatedMethods,
    DocumentationLinkMixin,
    CallbackSupportMixin,
    MetaEstimatorMixin,
    BaseEstimator,
):
    """Low-rank adaptation (LoRA) of a net.

    The weights of a trained net are frozen. What it learns in addition is a product of two narrow
    matrices for each of its weights, W = W_0 + s B A [1]_, a small share of its parameters.

    Parameters
    ----------
    estimator : estimator, default=None
        What is adapted: `FFNNRegressor`, `FFNNClassifier`, `RNNRegressor`, `RNNClassifier`,
        `TransformerClassifier`, `CausalLanguageModel` or any :class:`skorch.NeuralNet`. A fitted
        one inside :class:`~sklearn.frozen.FrozenEstimator` is adapted as it is; it is never
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
        What is adapted. "all-linear" is every linear and recurrent layer, except a head that is
        tied to the embeddings; another string a regular expression that has to match the whole name
        of a layer or weight; otherwise names, or ends of names, of layers, weights, or of what
        contains them. `summary` of the base lists the weights; embeddings and convolutions are
        adapted where they are named.
    use_rslora : bool, default=False
        Whether changes are scaled by ``lora_alpha / sqrt(r)`` [2]_, which keeps larger ranks as
        fast as small ones.
    use_dora : bool, default=False
        Whether the norm of each output's weights is learned apart from their direction [3]_.
    init_lora_weights : bool or {"gaussian", "pissa", "loftq"}, default=True
        Start of A: True is Kaiming's uniform distribution, "gaussian" the normal one of standard
        deviation 1 / r; B starts at 0. "pissa" starts both at the largest singular values [4]_.
        The net starts as the base with each of them. "loftq" is for a quantised base: the start
        makes up for what is lost of the adapted weights [7]_.
    modules_to_save : array-like of str, "auto" or None, default="auto"
        Names, as in `target_modules`, of layers that are trained whole. "auto" is the head of a
        pre-trained `TransformerClassifier`, which is new, unless `target_modules` names it; for
        other bases none.
    bias : {"none", "all", "lora_only"}, default="none"
        Which biases are trained: none, all, or those of adapted layers.
    loraplus_lr_ratio : float or None, default=None
        Learning rate of B over that of A [5]_, > 0; None for 1.
    quantization : {"nf4", "int8"} or None, default=None
        How the frozen weights of linear layers are kept [6]_: in 4.13 bits, in 8 bits, or as they
        are. Tables of embeddings take "int8" with both. Computation and changes keep their
        precision. Below about a billion parameters "int8" is the better choice, as it loses
        nothing that can be measured; "nf4" saves the most memory.
    gradient_checkpointing : bool, default=False
        Whether the blocks of the base, such as those of a transformer, are computed anew for
        gradients [8]_: the same result for about a third more time and far less memory, as nothing
        inside of a block is kept. A base with `gradient_checkpointing` asks for it too.
    alpha : float, default=0.0
        Weight decay, as in `FFNNRegressor`, of A, B and weights that are trained whole.
    batch_size : int or "auto", default="auto"
        Rows that one step sees; "auto" is what it is for the kind of the base.
    learning_rate_init : float or "auto", default="auto"
        Learning rate that the schedule of the base starts from, > 0; "auto" is 0.008, for
        pre-trained models that classify texts 0.0015, for language models 0.001. The new head of a
        pre-trained `TransformerClassifier` learns 3 times as fast, where it is trained whole.
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
        Whether another `fit` goes on from the changes of the last one, whose `estimator` and
        parameters down to `gradient_checkpointing` stay as they are.
    cache_frozen : bool, default=False
        Whether `fit` computes only once what the layers below all trained ones give for each row,
        and keeps it while it runs, with the same result to rounding. Each step then costs what the
        upper layers cost. It is an error where there is nothing to keep, as when the first layer
        of a text net is trained, and for skorch nets; `partial_fit` and dask collections, which
        see a row once, have no use for it. Of a text one state a token is kept,
        ``4 * hidden_size`` bytes in single precision.
    store_base : bool, default=True
        Whether the pickle of a fitted adapter holds its base. False leaves a frozen base out, and
        `attach_base` gives it back; an adapter that is not fitted has its base always.

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
    best_loss_ : float
        Smallest validation loss of the last run, or training loss where no samples were watched.
        It and the next three are those of `estimator_`, where that is a net of this library;
        what `load_adapter` reads has none of them.
    validation_loss_curve_ : list of float or None
        Validation loss of each epoch of the adaptation.
    validation_scores_ : list of float or None
        Validation score of each epoch.
    best_validation_score_ : float or None
        Validation score of the epoch with the smallest validation loss.
    classes_ : ndarray of shape (n_classes,)
        Class labels, for classifiers.
    n_features_in_ : int
        Number of columns, or channels of sequences.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X had names that are all strings.

    See Also
    --------
    sklearn.frozen.FrozenEstimator : Keeps a fitted estimator as it is.

    Notes
    -----
    All other training parameters (schedule, solver, dropout of the base, clipping, precision) are
    those of the base. An adapted weight that no gradient reaches is an error, and so is one that
    its layer computes of others, as with weight_norm. Where only upper layers of a net of this
    library are trained, dropout is off below them: what goes into them is a function of a row that
    does not change, whether or not it is cached.

    A module of a skorch net that reads adapted weights in its `forward` has to do so as attributes,
    ``self.layer.weight``: ``parameters()`` yields frozen ones of some layers while training, and
    ``get_parameter`` raises an error. It must have no `torch.utils.checkpoint` of its own, which
    would compute again with frozen weights and wrong gradients: set `gradient_checkpointing`.

    An adapter shares the weights of its frozen base: one whose base is trained further, by
    `partial_fit` or `warm_start`, raises an error from then on. Threads may predict with one
    adapter at the same time.

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
    .. [6] T. Dettmers et al., "QLoRA: Efficient finetuning of quantized LLMs", NeurIPS 2023,
       arXiv:2305.14314; section 3.
    .. [7] Y. Li et al., "LoftQ: LoRA-fine-tuning-aware quantization for large language models",
       ICLR 2024, arXiv:2310.08659; algorithm 1.
    .. [8] T. Chen, B. Xu, C. Zhang and C. Guestrin, "Training deep nets with sublinear memory
       cost", 2016, arXiv:1604.06174; section 4.

    Examples
    --------
    >>> from sklearn_ext import FFNNRegressor, LoRAAdapter
    >>> from sklearn_ext.datasets import load_concrete
    >>> X, y = load_concrete(return_X_y=True)
    >>> base = FFNNRegressor(n_members=2, random_state=0).fit(X[:800], y[:800])
    >>> adapter = LoRAAdapter.from_fitted(base, r=2, random_state=0)
    >>> adapter.fit(X[800:], y[800:]).trainable_fraction_ < 0.2
    True
    >>> adapter.score(X[800:], y[800:]) > base.score(X[800:], y[800:])
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), None],
        "r": [Interval(Integral, 1, None, closed="left")],
        "lora_alpha": [Interval(Real, 0, None, closed="neither")],
        "lora_dropout": [Interval(Real, 0, 1, closed="left")],
        "target_modules": [str, "array-like"],
        "use_rslora": ["boolean"],
        "use_dora": ["boolean"],
        "init_lora_weights": [StrOptions({"gaussian", "pissa", "loftq"}), "boolean"],
        "modules_to_save": [StrOptions({"auto"}), "array-like", None],
        "bias": [StrOptions({"none", "all", "lora_only"})],
        "loraplus_lr_ratio": [Interval(Real, 0, None, closed="neither"), None],
        "quantization": [StrOptions({"nf4", "int8"}), None],
        "gradient_checkpointing": ["boolean"],
        "warm_start": ["boolean"],
        "cache_frozen": ["boolean"],
        "store_base": ["boolean"],
        **{name: BaseNet._parameter_constraints[name] for name in TRAINING},
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
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
        modules_to_save="auto",
        bias="none",
        loraplus_lr_ratio=None,
        quantization=None,
        gradient_checkpointing=False,
        alpha=0.0,
        batch_size="auto",
        learning_rate_init="auto",
        max_iter="auto",
        early_stopping="auto",
        validation_fraction="auto",
        random_state=None,
        verbose=False,
        warm_start=False,
        cache_frozen=False,
        store_base=True,
    ):
        assign_parameters(self, locals())

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
        if not isinstance(estimator, FrozenEstimator):
            estimator = FrozenEstimator(estimator)
        return cls(estimator, **params)

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
        return self._fit_data((X, y, sample_weight, validation_set))

    @available_if(base_has("partial_fit"))
    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X, y=None, classes=None, sample_weight=None):
        """Go once through some samples, at the initial learning rate.

        It goes on from the changes so far; a schedule among the callbacks of a skorch net goes on
        too. A base that is not fitted yet is fitted to the samples of the first call.

        Parameters
        ----------
        X : array-like
            Samples, in a form that the base takes.
        y : array-like, default=None
            Targets. Those for a classifier are of the classes that the base knows.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come, for a classifier that is not fitted yet. None stands
            for those in y.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : LoRAAdapter
            The fitted adapter.
        """
        return self._fit_data((X, y, sample_weight, None), partial=True, classes=classes)

    def merge(self):
        """Give a plain estimator with the changed weights.

        Returns
        -------
        merged : estimator
            Of the class of the base, with predictions equal to rounding; it shares nothing with
            the adapter. That of a quantised base has whole weights again, without what quantising
            has lost; a :class:`~sklearn_ext.exceptions.PrecisionWarning` tells how much it is.
        """
        import torch

        model, adaptation = self._fitted_estimator(), self._adaptation()
        error = getattr(adaptation.module(model), "quantization_error", None)
        if error is not None:
            warnings.warn(
                f"The base was quantised ({self.quantization}). Its weights in the merged "
                f"estimator are {float(error):.2%} away from those before, by their norm.",
                PrecisionWarning,
                stacklevel=2,
            )
        with torch.inference_mode(False):  # or it could never be trained
            return adaptation.merged(model)

    def save_adapter(self, path):
        """Write the changes, without the base, in the format of PEFT.

        Parameters
        ----------
        path : str or path-like
            Directory, made where it is missing. It gets ``adapter_config.json`` and
            ``adapter_model.safetensors``, which holds the fingerprint of the base besides, but for
            the layers that are trained whole.

        Notes
        -----
        PEFT can load an adapter of linear layers, embeddings and convolutions without groups on the
        same torch module: of a skorch net ``module_``, of a pre-trained `CausalLanguageModel` or
        `TransformerClassifier` the model of transformers; a head is left out then. All else has a
        ``peft_type`` that PEFT refuses, and is read by `load_adapter` only: layers of
        `FFNNRegressor`, recurrent ones, attention of torch, tied weights, DoRA of embeddings, and
        ``init_lora_weights="loftq"``.
        """
        save_adapter(self, path)

    @classmethod
    def load_adapter(cls, path, base, **params):
        """Read what `save_adapter`, or PEFT, wrote.

        Parameters
        ----------
        path : str or path-like
            Directory with both files.
        base : estimator
            Fitted; it is frozen.
        **params : dict
            Parameters of the training, and `quantization`. The others of the adaptation are in the
            files.

        Returns
        -------
        adapter : LoRAAdapter
            Fitted. ``loss_curve_`` is empty where PEFT has trained.

        Raises
        ------
        ValueError
            If the files are those of another base: by the fingerprint of its weights, which PEFT
            does not write, or by names and shapes. If PEFT computes something else with them, as
            with DoRA of tables, or if its `init_lora_weights` has changed the base, "pissa"
            excepted. If `params` holds what the files tell.
        """
        return load_adapter(cls.from_fitted(base, **params), path, params)

    def attach_base(self, base):
        """Give the base back to an adapter that was stored without it.

        Parameters
        ----------
        base : estimator
            Fitted, with the weights of the base that `fit` saw.

        Returns
        -------
        self : LoRAAdapter
            Ready to predict.

        Raises
        ------
        ValueError
            If it is another base, by the fingerprint of its weights, or has other labels.
        """
        return self._attach(base)

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
