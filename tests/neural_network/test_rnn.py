"""Laws of the recurrent estimators."""

import pickle
import warnings
from itertools import product

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_ext import RNNClassifier, RNNRegressor
from sklearn_ext.datasets import make_first_token_recall
from sklearn_ext.inspection import gradient_flow

torch = pytest.importorskip("torch")

CELLS = ("mingru", "gru", "lstm", "rnn")
POOLINGS = ("last", "mean", "max", "attention")
SHORT = {"max_iter": 3, "hidden_size": 8, "stem_channels": 16, "random_state": 0}

rng = np.random.default_rng(0)
RAGGED = [rng.normal(size=(n, 2)) for n in rng.integers(3, 40, size=90)]
WAVES = [np.sin(np.arange(len(steps)) * (1 + i % 2)) for i, steps in enumerate(RAGGED)]
X = [np.c_[steps[:, 0], wave] for steps, wave in zip(RAGGED, WAVES, strict=True)]
y = np.array(["slow", "fast"])[np.arange(90) % 2]
levels = np.array([steps[:, 0].mean() for steps in X])
EVEN = rng.normal(size=(90, 20, 2))


def short(**parameters):
    return RNNClassifier(**{**SHORT, **parameters})


def padded(sequences, longest):
    tensor = np.full((len(sequences), longest, sequences[0].shape[1]), np.nan)
    for row, steps in zip(tensor, sequences, strict=True):
        row[: len(steps)] = steps
    return tensor


# Padding changes nothing


