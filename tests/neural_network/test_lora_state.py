"""Copies, pickles and memory of an adapter: the base is there once, or not at all."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from sklearn_ext import FFNNClassifier, FFNNRegressor, LoRAAdapter, RNNClassifier  # noqa: E402
from sklearn_ext._torch.adapter_state import fingerprint  # noqa: E402
from sklearn_ext.neural_network import AdapterBank  # noqa: E402
from sklearn_ext.neural_network._adapter_fit import ADAPTATION, WATCHED  # noqa: E402

SHORT = {"max_iter": 3, "random_state": 0}
SMALL = {"hidden_layer_sizes": (32,), "n_members": 2, **SHORT}


def make_data(seed=0, n_rows=150):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    return X, np.sin(X[:, 0]) + X[:, 1] + seed


@pytest.fixture
def base():
    return FFNNRegressor(**SMALL).fit(*make_data())


def trained_bytes(adapter):
    parameters = adapter.estimator_.net_.module_.parameters()
    return sum(p.numel() * p.element_size() for p in parameters)


# Copies


def test_clone_and_deepcopy_copy_nothing_of_the_base(base):
    adapter = LoRAAdapter.from_fitted(base, **SHORT).fit(*make_data(1))
    shared = adapter.estimator
    for copied in (clone(adapter), copy.deepcopy(adapter), copy.copy(adapter)):
        assert copied.estimator is shared
    deep = copy.deepcopy(adapter)
    own = {p.data_ptr() for p in deep.estimator_.net_.module_.parameters()}
    assert not own & {p.data_ptr() for p in adapter.estimator_.net_.module_.parameters()}
    frozen = deep.estimator_.net_.module_.base.parameters()
    assert [p.data_ptr() for p in frozen] == [p.data_ptr() for p in base.net_.module_.parameters()]
    of_base = copy.deepcopy(base)  # asked for explicitly
    assert not {p.data_ptr() for p in of_base.net_.module_.parameters()} & {
        p.data_ptr() for p in base.net_.module_.parameters()
    }


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_copy_goes_its_own_way(base, method):
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, **SHORT).fit(X, y)
    expected = adapter.predict(X)
    deep = copy.deepcopy(adapter)
    assert_array_equal(deep.predict(X), expected)
    getattr(deep, method)(X, y + 5.0)
    assert_array_equal(adapter.predict(X), expected)


# Pickles


def test_the_base_is_in_a_pickle_once():
    X, y = make_data()
    base = FFNNRegressor(**{**SMALL, "hidden_layer_sizes": (256, 256), "max_iter": 1}).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, r=1, **SHORT).fit(X, y)
    size, of_base = len(pickle.dumps(adapter)), len(pickle.dumps(base))
    assert of_base < size < of_base + 1.1 * trained_bytes(adapter) + 4000
    restored = pickle.loads(pickle.dumps(adapter))
    assert_array_equal(restored.predict(X), adapter.predict(X))
    assert restored.loss_curve_ == adapter.loss_curve_
    assert restored.estimator_.get_params() == adapter.estimator_.get_params()
    assert_array_equal(clone(restored).fit(X, y).predict(X), adapter.predict(X))
    frozen, own = restored.estimator.estimator, restored.estimator_
    assert [p.data_ptr() for p in frozen.net_.module_.parameters()] == [
        p.data_ptr() for p in own.net_.module_.base.parameters()
    ]


@pytest.mark.parametrize("init", [True, "pissa"])
def test_a_pickle_without_the_base_holds_the_adapter_only(init):
    X, y = make_data(n_rows=400)
    base = FFNNRegressor(**{**SMALL, "hidden_layer_sizes": (256, 256)}).fit(X, y)
    adapter = LoRAAdapter.from_fitted(
        base, store_base=False, init_lora_weights=init, target_modules=["hidden.1"], **SHORT
    ).fit(X, y)
    data = pickle.dumps(adapter)
    assert len(data) < 1.1 * trained_bytes(adapter)
    restored = pickle.loads(data)
    for call in (restored.predict, restored.score, clone(restored).fit):
        with pytest.raises(NotFittedError, match=r"without its base.*FFNNReg.*attach_base"):
            call(X, *([] if call == restored.predict else [y]))
    same = pickle.loads(pickle.dumps(base))
    assert_array_equal(restored.attach_base(same).predict(X), adapter.predict(X))
    assert restored.estimator.estimator is same
    again = pickle.loads(pickle.dumps(restored)).attach_base(base)
    assert_array_equal(again.predict(X), adapter.predict(X))


def test_another_base_is_refused(base):
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, store_base=False, **SHORT).fit(X, y)
    restored = pickle.loads(pickle.dumps(adapter))
    other = FFNNRegressor(**{**SMALL, "random_state": 1}).fit(*make_data())
    with pytest.raises(ValueError, match=r"not the base.*fingerprint"):
        restored.attach_base(other)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        restored.attach_base(clone(base))
    assert_array_equal(restored.attach_base(base).predict(X), adapter.predict(X))
    with pytest.raises(ValueError, match="stored without its base"):
        restored.attach_base(base)


def test_a_base_of_other_labels_is_refused():
    X, y = make_data(1)
    words, numbers = (
        FFNNClassifier(**SMALL).fit(X, np.where(y > 0, *names)) for names in (("yes", "no"), (1, 0))
    )
    fields = {"store_base": False, **SHORT}
    stored = pickle.dumps(LoRAAdapter.from_fitted(words, **fields).fit(X, words.predict(X)))
    with pytest.raises(ValueError, match=r"classes are array\(\[0, 1\]\)"):
        pickle.loads(stored).attach_base(numbers)
    assert (
        pickle.loads(stored).attach_base(FrozenEstimator(words)).predict(X[:1])[0] in words.classes_
    )


def test_an_adapter_that_is_not_fitted_keeps_its_base(base):
    adapter = LoRAAdapter.from_fitted(base, store_base=False, **SHORT)
    restored = pickle.loads(pickle.dumps(adapter))
    X, y = make_data(1)
    assert_array_equal(restored.fit(X, y).predict(X), adapter.fit(X, y).predict(X))


def test_store_base_needs_a_frozen_base():
    with pytest.raises(ValueError, match="store_base=False needs a base that is there"):
        LoRAAdapter(FFNNRegressor(**SMALL), store_base=False).fit(*make_data())


def test_a_base_that_was_fitted_again_is_not_lost(base, tmp_path):
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, **SHORT).fit(X, y)
    expected = adapter.predict(X)
    base.fit(X, -y)
    assert_array_equal(adapter.predict(X), expected)
    assert_array_equal(pickle.loads(pickle.dumps(adapter)).predict(X), expected)
    with pytest.raises(ValueError, match="not any more what this adapter was fitted on"):
        pickle.dumps(adapter.set_params(store_base=False))
    with pytest.raises(ValueError, match="not any more what this adapter was fitted on"):
        adapter.save_adapter(tmp_path)  # it would have the fingerprint of another base


@pytest.mark.parametrize("quantization", [None, "int8"])
@pytest.mark.parametrize("other", ["weights", "sizes", "class", "not fitted"])
def test_fits_go_on_from_the_changes_of_their_own_base_only(base, quantization, other):
    X, y = make_data(1)
    others = {
        "weights": FrozenEstimator(FFNNRegressor(**{**SMALL, "random_state": 1}).fit(X, y)),
        "sizes": FrozenEstimator(FFNNRegressor(**SMALL | {"n_members": 1}).fit(X, y)),
        "class": FrozenEstimator(FFNNClassifier(**SMALL).fit(X, y > 0)),
        "not fitted": FFNNClassifier(**SMALL),
    }
    fields = {"quantization": quantization, "warm_start": True, "store_base": False, **SHORT}
    adapter = LoRAAdapter.from_fitted(base, **fields).fit(X, y)
    adapter = pickle.loads(pickle.dumps(adapter)).attach_base(pickle.loads(pickle.dumps(base)))
    frozen, expected = adapter.estimator, adapter.predict(X)
    adapter.set_params(estimator=others[other])
    for method in (adapter.fit, adapter.partial_fit):
        with pytest.raises(ValueError, match="goes on from changes of another base than est"):
            method(X, y)
    assert_array_equal(adapter.predict(X), expected)
    adapter.set_params(estimator=frozen).fit(X, y).partial_fit(X, y)
    adapter.set_params(estimator=others["weights"], warm_start=False).fit(X, y)


@pytest.mark.parametrize(
    ("how", "params"),
    [
        ("fit", {}),
        ("fit", {"solver": "sgd"}),
        ("fit", {"solver": "lbfgs"}),
        ("fit", {"early_stopping": True}),
        ("partial_fit", {}),
    ],
)
def test_a_base_that_was_trained_further_is_noticed(how, params, tmp_path):
    base = FFNNRegressor(warm_start=True, **{**SMALL, **params}).fit(*make_data())
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, **SHORT).fit(X, y)
    kept = copy.deepcopy(base)
    other = LoRAAdapter.from_fitted(kept, **SHORT).fit(X, y)
    expected = other.predict(X)
    getattr(base, how)(X, y)
    assert np.any(base.predict(X) != kept.predict(X))
    for store_base in (True, False):
        adapter.set_params(store_base=store_base)
        for method in (
            lambda: adapter.predict(X),
            lambda: adapter.set_params(warm_start=True).fit(X, y),
            lambda: adapter.save_adapter(tmp_path),
            lambda: pickle.dumps(adapter),
            lambda: copy.deepcopy(adapter),
            adapter.merge,
        ):
            with pytest.raises(ValueError, match=r"trained further.*warm_start=False"):
                method()
    assert not list(tmp_path.iterdir())
    assert_array_equal(other.predict(X), expected)
    assert np.all(np.isfinite(adapter.set_params(warm_start=False).fit(X, y).predict(X)))


def test_fingerprint_is_of_names_kinds_and_values():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)
    same = copy.deepcopy(layer)
    assert fingerprint(layer) == fingerprint(same) != fingerprint(same.double())
    renamed = torch.nn.Sequential(copy.deepcopy(layer))
    assert fingerprint(renamed) != fingerprint(layer)
    with torch.no_grad():
        layer.weight[0, 0] += 1e-7
    assert fingerprint(layer) != fingerprint(renamed[0])


# Searching over one base


def test_grid_search_over_rank_scale_targets_and_rate(base):
    X, y = make_data(1)
    grid = {
        "r": [1, 2],
        "lora_alpha": [2, 8],
        "target_modules": ["all-linear", ["output"]],
        "learning_rate_init": [0.001, 0.01],
    }
    adapter = LoRAAdapter.from_fitted(base, max_iter=1, random_state=0)
    search = GridSearchCV(adapter, grid, cv=2, error_score="raise").fit(X, y)
    best = search.best_estimator_
    assert best.estimator is adapter.estimator
    frozen = best.estimator_.net_.module_.base.parameters()
    pairs = zip(frozen, base.net_.module_.parameters(), strict=True)
    assert all(own.data_ptr() == other.data_ptr() for own, other in pairs)
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 16


def test_grid_search_in_other_processes(base):
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, store_base=False, max_iter=1, random_state=0)
    serial = GridSearchCV(adapter, {"r": [1, 2]}, cv=2).fit(X, y)
    parallel = GridSearchCV(adapter, {"r": [1, 2]}, cv=2, n_jobs=2).fit(X, y)
    name = "mean_test_score"
    assert_array_equal(parallel.cv_results_[name], serial.cv_results_[name])


# Streams of data


def test_partial_fit_goes_on(base):
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, random_state=0)
    scores = [adapter.partial_fit(X, y).score(X, y) for _ in range(8)]
    assert base.score(X, y) < scores[0] < scores[-1]
    assert adapter.n_iter_ == 8
    fresh = LoRAAdapter(FFNNRegressor(**SMALL), **SHORT)
    assert fresh.partial_fit(X, y).estimator_.predict(X[:1]).shape == (1,)
    first = fresh.score(X, y)
    assert fresh.partial_fit(X, y).score(X, y) > first
    assert_array_equal(fresh.partial_fit(X, y).n_features_in_, 4)


CHANGED = {
    "r": 16,
    "lora_alpha": 4,
    "lora_dropout": 0.5,
    "target_modules": ["output"],
    "use_rslora": True,
    "use_dora": True,
    "init_lora_weights": "gaussian",
    "modules_to_save": ["output"],
    "bias": "all",
    "loraplus_lr_ratio": 4.0,
    "quantization": "int8",
    "gradient_checkpointing": True,
}


@pytest.mark.parametrize("name", ADAPTATION)
@pytest.mark.parametrize("how", ["partial_fit", "warm_start=True"])
def test_going_on_with_other_changes_is_an_error(base, name, how):
    data = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, warm_start=how != "partial_fit", **SHORT).fit(*data)
    before, predicted = getattr(adapter, name), adapter.predict(data[0])
    go_on = adapter.partial_fit if how == "partial_fit" else adapter.fit
    adapter.set_params(**{name: CHANGED[name]})
    with pytest.raises(ValueError, match=rf"{how} goes on .* now {name}=.*warm_start=False"):
        go_on(*data)
    assert_array_equal(adapter.predict(data[0]), predicted)
    adapter.set_params(**{name: before})
    go_on(*data)


def test_the_same_changes_in_other_words_go_on(base):
    data = make_data(1)
    words = {"r": 4, "use_dora": False, "target_modules": ["output"]}
    others = {"r": np.int64(4), "use_dora": np.bool_(False), "target_modules": np.array(["output"])}
    adapter = LoRAAdapter.from_fitted(base, **words, **SHORT).fit(*data)
    adapter.set_params(**others).partial_fit(*data)
    assert adapter.loss_curve_ and adapter.estimator_._adaptation["r"] == 4


def test_partial_fit_of_classes_that_the_base_knows():
    X, y = make_data()
    labels = np.where(y > 0, "high", "low")
    base = FFNNClassifier(**SMALL).fit(X, labels)
    adapter = LoRAAdapter.from_fitted(base, **SHORT).partial_fit(X[:10], labels[:10])
    assert adapter.classes_.tolist() == ["high", "low"]
    before = adapter.predict_proba(X)
    with pytest.raises(ValueError, match="not in classes_"):
        adapter.partial_fit(X, np.where(y > 0, "up", "down"))
    assert_array_equal(adapter.predict_proba(X), before)
    few = np.flatnonzero(labels == "low")[:20]
    fresh = LoRAAdapter(FFNNClassifier(**SMALL), **SHORT)
    fresh.partial_fit(X[few], labels[few], classes=["low", "high"]).partial_fit(X, labels)
    assert fresh.classes_.tolist() == ["high", "low"]


def test_classes_are_for_classifiers(base):
    X, y = make_data(1)
    for adapter in (LoRAAdapter.from_fitted(base, **SHORT), LoRAAdapter(clone(base), **SHORT)):
        with pytest.raises(
            ValueError, match="are for classifiers, but the base is a FFNNRegressor"
        ):
            adapter.partial_fit(X, y, classes=[0, 1])


def test_going_on_with_another_new_base_is_an_error():
    X, y = make_data(1)
    adapter = LoRAAdapter(FFNNRegressor(**SMALL), warm_start=True, **SHORT).fit(X, y)
    adapter.set_params(estimator__verbose=False).fit(X, y)
    adapter.set_params(estimator__hidden_layer_sizes=(5,))
    for go_on in (adapter.fit, adapter.partial_fit):
        with pytest.raises(ValueError, match="goes on from changes of another base"):
            go_on(X, y)


def test_early_stopping_keeps_the_best_epoch(base):
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(
        base, early_stopping=True, max_iter=30, learning_rate_init=0.3, random_state=0
    ).fit(X, y)
    model = adapter.estimator_
    assert len(model.validation_loss_curve_) == adapter.n_iter_
    assert np.argmin(model.validation_loss_curve_) < adapter.n_iter_ - 1
    assert model.best_loss_ <= min(model.validation_loss_curve_)
    for name in WATCHED:
        assert getattr(adapter, name) == getattr(model, name)
        assert getattr(pickle.loads(pickle.dumps(adapter)), name) == getattr(model, name)
    assert adapter.partial_fit(X, y).validation_loss_curve_ is None


# Callbacks


def test_a_monitor_scores_every_epoch_of_the_adapter(base):
    X, y = make_data(1)
    monitor = ScoringMonitor(scoring="r2")
    adapter = LoRAAdapter.from_fitted(base, early_stopping=False, **SHORT)
    adapter.set_callbacks(monitor).fit(X, y)
    logs = monitor.get_logs()
    assert logs.estimator_name == "LoRAAdapter"
    scores = [row["r2"] for row in logs.data]
    assert len(scores) == 3
    assert scores[-1] == pytest.approx(adapter.score(X, y), rel=1e-4)
    assert scores[0] < scores[-1]


def test_a_monitor_scores_classes():
    X, y = make_data(1)
    labels = np.where(y > 0, "yes", "no")
    monitor = ScoringMonitor(scoring="accuracy")
    adapter = LoRAAdapter(FFNNClassifier(**SMALL), early_stopping=False, **SHORT)
    adapter.set_callbacks(monitor).fit(X, labels)
    assert monitor.get_logs().data[-1]["accuracy"] == pytest.approx(adapter.score(X, labels))


def test_a_monitor_of_a_new_base_scores_both_runs():
    X, y = make_data(1)
    monitor = ScoringMonitor(scoring="r2")
    adapter = LoRAAdapter(FFNNRegressor(**SMALL), early_stopping=False, **SHORT)
    adapter.set_callbacks(monitor).fit(X, y)
    assert len(monitor.get_logs().data) == 6
    assert not hasattr(adapter.estimator_, "_skl_callbacks")


class StopAfter:
    """Stop behind the second epoch; keep what was heard."""

    def __init__(self):
        self.heard = []

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.heard.append((type(estimator).__name__, context.task_name))
        return context.task_name == "epoch" and context.task_id == 1


def test_a_callback_can_end_the_run(base):
    X, y = make_data(1)
    callback = StopAfter()
    adapter = LoRAAdapter.from_fitted(base, max_iter=9, random_state=0).set_callbacks(callback)
    assert adapter.fit(X, y).n_iter_ == 2
    epochs = [("LoRAAdapter", "epoch")] * 2
    ends = [("LoRAAdapter", "adaptation"), ("LoRAAdapter", "fit")]
    assert callback.heard == ["setup", *epochs, *ends, "teardown"]


def test_progress_bar_is_propagated(base, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    adapter = LoRAAdapter.from_fitted(base, **SHORT).set_callbacks(ProgressBar())
    adapter.fit(*make_data(1))
    assert "LoRAAdapter" in capsys.readouterr().out


# Containers of what is transformed


@pytest.mark.parametrize("when", ["before", "after"])
def test_set_output_of_a_base_that_transforms(when):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 9, 2))
    y = np.where(X[:, -1, 0] > 0, "up", "down")
    base = RNNClassifier(hidden_size=4, stem_channels=0, **SHORT).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, **SHORT)
    if when == "before":
        assert isinstance(clone(adapter.set_output(transform="pandas")), LoRAAdapter)
        adapter = clone(adapter).fit(X, y)
    else:
        adapter.fit(X, y).set_output(transform="pandas")
    frame = adapter.transform(X)
    assert isinstance(frame, pandas.DataFrame)
    assert frame.columns.tolist() == adapter.get_feature_names_out().tolist()
    assert isinstance(base.transform(X), np.ndarray)
    assert not hasattr(LoRAAdapter(), "set_output")


def test_rows_seen_survive_pickling():
    base = FFNNRegressor(8, n_members=1, max_iter=3, random_state=0)
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40.0)
    base.fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, max_iter=3, random_state=0).fit(X, y)
    copied = pickle.loads(pickle.dumps(adapter))
    assert copied.estimator_.t_ == adapter.estimator_.t_ == base.t_


def test_classes_that_the_base_does_not_know():
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    base = FFNNClassifier(8, n_members=1, max_iter=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="the base knows"):
        LoRAAdapter.from_fitted(base).partial_fit(X, y, classes=[0, 1, 2])


def test_made_where_gradients_are_off(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40.0)
    base = FFNNRegressor(8, n_members=1, max_iter=3, random_state=0).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, max_iter=3, random_state=0).fit(X, y)
    with torch.inference_mode():
        inside = LoRAAdapter.from_fitted(base, max_iter=3, random_state=0).fit(X, y)
        copied, net = pickle.loads(pickle.dumps((inside, base)))
        adapter.save_adapter(tmp_path)
        loaded = LoRAAdapter.load_adapter(tmp_path, base, max_iter=3, random_state=0)
        merged, summed = inside.merge(), AdapterBank({"a": inside}).merge({"a": 1.0})
    for plain in (merged, summed):
        before = plain.predict(X)
        assert_allclose(before, adapter.predict(X), rtol=1e-6)
        assert np.any(plain.partial_fit(X, y).predict(X) != before)
    for other in (inside, copied, loaded):
        assert_array_equal(other.predict(X), adapter.predict(X))
        other.partial_fit(X, y)
    net.partial_fit(X, y)


@pytest.mark.parametrize("merge", [False, True])
def test_partial_fit_behind_partial_fit(merge):
    X, y = make_data()
    base = FFNNRegressor(**SMALL).partial_fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, r=2, **SHORT).partial_fit(X, y)
    before = adapter.predict(X)
    model = adapter.merge() if merge else adapter
    assert np.any(model.partial_fit(X, y).predict(X) != before)


def test_a_frozen_base_is_not_frozen_again(base):
    X, y = make_data(1)
    expected = LoRAAdapter.from_fitted(base, **SHORT).fit(X, y).predict(X)
    found = LoRAAdapter.from_fitted(FrozenEstimator(base), **SHORT).fit(X, y)
    assert_array_equal(found.predict(X), expected)


def test_skops_of_an_adapter_without_its_base(base):
    skops = pytest.importorskip("skops.io")
    X, y = make_data(1)
    adapter = LoRAAdapter.from_fitted(base, store_base=False, **SHORT).fit(X, y)
    stored = skops.dumps(adapter)
    found = skops.loads(stored, trusted=skops.get_untrusted_types(data=stored))
    assert get_tags(found) == get_tags(adapter)
    assert_array_equal(found.attach_base(base).predict(X), adapter.predict(X))
