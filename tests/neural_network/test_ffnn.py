"""Laws of the feed-forward estimators."""

import pickle
import warnings

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_breast_cancer, load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor

from sklearn_ext import FFNNClassifier, FFNNRegressor
from sklearn_ext.datasets import load_concrete
from sklearn_ext.neural_network._base import checked_weights

torch = pytest.importorskip("torch")
skorch_callbacks = pytest.importorskip("skorch.callbacks")

X, y = make_regression(400, 6, n_informative=4, noise=5.0, random_state=0)
SHORT = {"max_iter": 3, "n_members": 2, "hidden_layer_sizes": (16,), "random_state": 0}


def short(**parameters):
    return FFNNRegressor(**{**SHORT, **parameters})


def fitted_prediction(n_rows, widths, dtype):
    rows = X[:n_rows].astype(dtype)
    return FFNNRegressor(widths, max_iter=4, random_state=3).fit(rows, y[:n_rows]).predict(rows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("widths", [(128, 128), (100,), (33, 7)])
@pytest.mark.parametrize("n_rows", [120, 400])
def test_same_bits_in_threads_and_processes(n_rows, widths, dtype):
    arguments = n_rows, widths, dtype
    alone = fitted_prediction(*arguments)
    for options in ({"prefer": "threads"}, {"backend": "loky"}):
        both = Parallel(2, **options)(delayed(fitted_prediction)(*arguments) for _ in range(2))
        for found in both:
            assert_array_equal(found, alone)


def test_global_state_of_torch_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state().clone(), torch.get_num_threads(), list(warnings.filters)
    short(dropout=0.2).fit(X, y).predict(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), list(warnings.filters)) == before[1:]


def test_unseeded_fits_differ():
    first, second = (short(random_state=None).fit(X, y).predict(X) for _ in range(2))
    assert np.any(first != second)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_weight_counts_repetitions_in_full_batches(dropout):
    # Both tables have at most 64 rows, so that all steps of both are full batches.
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, size=30).astype(float)
    repeated = np.repeat(np.arange(30), weight.astype(int))
    model = FFNNRegressor(dropout=dropout, n_members=2, random_state=0)
    weighted = model.fit(X[:30], y[:30], sample_weight=weight).predict(X)
    assert_allclose(model.fit(X[repeated], y[repeated]).predict(X), weighted, rtol=1e-6)


def test_weight_counts_repetitions_in_larger_full_batches_without_early_stopping():
    weight = np.random.default_rng(0).integers(0, 4, size=100).astype(float)
    repeated = np.repeat(np.arange(100), weight.astype(int))
    model = FFNNRegressor(
        batch_size=400, max_iter=20, early_stopping=False, n_members=2, random_state=0
    )
    weighted = model.fit(X[:100], y[:100], sample_weight=weight).predict(X)
    assert_allclose(model.fit(X[repeated], y[repeated]).predict(X), weighted, rtol=1e-6)


def test_row_of_weight_zero_is_no_row_in_mini_batches():
    weight = np.r_[np.zeros(50), np.ones(350)]
    with_zeros = short().fit(X, y, sample_weight=weight).predict(X)
    assert_allclose(short().fit(X[50:], y[50:]).predict(X), with_zeros, rtol=1e-4)


def test_better_than_the_plain_net_on_real_data():
    data = load_concrete()
    parts = train_test_split(data.data, data.target, random_state=1)
    ours = FFNNRegressor(random_state=0).fit(parts[0], parts[2])
    plain = MLPRegressor(max_iter=3000, random_state=0).fit(parts[0], parts[2])
    assert ours.score(parts[1], parts[3]) > plain.score(parts[1], parts[3])
    assert ours.score(parts[1], parts[3]) > 0.85


def test_net_without_hidden_layers_is_a_line():
    rows = np.tanh(X[:150])  # inside the range where the smooth clip is nearly a line
    target = rows @ np.arange(6.0)
    model = FFNNRegressor(
        (), n_bins=0, alpha=0.0, learning_rate_init=0.05, max_iter=300, n_members=1, random_state=0
    )
    assert model.fit(rows, target).score(rows, target) > 0.99


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "poisson"])
def test_losses_learn(loss):
    target = np.exp(y / 200) if loss == "poisson" else y
    model = FFNNRegressor(loss=loss, random_state=0).fit(X, target)
    assert model.score(X, target) > 0.9
    if loss == "poisson":
        assert np.all(model.predict(X * 100) > 0)


