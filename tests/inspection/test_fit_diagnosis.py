"""Diagnoses of fits whose truth is known, and the numbers in them."""

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_ext import PolynomialRegressor
from sklearn_ext.inspection import diagnose_fit
from sklearn_ext.inspection._fit_measurements import Task

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
    assert "residuals explained" not in str(found)  # references of the user take no table
    assert np.isnan(found.noise_ceiling)


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


# Weights


def repeated(X, y, counts, splits):
    """Rows as often as they count, in the same folds."""
    rows = np.repeat(np.arange(len(y)), counts)
    folds = [[np.flatnonzero(np.isin(rows, part)) for part in split] for split in splits]
    return X[rows], y[rows], folds


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        make_pipeline(StandardScaler(), Ridge()),
        GridSearchCV(Ridge(), {"alpha": [1.0]}, cv=[(np.arange(20), np.arange(20))], scoring="r2"),
        TransformedTargetRegressor(Ridge(), func=np.sinh, inverse_func=np.arcsinh),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_integer_weights_are_repeated_rows(estimator):
    X, y = sine(0.3, n=80)
    counts = np.random.default_rng(1).integers(0, 4, size=80)
    splits = list(KFold(4, shuffle=True, random_state=0).split(X))
    options = {"references": {"cubic": PolynomialRegressor(3)}, "random_state": 0}
    by_weights = diagnose_fit(estimator, X, y, cv=splits, sample_weight=counts, **options)
    X, y, splits = repeated(X, y, counts, splits)
    by_rows = diagnose_fit(estimator, X, y, cv=splits, **options)
    for name in ("train_scores", "validation_scores", "test_ratio", "chance_score"):
        assert_allclose(getattr(by_weights, name), getattr(by_rows, name), rtol=1e-9)
    for name, scores in by_rows.reference_scores.items():
        assert_allclose(by_weights.reference_scores[name], scores, rtol=1e-9)


@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_integer_weights_of_labels_and_models_of_residuals(scoring):
    X, y = crossing(80)
    counts = np.random.default_rng(1).integers(1, 3, size=80)
    splits = list(StratifiedKFold(4).split(X, y))
    options = {"scoring": scoring, "random_state": 0}
    estimator = DecisionTreeClassifier(max_depth=2, random_state=0)
    by_weights = diagnose_fit(estimator, X, y, cv=splits, sample_weight=counts, **options)
    X, y, splits = repeated(X, y, counts, splits)
    by_rows = diagnose_fit(estimator, X, y, cv=splits, **options)
    assert_allclose(by_weights.train_scores, by_rows.train_scores)
    assert_allclose(by_weights.validation_scores, by_rows.validation_scores)


def test_polynomial_of_residuals_and_its_share_are_weighted():
    X, y = sine(0.3, n=80)
    counts = np.random.default_rng(1).integers(1, 4, size=80)
    splits = list(KFold(4).split(X))
    by_weights = diagnose_fit(
        LinearRegression(), X, y, cv=splits, sample_weight=counts, random_state=0
    )
    X, y, splits = repeated(X, y, counts, splits)
    task = Task(X, y, None, splits, get_scorer("r2"), None, X, None)
    fitted = [LinearRegression().fit(X[train], y[train]) for train, _ in splits]
    name = "a polynomial on its residuals"
    # The degree is chosen by leave-one-out, which leaves out a row of weight 2 as one: the same
    # degree wins here.
    scores, shares = task.corrected_scores(fitted, 0)
    assert_allclose(by_weights.reference_scores[name], scores[name][:, 0], rtol=1e-6)
    assert_allclose(by_weights.residual_structure[name], shares[name][0], rtol=1e-6)


def test_weights_of_one_are_no_weights():
    X, y = sine(0.3, n=60)
    without = diagnose_fit(Ridge(), X, y, random_state=0)
    ones = diagnose_fit(Ridge(), X, y, sample_weight=np.ones(60), random_state=0)
    assert str(ones) == str(without)
    assert_array_equal(ones.validation_curve, without.validation_curve)
    # Estimators that take no weights take those.
    options = {"references": CHEAP, "sample_weight": [1] * 60}
    diagnose_fit(KNeighborsRegressor(), X, y, **options)


