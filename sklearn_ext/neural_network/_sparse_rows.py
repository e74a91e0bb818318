"""A sparse table that is made dense a few rows at a time."""

import numpy as np

__all__ = ["SparseRows"]


class SparseRows:
    """Rows of a sparse table; as an array they are dense.

    Parameters
    ----------
    table : sparse array or matrix of shape (n_samples, n_features)
        In CSR format. It is not changed; entries given several times are added up in a copy.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from sklearn_ext.neural_network._sparse_rows import SparseRows
    >>> rows = SparseRows(csr_array(np.eye(3)))
    >>> np.asarray(rows[1:])
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """

    def __init__(self, table):
        if not table.has_canonical_format:
            table = table.copy()
            table.sum_duplicates()
        self.table = table

    def __len__(self):
        return self.table.shape[0]

    @property
    def shape(self):
        """Numbers of rows and columns."""
        return self.table.shape

    @property
    def dtype(self):
        """Kind of number."""
        return self.table.dtype

    def __getitem__(self, rows):
        """Choose rows by a slice or a mask, still sparse, or one by its number, dense."""
        if np.ndim(rows) == 0 and not isinstance(rows, slice):
            return self.table[[rows]].toarray()[0]
        return SparseRows(self.table[rows])

    def __array__(self, dtype=None, copy=None):
        """Make all rows dense."""
        return self.table.toarray().astype(dtype or self.dtype, copy=False)
