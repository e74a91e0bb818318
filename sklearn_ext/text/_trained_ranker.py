"""A sentence ranker that learns from reference summaries, shrunk towards the untrained one."""

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.utils import check_random_state

from sklearn_ext.text._limits import Limits
from sklearn_ext.text._rouge import rouge
from sklearn_ext.text._salience import describe, salience
from sklearn_ext.text._selection import select
from sklearn_ext.text._sentence_features import (
    learn_vocabulary,
    measurements,
    standardize,
    wording,
)
from sklearn_ext.text._sentences import split_sentences

__all__ = ["SentenceRanker"]

KINDS = ("rouge1", "rouge2", "rougeL")
N_FOLDS = 5
ALPHAS = (1.0, 3.0, 10.0, 30.0)  # ridge penalties that are tried
TRUSTS = (0.25, 0.5, 0.75, 1.0)  # weights of the learned score that are tried
# Measurements vary far more than the entries of a row of words, whose length is 1.
MEASUREMENT_SCALE = 0.1
# Gains count less this many of their standard errors, so that luck is not learned.
CAUTION = 2.0
MOST_JUDGED = 1000  # texts whose summaries are compared to choose penalty and trust


class SentenceRanker:
    """Rank sentences by what reference summaries have shown to matter.

    A ridge regression on measurements and wording predicts how much each sentence overlaps with
    its nearest sentence of the reference, relative to its text. Its score is mixed with the
    untrained salience; penalty and mixture are chosen by cross-validated ROUGE of the summaries.
    The gain over no training must be larger than two standard errors, otherwise the ranker stays
    the untrained one.

    Attributes
    ----------
    trust_ : float
        Weight of the learned score, from 0 (the untrained ranking) to 1.
    alpha_ : float
        Penalty of the ridge regression.
    gain_ : float
        Cross-validated gain in mean ROUGE-1, -2 and -L over no training; 0 if `trust_` is 0.
    n_sentences_ : int
        Sentences of the summaries that were compared: the mean number of the references.
    vocabulary_ : dict of str to int
        Number of each word and pair of words.
    idf_ : ndarray of shape (n_terms,)
        Inverse sentence frequency of each.
    coef_ : ndarray of shape (n_terms + n_measurements,)
        Weights of the terms and of the measurements.
    """

    def fit(self, texts, summaries, *, sample_weight=None, random_state=None):
        """Learn from texts and their reference summaries.

        Parameters
        ----------
        texts : sequence of str
            Texts.
        summaries : sequence of str or of sequence of str
            Reference summary of each text, or several; the best of them counts.
        sample_weight : array-like of shape (n_texts,) or None, default=None
            How often each text counts; texts of weight 0 are left out.
        random_state : int, RandomState instance or None, default=None
            Decides which texts are judged together in cross-validation.

        Returns
        -------
        self : SentenceRanker
            The fitted ranker.

        Raises
        ------
        ValueError
            If the lengths differ, or a weight is negative.
        """
        texts, references, weights = _check(texts, summaries, sample_weight)
        random_state = check_random_state(random_state)
        tables = [describe(split_sentences(text)) for text in texts]
        self.trust_, self.alpha_, self.gain_ = 0.0, ALPHAS[0], 0.0
        self.n_sentences_ = _usual_length(references, weights)
        self.vocabulary_, self.idf_ = learn_vocabulary(tables, weights)
        if not tables:
            return self  # nothing to learn from: untrained
        design = _design(tables, self.vocabulary_, self.idf_)
        gains = [_relative_gains(t, r) for t, r in zip(tables, references, strict=True)]
        problem = _Problem(tables, references, weights, design, gains, self.n_sentences_)
        folds = _folds(texts, random_state)
        if folds.max(initial=0) > 0:
            self.trust_, self.alpha_, self.gain_ = _choose(problem, folds, random_state)
        everything = np.ones(len(texts), dtype=bool)
        self.coef_ = problem.coefficients(everything, self.alpha_)
        return self

    def rank(self, table):
        """Score the sentences of a text.

        Parameters
        ----------
        table : SentenceTable
            Sentences of one text.

        Returns
        -------
        ndarray of shape (n_sentences,)
            Scores; only their differences within the text have a meaning.

        Raises
        ------
        NotFittedError
            If the ranker has not been fitted.
        """
        if not hasattr(self, "trust_"):
            raise NotFittedError("This SentenceRanker is not fitted yet; call fit before rank.")
        if self.trust_ == 0:
            return salience(table)
        learned = _design([table], self.vocabulary_, self.idf_) @ self.coef_
        return _mix(salience(table), learned, self.trust_)


