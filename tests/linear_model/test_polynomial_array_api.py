"""Arrays of other libraries: the same polynomial as in numpy, where the arrays lie."""

import re

import numpy as np
import pytest
import scipy
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from sklearn_ext import PolynomialRegressor

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.skipif(
        tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 14),
        reason="scikit-learn dispatches from scipy 1.14 on",
    ),
    # The checks fit and predict on purpose what these warn of.
    pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.RankWarning"),
    pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.PrecisionWarning"),
]


@pytest.fixture(autouse=True)
def dispatch():
    with config_context(array_api_dispatch=True):
        yield


def sample(n_targets=None, dtype=np.float64):
    rng = np.random.default_rng(0)
    X = rng.lognormal(size=(300, 3)) * [1, 5, 100]
    y = np.sin(X[:, :1]) + rng.normal(size=(300, n_targets or 1))
    return X.astype(dtype), (y[:, 0] if n_targets is None else y).astype(dtype)


SETTINGS = [
    {"degree": 3},
    {"degree": 4, "alpha": 0.5},
    {"degree": 3, "fit_intercept": False},
    {"degree": 3, "basis": "chebyshev", "interaction_only": True},
    {"degree": 3, "solver": "qr"},
    {"degree": 3, "solver": "cholesky"},
    {"degree": "auto", "alpha": "auto", "max_degree": 3},
    {"degree": 2, "solver": "dual"},
    {"degree": 2, "solver": "refined"},
    {"degree": 3, "selection": "lars"},
]


@pytest.mark.filterwarnings("ignore::sklearn_ext.exceptions.ExtrapolationWarning")
def test_the_checks_for_arrays_pass():
    """They are asked for by the tag, which is set where arrays are dispatched on."""
    assert get_tags(PolynomialRegressor()).array_api_support
    found = check_estimator(PolynomialRegressor(), on_skip=None, on_fail=None)
    checks = [run for run in found if run["check_name"].startswith("check_array_api")]
    missing = "not installed|not available|because"  # a library or device that is not here
    for run in checks:
        assert run["status"] == "passed" or re.search(missing, str(run["exception"])), run
    assert sum(run["status"] == "passed" for run in checks) >= 6


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("n_targets", [None, 2])
def test_tensors_give_the_fit_of_numpy(settings, n_targets):
    if settings.get("selection") and n_targets:
        settings = settings | {"selection": None}
    X, y = sample(n_targets)
    wanted = PolynomialRegressor(**settings).fit(X, y)
    found = PolynomialRegressor(**settings).fit(torch.from_numpy(X), torch.from_numpy(y))
    predicted = found.predict(torch.from_numpy(X))
    assert isinstance(predicted, torch.Tensor)
    assert isinstance(found.bounds_, torch.Tensor)
    assert_allclose(predicted.numpy(), wanted.predict(X), rtol=1e-7, atol=1e-7)
    assert_allclose(found.coef_, wanted.coef_, rtol=1e-4, atol=1e-9)
    assert abs(found.score(torch.from_numpy(X), torch.from_numpy(y)) - wanted.score(X, y)) < 1e-7


def test_rows_stay_on_the_device(monkeypatch):
    """Nothing of the size of the rows is turned into numpy on the way."""
    X, y = sample()
    tensors = torch.from_numpy(X), torch.from_numpy(y)
    sizes = []
    from sklearn_ext.linear_model import _device_fit, _device_rows

    for module in (_device_fit, _device_rows):
        move = module.move_to

        def noting(*arrays, xp, device, move=move):
            if xp is np:
                sizes.extend(array.numel() for array in arrays if array is not None)
            return move(*arrays, xp=xp, device=device)

        monkeypatch.setattr(module, "move_to", noting)
    PolynomialRegressor(2).fit(*tensors).predict(tensors[0])
    assert max(sizes) == (10 + 1) ** 2  # the triangle of 10 terms and one target


def test_weights_and_dtype():
    X, y = sample(dtype=np.float32)
    weight = np.random.default_rng(1).integers(0, 3, size=300).astype(np.float32)
    wanted = PolynomialRegressor(2).fit(X, y, sample_weight=weight)
    tensors = [torch.from_numpy(part) for part in (X, y)]
    found = PolynomialRegressor(2).fit(*tensors, sample_weight=torch.from_numpy(weight))
    counted = X[weight > 0]
    predicted = found.predict(torch.from_numpy(counted))
    assert predicted.dtype == torch.float32
    assert_allclose(predicted.numpy(), wanted.predict(counted), rtol=1e-4, atol=1e-4)


def test_deviations_and_intervals_are_tensors_too():
    X, y = sample()
    tensors = torch.from_numpy(X), torch.from_numpy(y)
    model = PolynomialRegressor(2).fit(*tensors)
    wanted = PolynomialRegressor(2).fit(X, y)
    for found, expected in zip(
        (*model.predict(tensors[0], return_std=True), *model.predict_interval(tensors[0])),
        (*wanted.predict(X, return_std=True), *wanted.predict_interval(X)),
        strict=True,
    ):
        assert_allclose(found.numpy(), expected, rtol=1e-7, atol=1e-8)


def test_rows_far_outside_are_told_of():
    from sklearn_ext.exceptions import ExtrapolationWarning

    X, y = sample()
    model = PolynomialRegressor(2).fit(torch.from_numpy(X), torch.from_numpy(y))
    with pytest.warns(ExtrapolationWarning, match="outside the training bounds"):
        model.predict(torch.from_numpy(X) * 1e3)


def test_numpy_rows_for_a_model_of_tensors_are_refused():
    X, y = sample()
    model = PolynomialRegressor(2).fit(torch.from_numpy(X), torch.from_numpy(y))
    with pytest.raises(ValueError, match="must use the same namespace"):
        model.predict(X)


def test_bad_tensors_leave_nothing_behind():
    X, y = sample()
    X[3, 1] = np.nan
    model = PolynomialRegressor(2)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(torch.from_numpy(X), torch.from_numpy(y))
    assert not hasattr(model, "n_features_in_")
