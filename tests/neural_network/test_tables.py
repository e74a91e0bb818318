"""What the feed-forward estimators read: forms of tables, categories, labels and targets."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from sklearn_ext import FFNNClassifier, FFNNRegressor
from sklearn_ext.neural_network._tables import fit_encoding

pytest.importorskip("torch")
pytest.importorskip("skorch")

SHORT = {"max_iter": 3, "n_members": 2, "hidden_layer_sizes": (8,), "random_state": 0}
rng = np.random.default_rng(0)
X = np.column_stack([rng.integers(0, 4, 80), rng.normal(size=(80, 2))])
y = X[:, 1] + X[:, 0] % 2
TWO = (y > 0).astype(int)


def regressor(**settings):
    return FFNNRegressor(**SHORT | settings)


def classifier(**settings):
    return FFNNClassifier(**SHORT | settings)


# Forms of tables


def test_lists_are_tables_too():
    model = regressor(categorical_features=[0]).fit(X, y)
    assert_array_equal(model.predict(X.tolist()), model.predict(X))
    mixed = [["a", 1.0], ["b", 2.0]] * 10
    words = regressor(categorical_features=[0]).fit(mixed, [1.0, 2.0] * 10)
    as_objects = np.array(mixed, dtype=object)
    assert_array_equal(words.predict(as_objects), words.predict(mixed))


def test_tables_of_pyarrow():
    pyarrow, pandas = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": pandas.Categorical(list("xy") * 40), "b": X[:, 1]})
    table = pyarrow.Table.from_pandas(frame)
    model = regressor().fit(table, y)
    assert list(model.feature_names_in_) == ["a", "b"]
    assert_array_equal(model.predict(table), regressor().fit(frame, y).predict(frame))


def test_wrong_numbers_of_axes_are_told_beside_categories():
    model = regressor(categorical_features=[0])
    for wrong in (X[:, 0], X[:, :, None]):
        with pytest.raises(ValueError, match=r"Expected 2D array|Found array with dim 3"):
            model.fit(wrong, y)
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        model.fit(X, y).predict(X[0])


def test_frames_without_rows_are_told():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pandas.DataFrame({"a": pandas.Categorical(list("xy") * 40), "b": X[:, 1]})
    model = regressor().fit(frame, y)
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        model.predict(frame.iloc[:0])
    with pytest.raises(ValueError, match="Expected a 2-dimensional container"):
        model.predict(frame.iloc[0])
    with pytest.raises(TypeError, match=r"LazyFrame, which has no rows yet. Give X.collect"):
        model.fit(polars.from_pandas(frame).lazy(), y)


def test_single_precision_of_frames_is_kept():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    numbers = {"b": X[:, 1].astype(np.float32), "c": X[:, 2].astype(np.float32)}
    frame = pandas.DataFrame(numbers)
    missing = frame.astype("Float32")
    missing.iloc[0, 0] = pandas.NA
    for single in (frame, frame.astype("Float32"), missing, polars.DataFrame(numbers)):
        assert regressor().fit(single, y).predict(single).dtype == np.float32
    assert regressor().fit(frame.astype(float), y).predict(frame.astype(float)).dtype == np.float64


# Categories


def test_category_of_weightless_rows_is_unknown():
    codes = np.r_[np.arange(0, 80, 2), np.arange(0, 20, 2)].astype(float)  # more than are one-hot
    table = np.column_stack([codes, rng.normal(size=50)])
    targets, model = rng.normal(size=50), regressor(categorical_features=[0])
    alone = model.fit(table, targets)
    expected, size = alone.predict(table), alone.n_parameters_
    more = np.vstack([table, [7.0, 0.0]]), np.r_[targets, 5.0]
    model.fit(*more, sample_weight=np.r_[np.ones(50), 0.0])
    assert_array_equal(model.predict(table), expected)
    assert model.n_parameters_ == size
    assert_array_equal(model.predict([[7.0, 0.0]]), model.predict([[99.0, 0.0]]))


@pytest.mark.parametrize("kind", ["interval", "date"])
def test_categories_that_are_objects_are_stored_as_text(kind):
    pandas, skops = pytest.importorskip("pandas"), pytest.importorskip("skops.io")
    dates = pandas.Categorical(pandas.to_datetime(["2020-01-01", "2021-01-01"] * 40))
    column = pandas.cut(X[:, 1], 4) if kind == "interval" else dates
    frame = pandas.DataFrame({"a": column, "b": X[:, 2]})
    model = regressor().fit(frame, y)
    assert len(np.unique(model.predict(frame.assign(b=0.0)))) == len(column.categories)
    stored = skops.dumps(model)
    untrusted = skops.get_untrusted_types(data=stored)
    assert [name.rpartition(".")[2] for name in untrusted] == ["FFNNRegressor"]
    assert_array_equal(skops.loads(stored, trusted=untrusted).predict(frame), model.predict(frame))


# Targets


@pytest.mark.parametrize("values", [(-1, 1), (1, 2)])
def test_indicators_are_0_and_1(values):
    Y = np.where(X[:, 1:] > 0, values[1], values[0])
    with pytest.raises(ValueError, match=r"must hold 0 and 1 only, an indicator matrix, got"):
        classifier().fit(X, Y)


def test_balanced_labels_count_weights():
    Y = np.column_stack([X[:, 1] > 0.5, X[:, 2] > 0]).astype(int)[:30]
    weights = rng.integers(0, 3, size=30).astype(float)
    model = classifier(class_weight="balanced", precision="float64")
    weighted = model.fit(X[:30], Y, sample_weight=weights).predict_proba(X)
    rows = np.repeat(np.arange(30), weights.astype(int))
    assert_allclose(model.fit(X[rows], Y[rows]).predict_proba(X), weighted, rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (X, np.full(80, 7), "validation_set: y holds classes"),
        (X, [0], "validation_set: Found input variables with inconsistent numbers"),
        (np.full((80, 3), np.inf), TWO, "validation_set: Input X contains infinity"),
        (X[:, :2], TWO, "validation_set: X has 2 features"),
    ],
)
def test_errors_of_a_validation_set_say_so(rows, labels, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, TWO, validation_set=(rows, labels))
    with pytest.raises(ValueError, match="validation_set: Input y contains NaN"):
        regressor().fit(X, y, validation_set=(X, np.full(80, np.nan)))


def test_a_validation_set_of_classes_without_weight_is_refused():
    three = np.arange(80) % 3
    watched, model = three == 0, classifier(class_weight={0: 0.0, 1: 1.0, 2: 1.0})
    with pytest.raises(ValueError, match="validation_set: all its rows have the weight 0"):
        model.fit(X, three, validation_set=(X[watched], three[watched]))


def test_length_of_y_is_checked_before_its_classes():
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[80, 9\]"):
        classifier().fit(X, ["a"] * 9)


def test_one_bin_is_none():
    found = [regressor(n_bins=n).fit(X, y).predict(X) for n in (0, 1)]
    assert_array_equal(*found)


def test_balanced_classes_are_not_for_partial_fit():
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        classifier(class_weight="balanced").partial_fit(X, y > 0, classes=[False, True])


def test_log_odds_are_those_of_the_members_that_count():
    rows = np.column_stack([rng.normal(size=600) * 1e-3, rng.standard_cauchy((600, 3))])
    rows = rows.astype(np.float32)
    model = FFNNClassifier(
        (64, 64), n_members=2, activation="identity", learning_rate="constant", dropout=0.0
    ).set_params(learning_rate_init=0.05, max_iter=60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(rows, rows[:, 0] > 0)
        assert np.isfinite(model.decision_function(rows)).all()
        model.predict(rows)


@pytest.mark.parametrize("unit", [1e39, 1e-46])
def test_targets_that_single_precision_cannot_hold(unit):
    with pytest.raises(ValueError, match=r"which float32, the precision of X, cannot hold"):
        regressor().fit(X.astype(np.float32), y * unit)


def test_targets_that_double_precision_cannot_square():
    with pytest.raises(ValueError, match=r"which float64, the precision of X, cannot hold or"):
        regressor().fit(X, y * 1e-165)
    assert_allclose(
        regressor().fit(X, y * 1e-100).predict(X) * 1e100, regressor().fit(X, y).predict(X)
    )


def test_weightless_counts_do_not_make_a_positive_sum():
    counts = np.r_[1.0, np.zeros(79)]
    with pytest.raises(ValueError, match="needs y >= 0 with a positive sum"):
        regressor(loss="poisson").fit(X, counts, sample_weight=np.r_[0.0, np.ones(79)])


# Training


def test_decay_takes_no_more_than_all():
    model = FFNNRegressor(alpha=1000.0, max_iter=60, n_members=2, random_state=0)
    assert np.isfinite(model.fit(X[:30], y[:30]).loss_)


def test_the_net_says_where_it_learns():
    net = regressor().fit(X, y).net_
    for method in (net.fit, net.partial_fit):
        with pytest.raises(TypeError, match="learns through its estimator"):
            method(X, y)


@pytest.mark.parametrize("loss", ["huber", "absolute_error", "quantile"])
def test_outliers_of_y_do_not_decide_what_a_robust_loss_learns(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    truth = X @ [1.0, 2.0, 0.0]
    y = truth + 0.1 * rng.normal(size=600)
    y[:12] += 1e4
    X_train, y_train = X[:400], y[:400]
    net = FFNNRegressor(loss=loss, n_members=4, max_iter=20, random_state=0).fit(X_train, y_train)
    assert abs(net.predict(X[400:]) - truth[400:]).mean() < 0.5


def test_a_robust_scale_is_that_of_repeated_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30) ** 3
    weights = rng.integers(1, 4, 30)
    net = FFNNRegressor(loss="huber", n_members=2, random_state=0)
    weighted = clone(net).fit(X, y, sample_weight=weights)
    repeated = clone(net).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    assert_allclose(weighted.predict(X), repeated.predict(X))


@pytest.mark.parametrize("sparse", [False, True])
def test_one_outlier_in_a_column_that_is_mostly_zero_leaves_the_others_their_scale(sparse):
    rng = np.random.default_rng(0)
    counts = np.where(rng.random(400) < 0.8, 0, rng.integers(1, 10, 400)).astype(float)
    X = np.column_stack([counts, rng.normal(size=(400, 2))])
    y = np.sqrt(counts) + 0.1 * rng.normal(size=400)
    spoilt = X.copy()
    spoilt[0, 0] = 1e9
    form = csr_array if sparse else np.asarray
    net = FFNNRegressor(n_bins=0, n_members=4, random_state=0).fit(form(spoilt[:200]), y[:200])
    assert net.score(form(X[200:]), y[200:]) > 0.8


@pytest.mark.parametrize("value", [1.0, -3.0, 0.25])
def test_the_scale_of_a_rare_value_is_half_of_it(value):
    X = np.zeros((20, 1))
    X[:3] = value
    found = fit_encoding(X, np.zeros(1, dtype=bool), np.ones(20), 0)
    assert found["scale"] == 2.0 / abs(value)


def test_what_is_linear_in_columns_with_tails():
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(size=(800, 3)))
    y = X @ [1.0, 0.7, -0.5] + 0.5 * rng.normal(size=800)
    train, test = slice(500), slice(500, None)
    line = LinearRegression().fit(X[train], y[train]).score(X[test], y[test])
    net = FFNNRegressor((16,), n_members=4, random_state=0).fit(X[train], y[train])
    assert net.score(X[test], y[test]) > line - 0.01
    plain = FFNNRegressor((16,), n_members=4, blend_linear=False, random_state=0)
    assert plain.fit(X[train], y[train]).score(X[test], y[test]) < line - 0.01


def test_lines_end_beyond_the_rows_of_fit():
    X = np.linspace(0.0, 1.0, 400)[:, None]
    net = FFNNRegressor((8,), n_members=2, max_iter=20, early_stopping=True, random_state=0)
    net.fit(X, 3.0 * X[:, 0])
    half, far, farther = net.predict([[1.5], [1e6], [1e9]])
    assert abs(half) < abs(far) == abs(farther) < 10.0


def test_columns_that_are_not_clipped_have_one_size():
    X = np.exp(np.random.default_rng(0).normal(size=(500, 1)))
    X[::5] = np.nan
    found = fit_encoding(X, np.zeros(1, dtype=bool), np.ones(500), 0)
    scaled = (X[:, 0] - found["center"]) * found["scale"]
    assert found["reach"] == 2.0 * np.nanmax(np.abs(scaled))
    straight = np.nan_to_num(scaled, nan=0.0) / found["size"]
    assert_allclose(np.sqrt(np.mean(straight**2)), 0.7, rtol=1e-6)
