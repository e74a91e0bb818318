"""Docstring sections that both feed-forward nets for tables share."""

from sklearn_ext.neural_network._docstrings import by_name
from sklearn_ext.neural_network._net_docstrings import documented_family

__all__ = ["DROPOUT", "documented_table_net"]

_PARAMETERS = """\
    hidden_layer_sizes : int or array-like of int, default=(128, 128)
        Width of each hidden layer; empty for a linear model.
    activation : {"gelu", "gelu_tanh", "relu", "silu", "tanh", "logistic", "identity"}, \
default="gelu"
        Activation of the hidden layers. "gelu" is exact, x Φ(x) with the normal distribution
        function Φ [1]_; "gelu_tanh" its approximation by a hyperbolic tangent, which is off by
        4.7e-4 at most.
    solver : {"adam", "sgd", "lbfgs"}, default="adam"
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
    learning_rate : {"constant", "adaptive", "invscaling", "cosine", "flat_cosine", "one_cycle"}, \
default="flat_cosine"
        Schedule over the whole run. "flat_cosine" is constant for one half, then falls to 0 by half
        a cosine. "adaptive" is constant as long as the watched loss falls: each time it has not
        done so by more than `tol` for `n_iter_no_change` epochs, the rate is divided by 5, and the
        run ends when that happens at a rate of at most 1e-6. Unlike in MLPRegressor, it serves
        both solvers.
    learning_rate_init : float, default=0.008
        Learning rate that the schedule starts from, > 0.
    warmup_fraction : float, default=0.03
        Share of the run, in [0, 1), in which the rate rises from 0.
    max_iter : int or "auto", default="auto"
        Epochs. "auto" is 24 for full batches of up to 64 rows, 12 where classes are learned, and
        1160 / n^(1/3) within 10 and 64 for more rows n; 200 for "lbfgs".
    tol : float, default=0.0
        By how much the watched loss has to fall to count as better, >= 0. "lbfgs" ends where no
        component of the gradient is larger.
    early_stopping : bool or "auto", default="auto"
        Whether rows are held out, the run ends when their loss no longer falls, and the weights of
        the best epoch are kept. Members of an ensemble hold out different rows in turn, so that
        the ensemble sees all of them. "auto" does so for more than 64 rows. A `validation_set`
        given to `fit` takes the place of held-out rows, and is watched in any case.
    validation_fraction : float or "auto", default="auto"
        Share of rows that each member holds out, in (0, 1). "auto" is 1/8, or as many as make 60
        rows, but no more than 1/4.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without a better mean loss after which a run ends. "auto" is 30 % of `max_iter`, at
        least 10; for an "adaptive" rate, which falls each time, 10 % within 2 and 10. Where there
        are no validation rows, it is the training loss that counts, and "auto" waits only for
        "constant", "adaptive" and "invscaling" rates.
    max_fun : int, default=15000
        Largest number of evaluations of the loss by "lbfgs".
    dropout : float, default=0.0
        Probability, in [0, 1), that a hidden unit is left out of a step; members share the mask.
    n_members : int, default=8
        Nets that are trained side by side and averaged. They differ in their initial weights, in
        the order of rows and in the rows held out, and one half sees the numeric columns in bins,
        the other half in waves; the held-out rows decide on the share of either half in the
        average. A single member sees bins and waves.
    n_bins : int or "auto", default="auto"
        Bins of equal weight by which each numeric column is also given as a piecewise linear
        encoding [2]_, at most 256; 0 or 1 for none. "auto" is 32, or as many as make 512 for all
        columns. Fewer than 25 rows a bin give fewer bins.
    n_frequencies : int or "auto", default="auto"
        Waves of learned frequency by which each numeric column is also given [2]_, at most 256;
        0 for none. "auto" is 16, and 0 for more than 128 numeric columns.
    blend_linear : bool, default=True
        Whether linear models of the columns, not clipped, are trained beside two or more members,
        for a share in the average that the held-out rows decide on. Without held-out rows there
        are none. Columns end at twice the distance of the farthest row of `fit` from the median.
    categorical_features : array-like, "from_dtype" or None, default="from_dtype"
        Columns with categories: a mask, positions or names; "from_dtype" takes those of a
        categorical dtype. Each category has weights of its own; in a column of more than 32
        categories it is embedded as 16 learned numbers. A category that was not seen in `fit`
        counts as none of them.
    max_grad_norm : float or None, default=None
        Largest norm of a gradient, > 0; None for no clipping.
    precision : {"auto", "float32", "float64", "bf16-mixed"}, default="auto"
        Precision of the training steps. "auto" is the dtype of X for full batches and float32 for
        mini-batches, whose noise is far larger; bf16-mixed on cuda. Predictions are computed in
        the dtype of X whatever it is.
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
        Single batches are those of training only, encoded and of all members, so that BatchScoring
        is refused; EpochScoring takes its place. Gradients are in the parameters between
        ``on_batch_begin`` and ``on_batch_end``, in ``on_grad_computed``.
"""

_ATTRIBUTES = """\
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

_NOTES = """\
    Numeric columns of any scale can be given as they are: they are centred at the median, divided
    by the interquartile range and clipped smoothly to (-3, 3) inside [3]_. A missing value is
    put at the median, and a further column tells that it was missing where `fit` saw some.

    A sparse X gives what the dense table gives. It is made dense in parts only, and if its encoding
    is too large to be kept, batch by batch; with `categorical_features` it is made dense at once.

    Up to 64 rows a fit takes full batches without held-out rows, and `sample_weight` counts
    repetitions exactly: weight 2 is the row twice, weight 0 no row; ``solver="lbfgs"`` may magnify
    the rounding that differs. For mini-batches this holds in expectation.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415,
       2016; section 2.
    .. [2] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in
       tabular deep learning", NeurIPS 2022, arXiv:2203.05556; eq. 1 and 2.
    .. [3] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", NeurIPS 2024, arXiv:2407.04491; section 3.
"""

# Classes are surer without: small nets then ignored extreme class weights.
DROPOUT = by_name(_PARAMETERS)["dropout"].replace("0.0", "0.1")

documented_table_net = documented_family(
    _PARAMETERS,
    _ATTRIBUTES,
    _NOTES,
    samples="rows",
    seen="rows",
    units="",
    score=", the mean over members",
    smoothing="0.0",
)
