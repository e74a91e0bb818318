"""A grid search of nets on Ray's joblib backend gives the scores of a serial one."""

import os

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sklearn_ext import FFNNRegressor

joblib = pytest.importorskip("joblib")
ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster():
    from ray.util.joblib import register_ray

    # What later versions of Ray do anyway; without it, this one warns that it will change.
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()
    yield
    ray.shutdown()
    del os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"]


def table():
    X = np.random.default_rng(0).normal(size=(120, 4))
    return X, X[:, 0] - 2.0 * X[:, 1] * X[:, 2]


def search(**settings):
    net = FFNNRegressor((16,), n_members=2, max_iter=3, random_state=0)
    return GridSearchCV(net, {"activation": ["gelu", "relu"]}, cv=2, **settings)


def processes_of_fits():
    """Fit a search whose scores tell which processes made them."""

    def process(estimator, X, y):  # a local function travels to workers that lack this module
        return float(os.getpid())

    results = search(scoring=process, refit=False, error_score="raise").fit(*table()).cv_results_
    return {results[f"split{i}_test_score"][j] for i in range(2) for j in range(2)}


def test_scores_are_those_of_a_serial_search(cluster):
    wanted = search().fit(*table()).cv_results_["mean_test_score"]
    with joblib.parallel_config("ray", n_jobs=-1):
        found = search(error_score="raise").fit(*table()).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, wanted)


def test_fits_run_on_the_workers_if_all_are_asked_for(cluster):
    with joblib.parallel_config("ray", n_jobs=-1):
        assert os.getpid() not in processes_of_fits()


def test_without_n_jobs_they_run_here_as_the_guide_says(cluster):
    with joblib.parallel_config("ray"):
        assert processes_of_fits() == {os.getpid()}
