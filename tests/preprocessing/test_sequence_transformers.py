"""What scikit-learn's checks ask of tables, asked of ragged and of three-dimensional input."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_ext.preprocessing import (
    MultilinearPCA,
    SequencePadder,
    SequenceScaler,
    SlidingWindow,
)

RNG = np.random.default_rng(0)
RAGGED = [RNG.normal(size=(length, 2)) for length in (4, 3, 6, 5)]
PADDED = SequencePadder().fit_transform(RAGGED)
TENSOR = RNG.normal(size=(4, 5, 2))
FORMS = {"ragged": RAGGED, "padded": PADDED, "tensor": TENSOR}
SEQUENCE_TRANSFORMERS = [
    SequencePadder(),
    SequencePadder(n_timesteps="fit", padding_value=0.0),
    SequenceScaler(),
    SequenceScaler(per="series"),
    SlidingWindow(3, stride=2),
]
CASES = [(one, form) for one in SEQUENCE_TRANSFORMERS for form in FORMS]
CASES += [(MultilinearPCA((2, 1)), "tensor"), (MultilinearPCA((2, 1), flatten=False), "tensor")]
every_case = pytest.mark.parametrize(("estimator", "form"), CASES, ids=str)


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.dtype == other.dtype
        assert_array_equal(one, other)


def cut(X, dtype):
    return [x.astype(dtype) for x in X] if isinstance(X, list) else X.astype(dtype)


@every_case
def test_round_trip_is_bitwise(estimator, form):
    X = FORMS[form]
    fitted = clone(estimator).fit(X)
    assert_same(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    assert_same(clone(fitted).fit_transform(X), fitted.transform(X))


@every_case
def test_dtype_is_kept(estimator, form):
    for dtype in (np.float32, np.float64):
        result = clone(estimator).fit_transform(cut(FORMS[form], dtype))
        assert {part.dtype for part in result} == {np.dtype(dtype)}


@every_case
def test_each_sample_alone_gives_the_same(estimator, form):
    X = FORMS[form]
    fitted = clone(estimator).fit(X)
    whole = fitted.transform(X)
    for i in range(len(X)):
        alone = fitted.transform(X[i : i + 1])[0]
        np.testing.assert_allclose(alone, whole[i][: len(alone)], rtol=1e-12, atol=1e-12)
        assert np.isnan(whole[i][len(alone) :]).all()


@every_case
def test_input_is_not_written_to(estimator, form):
    X = pickle.loads(pickle.dumps(FORMS[form]))
    for part in X if isinstance(X, list) else [X]:
        part.flags.writeable = False
    result = clone(estimator).fit_transform(X)
    assert all(part.flags.writeable for part in result)


@every_case
def test_failed_fit_leaves_the_earlier_one(estimator, form):
    X = FORMS[form]
    fitted = clone(estimator).fit(X)
    expected, before = fitted.transform(X), dict(vars(fitted))
    wrong = np.full((3, 6, 3), np.inf)
    with pytest.raises(ValueError, match="infinity"):
        fitted.fit(wrong)
    assert vars(fitted).keys() == before.keys()
    assert_same(fitted.transform(X), expected)


@every_case
def test_not_fitted(estimator, form):
    with pytest.raises(NotFittedError):
        clone(estimator).transform(FORMS[form])


@every_case
def test_other_channels_are_refused(estimator, form):
    fitted = clone(estimator).fit(FORMS[form])
    with pytest.raises(ValueError, match="is expecting"):
        fitted.transform(np.ones((2, 5, 3)))


@every_case
def test_set_output_leaves_alone_what_is_no_table(estimator, form):
    X = FORMS[form]
    expected = clone(estimator).fit_transform(X)
    pandas = pytest.importorskip("pandas")
    unfitted = clone(estimator).set_output(transform="pandas").fit_transform(X)
    fitted = clone(estimator).fit(X).set_output(transform="pandas").transform(X)
    for found in (unfitted, fitted):
        if np.ndim(expected[0]) == 1:
            assert isinstance(found, pandas.DataFrame)
            found = found.to_numpy()
        assert_same(found, expected)


def test_set_output_of_a_pipeline_with_tensors_in_between():
    pandas = pytest.importorskip("pandas")
    padder = SequencePadder(n_timesteps="fit", padding_value=0.0)
    steps = padder, SlidingWindow(3), MultilinearPCA((2, 1), flatten=False), MultilinearPCA(2)
    pipeline = make_pipeline(*steps).set_output(transform="pandas")
    found = pipeline.fit_transform(RAGGED)
    assert isinstance(found, pandas.DataFrame)
    expected = clone(pipeline).set_output(transform="default").fit_transform(RAGGED)
    assert isinstance(expected, np.ndarray)
    assert_array_equal(found, expected)


def test_grid_search_on_ragged_input():
    X = [RNG.normal(loc=i % 2, size=(RNG.integers(3, 9), 2)) for i in range(40)]
    y = np.arange(40) % 2
    pipeline = make_pipeline(
        SequenceScaler(),
        SequencePadder(n_timesteps=6, truncate="end", padding_value=0.0),
        MultilinearPCA((2, 2)),
        LogisticRegression(),
    )
    grid = {
        "sequencescaler__with_mean": [True, False],
        "sequencepadder__truncate": ["start", "end"],
    }
    search = GridSearchCV(pipeline, grid, cv=4, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8
    assert search.predict(X).shape == (40,)
