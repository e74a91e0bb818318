"""Docstring sections that both estimators of texts share."""

from sklearn_ext.neural_network._net_docstrings import documented_family

__all__ = ["documented_text_net"]

_PARAMETERS = """\
    tokenizer : {"byte", "bpe"}, default="byte"
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
    positions : {"rotary", "learned"}, default="rotary"
        How a net of our own knows where a token stands: queries and keys are turned [1]_, or each
        position has an embedding. "rotary" needs an even ``hidden_size / num_heads``.
    max_length : int, default=256
        Most tokens that the net sees at once, see the notes; >= 2.
    alpha : float, default=0.01
        Weight decay: every step takes the share ``learning rate * alpha`` off each weight, biases
        excepted.
    batch_size : int or "auto", default="auto"
        Number of $seen that one step sees. "auto" is all of them up to 64, else n / 8 within 8 and
        32. $batches
    learning_rate_init : float or "auto", default="auto"
        Largest learning rate, > 0. "auto" is ``$rate / hidden_size`` for a net of our
        own and 5e-5 for a pre-trained one$new_head.
    max_iter : int or "auto", default="auto"
        Epochs. "auto" is $epochs With 0 the net
        stays as it starts: a pre-trained model can be asked or adapted as it is.
    early_stopping : bool or "auto", default=False
        Whether texts are held out, the run ends when their loss no longer falls, and the weights of
        the best epoch are kept. "auto" does so for more than 2000 texts. A `validation_set` given
        to `fit` takes the place of held-out texts, and is watched in any case.
    validation_fraction : float, default=0.1
        Share of texts that is held out, in (0, 1).
    dropout : float, default=$dropout
        Probability, in [0, 1), that a unit of a token is left out of a step; in a full batch the
        same units of all tokens. $places
    gradient_checkpointing : bool, default=False
        Whether blocks are computed anew for gradients, which takes about a third more time and far
        less memory, as nothing inside of a block is kept. Results are the same.
    precision : {"auto", "float32", "float64", "bf16-mixed"}, default="auto"
        Precision of the training steps. "auto" is float32; for full batches of a float64 table
        float64. Predictions for texts are computed in float64 with "float64", otherwise in
        float32; those for tables in the dtype of the table.
"""

_ATTRIBUTES = """\
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
    text of its cells with a space between them, numbers with three significant digits. $reading

    Up to 64 $seen a fit takes full batches. Then `sample_weight` counts repetitions: weight 2 is
    the text twice, weight 0 no text. For mini-batches this holds in expectation. (The merges of
    "bpe" are learned from each text of positive weight once.)

    References
    ----------
    .. [1] J. Su et al., "RoFormer: Enhanced transformer with rotary position embedding",
       Neurocomputing 568, 2024, arXiv:2104.09864; eq. 34.
"""

documented_text_net = documented_family(
    _PARAMETERS,
    _ATTRIBUTES,
    _NOTES,
    samples="texts",
)
