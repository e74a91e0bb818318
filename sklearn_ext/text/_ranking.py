"""Importance of sentences from sparse term matrices; pure functions."""

import numpy as np
from scipy import sparse

__all__ = ["lexrank", "pacsum", "redundancy_order", "term_matrix"]


def term_matrix(term_lists):
    """tf-idf rows of unit length, one a sentence."""
    index, columns, pointers = {}, [], [0]
    for terms in term_lists:
        columns += [index.setdefault(term, len(index)) for term in terms]
        pointers.append(len(columns))
    shape = (len(pointers) - 1, max(len(index), 1))
    matrix = sparse.csr_array((np.ones(len(columns)), columns, pointers), shape=shape)
    matrix.sum_duplicates()
    return weighted(matrix)


def weighted(counts):
    """Weight counts by inverse sentence frequency; scale rows to length 1."""
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log((1 + counts.shape[0]) / (1 + frequency)) + 1
    rows = counts.multiply(idf).tocsr()
    norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return sparse.csr_array(sparse.diags_array(1 / np.where(norms > 0, norms, 1)) @ rows)


def lexrank(rows, damping=0.85, tolerance=1e-8, max_iter=100):
    """Continuous LexRank, without building the similarity matrix."""
    n = rows.shape[0]
    degree = rows @ (rows.T @ np.ones(n))
    degree = np.where(degree > 0, degree, 1)
    scores = np.full(n, 1 / n)
    for _ in range(max_iter):
        updated = (1 - damping) / n + damping * (rows @ (rows.T @ (scores / degree)))
        updated /= updated.sum()
        if np.abs(updated - scores).sum() < tolerance:
            return updated
        scores = updated
    return scores


def pacsum(rows, before=-2.0, after=1.0):
    """Centrality with weights for what stands before and behind a sentence."""
    n = rows.shape[0]
    dense = np.zeros(rows.shape[1])
    earlier = np.zeros(n)
    for i in range(n):
        columns = rows.indices[rows.indptr[i] : rows.indptr[i + 1]]
        values = rows.data[rows.indptr[i] : rows.indptr[i + 1]]
        earlier[i] = dense[columns] @ values
        dense[columns] += values
    total = rows @ dense
    own = np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return before * earlier + after * (total - earlier - own)


def redundancy_order(scores, rows, trade=0.7):
    """Yield sentences by maximal marginal relevance."""
    scores = np.asarray(scores, dtype=float)
    closest = np.zeros(len(scores))
    left = np.ones(len(scores), dtype=bool)
    for _ in range(len(scores)):
        marginal = np.where(left, trade * scores - (1 - trade) * closest, -np.inf)
        best = int(np.argmax(marginal))
        yield best
        left[best] = False
        row = rows[[best]]
        closest = np.maximum(closest, (rows @ row.T).toarray().ravel())
