"""Nets on dask collections: the passes that are promised, lazy predictions, a worker that dies."""

import os
import pickle
import signal

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from worker_processes import two_workers

from sklearn_ext import FFNNClassifier, FFNNRegressor, PolynomialRegressor, RNNClassifier

joblib = pytest.importorskip("joblib")
dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client():
    with two_workers() as client:
        yield client


def table(n_rows=300):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 4))
    return X, X[:, 0] - 2.0 * X[:, 1] * X[:, 2]


def lazily(array, rows=80):
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


def net(**settings):
    return FFNNRegressor((16,), n_members=2, max_iter=3, random_state=0, **settings)


def blocks(*arrays, rows=80):
    return [[array[i : i + rows] for array in arrays] for i in range(0, len(arrays[0]), rows)]


def test_a_fit_is_the_passes_that_the_docstring_tells(client):
    X, y = table()
    found = net().fit(lazily(X), lazily(y))
    by_hand = net()
    by_hand.partial_fit(X, y)  # the heads of the partitions are all rows here
    for _ in range(3):
        for part in blocks(X, y):
            by_hand.partial_fit(*part)
    assert_array_equal(found.predict(X), by_hand.predict(X))
    assert_array_equal(net().fit(lazily(X), lazily(y)).predict(X), found.predict(X))


def test_a_column_that_varies_only_in_later_rows_than_the_heads_is_learned(client, monkeypatch):
    monkeypatch.setattr("sklearn_ext.neural_network._partitions.SAMPLE_ROWS", 20)
    X, _ = table(320)
    X[:, 3] = (np.arange(320) % 80 >= 10) * np.sign(X[:, 3])
    y = 3.0 * X[:, 3]
    model = FFNNRegressor((16,), n_members=2, max_iter=30, random_state=0)
    assert model.fit(lazily(X), lazily(y)).score(X, y) > 0.9


def test_a_second_fit_starts_anew_and_warm_start_goes_on(client):
    X, y = table()
    model = net().fit(lazily(X), lazily(y))
    first = model.predict(X)
    assert_array_equal(model.fit(lazily(X), lazily(y)).predict(X), first)
    warm = net(warm_start=True).fit(lazily(X), lazily(y)).fit(lazily(X), lazily(y))
    assert warm.loss_ < model.loss_


def test_partial_fit_goes_once_through_the_partitions(client):
    X, y = table()
    found = net().partial_fit(lazily(X), lazily(y)).partial_fit(lazily(X), lazily(y))
    by_hand = net().partial_fit(X, y)
    for part in blocks(X, y) * 2:
        by_hand.partial_fit(*part)
    assert_array_equal(found.predict(X), by_hand.predict(X))


def test_moments_are_forgotten_after_fit_only(client):
    X, y = table()
    model = net(warm_start=True).partial_fit(lazily(X), lazily(y))
    assert model.net_.optimizer_.state
    assert model.fit(lazily(X), lazily(y)).net_.optimizer_.state == []
    stored = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    assert_array_equal(stored.predict(X), model.partial_fit(X, y).predict(X))


def test_it_learns(client):
    X, y = table(2000)
    model = FFNNRegressor(random_state=0).fit(lazily(X, 500), lazily(y, 500))
    assert model.score(*table(400)) > 0.9


def test_classes_of_all_partitions_are_known_from_the_start(client):
    X, y = table()
    labels = np.where(y > 0, "up", "down").astype(object)
    labels[250:] = "late"  # in no partition but the last
    model = FFNNClassifier((16,), n_members=2, max_iter=2, random_state=0)
    model.fit(lazily(X), lazily(labels))
    assert model.classes_.tolist() == ["down", "late", "up"]
    assert_array_equal(model.predict(lazily(X)).compute(), model.predict(X))


def test_classes_that_the_caller_names_are_kept(client):
    X, y = table()
    model = FFNNClassifier((16,), n_members=2, random_state=0)
    model.partial_fit(lazily(X), lazily((y > 0).astype(int)), classes=[0, 1, 2])
    assert model.classes_.tolist() == [0, 1, 2]