@pytest.mark.parametrize(("cell", "bidirectional"), list(product(CELLS, [False, True])))
@pytest.mark.parametrize("pooling", [*POOLINGS, ("max", "last")])
def test_batch_equals_one_by_one(cell, bidirectional, pooling):
    model = short(cell=cell, bidirectional=bidirectional, pooling=pooling, num_layers=2).fit(X, y)
    together, some = model.predict_proba(X), X[::4]
    alone = np.vstack([model.predict_proba([steps]) for steps in some])
    assert_allclose(together[::4], alone, rtol=1e-12)
    assert_allclose(model.predict_proba(padded(X, 100)), together, rtol=1e-12)
    assert_allclose(
        model.transform(X)[::4], np.vstack([model.transform([steps]) for steps in some]), atol=1e-12
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("settings", [{"stem_channels": 0}, {"max_steps": 7}])
def test_batch_equals_one_by_one_with_and_without_stem(cell, settings):
    model = short(cell=cell, **settings).fit(X, y)
    alone = np.vstack([model.predict_proba([steps]) for steps in X[::4]])
    assert_allclose(model.predict_proba(X)[::4], alone, rtol=1e-12)


def test_single_precision_is_kept_to_its_rounding():
    single = [steps.astype(np.float32) for steps in X]
    model = short().fit(single, y)
    found = model.predict_proba(single)
    assert found.dtype == np.float32
    alone = np.vstack([model.predict_proba([steps]) for steps in single])
    assert_allclose(found, alone, rtol=2e-5)


def test_order_of_the_rows_does_not_matter():
    model = short().fit(X, y)
    assert_allclose(model.predict_proba(X[::-1])[::-1], model.predict_proba(X), rtol=1e-12)


def test_large_inputs_are_predicted_in_parts(monkeypatch):
    model = short().fit(X, y)
    whole = model.predict_proba(X), model.transform(X)
    monkeypatch.setattr("sklearn_ext.neural_network._sequential.STEPS_AT_ONCE", 50)
    sizes = [len(part) for part in model._prediction_parts(model._read_rows(X, reset=False))]
    assert len(sizes) > 20
    assert sum(sizes) == len(X)
    assert_allclose(model.predict_proba(X), whole[0], rtol=1e-12)
    assert_allclose(model.transform(X), whole[1], atol=1e-12)


# Forms of input


def test_all_forms_of_the_same_sequences_give_the_same():
    even = [steps[:3, :1] for steps in X]
    forms = {
        "matrix": np.stack([steps[:, 0] for steps in even]),
        "tensor": np.stack(even),
        "list": even,
        "flat list": [steps[:, 0] for steps in even],
    }
    found = {name: short().fit(form, y).predict_proba(form) for name, form in forms.items()}
    for name, probability in found.items():
        assert_array_equal(probability, found["tensor"], err_msg=name)
    first = short(axis_order="channels_first")
    channels_first = np.swapaxes(forms["tensor"], 1, 2)
    assert_array_equal(first.fit(channels_first, y).predict_proba(channels_first), found["tensor"])


def test_lengths_may_differ_from_those_of_fit():
    model = short().fit([steps[:20] for steps in X], y)
    assert model.predict([np.zeros((300, 2)), np.zeros((1, 2))]).shape == (2,)
    with pytest.raises(ValueError, match="3 channels, but RNNClassifier is expecting 2"):
        model.predict([np.zeros((5, 3))])
    assert model.n_channels_ == model.n_features_in_ == 2


def test_scale_of_the_channels_does_not_matter():
    moved = [steps * [1e-6, 1e5] + [3.0, -1e5] for steps in X]
    assert_allclose(
        short().fit(moved, y).predict_proba(moved), short().fit(X, y).predict_proba(X), rtol=1e-3
    )


def test_a_channel_far_from_zero_is_seen():
    far = np.random.default_rng(0).normal(size=(20, 9, 1)) + 2.0**37
    model = RNNClassifier(max_iter=1, random_state=0).fit(far, np.arange(20) % 2)
    near = clone(model).fit(far - 2.0**37, np.arange(20) % 2)
    assert_allclose(model.predict_proba(far), near.predict_proba(far - 2.0**37), atol=1e-4)


def test_constant_channels_are_harmless():
    constant = np.concatenate([EVEN, np.full((90, 20, 1), 1e8)], axis=2)
    assert np.all(np.isfinite(short().fit(constant, y).predict_proba(constant)))
    assert np.all(np.isfinite(short().fit(np.ones((90, 4, 1)), y).predict_proba(EVEN[..., :1])))


# Learning


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_in_its_default_number_of_steps(cell):
    settings = {"cell": cell, "hidden_size": 16, "stem_channels": 0, "n_members": 1}
    short_ones = [steps[:15] for steps in X]
    means = np.array([steps[:, 0].mean() for steps in short_ones])
    model = RNNClassifier(**settings, random_state=0).fit(short_ones[:60], y[:60])
    assert model.score(short_ones[60:], y[60:]) > 0.9
    model = RNNRegressor(**settings, random_state=0).fit(short_ones[:60], means[:60])
    assert model.score(short_ones[60:], means[60:]) > 0.7


def test_products_over_a_few_steps_are_learned():
    draws = np.random.default_rng(0).normal(size=(700, 5))
    product_of_two = draws[:, 0] * draws[:, 2]
    model = RNNRegressor(random_state=0, n_members=1).fit(draws[:500], product_of_two[:500])
    assert model.score(draws[500:], product_of_two[500:]) > 0.8


@pytest.mark.parametrize("cell", ["mingru", "gru", "lstm"])
def test_gates_remember_the_first_token(cell):
    tokens, first = make_first_token_recall(800, 60, n_classes=4, random_state=0)
    model = RNNClassifier(
        cell=cell,
        bidirectional=False,
        pooling="last",
        stem_channels=0,
        hidden_size=64,
        n_members=1,
        batch_size=64,
        max_iter=20,
        random_state=0,
    ).fit(tokens[:600], first[:600])
    assert model.score(tokens[600:], first[600:]) > 0.95


def test_several_targets_and_labels():
    targets = np.c_[levels, -levels]
    assert RNNRegressor(**SHORT).fit(X, targets).predict(X).shape == (90, 2)
    labels = np.c_[y == "slow", levels > 0].astype(int)
    model = short().fit(X, labels)
    assert model.predict(X).shape == model.predict_proba(X).shape == (90, 2)
    quantiles = RNNRegressor(loss="quantile", quantile=[0.1, 0.9], **SHORT).fit(X, levels)
    low, high = quantiles.predict(X).T
    assert np.all(low <= high)
    mean, std = RNNRegressor(n_members=3, **SHORT).fit(X, levels).predict(X, return_std=True)
    assert mean.shape == std.shape == (90,)


@pytest.mark.parametrize("settings", [{}, {"batch_size": 7}, {"early_stopping": True}])
def test_weight_counts_repetitions_and_order_does_not_matter(settings):
    weight = np.arange(90) % 4.0
    repeated = [X[i] for i in np.repeat(np.arange(90), weight.astype(int))]
    model = short(dropout=0.3, num_layers=2, **settings)
    weighted = model.fit(X, y, sample_weight=weight).predict_proba(X)
    labels = np.repeat(y, weight.astype(int))
    assert_array_equal(model.fit(repeated, labels).predict_proba(X), weighted)
    assert_array_equal(model.fit(repeated[::-1], labels[::-1]).predict_proba(X), weighted)


def test_batches_in_the_given_order_if_that_is_asked_for():
    model = short(shuffle=False, batch_size=30, max_iter=1, dropout=0.0)
    ahead, back = (model.fit(X[::way], y[::way]).predict_proba(X) for way in (1, -1))
    assert not np.array_equal(ahead, back)


def test_class_weight_is_a_sample_weight():
    by_class = short(class_weight={"slow": 3.0, "fast": 1.0}).fit(X, y)
    by_row = short().fit(X, y, sample_weight=np.where(y == "slow", 3.0, 1.0))
    assert_allclose(by_class.predict_proba(X), by_row.predict_proba(X), rtol=1e-5)


def test_members_hold_out_sequences_and_stop_early():
    model = short(n_members=3, early_stopping=True, max_iter=8).fit(X, y)
    assert len(model.validation_scores_) == model.n_iter_
    assert model.transform(X).shape == (90, 3 * 3 * (16 + 16))
    own = short().fit(X[:60], y[:60], validation_set=(X[60:], y[60:]))
    assert own.best_loss_ == pytest.approx(min(own.validation_loss_curve_))


def test_accumulation_changes_nothing():
    whole = short(dropout=0.0, precision="float64").fit(X, y).predict_proba(X)
    cut = short(dropout=0.0, precision="float64", gradient_accumulation_steps=3)
    assert_allclose(cut.fit(X, y).predict_proba(X), whole, rtol=1e-6)


def test_partial_fit_and_warm_start_go_on():
    model = short(warm_start=True).fit(X, y)
    first = model.loss_
    assert model.fit(X, y).loss_ < first
    stream = short()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        stream.partial_fit(X, y)
    stream.partial_fit(X, y, classes=["fast", "slow"])
    first = stream.net_.module_.nets[0].output.weight.detach().clone()
    stream.partial_fit(X[:9], y[:9])
    assert torch.any(stream.net_.module_.nets[0].output.weight != first)


# Streams


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("settings", [{}, {"stem_channels": 0}, {"max_steps": 4}])
def test_stream_equals_the_full_pass_on_every_prefix(cell, settings):
    model = short(
        cell=cell, bidirectional=False, num_layers=2, pooling=POOLINGS, n_members=2, **settings
    ).fit(EVEN, y)
    stream, end = model.stream(), 0
    for n_new in (1, 2, 1, 5, 11):
        stream.update(EVEN[:, end : end + n_new])
        end += n_new
        prefix = EVEN[:, :end]
        assert_allclose(stream.predict_proba(), model.predict_proba(prefix), rtol=1e-10)
        assert_array_equal(stream.predict(), model.predict(prefix))
    assert stream.n_timesteps_ == 20


@pytest.mark.parametrize("cell", CELLS)
def test_one_sequence_of_one_step_is_no_special_case(cell):
    model = short(cell=cell, bidirectional=False, pooling=POOLINGS).fit(EVEN, y)
    weights = {name: value.clone() for name, value in model.net_.module_.state_dict().items()}
    expected = model.predict_proba([EVEN[0, :t] for t in range(1, 21)])
    stream = model.stream()
    for t in range(20):
        found = stream.update(EVEN[:1, t : t + 1]).predict_proba()
        assert_allclose(found, expected[t : t + 1], rtol=1e-10)
        assert_allclose(model.predict_proba(EVEN[:1, : t + 1]), found, rtol=1e-10)
    for name, value in model.net_.module_.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_stream_of_numbers_and_its_errors():
    model = RNNRegressor(bidirectional=False, **SHORT).fit(EVEN, levels)
    stream = model.stream()
    with pytest.raises(ValueError, match="seen no steps yet"):
        stream.predict()
    stream.update(EVEN[:7, :5])
    assert_allclose(stream.predict(), model.predict(EVEN[:7, :5]), rtol=1e-10)
    assert not hasattr(stream, "predict_proba")
    with pytest.raises(ValueError, match="X has 3 sequences, but this stream follows 7"):
        stream.update(EVEN[:3, :5])
    with pytest.raises(ValueError, match="X has 1 channels"):
        stream.update(EVEN[:7, :5, 0])
    with pytest.raises(ValueError, match="equally many steps"):
        stream.update(X[:7])
    with pytest.raises(ValueError, match="bidirectional=False"):
        RNNRegressor(**SHORT).fit(EVEN, levels).stream()
    with pytest.raises(NotFittedError):
        RNNRegressor().stream()


# The gradient of the states


@pytest.mark.parametrize("cell", CELLS)
def test_state_gradients_are_those_of_moved_states(cell):
    settings = {"bidirectional": False, "pooling": "last", "stem_channels": 0, "dropout": 0.0}
    model = short(cell=cell, n_members=1, **settings).fit(EVEN, y)
    net, (layer,) = model.net_.module_.nets[0], model.net_.module_.nets[0].recurrence.ahead
    values = model.net_.module_.scaled(torch.from_numpy(EVEN))
    targets, loss = torch.from_numpy(model._encode_target(y == model.classes_[1])), None
    loss = model._build_loss()
    norms = gradient_flow(model, EVEN, y).norms["layer 1"]
    # Differentiate by a state in the middle, behind the fused walk up to it.
    _, state = layer(values[:15], layer.initial_state(values))
    hidden = state[0].detach().requires_grad_()
    outputs, _ = layer(values[15:], (hidden, *(part.detach() for part in state[1:])))
    total = loss(net.output(outputs[-1]), targets).mean()
    (gradient,) = torch.autograd.grad(total, hidden)
    assert_allclose(norms[5], float(gradient.norm()), rtol=1e-8)
    assert norms.shape == (20,)


def test_gradients_before_training_are_those_of_the_first_weights():
    settings = {"bidirectional": True, "num_layers": 2, "learning_rate_init": 1e-30}
    model = short(**settings)
    before = gradient_flow(model, X, y, initial=True)
    assert not hasattr(model, "net_")
    after = gradient_flow(model.fit(X, y), X, y)
    assert list(after.norms) == ["layer 1 ahead", "layer 1 back", "layer 2 ahead", "layer 2 back"]
    for name, norms in before.norms.items():
        assert_allclose(norms, after.norms[name], rtol=1e-5)


def test_chrono_gates_reach_far_and_the_start_of_torch_does_not():
    tokens, first = make_first_token_recall(30, 100, random_state=0)
    settings = {"bidirectional": False, "pooling": "last", "stem_channels": 0, "random_state": 0}
    for cell in ("mingru", "gru", "lstm"):
        chrono = RNNClassifier(cell=cell, **settings)
        plain = clone(chrono).set_params(recurrent_init="uniform", gate_bias=0.0)
        assert gradient_flow(chrono, tokens, first, initial=True).memory_length > 30
        assert gradient_flow(plain, tokens, first, initial=True).memory_length < 4


@pytest.mark.parametrize("spread", ["uniform", "geometric"])
def test_memory_is_not_the_share_of_long_sequences(spread):
    generator = np.random.default_rng(0)
    lengths = {
        "uniform": generator.integers(1, 51, 99),
        "geometric": np.minimum(50, generator.geometric(0.1, 99)),
    }[spread]
    kinds = {"n_classes": 2, "n_distractors": 2}
    tokens, first = make_first_token_recall(100, 50, **kinds, random_state=0)
    ragged = [steps[:length] for steps, length in zip(tokens, [50, *lengths], strict=True)]
    settings = {"bidirectional": False, "pooling": "last", "stem_channels": 0, "random_state": 0}
    model = RNNClassifier(cell="lstm", gate_bias=1.0, **settings)
    even = gradient_flow(model, tokens, first, initial=True)
    uneven = gradient_flow(model, ragged, first, initial=True)
    assert_allclose(uneven.memory_length, even.memory_length, rtol=0.15)


def test_gradient_flow_counts_steps_of_the_sequences():
    flow = gradient_flow(short(max_steps=7), X, y, initial=True)
    longest = max(map(len, X))
    assert flow.n_timesteps == longest
    assert flow.steps_between_states == np.ceil(longest / 7)
    n_states = np.ceil(longest / flow.steps_between_states)
    assert {len(norms) for norms in flow.norms.values()} == {n_states}


def test_parameters_are_checked_before_gradients_are_measured():
    with pytest.raises(ValueError, match="'cell' parameter of RNNClassifier"):
        gradient_flow(RNNClassifier(cell="GRU"), X, y, initial=True)


# In company


def fitted_probability(cell, n_rows):
    return short(cell=cell, n_members=2).fit(X[:n_rows], y[:n_rows]).predict_proba(X)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("n_rows", [40, 90])
def test_same_bits_in_threads_and_processes(cell, n_rows):
    alone = fitted_probability(cell, n_rows)
    for options in ({"prefer": "threads"}, {"backend": "loky"}):
        both = Parallel(2, **options)(delayed(fitted_probability)(cell, n_rows) for _ in range(2))
        for found in both:
            assert_array_equal(found, alone)


@pytest.mark.parametrize("cell", CELLS)
def test_global_state_of_torch_is_left_alone(cell):
    torch.manual_seed(5)
    before = torch.get_rng_state().clone(), torch.get_num_threads(), list(warnings.filters)
    short(cell=cell, recurrent_init="uniform").fit(X, y).predict(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), list(warnings.filters)) == before[1:]


