"""Double-double arithmetic against exact rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest

from sklearn_ext.linear_model import _double_double as dd

# 2**-102 is about 2e-31; a few roundings of the second word are allowed for.
_UNIT = Fraction(1, 2**102)


def exact(pair):
    """Exact values of a pair of arrays, as a flat list of fractions."""
    high, low = (np.ravel(part).tolist() for part in pair)
    return [Fraction(h) + Fraction(rest) for h, rest in zip(high, low, strict=True)]


def random_pairs(seed, size=200):
    """Random pairs of very different sizes, with second words that are not zero."""
    rng = np.random.default_rng(seed)
    high = rng.normal(size=size) * 10.0 ** rng.integers(-8, 9, size=size)
    return dd.two_sum(high, high * rng.uniform(-1, 1, size=size) * 2.0**-54)


def test_two_sum_is_exact():
    a, b = random_pairs(0)[0], random_pairs(1)[0]
    wanted = [Fraction(x) + Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert exact(dd.two_sum(a, b)) == wanted


def test_two_prod_is_exact():
    a, b = random_pairs(2)[0], random_pairs(3)[0]
    wanted = [Fraction(x) * Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert exact(dd.two_prod(a, b)) == wanted


def test_two_sum_is_exact_under_cancellation():
    a, b = np.array([1.0, 1e16, 1.0]), np.array([-1.0 + 2.0**-53, -1e16 + 2, 1e-30])
    wanted = [Fraction(x) + Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert exact(dd.two_sum(a, b)) == wanted


def test_a_float_is_a_pair_without_second_word():
    high, low = dd.dd([0.1, 2])
    assert high.dtype == low.dtype == np.float64
    assert high.tolist() == [0.1, 2.0]
    assert not low.any()


@pytest.mark.parametrize("seed", range(3))
def test_sums_hold_31_digits(seed):
    x, y = random_pairs(seed), random_pairs(seed + 10)
    for got, a, b in zip(exact(dd.add(x, y)), exact(x), exact(y), strict=True):
        assert abs(got - (a + b)) <= _UNIT * abs(a + b)


@pytest.mark.parametrize("seed", range(3))
def test_products_hold_31_digits(seed):
    x, y = random_pairs(seed), random_pairs(seed + 10)
    for got, a, b in zip(exact(dd.multiply(x, y)), exact(x), exact(y), strict=True):
        assert abs(got - a * b) <= 4 * _UNIT * abs(a * b)


def test_sums_of_almost_opposite_pairs_lose_nothing():
    # The first words cancel entirely; what is left was in the second words.
    x = random_pairs(4)
    y = (-x[0], x[1] * 0.5)
    for got, a, b in zip(exact(dd.add(x, y)), exact(x), exact(y), strict=True):
        assert got == a + b


def test_results_are_normalised():
    for high, low in (
        dd.add(random_pairs(5), random_pairs(6)),
        dd.multiply(random_pairs(5), random_pairs(6)),
    ):
        assert np.array_equal(high + low, high)


def test_negative_is_the_opposite():
    x = random_pairs(7)
    assert exact(dd.negative(x)) == [-value for value in exact(x)]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 64, 1001])
def test_total_rounds_to_the_exact_sum(size):
    values = np.random.default_rng(size).normal(size=size) * 1e8
    high, low = dd.total(dd.dd(values))
    assert high + low == math.fsum(values.tolist())


def test_total_survives_cancellation():
    values = np.array([1e16, 1.0, -1e16, 1e-16, 3.0, -4.0])
    high, low = dd.total(dd.dd(values))
    assert high + low == math.fsum(values.tolist())


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_total_sums_along_an_axis(axis):
    values = np.random.default_rng(0).normal(size=(5, 4))
    high, low = dd.total(dd.dd(values), axis=axis)
    wanted = np.apply_along_axis(math.fsum, axis, values)
    np.testing.assert_array_equal(high + low, wanted)


def test_total_leaves_its_argument_alone():
    high = np.arange(9.0)
    dd.total((high, np.zeros(9)))
    np.testing.assert_array_equal(high, np.arange(9.0))
