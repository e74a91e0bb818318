"""Parts of rows of about the same length: each row once, within the bound, few of them."""

from itertools import pairwise

import numpy as np
import pytest

from sklearn_ext.neural_network._padded_parts import padded_parts

LENGTHS = np.random.default_rng(0).integers(1, 60, size=200)


@pytest.mark.parametrize("most", [60, 200, 5000, 10**6])
def test_every_row_is_in_one_part_within_the_bound(most):
    parts = padded_parts(LENGTHS, most)
    assert sorted(np.concatenate(parts)) == list(range(200))
    assert max(len(part) * LENGTHS[part].max() for part in parts) <= most


def test_parts_cannot_be_joined():
    parts = padded_parts(LENGTHS, 200)
    for part, following in pairwise(parts):
        # One more row, the next longer one, would be too much.
        assert (len(part) + 1) * LENGTHS[following[0]] > 200


def test_a_row_over_the_bound_stands_alone():
    assert [part.tolist() for part in padded_parts(np.array([3, 9, 9]), 6)] == [[0], [1], [2]]
