"""Docstring entries of parameters and attributes that several nets share.

``$samples`` are rows, sequences or texts.
"""

from sklearn_ext.neural_network._docstrings import documented

__all__ = [
    "CLASSES",
    "CLASSIFICATION_PARAMETERS",
    "REGRESSION_PARAMETERS",
    "documented_family",
]

_NET_PARAMETERS = """\
    solver : {"adam", "sgd"}, default="adam"
        Adam with decoupled weight decay, or stochastic gradient descent with momentum.
    learning_rate : {"constant", "adaptive", "invscaling", "cosine", "flat_cosine", \
"one_cycle"}, default="one_cycle"
        Schedule over the whole run. "one_cycle" rises by half a cosine for 30 % of it and falls by
        another. "adaptive" is divided by 5 each time the watched loss has not fallen by more than
        `tol` for `n_iter_no_change` epochs; the run ends when that happens at 1e-6 or less.
    warmup_fraction : float, default=0.0
        Share of the run, in [0, 1), in which the rate rises from 0; "one_cycle" has its own.
    power_t : float, default=0.5
        Exponent of "invscaling".
    shuffle : bool, default=True
        Whether $samples come in a new order every epoch.
    random_state : int, RandomState instance or None, default=None
        Decides on initial weights, order of $samples, dropout and held-out $samples. None takes
        entropy from the operating system; numpy's and torch's global generators are never used.
    tol : float, default=0.0
        By how much the watched loss has to fall to count as better, >= 0.
    verbose : bool or int, default=False
        Whether to print the losses of every epoch.
    warm_start : bool, default=False
        Whether another `fit` goes on from the weights of the last one. Parameters that the net
        is made of must be the same then; those of the training may differ. As many $samples are
        held out by the same draw as before, so that none is watched that was learned from.
    momentum : float, default=0.9
        Momentum of "sgd", in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether "sgd" looks ahead along the momentum.
    beta_1 : float, default=0.9
        Decay rate of Adam's first moment, in [0, 1).
    beta_2 : float, default=0.95
        Decay rate of Adam's second moment, in [0, 1).
    epsilon : float, default=1e-8
        Smallest denominator of Adam, > 0.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without a better loss after which a run ends. "auto" is 30 % of `max_iter`, at least
        10; for an "adaptive" rate 10 % within 2 and 10; without held-out $samples it lets only
        "constant", "adaptive" and "invscaling" runs end early, by the training loss.
    max_grad_norm : float or None, default=1.0
        Largest norm of a gradient, > 0; None for no clipping.
    gradient_accumulation_steps : int, default=1
        Parts in which each batch is worked through, for less memory; results change by rounding,
        and by the masks of dropout, which each part draws for itself.
    device : str or torch.device, default="auto"
        "auto" takes cuda or mps where there is one, else the CPU.
    compile : bool, default=False
        Whether to compile the module by torch.compile; low-rank changes of it are not compiled.
    callbacks : list or None, default=None
        Callbacks of skorch. Those of scikit-learn are given to `set_callbacks`.
"""

REGRESSION_PARAMETERS = """\
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, \
default="squared_error"
        What is minimised. "poisson" has a log link and needs y >= 0.
    quantile : float or array-like of float, default=0.5
        Quantile or quantiles, in (0, 1), of ``loss="quantile"``; other losses do not use it.
        Several ones never cross, and `predict` gives a column for each.
    huber_delta : float, default=1.0
        Where "huber" becomes linear, > 0, in interquartile ranges of y over 1.349: in standard
        deviations where y is normal.
"""

CLASSIFICATION_PARAMETERS = """\
    class_weight : dict, "balanced", list of dict or None, default=None
        Weights of the classes, >= 0, multiplied by `sample_weight`. "balanced" makes all classes
        weigh the same, which `partial_fit` cannot; for multilabel y a list has one dict a label,
        with the keys 0 and 1.
    label_smoothing : float, default=$smoothing
        Probability, in [0, 1), taken from each label and spread over all classes.
"""

CLASSES = """\
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel y the positions of the labels.
"""

# $units: what else a training loss is; $score: what the score is; $seen: what is counted.
_TRAINING_ATTRIBUTES = """\
    loss_curve_ : list of float
        Training loss of each epoch$units.
    loss_ : float
        Last training loss.
    best_loss_ : float
        Smallest validation loss of the last run, where members are watched each by itself the mean
        of theirs; smallest training loss where there were no validation $samples.
    validation_loss_curve_ : list of float or None
        Validation loss of each epoch; NaN for those of earlier runs that watched none.
    validation_scores_ : list of float or None
        Validation score of each epoch$score.
    best_validation_score_ : float or None
        Validation score of the epoch with the smallest validation loss.
    n_iter_ : int
        Number of epochs.
    t_ : int
        Number of $seen seen in training.
"""


def documented_family(parameters, attributes, notes, **words):
    """Make the decorators of the nets for one kind of samples.

    Parameters
    ----------
    parameters, attributes, notes : str
        What is to be said of each of them.
    **words : str
        What differs inside of the shared entries, see
        :func:`~sklearn_ext.neural_network._docstrings.documented`.

    Returns
    -------
    of_class : callable
        Makes the decorator of a class, of its own parameters, attributes, references and words.
    """

    def of_class(own_parameters, own_attributes="", references="", **own_words):
        return documented(
            _NET_PARAMETERS + parameters + own_parameters,
            attributes=own_attributes + _TRAINING_ATTRIBUTES + attributes,
            notes=notes + references,
            **words,
            **own_words,
        )

    return of_class