class _Problem:
    """The regression over all sentences, and the summaries it is judged by."""

    def __init__(self, tables, references, weights, design, gains, n_sentences):
        self.tables, self.references, self.weights = tables, references, weights
        self.design, self.target = design, np.concatenate(gains)
        self.text_of = np.repeat(np.arange(len(tables)), [len(gain) for gain in gains])
        self.limits = Limits(max_sentences=n_sentences)
        self.quality_of = {}

    def coefficients(self, kept, alpha):
        """Fit the regression on the sentences of the texts that are kept."""
        rows = np.flatnonzero(kept[self.text_of])
        model = Ridge(alpha, solver="lsqr", tol=1e-6)
        weights = self.weights[self.text_of[rows]]
        return model.fit(self.design[rows], self.target[rows], weights).coef_

    def left_out_scores(self, folds, alpha):
        """Predict each text by a regression that has not seen its fold."""
        scores = np.empty(len(self.target))
        for fold in range(folds.max() + 1):
            rows = np.flatnonzero(folds[self.text_of] == fold)
            scores[rows] = self.design[rows] @ self.coefficients(folds != fold, alpha)
        return np.split(scores, np.flatnonzero(np.diff(self.text_of)) + 1)

    def quality(self, text, scores):
        """Mean ROUGE of the summary that scores lead to."""
        table = self.tables[text]
        chosen = tuple(select(table.sentences, scores, table.words, self.limits))
        if (text, chosen) not in self.quality_of:
            summary = " ".join(table.sentences[i] for i in chosen)
            self.quality_of[text, chosen] = _mean_rouge(self.references[text], summary)
        return self.quality_of[text, chosen]


def _check(texts, summaries, sample_weight):
    """Bring the training data into one form, without texts that cannot teach anything."""
    texts, summaries = list(texts), list(summaries)
    if len(texts) != len(summaries):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"[{len(texts)}, {len(summaries)}]; give one reference summary for each text."
        )
    weights = np.ones(len(texts)) if sample_weight is None else np.asarray(sample_weight, float)
    if weights.shape != (len(texts),) or not (weights >= 0).all():
        raise ValueError(
            f"sample_weight must hold {len(texts)} numbers that are not negative, got shape "
            f"{weights.shape}; give one weight for each text."
        )
    references = [[item] if isinstance(item, str) else list(item) for item in summaries]
    useful = [
        i
        for i, (text, reference) in enumerate(zip(texts, references, strict=True))
        if weights[i] > 0 and any(part.strip() for part in reference) and text.strip()
    ]
    return [texts[i] for i in useful], [references[i] for i in useful], weights[useful]


def _usual_length(references, weights):
    """Mean number of sentences of the references, at least 1."""
    lengths = [np.mean([len(split_sentences(r)) for r in group]) for group in references]
    return max(1, round(float(np.average(lengths, weights=weights)))) if lengths else 1


def _mean_rouge(references, summary):
    """Mean F1 of ROUGE-1, -2 and -L, each against its best reference."""
    return np.mean([max(rouge(r, summary, kind).fmeasure for r in references) for kind in KINDS])


def _relative_gains(table, references):
    """Overlap of each sentence with a sentence of the references, relative to its text."""
    parts = [part for reference in references for part in split_sentences(reference)]
    overlap = np.array([_mean_rouge(parts, sentence) for sentence in table.sentences])
    return overlap - overlap.mean()


def _design(tables, vocabulary, idf):
    """Rows of all sentences: wording, then measurements."""
    words = [wording(table.sentences, vocabulary, idf) for table in tables]
    measured = [MEASUREMENT_SCALE * measurements(table) for table in tables]
    return sparse.csr_array(
        sparse.hstack([sparse.vstack(words), sparse.csr_array(np.vstack(measured))])
    )


def _mix(untrained, learned, trust):
    """Weigh two scores of the sentences of one text."""
    return (1 - trust) * standardize(untrained) + trust * standardize(learned)


def _folds(texts, random_state):
    """Number the folds; equal texts share one, whatever their order."""
    distinct, number = np.unique(np.array(texts, dtype=object), return_inverse=True)
    n_folds = min(N_FOLDS, len(distinct))
    return (random_state.permutation(len(distinct)) % n_folds)[number]


def _choose(problem, folds, random_state):
    """Choose trust and penalty whose gain is largest after the deduction of its uncertainty."""
    n_texts = len(problem.tables)
    judged = np.sort(random_state.permutation(n_texts)[:MOST_JUDGED])
    untrained = [salience(table) for table in problem.tables]
    plain = np.array([problem.quality(i, untrained[i]) for i in judged])
    best, chosen = 0.0, (0.0, ALPHAS[0], 0.0)
    for alpha in ALPHAS:
        learned = problem.left_out_scores(folds, alpha)
        for trust in TRUSTS:
            mixed = [problem.quality(i, _mix(untrained[i], learned[i], trust)) for i in judged]
            mean, error = _mean_and_error(mixed - plain, problem.weights[judged])
            if mean - CAUTION * error > best:
                best, chosen = mean - CAUTION * error, (trust, alpha, mean)
    return chosen


def _mean_and_error(values, weights):
    """Weighted mean and its standard error."""
    mean = np.average(values, weights=weights)
    variance = np.average((values - mean) ** 2, weights=weights)
    return float(mean), float(np.sqrt(variance / max(weights.sum() - 1, 1)))
