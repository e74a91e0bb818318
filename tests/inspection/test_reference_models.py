"""Tables of numbers, and predictions in the form of estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import get_scorer

from sklearn_ext.inspection import diagnose_fit
from sklearn_ext.inspection._fixed_predictions import fixed, one_hot, outputs
from sklearn_ext.inspection._reference_models import (
    default_references,
    numeric_table,
    residual_models,
)


def test_numbers_stay_and_gaps_become_medians():
    X = np.array([[1.0, 2.0], [np.nan, 4.0], [3.0, np.nan], [8.0, np.nan]])
    assert_array_equal(numeric_table(X), [[1, 2], [3, 4], [3, 3], [8, 3]])
    assert_array_equal(numeric_table(np.full((2, 1), np.nan)), [[0], [0]])


def test_sparse_rows_and_tensors():
    X = np.arange(24.0).reshape(4, 3, 2)
    assert_array_equal(numeric_table(X), X.reshape(4, 6))
    assert_array_equal(numeric_table(sparse.csr_array(X[:, :, 0])), X[:, :, 0])


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_text_columns_become_ranks(package):
    frames = pytest.importorskip(package)
    make = frames.table if package == "pyarrow" else frames.DataFrame
    frame = make({"word": ["b", "a", None, "b"], "number": [1, 2, 3, 4]})
    table = numeric_table(frame)
    assert table.dtype == np.float64
    assert table[0, 0] == table[3, 0] != table[1, 0] != table[2, 0]
    assert_array_equal(table[:, 1], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["a text", "another"], "X is one dimension"),
        ([np.zeros(2), np.zeros(3)], "X is sequences of unequal lengths"),
        (sparse.csr_array((20_000, 100_000)), "X is a sparse matrix"),
    ],
)
def test_what_is_no_table_is_refused(X, message):
    with pytest.raises(ValueError, match=f"{message}.* Pass references"):
        numeric_table(X)


@pytest.mark.parametrize("lengths", [(2, 3), (3, 3)])
def test_columns_of_arrays_are_no_table(lengths):
    frame = pytest.importorskip("pandas").DataFrame({"a": [np.zeros(n) for n in lengths]})
    for X in (frame, frame.to_numpy()):
        with pytest.raises(ValueError, match=r"X is columns of arrays.* Pass references"):
            numeric_table(X)


def test_boosting_takes_over_for_many_rows():
    for classification in (False, True):
        few = default_references(classification, 500, 0)["trees"]
        many = default_references(classification, 5000, 0)["trees"]
        assert type(few).__name__.startswith("ExtraTrees")
        assert type(many).__name__.startswith("HistGradientBoosting")


def test_reference_models_take_several_targets_of_many_rows():
    X = np.random.default_rng(0).normal(size=(60, 2))
    for model in default_references(False, 5000, 0, n_outputs=2).values():
        model.set_params(**{k: 3 for k in model.get_params() if k.endswith("n_neighbors")})
        assert model.fit(X, X).predict(X).shape == (60, 2)


def test_models_of_the_residuals_take_several_classes():
    X = np.random.default_rng(0).normal(size=(40, 2))
    for model in residual_models(True, 0).values():
        assert model.fit(X, np.zeros((40, 3))).predict(X).shape == (40, 3)


@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc", "neg_log_loss", "balanced_accuracy"])
def test_fixed_probabilities_score_as_their_estimator(scoring):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
    model = LogisticRegression().fit(X, y)
    copy = fixed(outputs(model, X, model.classes_), model.classes_)
    scorer = get_scorer(scoring)
    assert_allclose(scorer(copy, X, y), scorer(model, X, y))


def test_fixed_values_score_as_their_estimator():
    X = np.arange(10.0)[:, None]
    y = X[:, 0] ** 2
    model = LinearRegression().fit(X, y)
    assert_allclose(get_scorer("r2")(fixed(outputs(model, X)), X, y), model.score(X, y))


def test_labels_become_certain_and_unseen_classes_impossible():
    X, y = np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 2, 2])
    classes = np.array([0, 1, 2])
    assert_array_equal(outputs(RidgeClassifier().fit(X, y), X, classes), one_hot(y, classes))
    shares = outputs(LogisticRegression().fit(X, y), X, classes)
    assert_array_equal(shares[:, 1], 0.0)
    assert_allclose(shares.sum(axis=1), 1.0)


def test_corrected_probabilities_are_made_probabilities():
    model = fixed(np.array([[1.2, -0.2], [0.3, 0.9]]), np.array(["a", "b"]))
    assert model.predict(None).tolist() == ["a", "b"]
    assert_allclose(model.predict_proba(None).sum(axis=1), 1.0)
    assert (model.predict_proba(None) > 0).all()


def test_one_target_put_out_as_a_column_is_one_target():
    class ColumnRegression(LinearRegression):
        def predict(self, X):
            return super().predict(X)[:, None]

    X = np.random.default_rng(0).normal(size=(60, 2))
    y = X @ [1.0, 2.0] + X[:, 0] ** 2
    found, expected = (
        diagnose_fit(model(), X, y, cv=3, random_state=0)
        for model in (ColumnRegression, LinearRegression)
    )
    assert str(found).partition(":")[2] == str(expected).partition(":")[2]
    assert found.reference_scores.keys() == expected.reference_scores.keys()
    for name, scores in expected.reference_scores.items():
        assert_allclose(found.reference_scores[name], scores)
