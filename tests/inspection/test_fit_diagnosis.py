"""Diagnoses of fits whose truth is known, and the numbers in them."""

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_ext import PolynomialRegressor
from sklearn_ext.inspection import diagnose_fit

CHEAP = {"neighbours": KNeighborsRegressor(10)}
CHEAP_LABELS = {"neighbours": KNeighborsClassifier(10)}


def sine(noise, n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, size=n)
    return x[:, None], np.sin(2 * x) + noise * rng.normal(size=n)


def crossing(n=300, seed=0, noise=0.2):
    """Labels by the sign of a product: no straight border separates them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, (X[:, 0] * X[:, 1] + noise * rng.normal(size=n) > 0).astype(int)


# Verdicts on planted functions


def test_straight_line_through_a_sine_underfits_at_r2_of_one_half():
    rng = np.random.default_rng(0)
    x = rng.uniform(-np.pi, np.pi, size=300)
    y = np.sin(x) + 0.3 * rng.normal(size=300)
    found = diagnose_fit(LinearRegression(), x[:, None], y, random_state=0)
    assert 0.4 < found.validation_scores.mean() < 0.6
    assert found.verdict == "underfit"
    assert found.residual_structure["a polynomial on its residuals"] > 0.6
    assert found.missing.p_value < 1e-3
    assert found.gap.p_value > 0.05


@pytest.mark.parametrize(
    ("estimator", "noise", "verdict"),
    [
        (PolynomialRegressor(9), 0.2, "good"),
        (DecisionTreeRegressor(random_state=0), 0.6, "overfit"),
        (KNeighborsRegressor(1), 0.6, "overfit"),
        (make_pipeline(StandardScaler(), Ridge(1e4)), 0.2, "underfit"),
        (PolynomialRegressor(9), 2.0, "noise-limited"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else str(value),
)
def test_regressors(estimator, noise, verdict):
    assert diagnose_fit(estimator, *sine(noise), random_state=0).verdict == verdict


def test_forest_with_a_gap_that_nothing_closes_is_good():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(300, 4))
    y = (X[:, 0] > 0.2) + 2.0 * (X[:, 1] > -0.3) * (X[:, 2] > 0) + 0.4 * rng.normal(size=300)
    forest = RandomForestRegressor(50, min_samples_leaf=2, random_state=0)
    found = diagnose_fit(forest, X, y, random_state=0)
    assert found.gap.mean > 0.1
    assert found.gap.p_value < 0.05
    assert found.verdict == "good"


def test_pure_noise_is_noise_limited_for_a_stiff_and_overfit_for_a_flexible_model():
    X, y = sine(0.0)
    y = np.random.default_rng(1).normal(size=len(y))
    assert diagnose_fit(LinearRegression(), X, y, random_state=0).verdict == "noise-limited"
    tree = DecisionTreeRegressor(random_state=0)
    assert diagnose_fit(tree, X, y, random_state=0).verdict == "overfit"


@pytest.mark.parametrize(
    ("estimator", "verdict"),
    [
        (LogisticRegression(), "underfit"),
        (RidgeClassifier(), "underfit"),  # has labels only, no probabilities
        (DecisionTreeClassifier(max_depth=1), "underfit"),
        (KNeighborsClassifier(15), "good"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else value,
)
def test_classifiers(estimator, verdict):
    assert diagnose_fit(estimator, *crossing(), random_state=0).verdict == verdict


def test_nearest_neighbour_overfits_blurred_labels():
    X, y = crossing(500, noise=0.3)
    assert diagnose_fit(KNeighborsClassifier(1), X, y, random_state=0).verdict == "overfit"


def test_probabilities_by_log_loss():
    found = diagnose_fit(LogisticRegression(), *crossing(), scoring="neg_log_loss", random_state=0)
    assert found.verdict == "underfit"
    assert_allclose(found.perfect_score, 0.0, atol=1e-9)
    assert_allclose(found.chance_score, np.log(0.5), atol=0.02)


# Numbers


def test_scores_are_those_of_cross_validate():
    X, y = sine(0.3, n=60)
    cv = KFold(4, shuffle=True, random_state=3)
    found = diagnose_fit(Ridge(), X, y, cv=cv, references=CHEAP)
    expected = cross_validate(Ridge(), X, y, cv=cv, return_train_score=True)
    assert_array_equal(found.train_scores, expected["train_score"])
    assert_array_equal(found.validation_scores, expected["test_score"])
    other = cross_validate(clone(CHEAP["neighbours"]), X, y, cv=cv)["test_score"]
    assert_array_equal(found.reference_scores["neighbours"], other)
    constant = cross_validate(DummyRegressor(), X, y, cv=cv)["test_score"]
    assert_allclose(found.chance_score, constant.mean())
    assert found.perfect_score == 1.0
    assert_allclose(found.test_ratio, 1 / 3)


def test_learning_curve_ends_with_the_whole_folds():
    found = diagnose_fit(Ridge(), *sine(0.3, n=100), references=CHEAP, random_state=0)
    assert found.train_sizes.tolist() == [40, 60, 80]
    assert found.train_curve.shape == found.validation_curve.shape == (3, 5)
    assert_array_equal(found.validation_curve[-1], found.validation_scores)


def test_residuals_of_a_line_are_the_curve_that_it_missed():
    X, y = sine(0.0)
    found = diagnose_fit(LinearRegression(), X, y, random_state=0)
    assert_allclose(found.residual_structure["a polynomial on its residuals"], 1.0, atol=1e-3)
    assert_allclose(found.ceiling_skill, 1.0, atol=1e-3)
    # The polynomial itself leaves nothing but noise.
    left = diagnose_fit(PolynomialRegressor(9), *sine(0.3), random_state=0).residual_structure
    assert max(left.values()) < 0.1


@pytest.mark.parametrize("noise", [0.2, 0.7])
def test_noise_ceiling_is_near_the_true_one(noise):
    X, y = sine(noise, n=1500)
    found = diagnose_fit(Ridge(), X, y, cv=3, random_state=0)
    true = 0.5 / (0.5 + noise**2)
    assert_allclose(found.noise_ceiling, true, atol=0.06)
    assert_allclose(found.ceiling_skill, true, atol=0.06)


def test_skill_does_not_depend_on_the_unit_of_the_score():
    X, y = sine(0.3)
    options = {"random_state": 0, "references": CHEAP}
    by_r2 = diagnose_fit(Ridge(), X, y, **options)
    by_error = diagnose_fit(Ridge(), X, 1000 * y, scoring="neg_mean_squared_error", **options)
    assert by_error.verdict == by_r2.verdict == "underfit"
    assert_allclose(by_error.validation_skill, by_r2.validation_skill, atol=0.03)


# Use


def test_same_seed_same_diagnosis_and_the_estimator_stays_as_it_is():
    X, y = crossing(120)
    estimator = LogisticRegression()
    with parallel_config("threading"):
        first, second, other = (
            diagnose_fit(estimator, X, y, random_state=seed, n_jobs=jobs)
            for seed, jobs in ((3, None), (3, 2), (4, None))
        )
    assert str(first) == str(second) != str(other)
    assert not hasattr(estimator, "coef_")


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    diagnose_fit(Ridge(), *sine(0.3, n=60), references=CHEAP, random_state=0)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_sorted_rows_are_shuffled():
    X, y = sine(0.1)
    order = np.argsort(X[:, 0])
    found = diagnose_fit(KNeighborsRegressor(5), X[order], y[order], random_state=0)
    assert found.verdict == "good"


def test_data_frame_with_text_and_gaps_in_a_pipeline():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"kind": rng.choice(["a", "b", "c"], 150), "size": rng.normal(size=150)})
    y = (frame["kind"] == "b") * frame["size"] + 0.1 * rng.normal(size=150)
    pipeline = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough"),
        LinearRegression(),
    )
    found = diagnose_fit(pipeline, frame, y, random_state=0)
    assert found.estimator_name == "LinearRegression"
    assert found.verdict == "underfit"  # no interaction of kind and size


def test_text_labels_and_three_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 2))
    y = np.array(["north", "east", "west"])[np.argmax(X @ rng.normal(size=(2, 3)), axis=1)]
    assert diagnose_fit(LogisticRegression(), X, y, random_state=0).verdict == "good"


def test_a_class_that_some_folds_never_saw():
    X, y = crossing(60)
    y[:3] = 2
    cv = StratifiedKFold(4)
    with pytest.warns(UserWarning, match="least populated class"):
        found = diagnose_fit(KNeighborsClassifier(5), X, y, cv=cv, random_state=0)
    assert found.verdict in ("good", "underfit", "overfit", "noise-limited")


def test_sparse_rows_and_random_splits():
    sparse = pytest.importorskip("scipy.sparse")
    X, y = sine(0.2)
    cv = ShuffleSplit(4, test_size=0.25, random_state=0)
    found = diagnose_fit(Ridge(), sparse.csr_array(X), y, cv=cv, random_state=0)
    assert found.verdict == "underfit"
    assert_allclose(found.test_ratio, 1 / 3)


def test_texts_with_references_of_their_own():
    from sklearn.feature_extraction.text import CountVectorizer

    texts = ["good day", "bad day", "good night", "bad night"] * 15
    y = np.array([1, 0, 1, 0] * 15)
    line = make_pipeline(CountVectorizer(), LogisticRegression())
    found = diagnose_fit(line, texts, y, references={"the same": line}, random_state=0)
    assert found.verdict == "good"
    with pytest.raises(ValueError, match=r"default reference models need a table. Pass references"):
        diagnose_fit(line, texts, y, random_state=0)


def test_report_has_scores_reasons_and_advice():
    found = diagnose_fit(LinearRegression(), *sine(0.1), random_state=0)
    report = repr(found)
    assert report == str(found)
    assert report.startswith("LinearRegression: underfit\n")
    for part in ("R² on training rows", "on new rows", "because:", "next: Give the model more"):
        assert part in report
    assert f"{found.validation_scores.mean():.3f}" in report


@pytest.mark.parametrize(
    ("estimator", "changes", "error", "message"),
    [
        (KMeans(), {}, TypeError, "must be a classifier or a regressor, got KMeans"),
        (Ridge(), {"y": np.ones(40)}, ValueError, "one value 1.0 only"),
        (Ridge(), {"y": np.full(40, np.nan)}, ValueError, "y contains NaN or infinity"),
        (Ridge(), {"y": np.ones((40, 2))}, ValueError, "1d array"),
        (Ridge(), {"y": np.arange(39.0)}, ValueError, "inconsistent numbers of samples"),
        (LogisticRegression(), {}, ValueError, "Unknown label type"),
        (Ridge(), {"cv": 1}, ValueError, "k-fold cross-validation requires"),
        (Ridge(), {"cv": 40}, ValueError, "not finite on some fold. Take fewer folds"),
        (Ridge(), {"scoring": "r3"}, ValueError, "r3"),
        (
            KNeighborsClassifier(1),
            {"y": np.repeat([1, 0], [30, 10]), "scoring": "recall", "references": CHEAP_LABELS},
            ValueError,
            r"scoring gives a constant prediction 1.*Take a score",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:R.2 score is not well-defined")  # of one row: cv=40
def test_bad_input(estimator, changes, error, message):
    X = np.linspace(0, 1, 40)[:, None]
    arguments = {"y": np.sin(X[:, 0]), "random_state": 0, **changes}
    with pytest.raises(error, match=message):
        diagnose_fit(estimator, X, **arguments)