def test_weights_reach_the_partitions(client):
    X, y = table()
    weight = np.random.default_rng(1).integers(0, 2, size=300).astype(float)
    found = net().fit(lazily(X), lazily(y), sample_weight=lazily(weight))
    by_hand = net().partial_fit(X, y, sample_weight=weight)
    for X_part, y_part, weight_part in blocks(X, y, weight) * 3:
        by_hand.partial_fit(X_part, y_part, sample_weight=weight_part)
    assert_array_equal(found.predict(X), by_hand.predict(X))


def test_data_frames(client):
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    X, y = table()
    frame = pd.DataFrame(X, columns=list("abcd"))
    lazy = dd.from_pandas(frame.assign(y=y), npartitions=4)
    model = net().fit(lazy[list("abcd")], lazy["y"])
    assert model.feature_names_in_.tolist() == list("abcd")
    predicted = model.predict(lazy[list("abcd")])
    assert_allclose(predicted.compute(), model.predict(frame), rtol=1e-6)


def test_sequences(client):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 12, 2))
    y = (X[:, 0, 0] > 0).astype(int)
    model = RNNClassifier(hidden_size=8, max_iter=1, random_state=0)
    model.fit(da.from_array(X, chunks=(30, 6, 2)), lazily(y, 30))
    lazy = da.from_array(X, chunks=(30, 12, 2))
    assert_allclose(model.predict_proba(lazy).compute(), model.predict_proba(X), rtol=1e-5)
    assert_allclose(model.transform(lazy).compute(), model.transform(X), rtol=1e-5, atol=1e-6)


def test_predictions_are_lazy_and_know_their_shape(client):
    X, y = table()
    both = np.column_stack([y, -y])
    model = net().fit(X, both)
    predicted = model.predict(lazily(X))
    assert isinstance(predicted, da.Array)
    assert predicted.shape == (300, 2)
    assert predicted.chunks == ((80, 80, 80, 60), (2,))
    assert_array_equal(
        predicted.compute(), np.concatenate([model.predict(p) for (p,) in blocks(X)])
    )
    mean, spread = model.predict(lazily(X), return_std=True)
    assert spread.shape == (300, 2)
    assert_array_equal(mean.compute(), predicted.compute())


def test_polynomials_predict_lazily_too(client):
    X, y = table()
    model = PolynomialRegressor(2).fit(lazily(X), lazily(y))
    far = X.copy()
    far[0] = 100.0  # only a partition that is computed may warn of its rows
    lazy = model.predict(lazily(far))
    assert_allclose(lazy[80:].compute(), model.predict(X[80:]), rtol=1e-12)
    lower, upper = model.predict_interval(lazily(X))
    assert np.all((lower < upper).compute())


def test_an_unfitted_estimator_says_so(client):
    X, _ = table()
    for model in (net(), PolynomialRegressor()):
        with pytest.raises(NotFittedError):
            model.predict(lazily(X))


def test_what_streams_cannot_do_is_refused(client):
    X, y = table()
    with pytest.raises(ValueError, match="validation_set cannot be watched"):
        net().fit(lazily(X), lazily(y), validation_set=(X, y))
    with pytest.raises(ValueError, match="solver='lbfgs' needs all rows at once"):
        net(solver="lbfgs").fit(lazily(X), lazily(y))
    with pytest.raises(TypeError, match="y or sample_weight is a ndarray"):
        net().fit(lazily(X), y)


def test_a_failure_in_a_late_partition_leaves_nothing_behind(client):
    X, y = table()
    y[299] = np.nan
    model = net()
    with pytest.raises(ValueError, match="NaN"):
        model.fit(lazily(X), lazily(y))
    assert not hasattr(model, "net_")


def test_grid_search_on_the_cluster_gives_the_serial_scores(client):
    X, y = table(120)
    search = GridSearchCV(net(), {"activation": ["gelu", "relu"]}, cv=2, error_score="raise")
    serial = clone(search).fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_backend("dask"):
        found = search.fit(X, y).cv_results_["mean_test_score"]
    assert_array_equal(found, serial)


