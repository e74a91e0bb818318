"""Language models as density estimators of texts."""

import numpy as np
from sklearn.base import DensityMixin
from sklearn.utils import check_consistent_length

from sklearn_ext._dask import in_memory, over_partitions
from sklearn_ext._validation import (
    _fit_context,
    assign_parameters,
    check_is_fitted,
    with_callbacks,
)
from sklearn_ext.neural_network._base import checked_weights, drop_weightless
from sklearn_ext.neural_network._text_docstrings import documented_text_net
from sklearn_ext.neural_network._text_drawing import TextDrawing
from sklearn_ext.neural_network._texts import read_target_texts
from sklearn_ext.neural_network._textual import BaseText
from sklearn_ext.neural_network._token_rows import TokenRows, windows_of

__all__ = ["CausalLanguageModel"]

LOGITS_AT_ONCE = 2**25  # in predictions


@documented_text_net(
    """\
    model : str, os.PathLike or None, default=None
        None builds a small GPT: pre-norm blocks with GELU [2]_ and a head tied to the embeddings.
        Otherwise the folder of a pre-trained transformers model, a file in GGUF, or a name on the
        Hugging Face hub, which needs a network: `fit` starts from its weights, and its tokenizer
        and sizes take the place of those below.
""",
    references="""\
    .. [2] A. Radford et al., "Language models are unsupervised multitask learners", 2019;
       section 2.3.
""",
    rate="0.5",
    batches="A batch is made of texts of about the same length.",
    new_head="",
    epochs="""10, or 3 for a pre-trained model. Few texts need far more with a
        net of our own.""",
    dropout="0.0",
    places="""A pre-trained
        model has it where it was trained with it.""",
    units=", in nats a token",
    score=": the mean log-likelihood a token",
    seen="windows",
    reading="""Targets are texts in
    the same way.

    What is maximised is the sum over texts and their tokens of log P(y_t | x, y_1 ... y_{t-1}), the
    end of each text included. x is the text of `X` if there are completions `y`, else nothing. A
    text of more than `max_length` tokens is seen in windows that begin at every multiple of half of
    that: each token is then predicted from all tokens before it in the first window that holds it,
    at least half a window. Short texts are packed into rows of one length, in which none sees
    another.""",
)
class CausalLanguageModel(TextDrawing, DensityMixin, BaseText):
    """Language model: a density estimator of texts.

    It gives each text a probability, as the product of those of its tokens given all before, and
    draws new texts. It is trained from scratch or goes on from a pre-trained model.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    TransformerClassifier : Labels of texts.
    sklearn.neighbors.KernelDensity : Density of points.

    Notes
    -----
    <notes>

    Examples
    --------
    >>> from sklearn_ext import CausalLanguageModel
    >>> texts = ["one two three"] * 8 + ["two three four"] * 8
    >>> model = CausalLanguageModel(max_iter=60, random_state=0).fit(texts)
    >>> likely, unlikely = model.score_samples(["two three four", "four two two"])
    >>> bool(likely > unlikely)
    True
    >>> model.generate(["one two"], temperature=0)
    array([' three'], dtype=object)

    With completions it learns these only:

    >>> model = CausalLanguageModel(max_iter=60, random_state=0)
    >>> model = model.fit(["sky is ", "grass is "] * 4, ["blue", "green"] * 4)
    >>> model.generate(["sky is "], temperature=0)
    array(['blue'], dtype=object)
    """

    _own_epochs, _own_rate, _frames_texts = 10, 0.5, False
    _adapter_rate = 0.001  # from 0.0015 on some runs of SmolLM2 were unstable

    def __init__(
        self,
        model=None,
        *,
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
        dropout=0.0,
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
    def fit(self, X, y=None, sample_weight=None, validation_set=None):
        """Fit the model to texts, or to completions of prompts.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,), or of shape (n_samples, n_features)
            Texts, or prompts where there are completions.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Completions, whose likelihood given the prompts is maximised. None for none.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        validation_set : array-like or tuple, default=None
            Texts, ``(X, y)`` or ``(X, y, sample_weight)`` whose loss is watched, instead of
            held-out texts.

        Returns
        -------
        self : CausalLanguageModel
            The fitted estimator.
        """
        return self._fit_rows(X, y, sample_weight, validation_set)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Go once through some texts, at the initial learning rate.

        The tokenizer is that of the first call.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,), or of shape (n_samples, n_features)
            Texts, or prompts where there are completions.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Completions.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        self : CausalLanguageModel
            The fitted estimator.
        """
        return self._fit_rows(X, y, sample_weight, None, partial=True)

    # Texts, completions and windows

    def _read_target(self, y, *, reset):
        return None if y is None else read_target_texts(self, y)

    def _weighted_rows(self, texts, y, sample_weight, *, reset):
        """Make windows of texts of positive weight; a window weighs as much as its tokens."""
        completions = self._read_target(y, reset=reset)
        if completions is not None:
            check_consistent_length(texts, completions)
        weights = checked_weights(sample_weight, len(texts))
        rows, _, weights = drop_weightless(np.arange(len(texts)), np.arange(len(texts)), weights)
        texts = texts[rows]
        completions = None if completions is None else completions[rows]
        if reset:
            self._learn_texts([*texts.strings, *(() if completions is None else completions)])
        windows = self._windows(texts, completions)
        of_texts = np.ones(len(texts)) if weights is None else weights
        return windows, windows.counts, of_texts[windows.owners] * windows.counts

    def _read_validation(self, validation_set):
        """Check validation texts; without completions they need no tuple."""
        if validation_set is None:
            return None
        if not isinstance(validation_set, tuple):
            validation_set = validation_set, None
        if len(validation_set) not in (2, 3) or isinstance(validation_set[0], str):
            kind = type(validation_set[0]).__name__ if validation_set else "nothing"
            raise ValueError(
                "validation_set must be texts, or a tuple (X, y) or (X, y, sample_weight), got a "
                f"tuple of {len(validation_set)} that begins with {kind}. Make texts a list."
            )
        X, y, sample_weight = (*validation_set, None)[:3]
        texts = self._read_rows(X, reset=False)
        return self._weighted_rows(texts, y, sample_weight, reset=False)

    def _windows(self, texts, completions=None):
        """Cut texts, or completions behind them, into windows of tokens."""
        tokenizer, longest = self.tokenizer_, self._longest
        first = tokenizer.encode(texts.strings)
        nothing = np.empty(0, dtype=np.int64)
        if completions is None:
            pairs = [(nothing, tokens) for tokens in first]
        else:
            pairs = list(zip(first, tokenizer.encode_behind(completions), strict=True))
        found = [windows_of(*p, tokenizer.start, tokenizer.end, longest) for p in pairs]
        owners = np.repeat(np.arange(len(found)), [len(windows) for windows in found])
        windows = [window for windows in found for window in windows]
        return TokenRows.from_list(windows, texts.dtype, owners)

    def _tokens_at_once(self):
        """As many as have few logits: each token has one for every token of the vocabulary."""
        return min(super()._tokens_at_once(), LOGITS_AT_ONCE // self.tokenizer_.n_tokens)

    def _learn_target(self, y, weights, dtype):
        """Everything about texts is learned with the tokenizer."""

    def _encode_target(self, counts):
        return counts.reshape(-1, 1).astype(np.float64)

    def _plain_target(self, counts):
        return counts

    def _plain_prediction(self, responses):
        """Log-likelihood of each window."""
        return responses[0, :, 0]

    def _build_module(self, generator):
        from sklearn_ext._torch.likelihood import TextLikelihood

        if "config" in self._architecture:
            from sklearn_ext._torch.pretrained import PretrainedCausal, has_dropout

            body = PretrainedCausal(**{"packs": False} | self._architecture)
            if self._architecture["dropout"] and not has_dropout(body):
                raise ValueError(
                    f"dropout={self._architecture['dropout']} has no place in "
                    f"model={str(self.model)!r}, which was written without layers of dropout. Set "
                    "dropout=0.0; alpha, the weight decay, restrains it too."
                )
            return TextLikelihood(body)
        from sklearn_ext._torch.gpt import GPT

        return TextLikelihood(GPT(**self._architecture, generator=generator))

    _body_name, _trait = "body", "packs"

    def _found_trait(self, body):
        """Try whether a pre-trained model looks back only, and several texts may share a row."""
        from sklearn_ext._torch.pretrained import is_causal, keeps_apart

        if not is_causal(body):
            raise ValueError(
                f"model={str(self.model)!r} is no causal language model: what it gives for a token "
                "depends on later ones, so it has no likelihood of texts. Use a decoder, such as "
                "GPT-2 or Llama; an encoder is for TransformerClassifier."
            )
        return keeps_apart(body)

    def _build_loss(self):
        from sklearn_ext._torch.likelihood import NextTokenLoss

        return NextTokenLoss()

    def _validation_score(self, raw, rows):
        """Mean log-likelihood a token."""
        return float(-raw.sum() / rows.seen_targets.sum())

    def _n_samples(self, rows):
        return len(np.unique(rows.owners))

    def _folds(self, rows, y, generator):
        """Hold out whole texts, not single windows of them."""
        import torch

        texts = np.unique(rows.owners)
        folds = super()._folds(texts, texts, generator)
        chosen = [np.isin(rows.owners, texts[fold[0].cpu().numpy()]) for fold in folds]
        return tuple(
            torch.from_numpy(np.flatnonzero(mask)).unsqueeze(0).to(self.net_.device)
            for mask in chosen
        )

    # Likelihoods

    def score_samples(self, X, y=None):
        """Compute the log-likelihood of each text, or of each completion given its prompt.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,), or of shape (n_samples, n_features)
            Texts, or prompts where there are completions.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Completions.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,)
            Sums over tokens, the end of the text included, in nats.
        """
        return self._likelihoods(X, y)[0]

    @over_partitions
    def _likelihoods(self, X, y):
        """Log-likelihood and number of predicted tokens of each text."""
        check_is_fitted(self)
        texts = self._read_rows(X, reset=False)
        completions = self._read_target(y, reset=False)
        if completions is not None:
            check_consistent_length(texts, completions)
        rows = self._windows(texts, completions)
        of_windows = self._plain_prediction(self._member_responses(rows)).astype(np.float64)
        found = rows.of_texts(of_windows, len(texts)).astype(texts.dtype)
        return found, rows.of_texts(rows.counts, len(texts))

    def score(self, X, y=None, sample_weight=None):
        """Compute the mean log-likelihood of texts.

        It does not depend on how texts are cut into tokens, so that models with different
        tokenizers can be compared by it.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,), or of shape (n_samples, n_features)
            Texts, or prompts where there are completions.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Completions.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        score : float
            Mean of `score_samples`.
        """
        found, sample_weight = in_memory(self.score_samples(X, y), sample_weight)
        return float(np.average(found, weights=checked_weights(sample_weight, len(found))))

    def perplexity(self, X, y=None, sample_weight=None):
        """Compute the exponential of the mean negative log-likelihood a token.

        Parameters
        ----------
        X : array-like of str of shape (n_samples,), or of shape (n_samples, n_features)
            Texts, or prompts where there are completions.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Completions.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        perplexity : float
            At least 1; the number of tokens of the vocabulary for a model that knows nothing.
        """
        found, counts, sample_weight = in_memory(*self._likelihoods(X, y), sample_weight)
        weights = checked_weights(sample_weight, len(found))
        weights = np.ones(len(found)) if weights is None else weights
        return float(np.exp(-(weights @ found) / (weights @ counts)))
