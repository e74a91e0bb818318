"""The made sequences are what their papers say, and the same for the same seed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_ext.datasets import (
    make_adding_problem,
    make_copy_memory,
    make_first_token_recall,
)

GENERATORS = [make_adding_problem, make_copy_memory, make_first_token_recall]
every_generator = pytest.mark.parametrize("make", GENERATORS)


@every_generator
def test_same_seed_same_data(make):
    first, second, other = make(random_state=1), make(random_state=1), make(random_state=2)
    for one, two in zip(first, second, strict=True):
        assert_array_equal(one, two)
    assert not np.array_equal(first[0], other[0])


@every_generator
def test_global_state_is_left_alone(make):
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the legacy generator is watched
    make(random_state=0)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@every_generator
@pytest.mark.parametrize("name", ["n_samples", "n_timesteps"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "many"])
def test_bad_sizes(make, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {make.__name__}"):
        make(**{name: value})


@pytest.mark.parametrize("n_timesteps", [2, 3, 50])
def test_adding_problem(n_timesteps):
    X, y = make_adding_problem(500, n_timesteps, random_state=0)
    assert X.shape == (500, n_timesteps, 2)
    numbers, marks = X[:, :, 0], X[:, :, 1]
    assert set(np.unique(marks)) <= {0.0, 1.0}
    assert (marks[:, : n_timesteps // 2].sum(axis=1) == 1).all()
    assert (marks[:, n_timesteps // 2 :].sum(axis=1) == 1).all()
    assert_allclose(y, (numbers * marks).sum(axis=1), rtol=1e-15)
    assert 0 <= numbers.min() < numbers.max() < 1


def test_error_of_the_mean_in_the_adding_problem():
    y = make_adding_problem(20_000, 10, random_state=0)[1]
    assert_allclose(np.mean((y - 1) ** 2), 1 / 6, rtol=0.03)


def test_marks_lie_everywhere_in_their_half():
    X, _ = make_adding_problem(2000, 10, random_state=0)
    share = X[:, :, 1].mean(axis=0)
    assert_allclose(share, 0.2, atol=0.04)


@pytest.mark.parametrize(("n_classes", "n_distractors"), [(8, 8), (2, 1), (3, 5)])
def test_first_token_recall(n_classes, n_distractors):
    sizes = {"n_classes": n_classes, "n_distractors": n_distractors}
    X, y = make_first_token_recall(300, 12, random_state=0, **sizes)
    assert X.shape == (300, 12, n_classes + n_distractors)
    assert_array_equal(X.sum(axis=2), 1.0)
    tokens = X.argmax(axis=2)
    assert_array_equal(tokens[:, 0], y)
    assert set(y) == set(range(n_classes))
    assert set(np.unique(tokens[:, 1:])) == set(range(n_classes, n_classes + n_distractors))


def test_copy_memory():
    X, y = make_copy_memory(50, 40, n_symbols=5, n_copied=4, random_state=0)
    assert X.shape == (50, 40, 7)
    assert_array_equal(X.sum(axis=2), 1.0)
    tokens = X.argmax(axis=2)
    assert_array_equal(tokens[:, :4], y)
    assert set(np.unique(y)) == set(range(5))
    assert (tokens[:, 4:35] == 5).all()  # T - 1 blanks, T = 40 - 2 * 4
    assert (tokens[:, 35] == 6).all()
    assert (tokens[:, 36:] == 5).all()


def test_copy_memory_by_step():
    symbols = make_copy_memory(50, 40, n_copied=4, random_state=0)[1]
    X, y = make_copy_memory(50, 40, n_copied=4, per_step=True, random_state=0)
    assert y.shape == X.shape[:2]
    assert_array_equal(y[:, -4:], symbols)
    assert (y[:, :-4] == 8).all()


def test_one_symbol_is_a_vector_of_classes():
    assert make_copy_memory(n_copied=1)[1].shape == (100,)


def test_too_short_to_copy():
    with pytest.raises(ValueError, match="more than twice n_copied=10, got 20"):
        make_copy_memory(n_timesteps=20)
    assert make_copy_memory(n_timesteps=21)[0].shape[1] == 21
