"""Every estimator inside scikit-learn's own meta-estimators, and README's table of it.

The table says what was run here: a cell is a test, and a test without a cell is an error. To write
the table anew: ``python tests/test_composition.py``.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn
from all_estimators import all_estimators
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, cross_validate
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from sklearn_ext import FFNNRegressor, LoRAAdapter

# The small data of these tests make the polynomials' warnings right.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::sklearn_ext.exceptions.{category}")
    for category in ("RankWarning", "PrecisionWarning", "ExtrapolationWarning")
]

README = Path(__file__).parents[1] / "README.md"
TABLE = re.compile(r"(<!-- composition -->\n).*?(<!-- /composition -->)", re.DOTALL)

# One parameter of each estimator that a search goes through. What the tests leave at its
# default is as the user finds it; nets take few epochs.
SEARCHED = {
    "CausalLanguageModel": {"hidden_size": [16, 32]},
    "FFNNClassifier": {"activation": ["gelu", "relu"]},
    "FFNNRegressor": {"activation": ["gelu", "relu"]},
    "LoRAAdapter": {"r": [2, 4]},
    "MultilinearPCA": {"n_components": [0.5, 0.9]},
    "PolynomialRegressor": {"degree": [1, 2]},
    "RNNClassifier": {"cell": ["mingru", "lstm"]},
    "RNNRegressor": {"cell": ["mingru", "lstm"]},
    "SequencePadder": {"n_timesteps": [None, "fit"]},
    "SequenceScaler": {"per": ["series", "channel"]},
    "TextSummarizer": {"max_sentences": [1, 2]},
    "TransformerClassifier": {"hidden_size": [16, 32]},
}
# It gives several windows for a series, so the targets have to come from it too.
CHANGES_THE_ROWS = {"SlidingWindow"}


def name_of(estimator):
    return type(estimator).__name__


def quick(estimator):
    """Copy an estimator, with its randomness fixed and few epochs."""
    parameters = estimator.get_params()
    settings = {"random_state": 0, "max_iter": 2}
    if name_of(estimator) == "PolynomialRegressor":
        del settings["max_iter"]
    return clone(estimator).set_params(**{k: v for k, v in settings.items() if k in parameters})


def predicts(estimator):
    return is_classifier(estimator) or is_regressor(estimator)


def stands_alone(estimator):
    """Whether it can be the last step: a predictor or a density estimator."""
    return predicts(estimator) or not hasattr(estimator, "transform")


def predictor(estimator):
    """Make a predictor of a transformer, by the simplest one behind it."""
    if stands_alone(estimator):
        return quick(estimator)
    if makes_columns(estimator):
        return make_pipeline(quick(estimator), Ridge())
    from sklearn_ext import RNNRegressor  # what puts out tensors goes before a recurrent net

    return make_pipeline(quick(estimator), RNNRegressor(max_iter=2, random_state=0))


def data(estimator):
    if is_classifier(estimator):
        return make_classification(n_samples=60, n_features=5, random_state=0)
    return make_regression(n_samples=60, n_features=5, noise=1.0, random_state=0)


def prefixed(estimator):
    """Parameter of the search, by its name inside `predictor`."""
    prefix = "" if stands_alone(estimator) else f"{name_of(estimator).lower()}__"
    return {prefix + name: values for name, values in SEARCHED[name_of(estimator)].items()}


def answers(fitted, X):
    """Predictions, or the log-likelihoods of a density estimator."""
    return fitted.predict(X) if hasattr(fitted, "predict") else fitted.score_samples(X)


# The compositions: each takes an estimator and asserts


def in_pipeline(estimator):
    X, y = data(estimator)
    piped = make_pipeline(StandardScaler(), predictor(estimator)).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    alone = predictor(estimator).fit(scaled, y)
    assert_array_equal(answers(piped, X), answers(alone, scaled))


def in_column_transformer(estimator):
    X, y = data(estimator)
    if stands_alone(estimator):
        columns = ColumnTransformer([("some", "passthrough", [0, 2, 3])])
        piped = make_pipeline(columns, quick(estimator)).fit(X, y)
        alone = quick(estimator).fit(X[:, [0, 2, 3]], y)
        assert_array_equal(answers(piped, X), answers(alone, X[:, [0, 2, 3]]))
        return
    columns = ColumnTransformer([("first", quick(estimator), [0, 2, 3])], remainder="passthrough")
    first = quick(estimator).fit(X[:, [0, 2, 3]], y).transform(X[:, [0, 2, 3]])
    assert_array_equal(columns.fit_transform(X, y), np.hstack([first, X[:, [1, 4]]]))


def assert_searched(search, estimator, X, y):
    ((name, values),) = prefixed(estimator).items()
    assert search.best_params_[name] in values
    best = predictor(estimator).set_params(**search.best_params_).fit(X, y)
    assert_array_equal(answers(search, X), answers(best, X))


def in_grid_search(estimator):
    X, y = data(estimator)
    search = GridSearchCV(predictor(estimator), prefixed(estimator), cv=2, error_score="raise")
    assert_searched(search.fit(X, y), estimator, X, y)
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))


def in_halving_search(estimator):
    X, y = data(estimator)
    search = HalvingRandomSearchCV(
        predictor(estimator),
        prefixed(estimator),
        n_candidates=2,
        cv=2,
        min_resources=30,
        random_state=0,
        error_score="raise",
    )
    assert_searched(search.fit(X, y), estimator, X, y)


def in_cross_validate(estimator):
    """Weights reach fit and score of every fold."""
    X, y = data(estimator)
    weight = np.random.default_rng(0).uniform(0.1, 2.0, size=len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        asking = quick(estimator).set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=True)
        split = [(np.arange(40), np.arange(40, 60))]
        params = {"sample_weight": weight}
        found = cross_validate(asking, X, y, cv=split, params=params, error_score="raise")
    alone = quick(estimator).fit(X[:40], y[:40], sample_weight=weight[:40])
    assert found["test_score"][0] == alone.score(X[40:], y[40:], sample_weight=weight[40:])


def test_routed_parameters_of_predict_reach_an_adapter():
    pytest.importorskip("skorch")
    X, y = data(FFNNRegressor())
    base = quick(FFNNRegressor()).fit(X, y)
    with sklearn.config_context(enable_metadata_routing=True):
        adapter = LoRAAdapter.from_fitted(base, max_iter=1, random_state=0)
        asking = make_pipeline(StandardScaler(), adapter.set_predict_request(return_std=True))
        mean, std = asking.fit(X, y).predict(X, return_std=True)
    assert mean.shape == std.shape == y.shape


def in_bagging(estimator):
    X, y = data(estimator)
    kind = BaggingClassifier if is_classifier(estimator) else BaggingRegressor
    bag = kind(quick(estimator), n_estimators=2, random_state=0).fit(X, y)
    if is_classifier(estimator):
        parts = [part.predict_proba(X) for part in bag.estimators_]
        assert_allclose(bag.predict_proba(X), np.mean(parts, axis=0), rtol=1e-6)
        return
    parts = [part.predict(X) for part in bag.estimators_]
    assert_allclose(bag.predict(X), np.mean(parts, axis=0), rtol=1e-9)


def in_stacking(estimator):
    X, y = data(estimator)
    if is_classifier(estimator):
        kind, final = StackingClassifier, LogisticRegression()
    else:
        kind, final = StackingRegressor, Ridge()
    stack = kind([("ours", quick(estimator)), ("linear", final)], final, cv=2).fit(X, y)
    assert stack.transform(X).shape == (60, 2)
    assert stack.predict(X).shape == y.shape


def in_voting(estimator):
    X, y = data(estimator)
    if is_classifier(estimator):
        members = [("ours", quick(estimator)), ("linear", LogisticRegression())]
        vote = VotingClassifier(members, voting="soft").fit(X, y)
        method = "predict_proba"
    else:
        vote = VotingRegressor([("ours", quick(estimator)), ("linear", Ridge())]).fit(X, y)
        method = "predict"
    parts = [getattr(part, method)(X) for part in vote.estimators_]
    assert_allclose(getattr(vote, method)(X), np.mean(parts, axis=0), rtol=1e-6)


def in_calibration(estimator):
    X, y = data(estimator)
    calibrated = CalibratedClassifierCV(quick(estimator), cv=2).fit(X, y)
    probability = calibrated.predict_proba(X)
    assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-6)
    assert np.ptp(probability[:, 0]) > 0


def in_transformed_target(estimator):
    X, y = data(estimator)
    y = np.exp(y / np.abs(y).max())
    model = TransformedTargetRegressor(quick(estimator), func=np.log, inverse_func=np.exp)
    alone = quick(estimator).fit(X, np.log(y))
    assert_allclose(model.fit(X, y).predict(X), np.exp(alone.predict(X)), rtol=1e-6)


def in_multi_output(estimator):
    X, y = data(estimator)
    both = np.column_stack([y, y[::-1]])
    kind = MultiOutputClassifier if is_classifier(estimator) else MultiOutputRegressor
    found = kind(quick(estimator)).fit(X, both).predict(X)
    for column, target in zip(found.T, both.T, strict=True):
        assert_array_equal(column, quick(estimator).fit(X, target).predict(X))


def weighted(estimator):
    return stands_alone(estimator) and has_fit_parameter(estimator, "sample_weight")


def makes_columns(estimator):
    return stands_alone(estimator) or hasattr(estimator, "get_feature_names_out")


# Name, check, and the estimators that it applies to.
COMPOSITIONS = {
    "Pipeline": (in_pipeline, lambda _: True),
    "ColumnTransformer": (in_column_transformer, makes_columns),
    "GridSearchCV": (in_grid_search, lambda _: True),
    "HalvingRandomSearchCV": (in_halving_search, lambda _: True),
    "cross_validate, routed weights": (in_cross_validate, weighted),
    "Bagging": (in_bagging, predicts),
    "Stacking": (in_stacking, predicts),
    "Voting": (in_voting, predicts),
    "CalibratedClassifierCV": (in_calibration, is_classifier),
    "TransformedTargetRegressor": (in_transformed_target, is_regressor),
    "MultiOutput": (in_multi_output, predicts),
}
ESTIMATORS = [e for e in all_estimators() if name_of(e) not in CHANGES_THE_ROWS]
CELLS = [
    pytest.param(estimator, check, id=f"{name_of(estimator)}-{name}")
    for estimator in ESTIMATORS
    for name, (check, applies) in COMPOSITIONS.items()
    if applies(estimator)
]


@pytest.mark.parametrize(("estimator", "check"), CELLS)
def test_composition(estimator, check):
    check(estimator)


def table():
    """README's table: a cell for each test of this file."""
    rows = [["", *COMPOSITIONS], ["---"] * (len(COMPOSITIONS) + 1)]
    for estimator in ESTIMATORS:
        marks = ["✓" if applies(estimator) else "-" for _, applies in COMPOSITIONS.values()]
        rows.append([f"`{name_of(estimator)}`", *marks])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def test_readme_shows_this_table():
    pytest.importorskip("torch")  # without it the nets are missing from the list
    match = TABLE.search(README.read_text("utf-8"))
    assert match, "README.md has lost the marks of the table"
    assert match[0] == f"{match[1]}{table()}\n{match[2]}"


if __name__ == "__main__":
    written = TABLE.sub(lambda m: f"{m[1]}{table()}\n{m[2]}", README.read_text("utf-8"))
    README.write_text(written, "utf-8")
    sys.stdout.write(table() + "\n")