@pytest.mark.parametrize("cell", CELLS)
def test_round_trip_of_ragged_input_is_bitwise(cell):
    model = short(cell=cell, num_layers=2, n_members=2).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    # What was fitted counts, not what parameters say afterwards.
    model.set_params(hidden_size=99, cell="rnn")
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_state_holds_no_torch_object():
    state = short().fit(X, y).__getstate__()
    kinds = {type(value).__module__.partition(".")[0] for value in state.values()}
    assert not kinds & {"torch", "skorch", "sklearn_ext"}


def test_grid_search_over_ragged_input_and_pooled_states_in_a_pipeline():
    search = GridSearchCV(short(), {"cell": ["mingru", "rnn"]}, cv=2).fit(X, y)
    assert set(search.cv_results_["param_cell"]) == {"mingru", "rnn"}
    pipeline = make_pipeline(short(max_iter=20), LogisticRegression(max_iter=1000)).fit(X, y)
    assert pipeline.score(X, y) > 0.9


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match=r"pooling must be one of .* got \('mean', 'sum'\)"):
        short(pooling=("mean", "sum")).fit(X, y)
    with pytest.raises(ValueError, match="pooling must be one of"):
        short(pooling=()).fit(X, y)
    with pytest.raises(ValueError, match="'cell' parameter of RNNClassifier must be"):
        short(cell="lru").fit(X, y)
    model = short()
    with pytest.raises(ValueError, match="sample 2, step 1"):
        model.fit([np.zeros(3), np.zeros(3), np.array([0.0, np.nan, 1.0])], [0, 1, 0])
    assert not hasattr(model, "n_channels_")


