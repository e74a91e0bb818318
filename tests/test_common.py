"""scikit-learn's contract, and ours on top of it, for every public estimator.

An estimator enters by being public. The one further step is its line in `LEAST_CHECKS`, so that
a pass is never an empty one.
"""

import copy
import pickle
import re
import warnings
from unittest import SkipTest

import joblib
import numpy as np
import pytest
import scipy
import sklearn
from all_estimators import all_estimators, public_objects
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

# The checks fit tiny, constant and duplicated columns and predict far away from them on purpose;
# these warnings are then right, and the checks are about something else.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::sklearn_ext.exceptions.{category}")
    for category in ("RankWarning", "PrecisionWarning", "ExtrapolationWarning")
]

# How many checks `check_estimator` runs at the least on each estimator.
LEAST_CHECKS = {
    "CausalLanguageModel": 48,
    "FFNNClassifier": 67,
    "FFNNRegressor": 60,
    "LoRAAdapter": 60,
    "MultilinearPCA": 47,
    "PolynomialRegressor": 61,
    "RNNClassifier": 73,
    "RNNRegressor": 66,
    "SequencePadder": 47,
    "SequenceScaler": 47,
    "SlidingWindow": 47,
    "TextSummarizer": 47,
    "TransformerClassifier": 73,
}

# scikit-learn dispatches to the array API from this release of scipy on; with an older one its
# checks named check_array_api_* cannot run, for any estimator. The pinned versions run them.
ARRAY_API_RUNS = tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 14)

# Public checks that `check_estimator` leaves out (they are run by scikit-learn's own suite only).
CHECKS_FOR_ALL = [
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_param_validation",
]
CHECKS_WITH_NAMES_OUT = ["check_get_feature_names_out_error"]
CHECKS_FOR_TRANSFORMERS = [
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]

METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")

ESTIMATORS = all_estimators()


def name_of(estimator):
    return type(estimator).__name__


def each(estimators):
    """Parametrize over estimators; an empty list is an error in the list, not a skip."""
    return pytest.mark.parametrize("estimator", estimators, ids=name_of)


every_estimator = each(ESTIMATORS)
every_weighted = each([e for e in ESTIMATORS if has_fit_parameter(e, "sample_weight")])


def make_data(estimator, dtype=np.float64):
    """Small data of the kind that the estimator learns from."""
    if is_classifier(estimator):
        X, y = make_classification(n_samples=120, n_features=5, n_classes=2, random_state=0)
    else:
        X, y = make_regression(n_samples=120, n_features=5, noise=1.0, random_state=0)
        y = y.astype(dtype)
    if get_tags(estimator).input_tags.positive_only:
        X -= X.min()
    return X.astype(dtype), y


def seeded(estimator):
    """Copy an estimator, with its randomness fixed where it has any."""
    copied = clone(estimator)
    if "random_state" in copied.get_params():
        copied.set_params(random_state=0)
    return copied


def fit(estimator, *args, **kwargs):
    return seeded(estimator).fit(*args, **kwargs)


def outputs(estimator, X):
    """Collect what each prediction method of a fitted estimator returns."""
    found = {name: getattr(estimator, name)(X) for name in METHODS if hasattr(estimator, name)}
    assert found, f"{name_of(estimator)} has none of {METHODS}"
    return found


def assert_same_outputs(first, second, compare=assert_array_equal):
    assert first.keys() == second.keys()
    for name in first:
        compare(first[name], second[name], err_msg=name)


def extra_checks(estimator):
    names = list(CHECKS_FOR_ALL)
    if hasattr(estimator, "get_feature_names_out"):  # what puts out tensors has no columns to name
        names += CHECKS_WITH_NAMES_OUT + CHECKS_FOR_TRANSFORMERS
    return names


EXTRA = [(estimator, check) for estimator in ESTIMATORS for check in extra_checks(estimator)]


# scikit-learn's checks


@parametrize_with_checks(ESTIMATORS)
def test_sklearn_check(estimator, check):
    if not can_run(check_name(check)):
        pytest.skip("scipy is too old for scikit-learn's array API dispatch")
    try:
        check(estimator)
    except SkipTest as reason:
        pytest.fail(f"the check was skipped: {reason}")


def check_name(check):
    """Find the name of a check inside the partial functions that scikit-learn wraps around it."""
    while hasattr(check, "func"):
        check = check.func
    return check.__name__