def test_several_quantiles_do_not_cross_and_keep_the_users_order():
    rng = np.random.default_rng(0)
    rows = rng.uniform(-1, 1, size=(3000, 1))
    target = rows[:, 0] + rng.normal(size=3000) * (0.2 + np.abs(rows[:, 0]))
    model = FFNNRegressor(loss="quantile", quantile=[0.9, 0.1, 0.5], random_state=0)
    high, low, middle = model.fit(rows[:2000], target[:2000]).predict(rows[2000:]).T
    assert np.all(low <= middle)
    assert np.all(middle <= high)
    inside = np.mean((target[2000:] > low) & (target[2000:] < high))
    assert 0.74 < inside < 0.86
    assert model.score(rows, target) > 0.0


def test_shapes_of_several_targets_and_quantiles():
    Y = np.c_[y, -y]
    assert short().fit(X, Y).predict(X).shape == (400, 2)
    assert short().fit(X, y[:, None]).predict(X).shape == (400, 1)
    model = short(loss="quantile", quantile=[0.2, 0.8]).fit(X, Y)
    assert model.predict(X).shape == (400, 2, 2)
    mean, std = short().fit(X, Y).predict(X, return_std=True)
    assert mean.shape == std.shape == (400, 2)
    assert np.all(std > 0)
    with pytest.raises(ValueError, match="n_members=1"):
        short(n_members=1).fit(X, y).predict(X, return_std=True)


def test_accumulation_changes_nothing():
    whole = short(dropout=0.0, precision="float64").fit(X, y).predict(X)
    cut = short(dropout=0.0, precision="float64", gradient_accumulation_steps=3)
    assert_allclose(cut.fit(X, y).predict(X), whole, rtol=1e-6)


def test_predictions_do_not_depend_on_the_company():
    model = short().fit(X, y)
    assert_allclose(model.predict(X[:7]), model.predict(X)[:7], rtol=1e-10)


def test_scale_of_the_columns_does_not_matter():
    scale = np.array([1e-9, 1e6, 1.0, 3.0, 1e3, 1e-3])
    moved = X * scale + 1e3 * scale
    assert_allclose(short().fit(moved, y).predict(moved), short().fit(X, y).predict(X), rtol=1e-3)


def test_categories_missing_values_and_unknown_ones():
    frames = pytest.importorskip("pandas")
    names = np.where(y > 0, "high", "low").astype(object)
    names[3] = None
    frame = frames.DataFrame(X[:, :1], columns=["a"]).assign(k=frames.Categorical(names))
    frame.loc[5, "a"] = np.nan
    model = FFNNRegressor(random_state=0).fit(frame, y)
    assert model.score(frame, y) > 0.5
    strange = frame.assign(k=frames.Categorical(["never seen"] * len(frame)))
    assert np.all(np.isfinite(model.predict(strange)))
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(frame), model.predict(frame))


@pytest.mark.parametrize("kind", ["object", "category"])
def test_a_text_that_looks_like_a_missing_value_is_a_category(kind):
    frames = pytest.importorskip("pandas")
    assert not frames.isna("<NA>")
    names = np.where(y > 0, "<NA>", "low").astype(object)
    names[0] = frames.NA
    plain = np.where(y > 0, "high", "low").astype(object)
    plain[0] = None
    columns = (frames.Series(column, dtype=kind) for column in (names, plain))
    looks, other = (frames.DataFrame({"k": column, "a": X[:, 0]}) for column in columns)
    found, expected = (
        short(categorical_features=["k"]).fit(frame, y).predict(frame) for frame in (looks, other)
    )
    assert_array_equal(found, expected)


@pytest.mark.parametrize("module", ["pandas", "polars"])
def test_columns_that_may_be_null_beside_categories(module):
    frames = pytest.importorskip("pandas")
    numbers = np.round(X[:, 0])
    plain = frames.DataFrame(
        {"k": frames.Categorical(np.where(y > 0, "high", "low")), "a": numbers}
    )
    plain.loc[5, "a"] = np.nan
    nullable = plain.astype({"a": "Int64"})
    if module == "polars":
        nullable = pytest.importorskip("polars").from_pandas(nullable)
    predictions = short().fit(nullable, y).predict(nullable)
    assert_array_equal(predictions, short().fit(plain, y).predict(plain))


def test_a_column_of_text_is_named_with_a_remedy():
    frames = pytest.importorskip("pandas")
    frame = frames.DataFrame({"a": X[:, 0], "city": ["x"] * len(X)})
    with pytest.raises(ValueError, match="could not convert string to float") as raised:
        short().fit(frame, y)
    (note,) = raised.value.__notes__
    assert "'city'" in note and "categorical_features" in note
    model = short(categorical_features=["city"]).fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.assign(more="y"))


