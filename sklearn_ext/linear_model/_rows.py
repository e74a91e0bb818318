"""Training rows, dense or sparse, read as blocks of evaluated polynomial terms."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils import gen_batches

from sklearn_ext.linear_model._index_sets import find_rows
from sklearn_ext.linear_model._least_squares import (
    add_to_gram,
    add_to_triangle,
    block_rows,
    fold,
)
from sklearn_ext.linear_model._moment_gram import moment_gram, pays
from sklearn_ext.linear_model._polynomial_basis import evaluate, mapped_columns, univariate_values

_RANGE_ROWS = 4096


@dataclass(frozen=True)
class Rows:
    """Rows of one fit.

    Attributes
    ----------
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        Inputs.
    y : ndarray of shape (n_rows, n_outputs), float64
        Targets.
    sample_weight : ndarray of shape (n_rows,)
        Positive weights.
    working_memory : float
        MiB that a block may take.
    """

    X: np.ndarray | csr_array
    y: np.ndarray
    sample_weight: np.ndarray
    working_memory: float

    @property
    def n_outputs(self):
        """Number of targets."""
        return self.y.shape[1]

    @property
    def weighted(self):
        """Whether any weight was given."""
        return self.sample_weight.strides != (0,)

    @property
    def weight_sum(self):
        """Sum of the weights: the number of samples that the rows stand for."""
        return float(self.sample_weight.sum())

    def target_means(self):
        """Weighted means of the targets, (n_outputs,)."""
        return self.sample_weight @ self.y / self.weight_sum

    def batches(self, n_columns):
        """Slices of rows whose blocks fit the working memory."""
        return gen_batches(len(self.y), self.block_size(n_columns))

    def block_size(self, n_columns):
        """Rows per block of so many terms."""
        return block_rows(n_columns + self.n_outputs, self.working_memory)

    def blocks(self, basis, first=0):
        """Yield weighted blocks ``(n_terms + n_outputs, n_rows)`` in one reused buffer.

        Parameters
        ----------
        basis : PolynomialBasis
            Terms.
        first : {0, 1}, default=0
            1 leaves the constant term out.
        """
        height = basis.n_columns + self.n_outputs
        buffer = np.empty(0)
        for batch in self.batches(basis.n_columns):
            X, root = self.X[batch], np.sqrt(self.sample_weight[batch])
            if buffer.size < height * len(root):
                buffer = np.empty(height * len(root))
            block = buffer[: height * len(root)].reshape(height, len(root))
            terms(basis, X, root, out=block[: basis.n_columns])
            np.multiply(self.y[batch].T, root, out=block[basis.n_columns :])
            yield block[first:]

    @property
    def left_out(self):
        """Share of each row's weight that one sample is, (n_rows,)."""
        return _share_of_one(self.sample_weight)

    def left_out_shares(self, basis):
        """Yield `left_out` block by block."""
        for batch in self.batches(basis.n_columns):
            yield _share_of_one(self.sample_weight[batch])

    def triangle(self, basis, first=0):
        """Triangle R of [A, Y] by sequential TSQR."""
        size = basis.n_columns + self.n_outputs - first
        return fold(self.blocks(basis, first), size, add_to_triangle)

    def gram(self, basis, first=0):
        """Upper triangle of the Gram matrix of [A, Y]."""
        if issparse(self.X):
            return self._sparse_gram(basis, first)
        if pays(basis, len(self.y)):
            return np.asfortranarray(moment_gram(self, basis)[first:, first:])
        size = basis.n_columns + self.n_outputs - first
        return fold(self.blocks(basis, first), size, add_to_gram)

    def _sparse_gram(self, basis, first):
        """Gram matrix whose products skip the zeros."""
        size = basis.n_columns + self.n_outputs
        gram = np.zeros((size, size), order="F")
        for batch in self.batches(basis.n_columns):
            weight, y = self.sample_weight[batch], self.y[batch]
            expanded = sparse_terms(basis, self.X[batch])
            weighted = expanded.T.multiply(weight).tocsr()
            gram[: -self.n_outputs, : -self.n_outputs] += (weighted @ expanded).toarray()
            gram[: -self.n_outputs, -self.n_outputs :] += weighted @ y
            gram[-self.n_outputs :, -self.n_outputs :] += y.T @ (weight[:, None] * y)
        return np.asfortranarray(gram[first:, first:])


