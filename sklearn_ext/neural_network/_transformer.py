"""Transformers that put labels on texts."""

from math import ceil

import numpy as np

from sklearn_ext._dask import over_partitions
from sklearn_ext._validation import (
    StrOptions,
    _fit_context,
    assign_parameters,
    check_is_fitted,
    with_callbacks,
)
from sklearn_ext.neural_network._classification_targets import ClassificationTargets
from sklearn_ext.neural_network._net_docstrings import CLASSES, CLASSIFICATION_PARAMETERS
from sklearn_ext.neural_network._pooled_states import PooledStates
from sklearn_ext.neural_network._text_docstrings import documented_text_net
from sklearn_ext.neural_network._textual import BaseText
from sklearn_ext.neural_network._token_rows import TokenRows

__all__ = ["TransformerClassifier"]

# For a pre-trained model, chosen on held-out texts of three sets: epochs make so many steps, within
# bounds, or so many full batches.
FULL_BATCHES = 48
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 300, 3, 10
# A head that is new learns faster than the encoder under it, or than its low-rank changes. On
# held-out texts of 77 classes 0.029 more were right than with a ratio of 20 where all was trained,
# and 0.013 more than with 1 beside low-rank changes (0.016 with 5, which was no better with few
# texts); of six classes 0.004 more and as many. It is drawn as large as torch's and has no dropout
# of its own: 0.006 and 0.011 more of 77 classes than with a small head and dropout; of six classes
# as many.
PRETRAINED_HEAD = {
    "head_ratio": 60.0,
    "head_ratio_beside_changes": 3.0,
    "head_scale": 3**-0.5,
}

# Up to this share of what lengths differ, told by the classes, a batch is of texts of one length.
MOST_TOLD = 0.1


def told_by_length(lengths, labels):
    r"""Tell how much classes and lengths of texts have to do with each other.

    It is the correlation ratio of the logarithms of lengths, adjusted for the number of classes,

    .. math::
        1 - \frac{n - 1}{n - k} \;
        \frac{\sum_i (l_i - \bar l_{y_i})^2}{\sum_i (l_i - \bar l)^2}

    Parameters
    ----------
    lengths : ndarray of shape (n,)
        Lengths, at least 1.
    labels : ndarray of shape (n,)
        Labels of k classes.

    Returns
    -------
    share : float
        At most 1; about 0 where lengths are the same in all classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.neural_network._transformer import told_by_length
    >>> lengths = np.array([5, 5, 40, 41])
    >>> round(told_by_length(lengths, np.array(["ham", "ham", "spam", "spam"])), 2)
    1.0
    >>> round(told_by_length(lengths, np.array(["ham", "spam", "ham", "spam"])), 2)
    -0.5
    """
    if np.ptp(lengths) == 0:
        return 0.0
    logs, (classes, codes) = np.log(lengths), np.unique(labels, return_inverse=True)
    means = np.bincount(codes, logs) / np.bincount(codes)
    of_classes, of_all = np.square(logs - means[codes]).sum(), np.square(logs - logs.mean()).sum()
    free = len(logs) - len(classes)
    return float(1 - (len(logs) - 1) / free * of_classes / of_all) if free else 0.0


