"""Double-double arithmetic: about 32 significant digits from pairs of float64 arrays.

A number is a pair ``(hi, lo)`` of float64 arrays with ``|lo| <= ulp(hi) / 2``. Only IEEE float64
operations in round-to-nearest are used (no long double, no fused multiply-add), so the results
are the same on every platform.

References
----------
.. [1] T. J. Dekker, "A floating-point technique for extending the available precision",
   Numerische Mathematik 18, 224-242, 1971.
.. [2] Y. Hida, X. S. Li and D. H. Bailey, "Library for double-double and quad-double arithmetic",
   2007.
"""

import numpy as np

# 2**27 + 1 splits a 53-bit significand into two halves whose products are exact ([1]_, section 5).
_SPLITTER = 134217729.0


def two_sum(a, b):
    """Sum of two float64 arrays and its exact rounding error (Knuth)."""
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def two_prod(a, b):
    """Product of two float64 arrays and its exact rounding error (Dekker)."""
    product = a * b
    a_hi, a_lo = _split(a)
    b_hi, b_lo = _split(b)
    return product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo


def _split(a):
    shifted = _SPLITTER * a
    hi = shifted - (shifted - a)
    return hi, a - hi


def _renormalise(hi, lo):
    total = hi + lo
    return total, lo - (total - hi)


def dd(a):
    """Pair of float64 arrays that stands for the float64 array `a`."""
    a = np.asarray(a, dtype=np.float64)
    return a, np.zeros_like(a)


def add(x, y):
    """Sum of two pairs."""
    hi, error = two_sum(x[0], y[0])
    lo, lo_error = two_sum(x[1], y[1])
    hi, error = _renormalise(hi, error + lo)
    return _renormalise(hi, error + lo_error)


def negative(x):
    """Pair of the opposite sign."""
    return -x[0], -x[1]


def multiply(x, y):
    """Product of two pairs."""
    hi, error = two_prod(x[0], y[0])
    return _renormalise(hi, error + (x[0] * y[1] + x[1] * y[0]))


def total(x, axis=0):
    """Sum of a pair of arrays along an axis, by pairwise halving (log2 n roundings)."""
    hi, lo = np.moveaxis(x[0], axis, 0), np.moveaxis(x[1], axis, 0)
    if hi.shape[0] == 0:
        return dd(np.zeros(hi.shape[1:]))
    while hi.shape[0] > 1:
        half = hi.shape[0] // 2
        paired = add((hi[:half], lo[:half]), (hi[half : 2 * half], lo[half : 2 * half]))
        odd = hi.shape[0] % 2
        hi = np.concatenate([paired[0], hi[hi.shape[0] - odd :]]) if odd else paired[0]
        lo = np.concatenate([paired[1], lo[lo.shape[0] - odd :]]) if odd else paired[1]
    return hi[0], lo[0]
