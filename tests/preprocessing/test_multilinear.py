"""Multilinear components against PCA, exact ranks and bounds of the literature."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_ext.preprocessing import MultilinearPCA, multilinear_rank
from sklearn_ext.preprocessing._multilinear import find_bases, project, scatter, unfold

RNG = np.random.default_rng(0)


def orthonormal(rows, columns):
    return np.linalg.qr(RNG.normal(size=(columns, rows)))[0].T


def low_rank(n_samples, ranks, sizes, noise=0.0):
    """Samples whose cores of shape `ranks` lie in random bases of the axes."""
    cores = RNG.normal(size=(n_samples, *ranks))
    bases = [orthonormal(rank, size) for rank, size in zip(ranks, sizes, strict=True)]
    X = project(cores, [basis.T for basis in bases])
    return X + noise * RNG.normal(size=X.shape), bases


def span_distance(first, second):
    """Sine of the largest angle between the spaces that orthonormal rows span."""
    return np.linalg.norm(first.T @ first - second.T @ second, 2)


# The algebra


def test_unfold_and_scatter_are_those_of_einsum():
    X = RNG.normal(size=(3, 4, 5))
    assert unfold(X, 1).shape == (4, 15)
    assert_allclose(scatter(X, 0), np.einsum("abc,dbc->ad", X, X))
    assert_allclose(scatter(X, 1), np.einsum("abc,adc->bd", X, X))
    assert_allclose(scatter(X, 2), np.einsum("abc,abd->cd", X, X))


def test_project_is_einsum():
    X, A, B = RNG.normal(size=(3, 4, 5)), RNG.normal(size=(2, 4)), RNG.normal(size=(6, 5))
    assert_allclose(project(X, [A, B]), np.einsum("nij,pi,qj->npq", X, A, B))
    assert_allclose(project(X, [A, B], skip=2), np.einsum("nij,pi->npj", X, A))


def test_captured_norm_never_falls():
    X = RNG.normal(size=(30, 6, 5, 4))
    found = find_bases(X, lambda spectra: [2, 2, 2], max_iter=30, tol=0.0)
    assert len(found.captured) > 2
    assert (np.diff(found.captured) >= -1e-9 * found.total).all()
    projected = project(X, found.bases)
    assert_allclose(found.captured[-1], np.sum(projected**2))
    assert_allclose(found.total, np.sum(X**2))


def test_refinement_stops_at_a_stationary_point():
    # No axis can gain given the others: its basis spans the leading eigenvectors.
    X = RNG.normal(size=(30, 6, 5))
    bases = find_bases(X, lambda spectra: [2, 2], max_iter=500, tol=0.0).bases
    for axis in (1, 2):
        partial = project(X, bases, skip=axis)
        leading = np.linalg.svd(unfold(partial, axis))[0][:, :2].T
        assert span_distance(leading, bases[axis - 1]) < 1e-4


@pytest.mark.parametrize("sizes", [(40,), (3, 40), (40, 3)])
def test_long_axes_have_the_bases_of_their_scatter(sizes):
    # An axis with fewer slices than half its length is never squared.
    X = RNG.normal(size=(5, *sizes))
    found = find_bases(X, lambda spectra: [2] * len(sizes), max_iter=0, tol=0.0)
    for axis, (basis, spectrum) in enumerate(zip(found.bases, found.spectra, strict=True), start=1):
        values, vectors = np.linalg.eigh(scatter(X, axis))
        assert_allclose(spectrum, values[::-1], atol=1e-12 * values[-1])
        assert_allclose(np.abs(basis @ vectors[:, :-3:-1]), np.eye(2), atol=1e-9)
        assert (basis[[0, 1], np.abs(basis).argmax(axis=1)] > 0).all()


@pytest.mark.parametrize("sizes", [(2000,), (2000, 3)])
def test_long_axes_need_no_square_matrix(sizes):
    X = RNG.normal(size=(10, *sizes))
    tracemalloc.start()
    pca = MultilinearPCA(2).fit(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pca.n_components_[0] == 2
    assert peak < 2000 * 2000 * 8 / 2


@pytest.mark.parametrize("n_components", [None, 20])
def test_components_beyond_the_samples_are_orthonormal_too(n_components):
    X = RNG.normal(size=(5, 30))
    pca = MultilinearPCA(n_components).fit(X)
    (basis,) = pca.components_
    assert basis.shape == (n_components or 30, 30)
    assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-12)
    assert_allclose(pca.inverse_transform(pca.transform(X)), X, atol=1e-12)


# The transformer


@pytest.mark.parametrize("n_components", [3, 0.8, None])
def test_matrix_is_pca(n_components):
    X = RNG.normal(size=(50, 6)) @ RNG.normal(size=(6, 6)) + 5.0
    ours = MultilinearPCA(n_components).fit(X)
    reference = PCA(n_components).fit(X)
    assert ours.n_components_ == (reference.n_components_,)
    assert_allclose(ours.mean_, reference.mean_)
    signs = np.sign(np.sum(ours.components_[0] * reference.components_, axis=1))
    assert_allclose(ours.components_[0], signs[:, None] * reference.components_, atol=1e-9)
    assert_allclose(ours.transform(X), signs * reference.transform(X), atol=1e-9)
    total = reference.explained_variance_ratio_.sum()
    assert_allclose(ours.explained_variance_ratio_, total)


@pytest.mark.parametrize("ranks", [(2, 3), (1, 1), (3, 2, 2)])
def test_exact_low_rank_is_recovered(ranks):
    sizes = (8, 7, 5)[: len(ranks)]
    X, bases = low_rank(60, ranks, sizes)
    X += RNG.normal(size=sizes)  # a mean that no basis can hold
    pca = MultilinearPCA(1 - 1e-9).fit(X)
    assert pca.n_components_ == ranks
    for found, true in zip(pca.components_, bases, strict=True):
        assert span_distance(found, true) < 1e-7
    assert_allclose(pca.inverse_transform(pca.transform(X)), X, atol=1e-9)
    assert pca.transform(X).shape == (60, np.prod(ranks))


def test_all_components_lose_nothing():
    X = RNG.normal(size=(10, 4, 3))
    pca = MultilinearPCA(None).fit(X)
    assert pca.n_components_ == (4, 3)
    assert_allclose(pca.inverse_transform(pca.transform(X)), X, rtol=1e-10)
    assert_allclose(pca.explained_variance_ratio_, 1.0)


def test_captured_share_is_that_of_the_reconstruction():
    X, _ = low_rank(40, (3, 2), (9, 6), noise=0.3)
    pca = MultilinearPCA((3, 2)).fit(X)
    lost = np.sum((pca.inverse_transform(pca.transform(X)) - X) ** 2)
    total = np.sum((X - X.mean(axis=0)) ** 2)
    assert_allclose(1 - lost / total, pca.explained_variance_ratio_)
    for basis in pca.components_:
        assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-12)


def test_share_lies_between_the_bounds_of_hosvd():
    # Each axis alone bounds it from above, the sum of what the axes lose from below (property 10
    # of De Lathauwer et al.).
    X, _ = low_rank(40, (3, 2, 2), (9, 6, 5), noise=0.5)
    pca = MultilinearPCA((3, 2, 2), max_iter=0).fit(X)
    kept = [
        ratios[:n].sum()
        for ratios, n in zip(pca.axis_variance_ratios_, pca.n_components_, strict=True)
    ]
    assert 1 - sum(1 - share for share in kept) <= pca.explained_variance_ratio_ <= min(kept)
    refined = MultilinearPCA((3, 2, 2)).fit(X)
    assert pca.explained_variance_ratio_ < refined.explained_variance_ratio_ <= min(kept)
    assert (pca.n_iter_, refined.n_iter_ > 0) == (0, True)


def test_energy_gives_the_smallest_ranks():
    X, _ = low_rank(40, (3, 2), (9, 6), noise=0.5)
    pca = MultilinearPCA(0.8).fit(X)
    for ratios, n in zip(pca.axis_variance_ratios_, pca.n_components_, strict=True):
        assert_allclose(ratios.sum(), 1.0)
        assert ratios[: n - 1].sum() < 0.8 <= ratios[:n].sum()


def test_flat_and_tensor_cores_are_the_same():
    X = RNG.normal(size=(20, 6, 5)).astype(np.float32)
    flat = MultilinearPCA((3, 2)).fit(X)
    tensor = MultilinearPCA((3, 2), flatten=False).fit(X)
    cores = tensor.transform(X)
    assert cores.shape == (20, 3, 2)
    assert cores.dtype == np.float32
    assert_array_equal(cores.reshape(20, 6), flat.transform(X))
    assert_array_equal(flat.inverse_transform(cores), tensor.inverse_transform(flat.transform(X)))
    assert flat.get_feature_names_out()[0] == "multilinearpca0"
    assert not hasattr(tensor, "get_feature_names_out")


def test_int_is_cut_to_the_sizes():
    assert MultilinearPCA(4).fit(RNG.normal(size=(10, 6, 3))).n_components_ == (4, 3)


def test_constant_samples():
    X = np.ones((5, 3, 2))
    pca = MultilinearPCA().fit(X)
    assert pca.n_components_ == (1, 1)
    assert_array_equal(pca.transform(X), np.zeros((5, 1)))
    assert pca.explained_variance_ratio_ == 0.0


def test_fewer_samples_than_flat_pca_needs():
    # The point of it: few samples determine small bases, not components as large as a sample.
    clean, _ = low_rank(300, (2, 2), (40, 30))
    train, test = clean[:10] + 0.1 * RNG.normal(size=(10, 40, 30)), clean[10:]
    ours = MultilinearPCA((2, 2)).fit(train)
    flat = PCA(4).fit(train.reshape(10, -1))
    ours_lost = np.sum((ours.inverse_transform(ours.transform(test)) - test) ** 2)
    test = test.reshape(len(test), -1)
    flat_lost = np.sum((flat.inverse_transform(flat.transform(test)) - test) ** 2)
    assert ours_lost < 0.7 * flat_lost


def test_in_a_pipeline():
    X, bases = low_rank(120, (2, 2), (20, 10), noise=0.05)
    y = project(X, [basis[:1] for basis in bases])[:, 0, 0] > 0
    model = make_pipeline(MultilinearPCA((2, 2)), LogisticRegression()).fit(X, y)
    assert model.score(X, y) > 0.9


class Watcher:
    """A callback that keeps what each round hands over and stops after some."""

    requires_fitted_estimator = True

    def __init__(self, most_rounds):
        self.most_rounds = most_rounds
        self.shares = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None, **kwargs):
        if context.task_name != "round":
            return False
        cores = fitted_estimator.transform(X)
        self.shares.append(np.sum(cores**2) / np.sum((X - X.mean(axis=0)) ** 2))
        return len(self.shares) >= self.most_rounds


def test_callbacks_see_each_round_and_can_stop():
    X = RNG.normal(size=(30, 6, 5))
    watcher = Watcher(3)
    pca = MultilinearPCA((2, 2), tol=0.0).set_callbacks(watcher).fit(X)
    assert pca.n_iter_ == len(watcher.shares) == 3
    assert (np.diff(watcher.shares) > 0).all()
    assert_allclose(watcher.shares[-1], pca.explained_variance_ratio_)


@pytest.mark.parametrize(
    ("n_components", "message"),
    [
        ((2, 2, 2), r"an integer for each axis .* size \(4, 3\), got \(2, 2, 2\)"),
        ((5, 2), r"an integer for each axis .* got \(5, 2\)"),
        ((0, 2), r"an integer for each axis"),
        ((0.5, 2), r"an integer for each axis"),
        (0, "The 'n_components' parameter of MultilinearPCA"),
        (1.0, "The 'n_components' parameter of MultilinearPCA"),
    ],
)
def test_bad_components(n_components, message):
    with pytest.raises(ValueError, match=message):
        MultilinearPCA(n_components).fit(np.ones((5, 4, 3)))


def test_bad_input():
    pca = MultilinearPCA().fit(RNG.normal(size=(5, 4, 3)))
    assert pca.n_features_in_ == 3
    with pytest.raises(ValueError, match=r"samples of shape \(3, 4\), but MultilinearPCA is exp"):
        pca.transform(np.ones((5, 3, 4)))
    with pytest.raises(ValueError, match="X must have the shape"):
        pca.inverse_transform(np.ones((5, 100)))
    with pytest.raises(ValueError, match="contains NaN"):
        pca.fit(np.full((5, 4, 3), np.nan))
    with pytest.raises(ValueError, match=r"X must have no empty axis, got shape \(5, 4, 0\)"):
        pca.fit(np.ones((5, 4, 0)))
    assert pca.n_features_in_ == 3


# Multilinear rank


@pytest.mark.parametrize("ranks", [(2, 3, 4), (1, 1, 1), (4, 2, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rank_of_a_tensor_made_with_it(ranks, dtype):
    core = RNG.normal(size=ranks)
    factors = [RNG.normal(size=(size, rank)) for size, rank in zip((7, 6, 5), ranks, strict=True)]
    X = np.einsum("abc,ia,jb,kc->ijk", core, *factors)
    assert multilinear_rank(X.astype(dtype)) == ranks


def test_rank_of_a_matrix_is_its_rank_twice():
    X = RNG.normal(size=(8, 3)) @ RNG.normal(size=(3, 6))
    assert multilinear_rank(X) == (np.linalg.matrix_rank(X),) * 2
    assert multilinear_rank([1.0, 2.0]) == (1,)
    assert multilinear_rank(np.zeros((3, 2))) == (0, 0)


def test_rank_for_energy():
    X = np.diag([3.0, 2.0, 1.0])  # shares 9, 4 and 1 of 14
    for energy, rank in [(0.5, 1), (9 / 14, 1), (0.65, 2), (13 / 14, 2), (0.99, 3), (1.0, 3)]:
        assert multilinear_rank(X, energy=energy) == (rank, rank)


def test_rank_agrees_with_the_transformer():
    X, _ = low_rank(40, (3, 2), (9, 6), noise=0.5)
    ranks = multilinear_rank(X - X.mean(axis=0), energy=0.8)
    assert ranks[1:] == MultilinearPCA(0.8).fit(X).n_components_


@pytest.mark.parametrize("energy", [0.0, 1.5, -1, True, "all", np.nan])
def test_bad_energy(energy):
    with pytest.raises(ValueError, match=r"energy must be a float in the range \(0\.0, 1\.0\]"):
        multilinear_rank(np.eye(2), energy=energy)


@pytest.mark.parametrize("read", [multilinear_rank, MultilinearPCA().fit])
def test_sequences_of_unequal_lengths_are_no_tensor(read):
    with pytest.raises(ValueError, match=r"X holds arrays of different shapes.*SequencePadder"):
        read([np.ones((2, 2)), np.ones((3, 2)), np.ones((2, 2))])


@pytest.mark.parametrize("X", [np.nan * np.ones((2, 2)), 3.0, np.ones((0, 2))])
def test_bad_tensor(X):
    with pytest.raises(ValueError, match="X"):
        multilinear_rank(X)


@pytest.mark.parametrize("unit", [1e200, 1e-170, 1e-200])
def test_unit_does_not_matter(unit):
    X, _ = low_rank(40, (3, 2), (8, 5), noise=0.1)
    assert multilinear_rank(np.eye(3) * unit, energy=0.9) == (3, 3)
    assert multilinear_rank(X * unit, energy=0.9) == multilinear_rank(X, energy=0.9)
    pca, scaled = MultilinearPCA(0.9).fit(X), MultilinearPCA(0.9).fit(X * unit)
    assert scaled.n_components_ == pca.n_components_
    assert_allclose(scaled.explained_variance_ratio_, pca.explained_variance_ratio_)
    assert_allclose(scaled.transform(X * unit), pca.transform(X) * unit, atol=1e-12 * unit)


def test_complex_numbers_are_refused():
    X = RNG.normal(size=(5, 4, 3)) + 1j
    for function in (multilinear_rank, MultilinearPCA().fit):
        with pytest.raises(ValueError, match="Complex data not supported"):
            function(X)
