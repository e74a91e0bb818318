"""Truncated decompositions of tensors, axis by axis.

An n-tensor X is unfolded along axis k into the matrix X_(k) of shape (size of axis k, rest). The
scatter of axis k is X_(k) X_(k)^T; its leading eigenvectors are the best orthonormal basis of
that axis when no other axis is reduced.

References
----------
[1] L. De Lathauwer, B. De Moor, J. Vandewalle, "A multilinear singular value decomposition", SIAM
    J. Matrix Anal. Appl. 21(4), 1253-1278, 2000 (HOSVD); "On the best rank-1 and
    rank-(R1, ..., RN) approximation of higher-order tensors", ibid., 1324-1342 (alternation).
[2] H. Lu, K. N. Plataniotis, A. N. Venetsanopoulos, "MPCA: Multilinear principal component
    analysis of tensor objects", IEEE Trans. Neural Networks 19(1), 18-39, 2008.
"""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array

__all__ = [
    "ModeBases",
    "check_ranks",
    "find_bases",
    "multilinear_rank",
    "project",
    "rank_for_energy",
    "scaled_to_one",
    "scatter",
    "shape_of",
    "unfold",
]


def unfold(tensor, axis):
    """Unfold a tensor into a matrix of shape (size of `axis`, product of the other sizes)."""
    return np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)


def scatter(tensor, axis):
    """Sum of products of the slices along `axis`: X_(k) X_(k)^T, a square matrix."""
    unfolded = unfold(tensor, axis)
    return unfolded @ unfolded.T


def scaled_to_one(tensor):
    """Multiply by the power of two that brings the largest magnitude into [0.5, 1).

    Squares then neither overflow nor vanish, whatever the unit of the data, and no digit is lost.
    """
    _, exponent = np.frexp(np.abs(tensor).max())
    return np.ldexp(tensor, -exponent)


def project(tensor, bases, *, skip=None):
    """Multiply the axes after the first by matrices: X x_1 U1 x_2 U2 ...

    Parameters
    ----------
    tensor : ndarray of shape (n_samples, I_1, ..., I_n)
        Samples.
    bases : list of ndarray of shape (P_k, I_k)
        One matrix for each axis after the first.
    skip : int, default=None
        Axis (counted from 1) that is left as it is.

    Returns
    -------
    projected : ndarray of shape (n_samples, P_1, ..., P_n)
        P_k is I_k for the axis left out.
    """
    for axis, basis in enumerate(bases, start=1):
        if axis != skip:
            tensor = np.moveaxis(np.tensordot(tensor, basis, axes=(axis, 1)), -1, axis)
    return tensor


def rank_for_energy(spectrum, energy):
    """Smallest number of leading values that hold the share `energy` of their sum.

    Parameters
    ----------
    spectrum : ndarray of shape (size,)
        Non-negative values, largest first.
    energy : float in (0, 1]
        Share.

    Returns
    -------
    rank : int
        At least 1.
    """
    cumulated = np.cumsum(spectrum)
    # Rounding in the sum must not ask for one component more than the exact share does.
    wanted = energy * cumulated[-1] * (1 - len(spectrum) * np.finfo(np.float64).eps)
    return max(1, int(np.searchsorted(cumulated, wanted)) + 1) if cumulated[-1] > 0 else 1


@dataclass(frozen=True)
class ModeBases:
    """Orthonormal bases of the axes, and how much they hold.

    Attributes
    ----------
    bases : list of ndarray of shape (P_k, I_k)
        Rows are the directions of each axis, the one of the largest scatter first.
    spectra : list of ndarray of shape (I_k,)
        Eigenvalues of the scatter of each axis of the unreduced tensor, largest first.
    captured : list of float
        Squared norm of the projected tensor: at the truncated HOSVD, then after each round.
    total : float
        Squared norm of the tensor.
    """

    bases: list
    spectra: list
    captured: list
    total: float


def find_bases(tensor, choose_ranks, *, max_iter, tol, after_round=None):
    """Bases of all axes after the first that hold as much of the squared norm as they can.

    The start is the truncated HOSVD ([1]; "full projection truncation" in [2]). Each round then
    takes, for one axis after the other, the best basis given those of the others ([2], eq. 11 and
    12), so that the captured norm never falls.

    Parameters
    ----------
    tensor : ndarray of shape (n_samples, I_1, ..., I_n), float64
        Centred samples.
    choose_ranks : callable
        Takes the spectra, returns the rank of each axis.
    max_iter : int
        Most rounds; 0 leaves the truncated HOSVD.
    tol : float
        A round that gains less than this share of the total is the last.
    after_round : callable, default=None
        Called with the bases after each round; the round is the last where it returns True.

    Returns
    -------
    found : ModeBases
        Bases and how they came about.
    """
    axes = range(1, tensor.ndim)
    total = float(np.vdot(tensor, tensor))
    pairs = [_eigen(tensor, axis) for axis in axes]
    spectra = [values for values, _ in pairs]
    ranks = choose_ranks(spectra)
    bases = [_leading(vectors, rank) for (_, vectors), rank in zip(pairs, ranks, strict=True)]
    projected = project(tensor, bases)
    captured = [float(np.vdot(projected, projected))]
    for _ in range(max_iter):
        for axis in axes:
            values, vectors = _eigen(project(tensor, bases, skip=axis), axis)
            bases[axis - 1] = _leading(vectors, ranks[axis - 1])
        captured.append(float(values[: ranks[-1]].sum()))
        stopped = after_round is not None and after_round(bases)
        if stopped or captured[-1] - captured[-2] <= tol * total:
            break
    return ModeBases(bases, spectra, captured, total)


