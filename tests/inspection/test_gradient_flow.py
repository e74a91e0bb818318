"""Gradient flow against linear recurrences, whose gradients are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV

from sklearn_ext.inspection import GradientFlowDisplay, gradient_flow
from sklearn_ext.inspection._gradient_flow import decay_rate, summarize_flow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 60, 3))
Y = RNG.normal(size=5)


class LinearNet(BaseEstimator):
    """States h_t = W h_(t-1) + x_t, output v h_T, squared error; gradients by the chain rule."""

    def __init__(self, weights=None, readout=None):
        self.weights = weights
        self.readout = readout

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def _outputs(self, X, offset=0.0, lag=None):
        """Outputs, with an offset added to the state that lies `lag` steps before the end."""
        state = np.zeros((len(X), len(self.weights)))
        for t in range(X.shape[1]):
            state = state @ self.weights.T + X[:, t]
            state = state + offset if X.shape[1] - 1 - t == lag else state
        return state @ self.readout

    def _state_gradients(self, X, y, *, initial):
        gradient = 2 * np.outer(self._outputs(X) - y, self.readout) / len(X)  # (n, n_states)
        norms = []
        for _ in range(X.shape[1]):
            norms.append(np.linalg.norm(gradient))
            gradient = gradient @ self.weights
        return {"layer 1": np.array(norms)}, 1, X.shape[1]


def rotation(n=3):
    return np.linalg.qr(RNG.normal(size=(n, n)))[0]


def linear_net(weights):
    return LinearNet(weights, RNG.normal(size=len(weights))).fit(X, Y)


def summarized(norms, steps=1, **settings):
    """Summary of a net that has a state for each so many steps."""
    n_timesteps = steps * max(len(of_layer) for of_layer in norms.values())
    return summarize_flow(norms, steps, n_timesteps, **settings)


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.0, 1.1])
def test_norm_is_spectral_radius_to_the_power_of_the_lag(radius):
    flow = gradient_flow(linear_net(radius * rotation()), X, Y)
    norms = flow.norms["layer 1"]
    assert_allclose(norms, norms[0] * radius ** np.arange(60.0), rtol=1e-9)
    assert_allclose(flow.decay_rates["layer 1"], np.log(radius), atol=1e-10)
    if radius < 1:
        assert_allclose(flow.memory_length, -1 / np.log(radius))


def test_rate_of_any_matrix_is_that_of_its_largest_eigenvalue():
    # The other directions die out first; a robust slope does not mind them.
    eigenvalues, basis = np.array([0.95, 0.6, -0.3]), RNG.normal(size=(3, 3))
    weights = basis @ np.diag(eigenvalues) @ np.linalg.inv(basis)
    flow = gradient_flow(linear_net(weights), X, Y)
    assert_allclose(flow.decay_rates["layer 1"], np.log(0.95), rtol=0.02)


def test_gradients_of_the_test_net_are_finite_differences():
    net = linear_net(0.9 * rotation())
    norms = gradient_flow(net, X, Y).norms["layer 1"]
    for lag in (0, 7):
        slopes = np.zeros((len(X), 3))
        for sample in range(len(X)):
            for unit in range(3):
                step = np.zeros((len(X), 3))
                step[sample, unit] = 1e-4
                up, down = (np.mean((net._outputs(X, s, lag) - Y) ** 2) for s in (step, -step))
                slopes[sample, unit] = (up - down) / 2e-4
        assert_allclose(np.linalg.norm(slopes), norms[lag], rtol=1e-6)


# Verdicts


@pytest.mark.parametrize(
    ("memory", "verdict"),
    [
        (1.0, "vanishing"),
        (19.9, "vanishing"),
        (20.1, "healthy"),
        (500.0, "healthy"),
        (-20.1, "healthy"),
        (-19.9, "exploding"),
        (-1.0, "exploding"),
    ],
)
def test_verdict_turns_at_a_fifth_of_the_length(memory, verdict):
    flow = summarized({"layer 1": np.exp(-np.arange(100) / memory)})
    assert flow.verdict == flow.verdicts["layer 1"] == verdict
    assert_allclose(flow.memory_length, memory if memory > 0 else np.inf)


def test_threshold():
    norms = {"layer 1": np.exp(-np.arange(100) / 30)}
    assert summarized(norms, threshold=0.31).verdict == "vanishing"
    assert summarized(norms, threshold=0.29).verdict == "healthy"


@pytest.mark.parametrize("memory", [7.0, 30.0, -9.0])
def test_fewer_states_than_steps_tell_the_same(memory):
    norms = np.exp(-np.arange(100) / memory)
    all_states, each_fourth = summarized({"1": norms}), summarized({"1": norms[::4]}, 4)
    assert each_fourth.n_timesteps == all_states.n_timesteps == 100
    assert_allclose(each_fourth.decay_rates["1"], all_states.decay_rates["1"])
    assert_allclose(each_fourth.memory_length, all_states.memory_length)
    assert each_fourth.verdict == all_states.verdict


def test_verdict_of_several_layers():
    def falling(memory):
        return np.exp(-np.arange(100) / memory)

    assert summarized({"1": falling(3), "2": falling(50)}).verdict == "healthy"
    assert summarized({"1": falling(3), "2": falling(50)}).memory_length == pytest.approx(50)
    assert summarized({"1": falling(3), "2": falling(4)}).verdict == "vanishing"
    assert summarized({"1": falling(-3), "2": falling(50)}).verdict == "exploding"


# The slope


def test_rate_is_robust_to_odd_norms():
    norms = np.exp(-0.1 * np.arange(100.0))
    norms[[0, 5, 40]] *= [1e6, 1e-6, 1e4]
    norms[90:] *= 100.0
    assert_allclose(decay_rate(norms), -0.1, rtol=0.02)


def test_underflow():
    norms = np.zeros(100)
    norms[:4] = 1e-100 ** np.arange(4)
    assert_allclose(decay_rate(norms), np.log(1e-100), rtol=1e-6)
    assert decay_rate(np.array([1.0, 0.0, 0.0])) == -np.inf
    flow = summarized({"layer 1": np.array([1.0, 0.0, 0.0])})
    assert (flow.memory_length, flow.verdict) == (0.0, "vanishing")
    assert summarized({"layer 1": np.zeros(3)}).verdict == "vanishing"


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_overflow_is_exploding(value):
    assert summarized({"layer 1": np.array([1.0, 1e200, value])}).verdict == "exploding"


def test_float32_norms():
    norms = np.exp(-np.arange(300.0)).astype(np.float32)  # denormal from about lag 88
    assert_allclose(decay_rate(norms), -1.0, rtol=1e-5)


def test_single_step_has_nothing_to_forget():
    flow = summarized({"layer 1": np.array([0.7])})
    assert (flow.verdict, flow.memory_length) == ("healthy", np.inf)


def test_long_sequences_are_thinned_out():
    assert_allclose(decay_rate(np.exp(-0.01 * np.arange(20_000.0))), -0.01, rtol=1e-9)


def test_text_form():
    flow = summarized({"layer 1": np.exp(-np.arange(50) / 4), "layer 2": np.ones(50)})
    assert str(flow).splitlines() == [
        "healthy: the gradient reaches any number of steps back, sequences have 50",
        "  layer 1: rate -0.25 per step, memory 4 steps, vanishing",
        "  layer 2: rate 0 per step, memory any number of steps, healthy",
    ]


# Use


def test_bad_estimators():
    with pytest.raises(TypeError, match=r"recurrent net .* got LinearRegression"):
        gradient_flow(LinearRegression(), X, Y)
    unfitted = LinearNet(0.5 * rotation(), np.ones(3))
    with pytest.raises(NotFittedError):
        gradient_flow(unfitted, X, Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        gradient_flow(unfitted, X, Y[:2], initial=True)
    with pytest.raises(ValueError, match="threshold must be above 0, got 0"):
        gradient_flow(unfitted, X, Y, initial=True, threshold=0)
    assert gradient_flow(unfitted, X, Y, initial=True).verdict == "vanishing"


def test_search_is_told_what_to_pass():
    search = GridSearchCV(LinearRegression(), {"fit_intercept": [True, False]})
    with pytest.raises(TypeError, match=r"got GridSearchCV\. .* of a search, its best_estimator_"):
        gradient_flow(search, X, Y)


@pytest.fixture
def ax():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, ax = pyplot.subplots()
    yield ax
    pyplot.close(figure)


def test_picture_shows_the_norms(ax):
    nets = {"fast": linear_net(0.5 * rotation()), "slow": linear_net(0.99 * rotation())}
    display = GradientFlowDisplay.from_estimator(nets, X, Y, ax=ax)
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    assert ax.get_yscale() == "log"
    for line, net in zip(display.lines_, nets.values(), strict=True):
        assert_allclose(line.get_ydata(), gradient_flow(net, X, Y).norms["layer 1"])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["fast, vanishing, memory 1.44 steps", "slow, healthy, memory 99.5 steps"]
    ax.figure.canvas.draw()


def test_picture_is_drawn_by_steps_of_the_sequences(ax):
    flow = summarized({"layer 1": np.exp(-np.arange(9.0))}, 5)
    display = GradientFlowDisplay(flow).plot(ax=ax)
    assert_array_equal(display.lines_[0].get_xdata(), 5 * np.arange(9))
    assert "memory 5 steps" in ax.get_legend().get_texts()[0].get_text()


def test_relative_curves_begin_at_one(ax):
    display = GradientFlowDisplay.from_estimator(
        linear_net(0.5 * rotation()), X, Y, ax=ax, relative=True
    )
    assert_allclose(display.lines_[0].get_ydata()[:3], [1.0, 0.5, 0.25])
    assert ax.get_legend().get_texts()[0].get_text().startswith("LinearNet, vanishing")


def test_several_layers_before_and_after(ax):
    before = summarized({"layer 1": np.exp(-np.arange(9.0)), "layer 2": np.zeros(9)})
    after = summarized({"layer 1": np.ones(9), "layer 2": np.ones(9)})
    display = GradientFlowDisplay({"before": before, "after": after}).plot(ax=ax)
    colors = [line.get_color() for line in display.lines_]
    assert colors[0] == colors[1] != colors[2] == colors[3]
    assert len({line.get_linestyle() for line in display.lines_}) == 2
    assert np.isnan(display.lines_[1].get_ydata()).all()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[0] == "before, layer 1, vanishing, memory 1 steps"
    assert labels[3] == "after, layer 2, healthy, does not fall"
    ax.figure.canvas.draw()


def test_new_figure_and_one_flow():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    display = GradientFlowDisplay(summarized({"layer 1": np.ones(4)})).plot()
    assert display.ax_.get_legend().get_texts()[0].get_text().startswith("layer 1, healthy")
    pyplot.close(display.figure_)


def test_names(ax):
    nets = [linear_net(0.5 * rotation()), linear_net(0.9 * rotation())]
    assert list(GradientFlowDisplay.from_estimator(nets, X, Y, ax=ax).flows) == [
        "LinearNet 1",
        "LinearNet 2",
    ]
    named = GradientFlowDisplay.from_estimator(nets, X, Y, ax=ax, name=["a", "b"])
    assert list(named.flows) == ["a", "b"]
    with pytest.raises(ValueError, match="one label for each of the 2 estimators, got 'a'"):
        GradientFlowDisplay.from_estimator(nets, X, Y, ax=ax, name="a")
    with pytest.raises(ValueError, match="name must be None where estimator is a dict"):
        GradientFlowDisplay.from_estimator({"a": nets[0]}, X, Y, ax=ax, name="a")


def test_flow_where_gradients_are_off_and_by_weights_of_classes():
    torch = pytest.importorskip("torch")
    from sklearn_ext import RNNClassifier

    labels = np.array([0, 0, 0, 0, 1])
    model = RNNClassifier(n_members=1, max_iter=1, random_state=0)
    found = gradient_flow(model, X, labels, initial=True).norms["layer 1 ahead"]
    for off in (torch.no_grad(), torch.inference_mode()):
        with off:
            again = gradient_flow(model, X, labels, initial=True).norms["layer 1 ahead"]
        assert_array_equal(again, found)
    alone = gradient_flow(model.fit(X, labels), X[4:], labels[4:]).norms["layer 1 ahead"]
    weighted = gradient_flow(model.set_params(class_weight={0: 0.0, 1: 1.0}), X, labels)
    assert_allclose(weighted.norms["layer 1 ahead"], alone, rtol=1e-6)


def test_adapters_have_the_flow_of_what_they_merge_into(ax):
    pytest.importorskip("torch")
    from sklearn_ext import LoRAAdapter, RNNClassifier

    labels = np.array([0, 0, 0, 1, 1])
    base = RNNClassifier(n_members=1, max_iter=1, random_state=0).fit(X, labels)
    adapter = LoRAAdapter(FrozenEstimator(base), max_iter=2, random_state=0)
    with pytest.raises(NotFittedError):
        gradient_flow(adapter, X, labels)
    found = GradientFlowDisplay.from_estimator(adapter.fit(X, labels), X, labels, ax=ax).flows
    before = gradient_flow(base, X, labels).norms
    merged = gradient_flow(adapter.merge(), X, labels).norms
    for layer, norms in found["LoRAAdapter"].norms.items():
        assert_allclose(norms, merged[layer], rtol=1e-6)
        assert (norms != before[layer]).all()
    with pytest.raises(ValueError, match="Pass the base"):
        gradient_flow(adapter, X, labels, initial=True)