def can_run(name):
    return ARRAY_API_RUNS or not name.startswith("check_array_api")


@every_estimator
def test_no_check_is_missing(estimator):
    """What runs above is not less than what ran when the estimator entered."""
    checks = list(estimator_checks.estimator_checks_generator(estimator))
    name = name_of(estimator)
    assert name in LEAST_CHECKS, f"write {name!r}: {len(checks)} into LEAST_CHECKS"
    assert len(checks) >= LEAST_CHECKS[name]


def test_table_of_checks_names_public_estimators_only():
    names = {name.rpartition(".")[2] for name in public_objects()}
    assert {name_of(estimator) for estimator in ESTIMATORS} <= set(LEAST_CHECKS) <= names


@every_estimator
def test_no_tag_hides_a_failure(estimator):
    tags = get_tags(estimator)
    assert not tags._skip_test
    assert not tags.non_deterministic
    assert not tags.no_validation
    for kind in ("regressor_tags", "classifier_tags"):
        assert not getattr(getattr(tags, kind), "poor_score", False)


@pytest.mark.parametrize(
    ("estimator", "check"), EXTRA, ids=[f"{name_of(e)}-{check}" for e, check in EXTRA]
)
# These checks fit on a frame and transform an array, and the other way round, on purpose.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_extra_sklearn_check(estimator, check):
    getattr(estimator_checks, check)(name_of(estimator), clone(estimator))


def test_extra_checks_are_still_left_out_by_check_estimator():
    # If scikit-learn takes one over, its line above can go; if it renames one, this says so.
    yielded = {
        check_name(check)
        for estimator in ESTIMATORS
        for _, check in estimator_checks.estimator_checks_generator(estimator)
    }
    extra = {*CHECKS_FOR_ALL, *CHECKS_WITH_NAMES_OUT, *CHECKS_FOR_TRANSFORMERS}
    assert not yielded & extra
    assert all(hasattr(estimator_checks, name) for name in extra)


# Copies give the same predictions, bit for bit


def by_pickle(estimator, directory):
    return pickle.loads(pickle.dumps(estimator))


def by_deepcopy(estimator, directory):
    return copy.deepcopy(estimator)


def by_joblib(estimator, directory):
    joblib.dump(estimator, directory / "estimator.joblib")
    return joblib.load(directory / "estimator.joblib")


def by_memory_map(estimator, directory):
    # What worker processes see: the arrays of the estimator are read-only then.
    joblib.dump(estimator, directory / "estimator.joblib")
    return joblib.load(directory / "estimator.joblib", mmap_mode="r")


def by_skops(estimator, directory):
    skops_io = pytest.importorskip("skops.io")
    data = skops_io.dumps(estimator)
    unknown = skops_io.get_untrusted_types(data=data)
    assert all(name.startswith("sklearn_ext.") for name in unknown), unknown
    return skops_io.loads(data, trusted=unknown)


@every_estimator
@pytest.mark.parametrize("way", [by_pickle, by_deepcopy, by_joblib, by_memory_map, by_skops])
def test_round_trip_is_bitwise(estimator, way, tmp_path):
    X, y = make_data(estimator)
    fitted = fit(estimator, X, y)
    returned = way(fitted, tmp_path)
    assert returned is not fitted
    assert_same_outputs(outputs(returned, X), outputs(fitted, X))


@every_estimator
def test_clone_is_unfitted_and_fits_to_the_same(estimator):
    X, y = make_data(estimator)
    fitted = fit(estimator, X, y)
    cloned = clone(fitted)
    with pytest.raises(NotFittedError):
        check_is_fitted(cloned)
    assert_same_outputs(outputs(cloned.fit(X, y), X), outputs(fitted, X))


# Kinds of input


@every_estimator
def test_read_only_memory_map(estimator, tmp_path):
    X, y = make_data(estimator)
    joblib.dump((X, y), tmp_path / "data.joblib")
    X_mapped, y_mapped = joblib.load(tmp_path / "data.joblib", mmap_mode="r")
    assert not X_mapped.flags.writeable
    expected = outputs(fit(estimator, X, y), X)
    assert_same_outputs(outputs(fit(estimator, X_mapped, y_mapped), X_mapped), expected)