def test_weights_change_the_verdict_the_curve_and_the_ceiling():
    # A line, and a sine that counts for nearly nothing until it is weighted.
    X, y = sine(0.1)
    y = np.where(X[:, 0] > 0, y, 0.5 * X[:, 0] + 0.1 * np.random.default_rng(2).normal(size=200))
    light = np.where(X[:, 0] > 0, 1e-6, 1.0)
    by_weight = diagnose_fit(LinearRegression(), X, y, sample_weight=light, random_state=0)
    assert diagnose_fit(LinearRegression(), X, y, random_state=0).verdict == "underfit"
    assert by_weight.verdict == "good"
    assert by_weight.validation_curve.min() > 0.9
    assert_allclose(by_weight.noise_ceiling, 0.95, atol=0.03)


def test_rows_of_weight_0_are_as_if_they_were_not_there():
    X, y = sine(0.3, n=100)
    weight = np.r_[np.ones(40), np.zeros(60)]
    X[40:], y[40:] = 1e3, 1e6
    options = {"random_state": 0, "references": CHEAP}
    found = diagnose_fit(Ridge(), X, y, sample_weight=weight, **options)
    few = diagnose_fit(Ridge(), X[:40], y[:40], sample_weight=np.ones(40), **options)
    assert_allclose(found.validation_scores, few.validation_scores)
    assert found.verdict == few.verdict


@pytest.mark.parametrize(
    ("scoring", "low", "message"),
    [
        ("neg_mean_poisson_deviance", 0.0, "cannot score predictions that are all right"),
        ("neg_mean_gamma_deviance", 1e-3, "reference model '.*' cannot be fitted or scored"),
    ],
)
def test_scores_that_some_predictions_have_not(scoring, low, message):
    X, y = sine(0.3)
    with pytest.raises(ValueError, match=message):
        diagnose_fit(DummyRegressor(), X, np.maximum(y, low), scoring=scoring, random_state=0)


def test_requests_of_the_user_hold_where_routing_is_enabled():
    X, y = sine(0.3, n=60)
    options = {"sample_weight": np.arange(60.0), "references": CHEAP, "random_state": 0}
    without_routing = diagnose_fit(make_pipeline(StandardScaler(), Ridge()), X, y, **options)
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        ridge = Ridge().set_fit_request(sample_weight=True)
        found = diagnose_fit(make_pipeline(scaler, ridge), X, y, **options)
        with pytest.raises(UnsetMetadataPassedError, match="set_fit_request"):
            diagnose_fit(make_pipeline(StandardScaler(), ridge), X, y, **options)
    assert not np.array_equal(found.validation_scores, without_routing.validation_scores)


def test_a_frozen_part_is_left_alone():
    X, y = sine(0.3, n=60)
    scaler = StandardScaler().fit(X)
    line = make_pipeline(FrozenEstimator(scaler), Ridge())
    diagnose_fit(line, X, y, sample_weight=np.arange(60.0), references=CHEAP, random_state=0)
    assert not hasattr(scaler, "_metadata_request")
    assert not hasattr(line[-1], "_metadata_request")


# Several targets


def two_targets(n=200):
    """A line, and a sine that no line fits."""
    X, y = sine(0.1, n)
    return X, np.column_stack([X[:, 0] + 0.1 * np.random.default_rng(2).normal(size=n), y])


def test_evidence_names_the_worst_of_several_outputs():
    X, Y = two_targets()
    found = diagnose_fit(LinearRegression(), X, Y, random_state=0)
    assert found.verdict == "underfit"
    assert found.worst_output == 1
    assert [found.outputs[j].verdict for j in (0, 1)] == ["good", "underfit"]
    assert found.evidence[-1].startswith("worst output: 1 (underfit), R² on new rows")
    assert "R² of output 0" in str(found)
    name = "a polynomial on its residuals"
    assert found.outputs[0].residual_structure[name] < 0.1
    assert found.outputs[1].residual_structure[name] > 0.8


