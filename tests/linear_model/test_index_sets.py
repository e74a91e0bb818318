"""Index sets against PolynomialFeatures, the definition, and brute force over a grid."""

from itertools import product

import numpy as np
import pytest
from sklearn.preprocessing import PolynomialFeatures

from sklearn_ext.linear_model._index_sets import (
    count_terms,
    downward_closure,
    downward_pairs,
    entry_degrees,
    exponent_shapes,
    find_rows,
    hyperbolic_powers,
    product_plan,
)

TRUNCATIONS = (1.0, 0.75, 0.5, 0.3)


def by_definition(n_features, degree, truncation, interaction_only):
    """Every row of the grid {0..degree}^n_features whose q-norm is at most the degree."""
    highest = 1 if interaction_only else degree
    grid = product(range(highest + 1), repeat=n_features)
    # The guard is for sums like 1 + 1 <= 2**1.0 computed by fractional powers.
    budget = degree**truncation * (1 + 1e-9)
    return {row for row in grid if sum(a**truncation for a in row if a) <= budget}


def as_rows(powers):
    return [tuple(row) for row in powers.tolist()]


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize(("n_features", "degree"), [(1, 1), (1, 6), (2, 4), (4, 3), (6, 2)])
def test_total_degree_has_the_order_of_polynomial_features(n_features, degree, interaction_only):
    reference = PolynomialFeatures(degree, interaction_only=interaction_only)
    reference.fit(np.zeros((1, n_features)))
    powers = hyperbolic_powers(n_features, degree, interaction_only=interaction_only)
    np.testing.assert_array_equal(powers, reference.powers_)


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("truncation", TRUNCATIONS)
@pytest.mark.parametrize(("n_features", "degree"), [(1, 5), (2, 7), (3, 5), (4, 4)])
def test_the_set_is_its_definition(n_features, degree, truncation, interaction_only):
    powers = hyperbolic_powers(n_features, degree, truncation, interaction_only)
    rows = as_rows(powers)
    assert len(rows) == len(set(rows))
    assert set(rows) == by_definition(n_features, degree, truncation, interaction_only)


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("truncation", TRUNCATIONS)
@pytest.mark.parametrize(("n_features", "degree"), [(1, 9), (3, 6), (5, 4), (8, 3)])
def test_terms_are_counted_without_listing(n_features, degree, truncation, interaction_only):
    listed = hyperbolic_powers(n_features, degree, truncation, interaction_only)
    assert count_terms(n_features, degree, truncation, interaction_only) == len(listed) - 1


def test_a_set_too_large_to_list_is_counted():
    # C(1003, 3) - 1 terms.
    assert count_terms(1000, 3) == 1003 * 1002 * 1001 // 6 - 1


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_lower_degrees_are_leading_slices(truncation):
    powers = hyperbolic_powers(3, 8, truncation)
    entry = entry_degrees(powers, truncation)
    for degree in range(1, 9):
        lower = hyperbolic_powers(3, degree, truncation)
        np.testing.assert_array_equal(powers[: len(lower)], lower)
        assert np.sum(entry <= degree) == len(lower)


def test_exponent_shapes_are_the_sorted_rows():
    rows = as_rows(hyperbolic_powers(4, 4)[1:])
    wanted = {tuple(sorted((a for a in row if a), reverse=True)) for row in rows}
    assert set(exponent_shapes(4)) == wanted


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_sets_are_downward_closed(truncation):
    powers = hyperbolic_powers(3, 6, truncation)
    rows = set(as_rows(powers))
    for row in rows:
        assert {tuple(b) for b in product(*(range(a + 1) for a in row))} <= rows


def test_closure_adds_what_is_missing_and_no_more():
    closed = downward_closure(np.array([[2, 0, 1], [0, 1, 0]], dtype=np.uint8))
    wanted = {*product(range(3), [0], range(2)), (0, 1, 0)}
    assert set(as_rows(closed)) == wanted
    assert len(closed) == len(wanted)
    assert as_rows(closed)[0] == (0, 0, 0)
    assert np.all(np.diff(closed.sum(axis=1, dtype=int)) >= 0)


def test_closure_of_a_closed_set_is_itself():
    powers = hyperbolic_powers(3, 4)
    np.testing.assert_array_equal(downward_closure(powers), powers)


def test_pairs_list_everything_below_each_term():
    powers = np.array([[0, 0], [2, 1], [0, 3]], dtype=np.uint8)
    term, below = downward_pairs(powers)
    got = list(zip(term.tolist(), as_rows(below), strict=True))
    wanted = {
        (i, b)
        for i, row in enumerate(as_rows(powers))
        for b in product(*(range(a + 1) for a in row))
    }
    assert len(got) == len(wanted)
    assert set(got) == wanted


@pytest.mark.parametrize("interaction_only", [False, True])
@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_the_plan_multiplies_out_to_the_powers(truncation, interaction_only):
    powers = hyperbolic_powers(3, 5, truncation, interaction_only)
    x = np.random.default_rng(0).uniform(0.5, 2, size=3)
    values = np.full(len(powers), np.nan)
    values[0] = 1.0
    for start, stop, parent, feature, power in product_plan(powers):
        assert parent + (stop - start) <= start  # reads nothing that it writes
        values[start:stop] = values[parent : parent + stop - start] * x[feature] ** power
    np.testing.assert_allclose(values, np.prod(x ** powers.astype(float), axis=1), rtol=1e-13)


def test_the_plan_of_the_constant_alone_is_empty():
    assert len(product_plan(np.zeros((1, 4), dtype=np.uint8))) == 0


def test_rows_are_found_and_absent_ones_told():
    powers = hyperbolic_powers(2, 3)
    wanted = np.concatenate([powers[::-1], [[9, 9]]]).astype(np.uint8)
    np.testing.assert_array_equal(find_rows(powers, wanted), [*range(len(powers))[::-1], -1])
