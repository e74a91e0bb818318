"""The adapter around each of our nets: the base stays, the changes are the adapter's."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from sklearn_ext import (  # noqa: E402
    FFNNClassifier,
    FFNNRegressor,
    LoRAAdapter,
    RNNClassifier,
    RNNRegressor,
)
from sklearn_ext.inspection import gradient_flow  # noqa: E402

SHORT = {"max_iter": 3, "random_state": 0}


def make_table(seed=0, n_rows=150):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    return X, np.sin(X[:, 0]) + 0.5 * X[:, 1] + 0.1 * rng.normal(size=n_rows)


def make_sequences(seed=0, n_rows=90):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 12, 2)).cumsum(axis=1)
    return X, X[:, -1, 0] - X[:, 0, 1]


def labels(y):
    return np.where(y > np.median(y), "high", "low")


def make_case(name, seed=0):
    """Unfitted estimator, X and y."""
    table, sequences = make_table(seed), make_sequences(seed)
    nets = {"n_members": 2, "hidden_layer_sizes": (16,), **SHORT}
    cells = {"hidden_size": 8, "stem_channels": 8, **SHORT}
    return {
        "table numbers": (FFNNRegressor(**nets), *table),
        "table labels": (FFNNClassifier(**nets), table[0], labels(table[1])),
        "one member": (FFNNRegressor(**{**nets, "n_members": 1}), *table),
        "sequence numbers": (RNNRegressor(**cells), *sequences),
        "sequence labels": (RNNClassifier(**cells), sequences[0], labels(sequences[1])),
        "lstm": (RNNRegressor(**cells, cell="lstm", n_members=2, early_stopping=True), *sequences),
    }[name]


CASES = [
    "table numbers",
    "table labels",
    "one member",
    "sequence numbers",
    "sequence labels",
    "lstm",
]
every_case = pytest.mark.parametrize("case", CASES)


def fitted(case):
    base, X, y = make_case(case)
    return base.fit(X, y), X, y


def outputs(model, X):
    names = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
    return {name: getattr(model, name)(X) for name in names if hasattr(model, name)}


def assert_same(first, second, compare=assert_array_equal):
    assert first.keys() == second.keys()
    for name in first:
        compare(first[name], second[name])


def close(first, second):
    if first.dtype.kind == "f":
        assert_allclose(first, second, rtol=1e-9, atol=1e-9)
    else:
        assert_array_equal(first, second)


def shifted(case):
    """Data of the same kind from another law."""
    _, X, y = make_case(case, seed=1)
    if y.dtype.kind == "U":
        return X, np.where(y == "high", "low", "high")
    return X, 2.0 - 3.0 * y


# The base


@every_case
def test_the_base_keeps_every_bit_and_shares_its_memory(case):
    base, X, _ = fitted(case)
    before, expected = pickle.dumps(base), outputs(base, X)
    adapter = LoRAAdapter.from_fitted(base, r=2, **SHORT).fit(*shifted(case))
    assert pickle.dumps(base) == before
    assert_same(outputs(base, X), expected)
    shared = adapter.estimator_.net_.module_.base.parameters()
    pairs = zip(base.net_.module_.parameters(), shared, strict=True)
    assert all(own.data_ptr() == other.data_ptr() for own, other in pairs)


@every_case
def test_training_lowers_the_loss_on_the_new_data(case):
    base, _, _ = fitted(case)
    X, y = shifted(case)
    adapter = LoRAAdapter.from_fitted(base, max_iter=20, random_state=0, early_stopping=False)
    adapter.fit(X, y)
    assert adapter.loss_curve_[-1] < adapter.loss_curve_[0]
    assert len(adapter.loss_curve_) == adapter.n_iter_ == 20
    assert adapter.score(X, y) > base.score(X, y)


@every_case
def test_an_unfitted_base_is_cloned_and_fitted_first(case):
    base, X, y = make_case(case)
    adapter = LoRAAdapter(base, r=2, **SHORT).fit(X, y)
    with pytest.raises(NotFittedError):
        base.predict(X)
    by_hand = LoRAAdapter.from_fitted(clone(base).fit(X, y), r=2, **SHORT).fit(X, y)
    assert_same(outputs(adapter, X), outputs(by_hand, X))


def test_the_default_base_is_a_regressor_with_the_seed_of_the_adapter():
    X, y = make_table()
    adapter = LoRAAdapter(**SHORT).fit(X, y)
    base = FFNNRegressor(random_state=0)
    assert_array_equal(adapter.predict(X), LoRAAdapter(base, **SHORT).fit(X, y).predict(X))
    assert adapter.estimator_.get_params() == base.get_params()


# Copies


@every_case
def test_clones_share_the_base_and_start_from_it(case):
    base, _, _ = fitted(case)
    X, y = shifted(case)
    adapter = LoRAAdapter.from_fitted(base, r=2, **SHORT).fit(X, y)
    expected = outputs(adapter, X)
    cloned = clone(adapter)
    assert cloned.estimator.estimator is base
    with pytest.raises(NotFittedError):
        cloned.predict(X)
    assert_same(outputs(cloned.fit(X, y), X), expected)
    assert_same(outputs(adapter.fit(X, y), X), expected)  # not from where it was


@every_case
def test_round_trips_are_bitwise(case):
    base, _, _ = fitted(case)
    X, y = shifted(case)
    adapter = LoRAAdapter.from_fitted(base, r=2, init_lora_weights="pissa", **SHORT)
    expected = outputs(adapter.fit(X, y), X)
    assert_same(outputs(pickle.loads(pickle.dumps(adapter)), X), expected)
    assert_same(outputs(copy.deepcopy(adapter), X), expected)
    assert_same(outputs(copy.copy(adapter), X), expected)


@every_case
@pytest.mark.parametrize("settings", [{}, {"use_dora": True}, {"bias": "all"}])
def test_merged_estimator_is_plain_and_predicts_the_same(case, settings):
    base, _, _ = fitted(case)
    X, y = shifted(case)
    adapter = LoRAAdapter.from_fitted(base, r=2, **settings, **SHORT).fit(X, y)
    merged = adapter.merge()
    assert type(merged) is type(base)
    assert type(merged.net_.module_) is type(base.net_.module_)
    assert merged.get_params() == base.get_params()
    assert merged.n_parameters_ == base.n_parameters_
    assert_same(outputs(merged, X), outputs(adapter, X), close)
    assert_same(outputs(pickle.loads(pickle.dumps(merged)), X), outputs(merged, X))
    assert_same(outputs(adapter, X), outputs(adapter.estimator_, X))


def test_a_frozen_adapter_is_a_base():
    base, X, y = fitted("table numbers")
    first = LoRAAdapter.from_fitted(base, r=2, **SHORT).fit(*shifted("table numbers"))
    expected = first.predict(X)
    second = LoRAAdapter.from_fitted(first, r=1, **SHORT).fit(X, y)
    of_merged = LoRAAdapter.from_fitted(first.merge(), r=1, **SHORT).fit(X, y)
    assert_array_equal(second.predict(X), of_merged.predict(X))
    assert_array_equal(first.predict(X), expected)


def test_fitting_the_adapted_estimator_itself_is_a_plain_fit():
    base, X, y = fitted("table numbers")
    adapter = LoRAAdapter.from_fitted(base, r=2, **SHORT).fit(*shifted("table numbers"))
    assert_array_equal(adapter.estimator_.fit(X, y).predict(X), base.predict(X))


# Searching


def test_grid_search_leaks_nothing():
    base, X_base, y_base = fitted("table numbers")
    # Linear members may have the whole weight in the mean, and no hidden layers.
    base = clone(base).set_params(blend_linear=False).fit(X_base, y_base)
    X, y = shifted("table numbers")
    adapter = LoRAAdapter.from_fitted(base, **SHORT)
    fresh = cross_val_score(adapter, X, y, cv=3)
    adapter.fit(X, y)
    assert_array_equal(cross_val_score(adapter, X, y, cv=3), fresh)
    grid = {"r": [1, 4], "target_modules": ["all-linear", ["hidden"]], "lora_alpha": [4, 16]}
    search = GridSearchCV(adapter, grid, cv=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(np.unique(scores)) == 8
    again = GridSearchCV(clone(adapter), grid, cv=2).fit(X, y).cv_results_["mean_test_score"]
    assert_array_equal(again, scores)


@pytest.mark.parametrize(
    "setting",
    [
        {"r": 3},
        {"lora_alpha": 3},
        {"lora_dropout": 0.5},
        {"target_modules": ["hidden"]},
        {"use_rslora": True},
        {"use_dora": True},
        {"init_lora_weights": "gaussian"},
        {"modules_to_save": ["output"]},
        {"bias": "lora_only"},
        {"loraplus_lr_ratio": 8.0},
        {"alpha": 1.0},
        {"batch_size": 16},
        {"learning_rate_init": 0.01},
        {"max_iter": 4},
        {"early_stopping": False},
        {"validation_fraction": 0.5},
        {"random_state": 1},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_every_parameter_changes_the_fit(setting):
    base, _, _ = fitted("table numbers")
    X, y = shifted("table numbers")
    plain = LoRAAdapter.from_fitted(base, **SHORT).fit(X, y)
    changed = LoRAAdapter.from_fitted(base, **(SHORT | setting)).fit(X, y)
    assert np.any(changed.predict(X) != plain.predict(X))


def test_lora_plus_moves_only_b_faster():
    base, _, _ = fitted("table numbers")
    adapter = LoRAAdapter.from_fitted(base, loraplus_lr_ratio=4.0, bias="all", **SHORT)
    adapter.fit(*shifted("table numbers"))
    steps, net = {}, adapter.estimator_.net_
    name_of = {id(parameter): name for name, parameter in net.module_.named_parameters()}
    for group in net.optimizer_.param_groups:
        for parameter in group["params"]:
            steps[name_of[id(parameter)]] = group["lr"]
    of_b = {rate for name, rate in steps.items() if name.endswith("weight_B")}
    others = {rate for name, rate in steps.items() if not name.endswith("weight_B")}
    assert len(of_b) == len(others) == 1
    assert of_b.pop() == pytest.approx(4.0 * others.pop())


def test_numbers_of_parameters():
    base, X, y = fitted("one member")
    adapter = LoRAAdapter.from_fitted(base, r=2, target_modules=["hidden"], **SHORT).fit(X, y)
    n_outputs, n_inputs = base.net_.module_.towers[0].hidden[0].weight.shape
    assert adapter.n_trainable_params_ == 2 * (n_outputs + n_inputs)
    whole = base.n_parameters_ + adapter.n_trainable_params_
    assert adapter.trainable_fraction_ == adapter.n_trainable_params_ / whole
    saved = LoRAAdapter.from_fitted(
        base, r=2, target_modules=["hidden"], modules_to_save=["output"], **SHORT
    ).fit(X, y)
    assert saved.n_trainable_params_ == adapter.n_trainable_params_ + 16 + 1


# What the base can do


def test_the_adapter_is_what_its_base_is():
    assert is_regressor(LoRAAdapter())
    assert is_classifier(LoRAAdapter(FFNNClassifier()))
    assert get_tags(LoRAAdapter(RNNRegressor())).input_tags.three_d_array
    assert not hasattr(LoRAAdapter(), "predict_proba")
    assert not hasattr(LoRAAdapter(), "transform")
    assert hasattr(LoRAAdapter(FFNNClassifier()), "predict_proba")
    assert hasattr(LoRAAdapter(FrozenEstimator(RNNClassifier())), "stream")


def test_methods_of_the_base():
    base, X, y = fitted("table numbers")
    adapter = LoRAAdapter.from_fitted(base, **SHORT).fit(X, y)
    mean, std = adapter.predict(X, return_std=True)
    assert_array_equal(mean, adapter.predict(X))
    assert std.shape == mean.shape
    X, y = make_sequences()
    recurrent = RNNClassifier(hidden_size=8, bidirectional=False, **SHORT).fit(X, labels(y))
    adapter = LoRAAdapter.from_fitted(recurrent, **SHORT).fit(*shifted("sequence labels"))
    assert adapter.classes_.tolist() == ["high", "low"]
    assert_array_equal(
        clone(adapter).fit_transform(*shifted("sequence labels")),
        adapter.transform(shifted("sequence labels")[0]),
    )
    assert len(adapter.get_feature_names_out()) == adapter.transform(X).shape[1]
    stream = adapter.stream().update(X[:, :5]).update(X[:, 5:])
    assert_allclose(stream.predict_proba(), adapter.predict_proba(X))
    assert np.any(adapter.predict_proba(X) != recurrent.predict_proba(X))


def test_gradient_flow_sees_the_changed_weights():
    base, X, y = fitted("sequence numbers")
    adapter = LoRAAdapter.from_fitted(base, **SHORT).fit(*shifted("sequence numbers"))
    adapted = gradient_flow(adapter.estimator_, X, y)
    merged = gradient_flow(adapter.merge(), X, y)
    before = gradient_flow(base, X, y)
    for name, norms in adapted.norms.items():
        assert_allclose(norms, merged.norms[name])
        assert np.any(norms != before.norms[name])


def test_warm_start_goes_on_from_the_changes():
    base, _, _ = fitted("table numbers")
    X, y = shifted("table numbers")
    adapter = LoRAAdapter.from_fitted(base, warm_start=True, max_iter=10, random_state=0).fit(X, y)
    first = adapter.score(X, y)
    assert adapter.fit(X, y).score(X, y) > first


def test_a_rate_of_b_needs_a_solver_with_rates():
    X, y = make_table()
    base = FFNNRegressor((8,), n_members=1, solver="lbfgs", max_iter=5, random_state=0).fit(X, y)
    adapter = LoRAAdapter.from_fitted(base, loraplus_lr_ratio=4.0, **SHORT)
    with pytest.raises(ValueError, match=r"loraplus_lr_ratio=4\.0 is a ratio.*L-BFGS"):
        adapter.fit(X, y)
    adapter.set_params(loraplus_lr_ratio=None).fit(X, y)


def test_validation_set_and_weights_reach_the_net():
    base, _, _ = fitted("table numbers")
    X, y = shifted("table numbers")
    adapter = LoRAAdapter.from_fitted(base, **SHORT)
    watched = clone(adapter).fit(X[:100], y[:100], validation_set=(X[100:], y[100:]))
    assert len(watched.estimator_.validation_loss_curve_) == 3
    weight = np.linspace(0.1, 2.0, len(y))
    weighted = clone(adapter).fit(X, y, sample_weight=weight)
    assert np.any(weighted.predict(X) != adapter.fit(X, y).predict(X))


def test_weight_two_is_the_row_twice():
    base, _, _ = fitted("table numbers")
    X, y = (part[:20] for part in shifted("table numbers"))
    weight = np.arange(20) % 3
    adapter = LoRAAdapter.from_fitted(base, lora_dropout=0.2, **SHORT)
    weighted = clone(adapter).fit(X, y, sample_weight=weight)
    repeated = clone(adapter).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9)


# Errors


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"estimator": Ridge()}, TypeError, "estimator must be a net.*got Ridge"),
        (
            {"estimator": FrozenEstimator(make_pipeline(StandardScaler(), FFNNRegressor()))},
            TypeError,
            "estimator is a Pipeline. Put the adapter in the place of its last step",
        ),
        ({"estimator": FrozenEstimator(FFNNRegressor())}, NotFittedError, "not fitted"),
        ({"r": 0}, ValueError, "'r' parameter"),
        ({"r": True}, ValueError, "r=True is no rank"),
        ({"lora_alpha": 0}, ValueError, "'lora_alpha' parameter"),
        ({"bias": "some"}, ValueError, "'bias' parameter"),
        ({"init_lora_weights": False}, ValueError, "init_lora_weights=False"),
        ({"target_modules": ["query"]}, ValueError, "'query' in target_modules.*towers.0.hidden"),
    ],
)
def test_errors_leave_nothing_behind(params, error, message):
    X, y = make_table(n_rows=30)
    adapter = LoRAAdapter(**(SHORT | params))
    before = set(vars(adapter))
    with pytest.raises(error, match=message):
        adapter.fit(X, y)
    assert set(vars(adapter)) == before


def test_data_of_another_form_than_the_base_knows():
    base, X, y = fitted("table labels")
    adapter = LoRAAdapter.from_fitted(base, **SHORT)
    with pytest.raises(ValueError, match="X has 3 features, but FFNNClassifier is expecting 4"):
        adapter.fit(X[:, :3], y)
    with pytest.raises(ValueError, match=r"'middle'.*not in classes_: \['high', 'low'\]"):
        adapter.fit(X, np.where(y == "high", "middle", y))


def test_from_fitted_needs_a_fitted_estimator():
    with pytest.raises(NotFittedError):
        LoRAAdapter.from_fitted(FFNNRegressor())


@parametrize_with_checks([LoRAAdapter(FFNNClassifier(n_members=2))])
def test_sklearn_check_of_an_adapted_classifier(estimator, check):
    check(estimator)


# Of dynamo itself.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_base_that_is_compiled_is_adapted_as_one_that_is_not(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    (X, y), found = make_table(), []
    for compiles in (False, True):
        base = make_case("table numbers")[0].set_params(compile=compiles).fit(X, y)
        adapter = LoRAAdapter.from_fitted(base, **SHORT).fit(*shifted("table numbers"))
        adapted = adapter.estimator_.net_.module_
        again = pickle.loads(pickle.dumps(adapter)).predict(X)
        merged, goes_on = adapter.merge(), adapter.estimator_.partial_fit(X, y)
        found.append(
            (again, merged.predict(X), goes_on.predict(X), list(dict(adapted.named_parameters())))
        )
    for plain, of_compiled in zip(*found, strict=True):
        assert_array_equal(of_compiled, plain)