def _share_of_one(weight):
    return 1.0 / np.maximum(weight, 1.0)


def column_ranges(X):
    """Smallest and largest value of each column of dense or sparse rows."""
    if issparse(X):
        return X.min(axis=0).toarray().ravel(), X.max(axis=0).toarray().ravel()
    # Transposed blocks: numpy reduces long rows several times faster than short ones.
    low, high = X[0].copy(), X[0].copy()
    for batch in gen_batches(len(X), _RANGE_ROWS):
        block = np.ascontiguousarray(X[batch].T)
        np.minimum(low, block.min(axis=1), out=low)
        np.maximum(high, block.max(axis=1), out=high)
    return low, high


def rows_outside(X, bounds):
    """Rows with a value outside bounds (n_features, 2): ndarray of shape (n_rows,), bool."""
    outside = np.zeros(X.shape[0], dtype=bool)
    for batch in gen_batches(X.shape[0], _RANGE_ROWS):
        block = X[batch].toarray() if issparse(X) else X[batch]
        outside[batch] = ((block < bounds[:, 0]) | (block > bounds[:, 1])).any(axis=1)
    return outside


def _readable(basis, X):
    """Sparse rows as dense ones where 0 is not 0 in the basis: it was fitted on dense rows."""
    keeps_zeros = not basis.center.any() and not basis.recurrence[1:].any()
    return X if keeps_zeros or not issparse(X) else X.toarray()


def terms(basis, X, root=1.0, out=None):
    """Evaluate all terms of a block of dense or sparse rows, one term a row of the result."""
    X = _readable(basis, X)
    if not issparse(X):
        return evaluate(basis, mapped_columns(basis, X), root, out)
    values = sparse_terms(basis, X).toarray().T
    return np.multiply(values, root, out=out)


def sparse_terms(basis, X):
    """Terms of sparse rows as a sparse matrix (n_rows, n_terms + 1).

    The basis is monomial with center 0, so that zeros stay zeros.
    """
    degree = int(basis.powers.sum(axis=1).max(initial=0))
    interaction_only = bool(basis.powers.max(initial=0) <= 1)
    expansion = PolynomialFeatures(max(degree, 1), interaction_only=interaction_only)
    scaled = csr_array(X.astype(np.float64).multiply(basis.scale))
    expanded = csr_array(expansion.fit_transform(scaled))
    listed = expansion.powers_.astype(np.uint8)
    if listed.shape == basis.powers.shape and np.array_equal(listed, basis.powers):
        return expanded
    return expanded[:, find_rows(listed, basis.powers)]


def kernel_factors(basis, X):
    """Univariate values p_1, p_2, ... of rows, each (n_features, n_rows), dense or sparse."""
    X = _readable(basis, X)
    if not issparse(X):
        return univariate_values(basis, mapped_columns(basis, X))
    z = csr_array(X.T.astype(np.float64).multiply(basis.scale[:, None]))
    factors = [z]
    for _ in range(1, basis.recurrence.shape[2]):
        factors.append(csr_array(factors[-1] * z))
    return factors


def predict_terms(basis, reduced, coefficients, X, working_memory):
    """Evaluate a polynomial on dense or sparse rows: (n_rows, n_outputs).

    Parameters
    ----------
    basis : PolynomialBasis
        Terms.
    reduced : ReducedPolynomial
        The same polynomial, for dense rows.
    coefficients : ndarray of shape (n_terms + 1, n_outputs)
        Coefficients, for sparse rows.
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        Inputs.
    working_memory : float
        MiB that a block may take.
    """
    predicted = np.empty((X.shape[0], coefficients.shape[1]))
    for batch in gen_batches(X.shape[0], block_rows(basis.n_columns, working_memory)):
        if basis.continued:
            predicted[batch] = terms(basis, X[batch]).T @ coefficients
            continue
        block = _readable(basis, X[batch])
        if issparse(block):
            predicted[batch] = sparse_terms(basis, block) @ coefficients
        else:
            predicted[batch] = reduced(mapped_columns(basis, block)).T
    return predicted


def spread_terms(basis, root, X, working_memory):
    """Squared norms of W'a(x), (n_rows,): variance of a prediction over that of the noise."""
    spread = np.empty(X.shape[0])
    for batch in gen_batches(X.shape[0], block_rows(basis.n_columns, working_memory)):
        spread[batch] = np.sum((root.T @ terms(basis, X[batch])) ** 2, axis=0)
    return spread
