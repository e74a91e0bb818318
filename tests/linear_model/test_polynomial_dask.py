"""Dask collections are fitted where they lie, on two worker processes."""

import os
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose
from worker_processes import two_workers

from sklearn_ext import PolynomialRegressor

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


def sample(n_rows=400, n_targets=None):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(n_rows, 3)) * [1, 5, 100] + [0, 10, 0]
    y = np.sin(X[:, :1]) + rng.normal(size=(n_rows, n_targets or 1))
    return X, y[:, 0] if n_targets is None else y


def lazily(array, rows=90):
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


def assert_same(got, wanted, X):
    assert_allclose(got.predict(X), wanted.predict(X), atol=1e-10)
    std = wanted.predict(X, return_std=True)[1]
    assert_allclose(got.predict(X, return_std=True)[1], std, rtol=1e-10)
    assert_allclose(got.bounds_, wanted.bounds_)
    assert got.n_features_in_ == wanted.n_features_in_


@pytest.mark.parametrize("solver", ["auto", "qr", "cholesky"])
@pytest.mark.parametrize("n_targets", [None, 2])
@pytest.mark.parametrize("settings", [{}, {"alpha": 0.3}, {"fit_intercept": False}])
def test_arrays(client, settings, n_targets, solver):
    X, y = sample(n_targets=n_targets)
    model = PolynomialRegressor(3, solver=solver, **settings).fit(lazily(X), lazily(y))
    assert_same(model, PolynomialRegressor(3, solver=solver, **settings).fit(X, y), X)


def test_weights(client):
    X, y = sample()
    weight = np.random.default_rng(1).integers(0, 3, size=len(y)).astype(float)
    model = PolynomialRegressor(2).fit(lazily(X), lazily(y), sample_weight=lazily(weight))
    rows = X[weight > 0]
    assert_same(model, PolynomialRegressor(2).fit(X, y, sample_weight=weight), rows)


def test_a_chunk_of_weightless_rows(client):
    X, y = sample()
    weight = np.ones(len(y))
    weight[:90] = 0.0  # the whole first partition
    model = PolynomialRegressor(2).fit(lazily(X), lazily(y), sample_weight=lazily(weight))
    assert_same(model, PolynomialRegressor(2).fit(X[90:], y[90:]), X[90:])


@pytest.mark.parametrize("n_partitions", [1, 3, 23])
def test_any_number_of_partitions(client, n_partitions):
    X, y = sample()
    rows = -(-len(y) // n_partitions)
    model = PolynomialRegressor(2).fit(lazily(X, rows), lazily(y, rows))
    assert_same(model, PolynomialRegressor(2).fit(X, y), X)


def test_arrays_chunked_by_columns_and_unlike_rows(client):
    X, y = sample()
    model = PolynomialRegressor(2).fit(da.from_array(X, chunks=(90, 2)), lazily(y, 77))
    assert_same(model, PolynomialRegressor(2).fit(X, y), X)


def frames(n_partitions=4):
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    X, y = sample()
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y, row=np.arange(400))
    return frame, dd.from_pandas(frame, npartitions=n_partitions)


def test_data_frames(client):
    frame, lazy = frames()
    names = ["a", "b", "c"]
    model = PolynomialRegressor(2).fit(lazy[names], lazy["y"])
    assert model.feature_names_in_.tolist() == names
    assert_same(model, PolynomialRegressor(2).fit(frame[names], frame["y"]), frame[names])


def test_data_frames_with_empty_partitions(client):
    frame, lazy = frames()
    first = lazy[lazy["row"] < 150]  # leaves the last partitions without rows
    assert (first.map_partitions(len).compute() == 0).any()
    names = ["a", "b", "c"]
    part = frame[frame["row"] < 150]
    model = PolynomialRegressor(2).fit(first[names], first["y"])
    assert_same(model, PolynomialRegressor(2).fit(part[names], part["y"]), part[names])