def test_each_output_has_the_numbers_of_its_column_alone():
    X, Y = two_targets(100)
    options = {"cv": KFold(4, shuffle=True, random_state=3), "random_state": 0}
    # A fixed degree: the automatic one is chosen for all targets together.
    options["references"] = {"cubic": PolynomialRegressor(3)}
    both = diagnose_fit(LinearRegression(), X, Y, **options)
    columns = [diagnose_fit(LinearRegression(), X, y, **options) for y in Y.T]
    for j, alone in enumerate(columns):
        output = both.outputs[j]
        for name in ("train_scores", "validation_scores", "train_curve", "validation_curve"):
            assert_allclose(getattr(output, name), getattr(alone, name))
        assert_allclose(output.reference_scores["cubic"], alone.reference_scores["cubic"])
        assert output.verdict == alone.verdict
        assert output.outputs == {}
    # R² of the whole is the mean over outputs.
    mean = np.mean([alone.validation_scores for alone in columns], axis=0)
    assert_allclose(both.validation_scores, mean)


def test_noise_and_structure_of_the_whole_are_means_over_outputs():
    X, Y = two_targets(100)
    found = diagnose_fit(Ridge(), X, Y, random_state=0)
    each = list(found.outputs.values())
    assert_allclose(found.noise_ceiling, np.mean([output.noise_ceiling for output in each]))
    alone = diagnose_fit(Ridge(), X, Y[:, 1], random_state=0)
    assert_allclose(each[1].noise_ceiling, alone.noise_ceiling)
    for name, share in found.residual_structure.items():
        assert_allclose(share, np.mean([output.residual_structure[name] for output in each]))


def test_one_column_is_a_vector():
    X, y = sine(0.3, n=60)
    column = diagnose_fit(Ridge(), X, y[:, None], random_state=0)
    vector = diagnose_fit(Ridge(), X, y, random_state=0)
    assert str(column) == str(vector)
    assert column.outputs == {}
    assert column.worst_output is None


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_names_of_targets_in_a_data_frame(package):
    frames = pytest.importorskip(package)
    X, Y = two_targets(100)
    frame = frames.DataFrame({"line": Y[:, 0], "wave": Y[:, 1]})
    options = {"references": CHEAP, "scoring": "neg_mean_absolute_error", "random_state": 0}
    weights = np.arange(100.0)
    found = diagnose_fit(Ridge(), X, frame, sample_weight=weights, **options)
    assert list(found.outputs) == ["line", "wave"]
    assert found.worst_output == "wave"
    assert found.scoring == "neg_mean_absolute_error"
    assert found.outputs["wave"].scoring == "R²"


# Use


@pytest.mark.parametrize("weight", [None, np.arange(120) % 3])
def test_same_seed_same_diagnosis_and_the_estimator_stays_as_it_is(weight):
    X, y = crossing(120)
    estimator = LogisticRegression()
    with parallel_config("threading"):
        first, second, other = (
            diagnose_fit(estimator, X, y, sample_weight=weight, random_state=seed, n_jobs=jobs)
            for seed, jobs in ((3, None), (3, 2), (4, None))
        )
    assert str(first) == str(second) != str(other)
    assert not hasattr(estimator, "coef_")
    assert not hasattr(estimator, "_metadata_request")
    assert not get_config()["enable_metadata_routing"]


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


@pytest.mark.parametrize("weight", [None, np.arange(60) % 3])
def test_folds_may_be_masks(weight):
    X, y = sine(0.3, n=60)
    splits = list(KFold(3).split(X))
    masks = [tuple(np.isin(np.arange(60), part) for part in split) for split in splits]
    options = {"references": CHEAP, "sample_weight": weight, "random_state": 0}
    by_masks = diagnose_fit(Ridge(), X, y, cv=masks, **options)
    assert str(by_masks) == str(diagnose_fit(Ridge(), X, y, cv=splits, **options))


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
    for part in (
        "R² on training rows",
        "on new rows",
        "residuals explained by",
        "noise ceiling by near neighbours",
        "because:",
        "next: Give the model more",
    ):
        assert part in report
    assert f"{found.validation_scores.mean():.3f}" in report