def test_many_categories_are_embedded():
    frames = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    effect, codes = rng.normal(size=60), rng.integers(60, size=3000)
    target = effect[codes] + 0.1 * rng.normal(size=3000)
    frame = frames.DataFrame({"city": frames.Categorical([f"c{code}" for code in codes])})
    model = FFNNRegressor(random_state=0).fit(frame[:2500], target[:2500])
    assert model.net_.module_.encoding.n_embedded == 1
    assert model.net_.module_.encoding.n_outputs == 1
    assert model.score(frame[2500:], target[2500:]) > 0.95
    unknown = frames.DataFrame({"city": frames.Categorical(["never seen", None])})
    assert np.ptp(model.predict(unknown)) == 0.0


def test_read_only_weights_are_copied():
    # torch warns of an array that is read-only, such as that of a Series, once in a process.
    weights = np.array([1.0, 2.0, 0.0])
    weights.flags.writeable = False
    found = checked_weights(weights, 3)
    assert found.flags.writeable
    assert_array_equal(found, weights)


def test_labels_of_any_type():
    iris = load_iris()
    words = iris.target_names[iris.target]
    model = FFNNClassifier(random_state=0).fit(iris.data, words)
    assert model.score(iris.data, words) > 0.95
    assert_allclose(model.predict_proba(iris.data).sum(axis=1), 1.0)
    several = np.c_[iris.target > 0, iris.target > 1].astype(int)
    model = FFNNClassifier(random_state=0).fit(iris.data, several)
    assert model.predict(iris.data).shape == (150, 2)
    assert model.score(iris.data, several) > 0.9


def test_class_weight_is_a_sample_weight():
    rows, labels = load_breast_cancer(return_X_y=True)
    settings = {"max_iter": 3, "n_members": 2, "random_state": 0}
    by_class = FFNNClassifier(class_weight={0: 3.0, 1: 1.0}, **settings).fit(rows, labels)
    weight = np.where(labels == 0, 3.0, 1.0)
    by_row = FFNNClassifier(**settings).fit(rows, labels, sample_weight=weight)
    assert_allclose(by_class.predict_proba(rows), by_row.predict_proba(rows), rtol=1e-5)


def test_validation_set_of_the_user_and_best_epoch():
    model = FFNNRegressor(max_iter=30, n_members=1, random_state=0)
    model.fit(X[:300], y[:300], validation_set=(X[300:], y[300:]))
    assert model.best_loss_ == pytest.approx(min(model.validation_loss_curve_))
    scale = np.var(y[:300])  # losses are those of standardised targets
    assert np.mean((model.predict(X[300:]) - y[300:]) ** 2) == pytest.approx(
        model.best_loss_ * scale, rel=1e-4
    )
    assert len(model.validation_scores_) == model.n_iter_
    with pytest.raises(ValueError, match="validation_set must be a tuple"):
        short().fit(X, y, validation_set=X)


def test_each_member_keeps_its_own_best_epoch():
    rows = {"validation_set": (X[300:], y[300:])}
    model = FFNNRegressor(max_iter=30, n_members=4, random_state=0).fit(X[:300], y[:300], **rows)
    members = model._shaped(model._responses(X[300:]))[:4]  # without linear ones
    errors = ((members - y[300:]) ** 2).mean(axis=1) / np.var(y[:300])
    assert errors.mean() == pytest.approx(model.best_loss_, rel=1e-4)
    assert model.best_loss_ <= min(model.validation_loss_curve_) * (1 + 1e-6)


def test_shares_of_both_kinds_are_the_best_on_held_out_rows():
    model = FFNNRegressor(max_iter=30, n_members=4, blend_linear=False, random_state=0)
    model.fit(X[:300], y[:300], validation_set=(X[300:], y[300:]))
    members = model._shaped(model._responses(X[300:]))
    binned, waved = members[:2], members[2:]
    shares = np.linspace(0, 1, 21)
    errors = [np.mean((share * binned + (1 - share) * waved - y[300:]) ** 2) for share in shares]
    best = shares[int(np.argmin(errors))]
    found = model.net_.module_.shares.numpy()
    assert_allclose(found, [best / 2, best / 2, (1 - best) / 2, (1 - best) / 2], atol=1e-12)
    assert_allclose(model.predict(X[300:]), np.tensordot(found, members, 1), rtol=1e-6)


