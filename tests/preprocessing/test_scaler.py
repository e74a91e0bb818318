"""Scaling of sequences against numpy and StandardScaler, in every form."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from sklearn_ext.preprocessing import SequencePadder, SequenceScaler
from sklearn_ext.preprocessing._scaler import moments

RNG = np.random.default_rng(0)
RAGGED = [RNG.normal([1.0, -50.0], [1.0, 9.0], size=(length, 2)) for length in (4, 1, 60)]
PADDED = SequencePadder().fit_transform(RAGGED)
FORMS = {
    "ragged": RAGGED,
    "single": [steps[:, 0] for steps in RAGGED],
    "padded": PADDED,
    "tensor": RNG.normal(3.0, 2.0, size=(4, 5, 2)),
    "matrix": RNG.normal(3.0, 2.0, size=(4, 5)),
}
every_form = pytest.mark.parametrize("X", FORMS.values(), ids=FORMS)


def steps_of(X):
    """Finite steps of each sample, channels last."""
    arrays = [np.asarray(x).reshape(len(x), -1) for x in X]
    return [array[np.isfinite(array).all(axis=1)] for array in arrays]


def assert_like(result, X):
    """The form, the lengths and the padding of X."""
    assert isinstance(result, type(X))
    for one, other in zip(result, X, strict=True):
        assert one.shape == other.shape
        assert_array_equal(np.isnan(one), np.isnan(other))


@every_form
@pytest.mark.parametrize("with_mean", [True, False])
@pytest.mark.parametrize("with_std", [True, False])
def test_per_channel_is_standard_scaler_on_all_steps(X, with_mean, with_std):
    scaler = SequenceScaler(with_mean=with_mean, with_std=with_std)
    result = scaler.fit_transform(X)
    reference = StandardScaler(with_mean=with_mean, with_std=with_std)
    expected = reference.fit_transform(np.concatenate(steps_of(X)))
    assert_like(result, X)
    assert_allclose(np.concatenate(steps_of(result)), expected, rtol=1e-12, atol=1e-12)


@every_form
def test_per_series_is_standard_scaler_on_each(X):
    result = SequenceScaler(per="series").fit_transform(X)
    assert_like(result, X)
    for scaled, steps in zip(steps_of(result), steps_of(X), strict=True):
        expected = StandardScaler().fit_transform(steps)
        assert_allclose(scaled, expected, rtol=1e-12, atol=1e-12)


@every_form
def test_inverse(X):
    scaler = SequenceScaler()
    back = scaler.inverse_transform(scaler.fit_transform(X))
    for one, other in zip(back, X, strict=True):
        assert_allclose(one, other, rtol=1e-12)


def test_inverse_is_absent_per_series():
    assert not hasattr(SequenceScaler(per="series"), "inverse_transform")


def test_channels_first():
    turned = [steps.T for steps in RAGGED]
    result = SequenceScaler(axis_order="channels_first").fit_transform(turned)
    for one, other in zip(result, SequenceScaler().fit_transform(RAGGED), strict=True):
        assert_array_equal(one.T, other)


def test_new_sequences_take_the_scale_of_the_training_ones():
    scaler = SequenceScaler().fit(RAGGED)
    new = np.ones((2, 3, 2))
    assert_allclose(scaler.transform(new), (new - scaler.mean_) / scaler.scale_, rtol=1e-15)
    assert scaler.transform(new.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("constant", [0.1, 1e8 / 3, 1e-300])
@pytest.mark.parametrize("per", ["channel", "series"])
def test_constant_is_not_scaled(constant, per):
    result = SequenceScaler(per=per).fit_transform(np.full((3, 1001), constant))
    assert_allclose(result, 0.0, atol=1e-9 * constant)


def test_small_spread_on_a_large_mean_is_found():
    values = 1e6 + 1e-3 * RNG.normal(size=(1000, 1))
    _, scale = moments(values, np.array([1000]))
    assert_allclose(scale[0], values.std(axis=0), rtol=1e-6)


def test_float32_moments_are_those_of_double():
    X = RNG.normal(1000.0, 1.0, size=(50, 400)).astype(np.float32)
    scaler = SequenceScaler().fit(X)
    assert_allclose(scaler.mean_, X.astype(np.float64).mean(), rtol=1e-12)
    assert_allclose(scaler.scale_, X.astype(np.float64).std(), rtol=1e-10)


@pytest.mark.parametrize("options", [{}, {"with_mean": False, "with_std": False}])
def test_what_is_put_out_is_a_copy(options):
    X = FORMS["tensor"].copy()
    result = SequenceScaler(**options).fit_transform(X)
    assert not np.shares_memory(result, X)


def test_frame_keeps_its_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FORMS["matrix"], columns=list("abcde"))
    result = SequenceScaler().set_output(transform="pandas").fit_transform(frame)
    assert result.columns.tolist() == list("abcde")


def test_table_of_pyarrow_is_scaled_like_the_array():
    X = np.random.default_rng(0).normal(size=(24, 12))
    columns = {f"c{i}": column for i, column in enumerate(X.T)}
    table = pytest.importorskip("pyarrow").table(columns)
    assert_allclose(SequenceScaler().fit_transform(table), SequenceScaler().fit_transform(X))


def test_tensors_have_no_columns():
    scaler = SequenceScaler().set_output(transform="pandas").fit(PADDED)
    assert not hasattr(scaler, "get_feature_names_out")
    assert isinstance(scaler.transform(PADDED), np.ndarray)


@pytest.mark.parametrize("unit", [1e-200, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("per", ["channel", "series"])
def test_squares_of_any_unit_are_no_trouble(unit, per):
    X = np.random.default_rng(0).normal(size=(3, 7, 2))
    found = SequenceScaler(per=per).fit_transform(X * [1.0, unit])
    assert_allclose(found, SequenceScaler(per=per).fit_transform(X), rtol=1e-9, atol=1e-12)