def test_a_worker_killed_in_the_middle_costs_a_retry_and_not_the_result(client):
    X, y = table()
    undisturbed = net().fit(lazily(X), lazily(y)).predict(X)
    workers = set(client.run(os.getpid).values())
    victims = distributed.Variable("victims", client=client)
    victims.set(sorted(workers))

    def kill_once(values, block_info=None):
        names = distributed.Variable("victims")
        if block_info[0]["chunk-location"] == (2,) and os.getpid() in names.get():
            names.set([])
            os.kill(os.getpid(), signal.SIGKILL)
        return values

    found = net().fit(lazily(X), lazily(y).map_blocks(kill_once, dtype=y.dtype, meta=y[:0]))
    assert_array_equal(found.predict(X), undisturbed)
    assert len(victims.get()) == 0
    assert workers - set(client.run(os.getpid).values()), "nobody was killed"


def test_balanced_classes_are_those_of_all_partitions():
    X, signal = table(400)
    y = (signal > 3.0).astype(int)
    order = np.argsort(y)  # the rare class is in the last partition only
    balanced = FFNNClassifier((8,), class_weight="balanced", max_iter=3, random_state=0)
    found = balanced.fit(lazily(X[order]), lazily(y[order]))
    weights = {0: 200.0 / np.sum(y == 0), 1: 200.0 / np.sum(y == 1)}
    by_hand = clone(balanced).set_params(class_weight=weights)
    expected = by_hand.fit(lazily(X[order]), lazily(y[order]))
    assert_allclose(found.predict_proba(X), expected.predict_proba(X), rtol=1e-6)


def test_balanced_labels_need_all_rows():
    X, y = table()
    Y = np.column_stack([y > 0, y > 1]).astype(int)
    with pytest.raises(ValueError, match="needs all rows at once"):
        FFNNClassifier(class_weight="balanced").fit(lazily(X), lazily(Y))


@pytest.mark.parametrize(
    "model",
    [
        FFNNRegressor((8,), max_iter=3, random_state=0),
        FFNNClassifier((8,), max_iter=3, random_state=0),
        PolynomialRegressor(),
    ],
)
def test_frames_are_scored(model):
    frames = pytest.importorskip("dask.dataframe")
    pandas = pytest.importorskip("pandas")
    X, y = table()
    y = y > 0 if is_classifier(model) else y
    frame = pandas.DataFrame(X, columns=list("abcd")).assign(y=y)
    lazy = frames.from_pandas(frame, npartitions=3)
    model = clone(model).fit(frame[list("abcd")], y)
    expected = model.score(frame[list("abcd")], y)
    assert_allclose(model.score(lazy[list("abcd")], lazy["y"]), expected, rtol=1e-12)


def test_partitions_of_weight_0_are_left_out():
    X, y = table()
    weights = np.repeat([0.0, 1.0, 1.0, 1.0], 80)[:300]
    found = net().fit(lazily(X), lazily(y), lazily(weights))
    assert np.isfinite(found.predict(X)).all()


def test_held_out_rows_are_refused():
    X, y = table()
    with pytest.raises(ValueError, match="early_stopping=True needs rows that are held out"):
        net(early_stopping=True).fit(lazily(X), lazily(y))


@pytest.mark.parametrize("kind", [FFNNRegressor, PolynomialRegressor])
@pytest.mark.parametrize("form", ["frame", "array"])
def test_partitions_of_no_rows_give_none(kind, form):
    X, y = table()
    model = (net() if kind is FFNNRegressor else kind(2)).fit(X, y)
    if form == "array":
        lazy = da.concatenate([lazily(X[:80]), lazily(X[:80])[X[:80, 0] > 99.0]])
    else:
        frames, pandas = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
        frame = pandas.DataFrame(X[:80], columns=list("abcd"))
        model.fit(pandas.DataFrame(X, columns=list("abcd")), y)
        lazy = frames.from_pandas(frame, npartitions=2)
        lazy = lazy.map_partitions(lambda part: part[part.index < 40])
        X = frame.iloc[:40]
    expected = model.predict(X[:80])
    assert_allclose(model.predict(lazy).compute(), expected)