def test_linear_members_keep_up_with_a_straight_line():
    rng = np.random.default_rng(0)
    rows, test = rng.normal(size=(120, 10)), rng.normal(size=(2000, 10))
    slopes = rng.normal(size=10)
    target = rows @ slopes + 3.0 * rng.normal(size=120)
    truth = test @ slopes + 3.0 * rng.normal(size=2000)
    line = LinearRegression().fit(rows, target).score(test, truth)
    found = {
        blend: FFNNRegressor(blend_linear=blend, random_state=0).fit(rows, target)
        for blend in (True, False)
    }
    assert found[True].score(test, truth) > line - 0.02
    assert found[True].score(test, truth) > found[False].score(test, truth)


def test_linear_members_need_held_out_rows_and_are_no_part_of_the_spread():
    module = short(early_stopping=False).fit(X, y).net_.module_
    assert_array_equal(module.shares.numpy(), [0.5, 0.5])
    model = short().fit(X, y)
    members = model._shaped(model._responses(X))
    assert len(members) == 3
    assert_allclose(model.predict(X, return_std=True)[1], members[:2].std(axis=0, ddof=1))


@pytest.mark.parametrize(
    ("settings", "towers"),
    [
        ({"n_members": 5}, [(3, True, False), (2, False, True)]),
        ({"n_members": 1}, [(1, True, True)]),
        ({"n_bins": 0}, [(2, False, True)]),
        ({"n_frequencies": 0}, [(2, True, False)]),
        ({"n_bins": 0, "n_frequencies": 0}, [(2, False, False)]),
    ],
)
def test_members_take_turns_at_bins_and_waves(settings, towers):
    module = short(blend_linear=False, **settings).fit(X, y).net_.module_
    found = [
        (tower.n_members, tower.n_seen > module.encoding.n_plain, tower.waves is not None)
        for tower in module.towers
    ]
    assert found == towers


@pytest.mark.parametrize("own_rows", [False, True])
def test_large_tables_are_encoded_batch_by_batch_to_the_same(own_rows, monkeypatch):
    # The limit lies between both tables: they have to be treated alike all the same.
    valid = (X[300:], y[300:]) if own_rows else None
    at_once = short().fit(X[:300], y[:300], validation_set=valid)
    n_encoded = at_once.net_.module_.encoding.n_outputs
    limit = "sklearn_ext.neural_network._tabular.ENCODED_AT_ONCE"
    monkeypatch.setattr(limit, 200 * n_encoded)
    in_batches = short().fit(X[:300], y[:300], validation_set=valid)
    assert_allclose(in_batches.predict(X), at_once.predict(X), rtol=1e-4)


def test_diverging_fit_says_so_and_leaves_nothing():
    model = short(solver="sgd", learning_rate_init=1e9)
    with pytest.raises(ValueError, match=r"epoch \d+ with learning_rate_init=1000000000\.0"):
        model.fit(X, y)
    assert not hasattr(model, "net_")
    assert not hasattr(model, "n_features_in_")


