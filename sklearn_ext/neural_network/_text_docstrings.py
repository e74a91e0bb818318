"""Docstring sections that both estimators of texts share."""

__all__ = ["documented_text_net"]

_PARAMETERS = """\
    {own}tokenizer : {{"byte", "bpe"}}, default="byte"
        Of a net of our own. "byte" takes the bytes of UTF-8 as tokens and needs no other package;
        "bpe" learns a byte-pair encoding of the training texts, by the package tokenizers.
    vocab_size : int, default=1000
        Most tokens of "bpe", >= 257.
    hidden_size : int, default=64
        Width of the states, a multiple of `num_heads`.
    num_layers : int, default=2
        Number of blocks.
    num_heads : int, default=4
        Heads of each attention.
    positions : {{"rotary", "learned"}}, default="rotary"
        How a net of our own knows where a token stands: queries and keys are turned [1]_, or each
        position has an embedding. "rotary" needs an even ``hidden_size / num_heads``.
    max_length : int, default=256
        Most tokens that the net sees at once, see the notes; >= 2.
    solver : {{"adam", "sgd"}}, default="adam"
        Adam with decoupled weight decay, or stochastic gradient descent with momentum.
    alpha : float, default=0.01
        Weight decay: every step takes the share ``learning rate * alpha`` off each weight, biases
        excepted.
    batch_size : int or "auto", default="auto"
        Texts that one step sees. "auto" is all of them up to 64, else n / 8 within 8 and 32. A
        batch is made of texts of about the same length.
    learning_rate : {{"constant", "adaptive", "invscaling", "cosine", "flat_cosine", \
"one_cycle"}}, default="one_cycle"
        Schedule over the whole run. "one_cycle" rises by half a cosine for 30 % of it and falls by
        another. "adaptive" is divided by 5 each time the watched loss has not fallen by more than
        `tol` for `n_iter_no_change` epochs; the run ends when that happens at 1e-6 or less.
    learning_rate_init : float or "auto", default="auto"
        Largest learning rate, > 0. "auto" is ``{rate} / hidden_size`` for a net of our
        own and 5e-5 for a pre-trained one.
    warmup_fraction : float, default=0.0
        Share of the run, in [0, 1), in which the rate rises from 0; "one_cycle" has its own.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int or "auto", default="auto"
        Epochs. "auto" is {epochs} With 0 the net
        stays as it starts: a pre-trained model can be asked or adapted as it is.
    shuffle : bool, default=True
        Whether texts come in a new order every epoch.
    random_state : int, RandomState instance or None, default=None
        Decides on initial weights, order of texts, dropout and held-out texts. None takes entropy
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
    early_stopping : bool or "auto", default=False
        Whether texts are held out, the run ends when their loss no longer falls, and the weights of
        the best epoch are kept. "auto" does so for more than 2000 texts. A `validation_set` given
        to `fit` takes the place of held-out texts.
    validation_fraction : float, default=0.1
        Share of texts that is held out, in (0, 1).
    beta_1 : float, default=0.9
        Decay rate of Adam's first moment, in [0, 1).
    beta_2 : float, default=0.95
        Decay rate of Adam's second moment, in [0, 1).
    epsilon : float, default=1e-8
        Smallest denominator of Adam, > 0.
    n_iter_no_change : int or "auto", default="auto"
        Epochs without a better loss after which a run ends. "auto" is 30 % of `max_iter`, at least
        10; for an "adaptive" rate 10 % within 2 and 10. Without held-out texts only "constant",
        "adaptive" and "invscaling" runs end early, by the training loss.
    dropout : float, default={dropout}
        Probability, in [0, 1), that a unit of a token is left out of a step; in a full batch the
        same units of all tokens.
    max_grad_norm : float or None, default=1.0
        Largest norm of a gradient, > 0; None for no clipping.
    gradient_accumulation_steps : int, default=1
        Parts in which each batch is worked through, for less memory; results change by rounding
        only.
    gradient_checkpointing : bool, default=False
        Whether blocks are computed anew for gradients, which takes about a third more time and far
        less memory, as nothing inside of a block is kept. Results are the same.
    precision : {{"auto", "float32", "float64", "bf16-mixed"}}, default="auto"
        Precision of the training steps. "auto" is float32; for full batches of a float64 table
        float64. Predictions for texts are computed in float64 with "float64", otherwise in
        float32; those for tables in the dtype of the table.
    device : str or torch.device, default="auto"
        "auto" takes cuda or mps where there is one, else the CPU.
    compile : bool, default=False
        Whether to compile the module by torch.compile.
    callbacks : list or None, default=None
        Callbacks of skorch. Those of scikit-learn are given to `set_callbacks`.
"""

_ATTRIBUTES = """\
    loss_curve_ : list of float
        Training loss of each epoch{unit}.
    loss_ : float
        Last training loss.
    best_loss_ : float
        Smallest validation loss, or training loss where there were no validation texts.
    validation_loss_curve_ : list of float or None
        Validation loss of each epoch.
    validation_scores_ : list of float or None
        Validation score of each epoch{score}.
    best_validation_score_ : float or None
        Validation score of the epoch whose weights were kept.
    n_iter_ : int
        Number of epochs.
    t_ : int
        Number of {rows} seen in training.
    n_parameters_ : int
        Number of trained parameters.
    tokenizer_ : object
        With ``encode(texts)`` and ``decode(tokens)``.
    net_ : skorch.NeuralNet
        The trained net.
    n_features_in_ : int
        Number of columns, where X was a table.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of a data frame, where all are strings.
"""

_NOTES = """\
    X is a list, tuple, array or Series of strings; or a table, each row of which is read as the
    text of its cells with a space between them, numbers with three significant digits. {notes}

    Up to 64 texts a fit takes full batches. Then `sample_weight` counts repetitions: weight 2 is
    the text twice, weight 0 no text. For mini-batches this holds in expectation. (The merges of
    "bpe" are learned from each text of positive weight once.)

    References
    ----------
    .. [1] J. Su et al., "RoFormer: Enhanced transformer with rotary position embedding",
       Neurocomputing 568, 2024, arXiv:2104.09864; eq. 34.
"""


def documented_text_net(*, own, attributes, references, **words):
    """Make the decorator that fills in the sections of an estimator of texts.

    Parameters
    ----------
    own, attributes, references : str
        Its own first parameters, attributes and further references.
    **words : str
        What differs inside of the shared sections.

    Returns
    -------
    decorator : callable
        Takes the class.
    """
    sections = {
        "parameters": _PARAMETERS.format(own=own, **words),
        "attributes": attributes + _ATTRIBUTES.format(**words),
        "notes": _NOTES.format(**words) + references,
    }

    def fill(cls):
        for name, text in sections.items():
            cls.__doc__ = cls.__doc__.replace(f"    <{name}>\n", text)
        return cls

    return fill