@every_estimator
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frame(estimator, library):
    frames = pytest.importorskip(library)
    X, y = make_data(estimator)
    names = [f"column_{i}" for i in range(X.shape[1])]
    frame = frames.DataFrame({name: X[:, i] for i, name in enumerate(names)})
    fitted = fit(estimator, frame, frames.Series(y))
    assert fitted.feature_names_in_.tolist() == names
    # A frame stores columns, an array rows: the order of summation may differ.
    expected = outputs(fit(estimator, X, y), X)
    assert_same_outputs(outputs(fitted, frame), expected, compare=assert_close)


def assert_close(actual, desired, err_msg):
    assert_allclose(np.asarray(actual), desired, rtol=1e-9, atol=1e-9, err_msg=err_msg)


@every_estimator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_of_the_input_is_kept(estimator, dtype):
    X, y = make_data(estimator, dtype)
    found = outputs(fit(estimator, X, y), X)
    if is_classifier(estimator):
        found.pop("predict")  # labels have the dtype of y
    assert {name: value.dtype for name, value in found.items()} == dict.fromkeys(found, dtype)


# Sample weights are routed


def weights_for(y):
    return np.random.default_rng(0).uniform(0.1, 2.0, size=len(y))


@every_weighted
def test_grid_search_routes_sample_weight(estimator):
    X, y = make_data(estimator)
    weight = weights_for(y)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = seeded(estimator).set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=True)
        search = GridSearchCV(asking, {}, cv=3, error_score="raise")
        search.fit(X, y, sample_weight=weight)
    expected = outputs(fit(estimator, X, y, sample_weight=weight), X)
    assert_same_outputs(outputs(search.best_estimator_, X), expected)
    train, test = next(iter(check_cv(3, y, classifier=is_classifier(estimator)).split(X, y)))
    fold = fit(estimator, X[train], y[train], sample_weight=weight[train])
    score = fold.score(X[test], y[test], sample_weight=weight[test])
    assert search.cv_results_["split0_test_score"][0] == score


@every_weighted
def test_pipeline_routes_sample_weight(estimator):
    X, y = make_data(estimator)
    weight = weights_for(y)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        asking = seeded(estimator).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, asking).fit(X, y, sample_weight=weight)
    X_scaled = StandardScaler().fit_transform(X)
    expected = outputs(fit(estimator, X_scaled, y, sample_weight=weight), X_scaled)
    assert_same_outputs(outputs(pipeline, X), expected)


@every_weighted
def test_weight_changes_the_fit(estimator):
    # Without this, the two tests above would pass for an estimator that ignores weights.
    X, y = make_data(estimator)
    weighted = fit(estimator, X, y, sample_weight=weights_for(y))
    unweighted = outputs(fit(estimator, X, y), X)
    assert any(np.any(value != unweighted[name]) for name, value in outputs(weighted, X).items())


# Manners


@every_estimator
def test_nothing_is_printed_or_written(estimator, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    X, y = make_data(estimator)
    outputs(fit(estimator, X, y), X)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@every_estimator
def test_global_state_is_left_alone(estimator):
    X, y = make_data(estimator)
    np.random.seed(7)  # noqa: NPY002 - the legacy generator is what is watched here
    before = np.random.get_state()[1].copy(), list(warnings.filters)  # noqa: NPY002
    outputs(fit(estimator, X, y), X)
    assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert list(warnings.filters) == before[1]


@every_estimator
def test_fitted_attributes_are_documented(estimator):
    X, y = make_data(estimator)
    fitted = fit(estimator, X, y)
    public = {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")}
    section = re.split(r"\n *Attributes\n *-+\n", type(fitted).__doc__)[1]
    documented = set(re.findall(r"^ *(\w+_) : ", section, re.MULTILINE))
    assert public <= documented, public - documented


@each([e for e in ESTIMATORS if not get_tags(e).input_tags.allow_nan])
def test_failed_fit_leaves_nothing_half_fitted(estimator):
    X, y = make_data(estimator)
    X[3, 1] = np.nan
    copied = clone(estimator)
    before = set(vars(copied))
    with pytest.raises(ValueError, match="NaN"):
        copied.fit(X, y)
    assert set(vars(copied)) == before
    with pytest.raises(NotFittedError):
        outputs(copied, np.nan_to_num(X))