def _eigen(tensor, axis):
    """Eigenvalues of the scatter along an axis, largest first, and eigenvectors as rows.

    An axis that is longer than it has slices gets as many vectors as slices: the eigenvalues of
    all others are 0.
    """
    unfolded = unfold(tensor, axis)
    n_rows, n_columns = unfolded.shape
    if 2 * n_columns > n_rows:
        values, vectors = np.linalg.eigh(scatter(tensor, axis))
        return np.maximum(values[::-1], 0.0), _with_fixed_signs(vectors[:, ::-1].T)
    # The scatter has the square of the rows, of which there may be thousands.
    vectors, lengths, _ = np.linalg.svd(unfolded, full_matrices=False)
    values = np.zeros(n_rows)
    values[:n_columns] = lengths**2
    return values, _with_fixed_signs(vectors.T)


def _leading(vectors, rank):
    """Take the first rows; where there are fewer, directions orthogonal to them make up for it."""
    if rank <= len(vectors):
        return vectors[:rank]
    complete = np.linalg.qr(vectors.T, mode="complete")[0].T
    return np.vstack([vectors, _with_fixed_signs(complete[len(vectors) : rank])])


def _with_fixed_signs(vectors):
    """Turn rows so that their entry of largest magnitude is positive."""
    largest = np.abs(vectors).argmax(axis=1)
    signs = np.sign(vectors[np.arange(len(vectors)), largest])
    return vectors * signs[:, None]


def multilinear_rank(X, energy=1.0):
    """Find the multilinear rank of a tensor: the rank of its unfolding along each axis.

    It says how many components each axis needs, and is the other meaning of "rank": the number
    of axes is :func:`tensor_rank`. A matrix has (r, r), its rank twice.

    Parameters
    ----------
    X : array-like of shape (I_1, ..., I_n)
        Tensor of one axis or more, without NaN. To ask about the variation between samples,
        subtract their mean first.
    energy : float in (0, 1], default=1.0
        Share of the squared norm that is to be kept along each axis by itself. 1 asks for the
        numerical rank: singular values above rounding error, as in `numpy.linalg.matrix_rank`.

    Returns
    -------
    ranks : tuple of int
        For each axis the number of components. Those of an all-zero tensor are 0 for
        `energy=1.0`.

    Raises
    ------
    ValueError
        If X has no axes or no elements, or holds NaN, infinity or complex numbers; if `energy` is
        not in (0, 1].

    See Also
    --------
    tensor_rank : The number of axes.
    MultilinearPCA : Reduce tensors to their components.

    Notes
    -----
    Truncating axis k to its rank r_k for `energy` leaves an error of at most
    ``n_axes * (1 - energy)`` of the squared norm ([1]_, property 10).

    References
    ----------
    .. [1] L. De Lathauwer, B. De Moor, J. Vandewalle, "A multilinear singular value
       decomposition", SIAM J. Matrix Anal. Appl. 21(4), 1253-1278, 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.preprocessing import multilinear_rank, tensor_rank
    >>> X = np.einsum("i,j,k->ijk", np.arange(1, 5), np.arange(1, 4), np.arange(1, 3))
    >>> tensor_rank(X), multilinear_rank(X)
    (3, (1, 1, 1))
    """
    if isinstance(energy, bool | np.bool_) or not isinstance(energy, Real) or not 0 < energy <= 1:
        raise ValueError(f"energy must be a float in the range (0.0, 1.0], got {energy!r}.")
    X = scaled_to_one(_finite_tensor(X))
    ranks = []
    for axis in range(X.ndim):
        values = np.linalg.svd(unfold(X, axis), compute_uv=False)
        if energy < 1:
            ranks.append(rank_for_energy(values**2, float(energy)))
        else:
            shape = X.shape[axis], X.size // X.shape[axis]
            rounding = values[0] * max(shape) * np.finfo(X.dtype).eps
            ranks.append(int(np.count_nonzero(values > rounding)))
    return tuple(ranks)


def shape_of(X):
    """Shape of a tensor, also of one in nested lists.

    Parameters
    ----------
    X : array-like
        Numbers.

    Returns
    -------
    shape : tuple of int
        Sizes of the axes.

    Raises
    ------
    ValueError
        If the parts of X differ in shape.
    """
    try:
        return np.shape(X)
    except ValueError:
        raise ValueError(
            "X holds arrays of different shapes, and a tensor has none. Pad sequences with "
            "SequencePadder first."
        ) from None


def _finite_tensor(X):
    shape_of(X)
    X = check_array(
        X,
        dtype=[np.float64, np.float32],
        allow_nd=True,
        ensure_2d=False,
        ensure_min_samples=0,
        ensure_min_features=0,
        input_name="X",
    )
    if X.ndim == 0 or X.size == 0:
        raise ValueError(f"X must have at least one axis and one element, got shape {X.shape}.")
    return X


def check_ranks(n_components, sizes):
    """Turn numbers of components into one for each axis.

    Parameters
    ----------
    n_components : int, sequence of int or None
        One number for all axes (cut to their sizes), one for each axis, or None for all.
    sizes : tuple of int
        Sizes of the axes.

    Returns
    -------
    ranks : list of int
        Ranks from 1 to the size of each axis.
    """
    if n_components is None:
        return list(sizes)
    if isinstance(n_components, Integral):
        return [min(int(n_components), size) for size in sizes]
    ranks = list(n_components)
    fits = len(ranks) == len(sizes) and all(
        isinstance(rank, Integral) and 1 <= rank <= size
        for rank, size in zip(ranks, sizes, strict=True)
    )
    if not fits:
        raise ValueError(
            f"n_components must hold an integer for each axis of a sample, from 1 to its size "
            f"{tuple(sizes)}, got {n_components!r}."
        )
    return [int(rank) for rank in ranks]