class TwoColumns(Ridge):
    """Predicts two columns for one target, as several quantiles are."""

    def predict(self, X):
        return np.stack([super().predict(X)] * 2, axis=1)


@pytest.mark.parametrize(
    ("estimator", "changes", "error", "message"),
    [
        (KMeans(), {}, TypeError, "must be a classifier or a regressor, got KMeans"),
        (None, {}, TypeError, "must be a classifier or a regressor, got NoneType"),
        (Ridge(), {"y": None}, ValueError, "y=None: a diagnosis needs targets"),
        (Ridge(), {"references": [Ridge()]}, TypeError, "dict of names to estimators.*got list"),
        (Ridge(), {"references": {"constant": Ridge()}}, ValueError, "Give another name"),
        (Ridge(), {"scoring": ["r2"]}, TypeError, r"scoring must be one score.*got \['r2'\]"),
        (Ridge(), {"y": np.ones(40)}, ValueError, "one value 1.0 only"),
        (Ridge(), {"y": np.full(40, np.nan)}, ValueError, "y contains NaN or infinity"),
        (
            Ridge(),
            {"y": np.eye(40)[:, :2] * [1, 0]},
            ValueError,
            r"y\[:, 1\] holds the one value 0",
        ),
        (Ridge(), {"y": np.ones((40, 2, 2))}, ValueError, "y with dim 3"),
        (
            KNeighborsClassifier(1),
            {"y": np.eye(40, dtype=int)[:, :2]},
            ValueError,
            r"y has 2 columns of labels.*y\[:, 0\], then y\[:, 1\]",
        ),
        (Ridge(), {"sample_weight": np.ones(39)}, ValueError, r"sample_weight.shape == \(39,\)"),
        (Ridge(), {"sample_weight": -np.ones(40)}, ValueError, "Negative values.*sample_weight"),
        (
            make_pipeline(StandardScaler(), KNeighborsRegressor()),
            {"sample_weight": np.arange(40)},
            TypeError,
            "fit of KNeighborsRegressor takes none",
        ),
        (
            Ridge(),
            {"sample_weight": np.arange(40), "scoring": "neg_max_error"},
            TypeError,
            "scoring='neg_max_error' takes none",
        ),
        (
            Ridge(),
            {"sample_weight": np.arange(40), "scoring": lambda model, X, y: model.score(X, y)},
            TypeError,
            "is a function that takes no sample_weight. Pass a name",
        ),
        (Ridge(), {"y": np.arange(39.0)}, ValueError, "inconsistent numbers of samples"),
        (LogisticRegression(), {}, ValueError, "Unknown label type"),
        (Ridge(), {"cv": 1}, ValueError, "k-fold cross-validation requires"),
        (Ridge(), {"cv": ShuffleSplit(1)}, ValueError, "cv must give at least 2 folds, got 1"),
        (
            Ridge(),
            {"cv": 50},
            ValueError,
            "cv=50 cannot split these rows.*n_splits=50 greater.*Take fewer folds",
        ),
        (
            Ridge(),
            {"cv": GroupKFold(3)},
            ValueError,
            r"Give cv=list\(GroupKFold\(n_splits=3.*\)\.split\(X, y, groups\)\)",
        ),
        (
            KNeighborsClassifier(1),
            {"y": np.arange(40) // 2, "cv": 3},
            ValueError,
            "cv=3 cannot split these rows.*n_splits=3 cannot be greater.*Take fewer folds",
        ),
        (TwoColumns(), {}, ValueError, "predicts several columns.*one quantile at a time"),
        (
            TwoColumns(),
            {"scoring": lambda model, X, y: -len(model.predict(X))},
            ValueError,
            "predicts several columns.*one quantile at a time",
        ),
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