def test_interrupt_keeps_what_was_learned():
    class Stop(skorch_callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    model = short(callbacks=[Stop()], max_iter=10)
    with pytest.warns(ConvergenceWarning, match="interrupted by user"):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert np.all(np.isfinite(model.predict(X)))


def test_callbacks_hear_of_batches_and_change_nothing():
    heard = []

    class Listen(skorch_callbacks.Callback):
        def on_batch_end(self, net, batch=None, training=None, **kwargs):
            heard.append(training)

    model = short(callbacks=[Listen()]).fit(X, y)
    assert len(heard) >= 3 * model.n_iter_
    assert_array_equal(model.predict(X), short().fit(X, y).predict(X))


def test_monitor_of_sklearn_scores_every_epoch():
    monitor = ScoringMonitor(scoring="r2")
    model = short(early_stopping=False).set_callbacks(monitor).fit(X, y)
    scores = [row["r2"] for row in monitor.get_logs().data]
    assert len(scores) == 3
    assert scores[-1] == pytest.approx(model.score(X, y), rel=1e-4)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error", "quantile"])
def test_half_precision_of_the_steps(loss):
    half = short(loss=loss, precision="bf16-mixed").fit(X, y)
    whole = short(loss=loss, precision="float32").fit(X, y)
    assert_allclose(half.predict(X), whole.predict(X), atol=0.2 * y.std())


@pytest.mark.parametrize("labels", [["no", "yes"], [7, 3]])
def test_monitor_of_sklearn_sees_the_targets_as_given(labels):
    monitor = ScoringMonitor(scoring="accuracy")
    classes = np.array(labels)[(y > np.median(y)).astype(int)]
    weights = (np.arange(len(X)) % 3 > 0).astype(float)  # of rows that are left out too
    model = FFNNClassifier(max_iter=3, early_stopping=False, random_state=0)
    model.set_callbacks(monitor).fit(X, classes, sample_weight=weights)
    assert monitor.get_logs().data[-1]["accuracy"] == pytest.approx(model.score(X, classes))


def test_warm_start_and_partial_fit_go_on():
    model = short(warm_start=True).fit(X, y)
    first = model.score(X, y)
    assert model.fit(X, y).score(X, y) > first
    stream = short()
    scores = [stream.partial_fit(X, y).score(X, y) for _ in range(20)]
    assert scores[-1] > scores[0]
    classes = FFNNClassifier(random_state=0)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classes.partial_fit(X, y > 0)
    classes.partial_fit(X[:50], (y > 0)[:50], classes=[False, True]).partial_fit(X, y > 0)


def test_state_holds_no_torch_object():
    state = short().fit(X, y).__getstate__()
    kinds = {type(value).__module__.partition(".")[0] for value in state.values()}
    assert not kinds & {"torch", "skorch", "sklearn_ext"}


def test_optimizers_import_no_compiler():
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from sklearn_ext import FFNNRegressor;"
        "FFNNRegressor(max_iter=1).fit(np.eye(9), np.arange(9.0));"
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_summary_counts_the_parameters():
    model = short().fit(X, y)
    found = sum(p.numel() for p in model.net_.module_.parameters())
    assert model.n_parameters_ == found
    assert f"{found:,}" in model.summary()


def test_running_moments_are_kept_for_partial_fit_only():
    X, y = np.ones((30, 2)), np.arange(30.0)
    net = FFNNRegressor(n_members=1, max_iter=2, random_state=0).fit(X, y)
    assert net.net_.optimizer_.state == []
    net.partial_fit(X, y)
    assert net.net_.optimizer_.state != []


def test_far_values_are_clipped_in_single_precision():
    rows = X.astype(np.float32)
    model = short().fit(rows, y)
    far = rows[:3].copy()
    far[:, 0] = [-1e6, -1e25, np.finfo(np.float32).min]
    far[:, 1:] = 0
    assert_allclose(model.predict(far), model.predict(far)[0], rtol=1e-3)


@pytest.mark.parametrize("weight", [1e-50, 1e-3, 1.0])
def test_unit_of_weights_does_not_matter(weight):
    weighted = short().fit(X, y, sample_weight=np.full(len(y), weight))
    assert_allclose(weighted.predict(X), short().fit(X, y).predict(X), rtol=1e-3, atol=1e-3)


def test_fits_where_gradients_are_off():
    expected = short().fit(X, y).predict(X)
    with torch.inference_mode():
        assert_array_equal(short().fit(X, y).predict(X), expected)


def test_validation_rows_without_a_finite_loss():
    with pytest.raises(ValueError, match="not finite in any epoch"):
        short().fit(X, y, validation_set=(X, np.full(len(y), 1e60)))


def test_one_row_cannot_be_held_out():
    with pytest.raises(ValueError, match="there is 1 row"):
        short(early_stopping=True).fit(X[:1], y[:1])


def test_variance_that_overflows():
    with pytest.raises(ValueError, match="cannot hold or square"):
        short().fit(X, y * 1e200)


def test_compiled_net_is_what_is_trained(monkeypatch):
    calls = []

    def compiled(function, **kwargs):
        if isinstance(function, torch.nn.Module):
            return function
        return lambda *values: calls.append(1) or function(*values)

    monkeypatch.setattr(torch, "compile", compiled)
    model = short(compile=True).fit(X, y)
    assert len(calls) > model.n_iter_
    assert_array_equal(model.predict(X), short().fit(X, y).predict(X))


def test_frozen_layers_stay():
    frozen = skorch_callbacks.Freezer("towers.0.*")
    model = short(callbacks=[frozen], max_iter=2).fit(X, y)
    start = short(max_iter=2, learning_rate_init=1e-30).fit(X, y)
    pairs = zip(
        model.net_.module_.towers[0].parameters(),
        start.net_.module_.towers[0].parameters(),
        strict=True,
    )
    assert all(torch.allclose(ours, first) for ours, first in pairs)
    assert model.score(X, y) != start.score(X, y)


@pytest.mark.parametrize("frame", [None, "pandas", "polars"])
def test_single_precision_beside_categories(frame):
    rows = X[:80].astype(np.float32)
    rows[:, 0] = rows[:, 0] > 0
    if frame is not None:
        names = [f"c{j}" for j in range(rows.shape[1])]
        rows = pytest.importorskip(frame).DataFrame(dict(zip(names, rows.T, strict=True)))
    model = short(categorical_features=[0]).fit(rows, y[:80])
    assert model.predict(rows).dtype == np.float32