@documented_text_net(
    """\
    model : str, os.PathLike or None, default=None
        None builds a small encoder: pre-norm blocks with GELU. Otherwise the folder of a
        pre-trained transformers encoder (of T5 its encoder), or a name on the Hugging Face hub,
        which needs a network: `fit` starts from its weights, and its tokenizer and sizes take the
        place of those below.
    pooling : {"mean", "first"}, default="mean"
        What the states of all tokens become: their mean, or the state of the first token.
"""
    + CLASSIFICATION_PARAMETERS,
    CLASSES
    + """\
    n_outputs_ : int
        Number of outputs.
""",
    rate="0.3",
    batches="""A batch is made of texts of about the same length where lengths tell little of the
        classes; others are computed in parts of about the same length.""",
    new_head=", its new head 60 times as fast",
    epochs="""12; for a pre-trained model as many as make 300 steps, within 3 and 10, or 48 full
        batches.""",
    dropout="0.1",
    places="""A pre-trained
        model has it where it was trained with it, and in front of its new head if nowhere.""",
    units="",
    score=": the accuracy",
    seen="texts",
    smoothing="0.0",
    reading="""Of longer
    texts only the first `max_length` tokens are read. What is predicted for a text does not depend
    on the others.

    When not to use it: with few texts and no pre-trained `model`. On 1,500 text messages a net from
    scratch reached an accuracy of 0.980 in 52 s, TF-IDF of characters and
    :class:`~sklearn.linear_model.LogisticRegression` 0.985 in 0.5 s.""",
)
class TransformerClassifier(ClassificationTargets, PooledStates, BaseText):
    """Transformer for classification of texts, trained as a whole.

    It is an encoder of our own, or a pre-trained one of the package transformers, whose states are
    pooled and go through one linear layer. Its pooled states can be used elsewhere.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    CausalLanguageModel : Probabilities of texts.
    RNNClassifier : Labels of sequences of numbers.

    Notes
    -----
    <notes>

    Examples
    --------
    >>> from sklearn_ext import TransformerClassifier
    >>> texts = ["red apple", "green pear", "red cherry", "green apple"] * 4
    >>> y = ["red", "green", "red", "green"] * 4
    >>> model = TransformerClassifier(random_state=0).fit(texts, y)
    >>> model.predict(["red pear"])
    array(['red'], dtype='<U5')
    >>> model.transform(["red pear"]).shape
    (1, 64)
    """

    _own_epochs, _own_rate, _frames_texts = 12, 0.3, True
    _makes_net = ("pooling",)
    # On held-out texts of three sets some fits were unstable with 0.002, and with 0.001 many
    # classes took too long.
    _adapter_rate = 0.0015
    _parameter_constraints = {
        **BaseText._parameter_constraints,
        **ClassificationTargets._parameter_constraints,
        "pooling": [StrOptions({"mean", "first"})],
    }

    def __init__(
        self,
        model=None,
        *,
        class_weight=None,
        label_smoothing=0.0,
        pooling="mean",
        tokenizer="byte",
        vocab_size=1000,
        hidden_size=64,
        num_layers=2,
        num_heads=4,
        positions="rotary",
        max_length=256,
        solver="adam",
        alpha=0.01,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init="auto",
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
        dropout=0.1,
        max_grad_norm=1.0,
        gradient_accumulation_steps=1,
        gradient_checkpointing=False,
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
        X : array-like of str of shape (n_samples,), or of shape (n_samples, n_features)
            Texts.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type, or an indicator matrix of several labels a text.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        validation_set : tuple, default=None
            ``(X, y)`` or ``(X, y, sample_weight)`` whose loss is watched, instead of held-out
            texts.

        Returns
        -------
        self : TransformerClassifier
            The fitted estimator.
        """
        self._forget_announced_classes()
        return self._fit_rows(X, y, sample_weight, validation_set)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go once through some texts, at the initial learning rate.

        The tokenizer is that of the first call.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,), or of shape (n_samples, n_features)
            Texts.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type, or an indicator matrix of several labels a text.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : TransformerClassifier
            The fitted estimator.
        """
        self._announce_classes(classes)
        return self._fit_rows(X, y, sample_weight, None, partial=True)

    def _meets_by_length(self, rows, y):
        """Not where texts of one length are often of one class, which made fits unstable."""
        labels = self._strata(y)
        return labels is not None and told_by_length(rows.lengths, labels) <= MOST_TOLD

    def _epochs(self, rows, steps_an_epoch):
        """As many epochs of a pre-trained model as make enough steps."""
        if self.max_iter != "auto" or not self._is_pretrained or steps_an_epoch is None:
            return super()._epochs(rows, steps_an_epoch)
        if steps_an_epoch == 1:
            return FULL_BATCHES
        return min(MOST_EPOCHS, max(FEWEST_EPOCHS, ceil(STEPS / steps_an_epoch)))

    # Tokens

    def _weighted_rows(self, texts, y, sample_weight, *, reset):
        texts, y, weights = super()._weighted_rows(texts, y, sample_weight, reset=reset)
        if reset:
            self._learn_texts(texts.strings)
        return self._tokens(texts), y, weights

    def _read_validation(self, validation_set):
        found = super()._read_validation(validation_set)
        return found and (self._tokens(found[0]), *found[1:])

    def _tokens(self, texts):
        """Cut texts into tokens."""
        sequences = self.tokenizer_.encode(texts.strings)
        start = np.array([self.tokenizer_.start or 0])
        if self.tokenizer_.is_framed:  # some tokenizers have no frame: nothing has no state
            sequences = [tokens if len(tokens) else start for tokens in sequences]
        else:
            sequences = [np.append(start, tokens[: self._longest - 1]) for tokens in sequences]
        return TokenRows.from_list(sequences, texts.dtype)

    def _responses(self, X):
        check_is_fitted(self)
        return self._member_responses(self._tokens(self._read_rows(X, reset=False)))

    # The net

    def _build_module(self, generator):
        from sklearn_ext._torch.text_encoder import PooledClassifier

        encoder, n_outputs = self._encoder(generator), self._build_loss().n_outputs(self._n_targets)
        dropout, head = self._architecture["dropout"], {}
        if "config" in self._architecture:
            from sklearn_ext._torch.pretrained import has_dropout

            head = PRETRAINED_HEAD
            dropout = 0.0 if has_dropout(encoder) else dropout
        pooling = self._of_net("pooling")
        return PooledClassifier(encoder, pooling, n_outputs, dropout, generator, **head)

    def _encoder(self, generator):
        if "config" in self._architecture:
            from sklearn_ext._torch.pretrained import PretrainedEncoder

            return PretrainedEncoder(**self._architecture)
        from sklearn_ext._torch.text_encoder import TextEncoder

        return TextEncoder(**self._architecture, generator=generator)

    _body_name, _trait = "encoder", "hides_padding"

    def _found_trait(self, body):
        """Try whether texts of unequal length can be side by side in a pre-trained model."""
        from sklearn_ext._torch.pretrained import hides_padding

        return hides_padding(body)

    @property
    def _new_layers(self):
        return ("head",) if self._is_pretrained else ()

    # The pooled state

    @over_partitions
    def transform(self, X):
        """Give the pooled state of each text, for use in another estimator.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,), or of shape (n_samples, n_features)
            Texts.

        Returns
        -------
        pooled : ndarray of shape (n_samples, hidden_size)
            What the last linear layer sees.
        """
        check_is_fitted(self)
        return self._pooled_states(self._tokens(self._read_rows(X, reset=False)))

    @property
    def _n_features_out(self):
        return self.net_.module_.encoder.width
