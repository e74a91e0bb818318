"""Graph ranks of sentences against dense references."""

import numpy as np
import pytest
from scipy import sparse

from sklearn_ext.text._ranking import lexrank, pacsum, relevance, to_unit_range
from sklearn_ext.text._terms import term_matrix


def random_rows(seed, n_sentences=12):
    generator = np.random.default_rng(seed)
    words = "abcdefghij"
    lists = [generator.choice(list(words), generator.integers(1, 8)) for _ in range(n_sentences)]
    return term_matrix(lists)


@pytest.mark.parametrize("seed", range(5))
def test_lexrank_is_the_stationary_distribution(seed):
    rows = random_rows(seed)
    similarity = (rows @ rows.T).toarray()
    n = len(similarity)
    walk = 0.15 / n + 0.85 * similarity / similarity.sum(axis=1, keepdims=True)
    values, vectors = np.linalg.eig(walk.T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    np.testing.assert_allclose(lexrank(rows), stationary / stationary.sum(), atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_pacsum_is_the_weighted_sum_of_both_triangles(seed):
    rows = random_rows(seed)
    similarity = (rows @ rows.T).toarray()
    earlier = np.tril(similarity, -1).sum(axis=1)
    later = np.triu(similarity, 1).sum(axis=1)
    np.testing.assert_allclose(pacsum(rows, -2, 1), -2 * earlier + later, atol=1e-12)
    np.testing.assert_allclose(pacsum(rows, 1, 1), earlier + later, atol=1e-12)


def test_sentences_without_terms_are_isolated():
    rows = term_matrix([["a"], [], ["a"]])
    scores = lexrank(rows)
    assert scores.sum() == pytest.approx(1)
    assert scores[1] < scores[0] == pytest.approx(scores[2])
    assert pacsum(rows)[1] == 0


def test_no_terms_at_all():
    rows = term_matrix([[], []])
    np.testing.assert_allclose(lexrank(rows), [0.5, 0.5])
    np.testing.assert_array_equal(pacsum(rows), [0, 0])


def test_relevance_is_the_inner_product():
    rows = random_rows(0)
    query = rows[[3]]
    np.testing.assert_allclose(relevance(rows, query), (rows @ rows.T).toarray()[:, 3])


def test_unit_range():
    np.testing.assert_array_equal(to_unit_range([3.0, 1.0, 2.0]), [1, 0, 0.5])
    np.testing.assert_array_equal(to_unit_range([0.1 + 0.2, 0.3]), [0, 0])


def test_memory_is_that_of_the_rows():
    # The similarity matrix would hold 1.6e9 numbers; this finishes only without it.
    n = 40_000
    rows = sparse.csr_array((np.ones(n), np.zeros(n, dtype=int), np.arange(n + 1)), shape=(n, 1))
    np.testing.assert_allclose(lexrank(rows), 1 / n)
    np.testing.assert_allclose(pacsum(rows, -1, 1), n - 1 - 2 * np.arange(n))