# Units, precision and names


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("stem_channels", [0, 32])
def test_half_precision_of_the_steps(cell, stem_channels):
    model = RNNRegressor(cell=cell, stem_channels=stem_channels, random_state=0, max_iter=3)
    model.set_params(precision="bf16-mixed").fit(EVEN, levels)
    assert_allclose(
        model.predict(EVEN),
        clone(model).set_params(precision="float32").fit(EVEN, levels).predict(EVEN),
        atol=0.2 * levels.std(),
    )


def test_far_values_in_single_precision():
    rows = EVEN.astype(np.float32)
    model = short().fit(rows, y)
    far = model.predict_proba((rows * 1e20).astype(np.float32))
    assert_array_equal(far, model.predict_proba((rows * 1e36).astype(np.float32)))
    assert np.isfinite(far).all()


@pytest.mark.parametrize("unit", [1e160, 1e-200])
def test_units_that_cannot_be_squared_are_told(unit):
    with pytest.raises(ValueError, match=r"Channel 0 of X holds values .* in another unit"):
        short().fit(EVEN * unit, y)


def test_names_of_channels_are_kept_and_checked():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"left": list(EVEN[:, :, 0]), "right": list(EVEN[:, :, 1])})
    model = short().fit(frame, y)
    assert list(model.feature_names_in_) == ["left", "right"]
    assert_array_equal(model.predict_proba(frame), short().fit(EVEN, y).predict_proba(EVEN))
    for wrong in (frame[["right", "left"]], frame.rename(columns={"left": "up"})):
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(wrong)


def test_poolings_that_are_none_are_told():
    with pytest.raises(ValueError, match="pooling must be one of"):
        short(pooling=(["max"],)).fit(X, y)


def test_streams_keep_the_precision_of_their_steps():
    model = short(bidirectional=False).fit(EVEN, y)
    found = model.stream().update(EVEN.astype(np.float32)).predict_proba()
    assert found.dtype == model.predict_proba(EVEN.astype(np.float32)).dtype == np.float32
