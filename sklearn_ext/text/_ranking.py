"""Importance of sentences from sparse rows of terms, without their similarity matrix.

Similarities are inner products of the rows, so that a sum of similarities is a product with a sum
of rows. Memory grows as the text does, not as its square.
"""

import numpy as np

__all__ = ["lexrank", "pacsum", "relevance", "to_unit_range"]


def lexrank(rows, damping=0.85, tolerance=1e-9, max_iter=100):
    """Rank sentences by their place in the similarity graph: continuous LexRank.

    Parameters
    ----------
    rows : csr_array of shape (n_sentences, n_terms)
        Terms of each sentence, not negative.
    damping : float in [0, 1), default=0.85
        Share of the score that comes from neighbours.
    tolerance : float, default=1e-9
        Iterations end when the scores change by less in sum.
    max_iter : int, default=100
        Largest number of iterations.

    Returns
    -------
    ndarray of shape (n_sentences,)
        Stationary probabilities; their sum is 1.

    References
    ----------
    .. [1] Erkan and Radev (2004). LexRank: graph-based lexical centrality as salience in text
       summarization. Journal of Artificial Intelligence Research 22, section 3.3 and eq. (5).
    """
    n_sentences = rows.shape[0]
    columns = rows.T.tocsr()
    degree = rows @ (columns @ np.ones(n_sentences))
    degree[degree == 0] = 1  # a sentence without terms has no neighbours
    scores = np.full(n_sentences, 1 / n_sentences)
    for _ in range(max_iter):
        updated = (1 - damping) / n_sentences + damping * (rows @ (columns @ (scores / degree)))
        updated /= updated.sum()
        if np.abs(updated - scores).sum() < tolerance:
            return updated
        scores = updated
    return scores


def pacsum(rows, before=-2.0, after=1.0):
    """Rank sentences by similarities that count by direction: position-augmented centrality.

    Parameters
    ----------
    rows : csr_array of shape (n_sentences, n_terms)
        Terms of each sentence, in the order of the text.
    before : float, default=-2.0
        Weight of the similarity to each earlier sentence.
    after : float, default=1.0
        Weight of the similarity to each later sentence.

    Returns
    -------
    ndarray of shape (n_sentences,)
        Weighted sum of similarities; unbounded.

    References
    ----------
    .. [1] Zheng and Lapata (2019). Sentence centrality revisited for unsupervised summarization.
       ACL, eq. (6).
    """
    so_far = np.zeros(rows.shape[1])
    earlier, own = np.zeros(rows.shape[0]), np.zeros(rows.shape[0])
    for i, (start, stop) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
        terms, weights = rows.indices[start:stop], rows.data[start:stop]
        earlier[i] = so_far[terms] @ weights
        own[i] = weights @ weights
        so_far[terms] += weights
    later = rows @ so_far - earlier - own
    return before * earlier + after * later


def relevance(rows, query):
    """Compare each sentence with a query.

    Parameters
    ----------
    rows : csr_array of shape (n_sentences, n_terms)
        Terms of each sentence.
    query : csr_array of shape (1, n_terms)
        Terms of the query.

    Returns
    -------
    ndarray of shape (n_sentences,)
        Inner products.
    """
    return (rows @ query.T).toarray().ravel()


def to_unit_range(values):
    """Map values linearly to [0, 1]; equal values become 0.

    Parameters
    ----------
    values : array-like of shape (n,)
        Finite numbers.

    Returns
    -------
    ndarray of shape (n,)
        The least is 0 and the largest 1.
    """
    values = np.asarray(values, dtype=float)
    lowest, span = values.min(), np.ptp(values)
    # Differences that only rounding makes are none.
    if span <= 1e-12 * np.abs(values).max():
        return np.zeros(len(values))
    return (values - lowest) / span