def test_a_data_frame_without_any_rows(client):
    _, lazy = frames()
    none = lazy[lazy["a"] > 1e9]
    model = PolynomialRegressor(2)
    with pytest.raises(ValueError, match="Found 0 samples"):
        model.fit(none[["a", "b", "c"]], none["y"])
    assert not hasattr(model, "n_features_in_")


def test_several_target_columns(client):
    frame, lazy = frames()
    model = PolynomialRegressor(2).fit(lazy[["a", "b"]], lazy[["c", "y"]])
    wanted = PolynomialRegressor(2).fit(frame[["a", "b"]], frame[["c", "y"]])
    assert_same(model, wanted, frame[["a", "b"]])


def test_partitions_that_do_not_match_are_refused(client):
    _, lazy = frames()
    other = lazy["y"].repartition(npartitions=2)
    with pytest.raises(ValueError, match="X has 4 partitions, but y or sample_weight has 2"):
        PolynomialRegressor(2).fit(lazy[["a", "b"]], other)


def test_gathered_targets_are_refused(client):
    X, y = sample()
    with pytest.raises(TypeError, match="y or sample_weight is a ndarray"):
        PolynomialRegressor(2).fit(lazily(X), y)


@pytest.mark.parametrize(
    "settings", [{"degree": "auto"}, {"alpha": "auto"}, {"solver": "refined"}, {"solver": "dual"}]
)
def test_settings_that_need_all_rows_are_refused(client, settings):
    X, y = sample()
    model = PolynomialRegressor(**settings)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=f"{next(iter(settings))}=.* needs all rows at once"):
        model.fit(lazily(X), lazily(y))
    assert vars(model) == before


@pytest.mark.parametrize("of", ["X", "y"])
def test_nan_in_one_partition_is_refused(client, of):
    X, y = sample()
    (X if of == "X" else y)[200] = np.nan
    model = PolynomialRegressor(2)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(lazily(X), lazily(y))
    assert vars(model) == before


def test_a_fitted_model_survives_a_refused_collection(client):
    X, y = sample()
    model = PolynomialRegressor(2).fit(X, y)
    wanted = model.predict(X)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(lazily(X[:, :2] * np.nan), lazily(y))
    np.testing.assert_array_equal(model.predict(X), wanted)


def test_partial_fit_continues_a_dask_fit(client):
    X, y = sample()
    model = PolynomialRegressor(2).fit(lazily(X[:300]), lazily(y[:300]))
    model.partial_fit(X[300:], y[300:])
    assert_same(model, PolynomialRegressor(2).fit(X, y), X)


class PeakMemory:
    """Largest resident memory of this process inside a with block, above that at its start."""

    def __enter__(self):
        self._process, self._done = psutil.Process(os.getpid()), threading.Event()
        self._start = self.growth = self._process.memory_info().rss
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def _watch(self):
        while not self._done.wait(0.005):
            self.growth = max(self.growth, self._process.memory_info().rss)

    def __exit__(self, *_):
        self._done.set()
        self._watcher.join()
        self.growth -= self._start


def _make_rows(block_id):
    """Make one partition of 100,000 rows on the worker: 10 columns and the target."""
    rng = np.random.default_rng(block_id[0])
    X = rng.uniform(-1, 1, size=(100_000, 10))
    return np.column_stack([X, X[:, 0] - 2 * X[:, 1] * X[:, 2]])


def test_the_rows_never_reach_the_client(client):
    # 40 partitions of 8.8 MB, 352 MB in all, made and dropped on the workers.
    chunks = ((100_000,) * 40, (11,))
    table = da.map_blocks(_make_rows, chunks=chunks, dtype=float, meta=np.empty((0, 0)))
    with PeakMemory() as peak:
        model = PolynomialRegressor(2).fit(table[:, :10], table[:, 10])
    assert peak.growth < 0.1 * table.nbytes
    row = np.linspace(-0.5, 0.5, 10)[None]
    assert_allclose(model.predict(row), row[0, 0] - 2 * row[0, 1] * row[0, 2], atol=1e-10)
