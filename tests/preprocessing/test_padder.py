"""Padding loses nothing: what was padded comes back, whatever the form."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_ext.preprocessing import SequencePadder

RNG = np.random.default_rng(0)
RAGGED = [RNG.normal(size=(length, 3)) for length in (4, 1, 6)]
SINGLE = [RNG.normal(size=length) for length in (4, 1, 6)]


def assert_same_sequences(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("X", [RAGGED, SINGLE])
@pytest.mark.parametrize("n_timesteps", [None, "fit", 6, 9])
@pytest.mark.parametrize("padding_value", [None, np.nan])
def test_round_trip(X, n_timesteps, padding_value):
    padder = SequencePadder(n_timesteps=n_timesteps, padding_value=padding_value)
    padded = padder.fit_transform(X)
    assert padded.shape == (3, 9 if n_timesteps == 9 else 6, 3 if X is RAGGED else 1)
    assert_same_sequences(padder.inverse_transform(padded), X)
    assert_array_equal(padder.get_lengths(X), [4, 1, 6])
    assert_array_equal(padder.get_lengths(padded), [4, 1, 6])


def test_padding_is_where_the_sequence_has_ended():
    padded = SequencePadder(padding_value=-7.0).fit_transform(RAGGED)
    for sample, steps in zip(padded, RAGGED, strict=True):
        assert_array_equal(sample[: len(steps)], steps)
        assert (sample[len(steps) :] == -7.0).all()


def test_round_trip_with_lengths():
    padder = SequencePadder(padding_value=0.0).fit(RAGGED)
    back = padder.inverse_transform(padder.transform(RAGGED), padder.get_lengths(RAGGED))
    assert_same_sequences(back, RAGGED)


def test_channels_first():
    turned = [steps.T for steps in RAGGED]
    padder = SequencePadder(axis_order="channels_first")
    padded = padder.fit_transform(turned)
    assert_array_equal(padded.swapaxes(1, 2), SequencePadder().fit_transform(RAGGED))
    assert_same_sequences(padder.inverse_transform(padded), turned)
    assert_same_sequences(padder.inverse_transform(padded, [4, 1, 6]), turned)


def test_matrix_gains_an_axis_of_one_channel():
    X = RNG.normal(size=(5, 4)).astype(np.float32)
    padder = SequencePadder()
    padded = padder.fit_transform(X)
    assert padded.dtype == np.float32
    assert_array_equal(padded[:, :, 0], X)
    assert not np.shares_memory(padded, X)
    assert_array_equal(padder.inverse_transform(padded), X)


def test_each_batch_is_padded_to_its_own_longest():
    padder = SequencePadder().fit(RAGGED)
    assert padder.transform(RAGGED[:2]).shape == (2, 4, 3)
    assert padder.transform([np.ones((8, 3))]).shape == (1, 8, 3)
    assert SequencePadder(n_timesteps="fit").fit(RAGGED).transform(RAGGED[:2]).shape == (2, 6, 3)


@pytest.mark.parametrize("truncate", ["start", "end"])
def test_truncation(truncate):
    kept = slice(None, 3) if truncate == "end" else slice(-3, None)
    padded = SequencePadder(n_timesteps=3, truncate=truncate).fit_transform(RAGGED)
    expected = SequencePadder(n_timesteps=3).fit_transform([steps[kept] for steps in RAGGED])
    assert_array_equal(padded, expected)


def test_too_long():
    with pytest.raises(ValueError, match=r"Sample 0 has 4 steps, more than 3 .* truncate='end'"):
        SequencePadder(n_timesteps=3).fit_transform(RAGGED)
    with pytest.raises(ValueError, match=r"Sample 0 has 7 steps, more than 6 \(n_timesteps='fit'"):
        SequencePadder(n_timesteps="fit").fit(RAGGED).transform([np.ones((7, 3))])


def test_lengths_are_needed_where_the_padding_is_a_number():
    padder = SequencePadder(padding_value=0.0).fit(RAGGED)
    with pytest.raises(ValueError, match=r"lengths must be given: with padding_value=0\.0"):
        padder.inverse_transform(padder.transform(RAGGED))


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1, 2], "lengths must be 3 integers"),
        ([1.0, 2.0, 3.0], "lengths must be 3 integers"),
        ([1, 0, 3], "between 1 and 6"),
        ([1, 2, 7], "between 1 and 6"),
    ],
)
def test_bad_lengths(lengths, message):
    padder = SequencePadder().fit(RAGGED)
    with pytest.raises(ValueError, match=message):
        padder.inverse_transform(padder.transform(RAGGED), lengths)
    with pytest.raises(ValueError, match="Expected 3D array"):
        padder.inverse_transform(np.ones((3, 2)), [1, 1, 1])


def test_in_a_pipeline():
    X = [RNG.normal(size=(length, 1)) + (length > 3) for length in [2, 3, 5, 6] * 10]
    y = np.array([len(steps) > 3 for steps in X])
    flat = FlattenTensor()
    padder = SequencePadder(n_timesteps="fit", padding_value=0.0)
    model = make_pipeline(padder, flat, LogisticRegression()).fit(X, y)
    assert model.score(X, y) > 0.9


class FlattenTensor:
    """The shortest transformer that a pipeline takes."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X.reshape(len(X), -1)


def test_other_numbers_of_channels_are_refused_on_the_way_back():
    padder = SequencePadder().fit(np.ones((4, 6, 3)))
    with pytest.raises(ValueError, match="X has 7 channels, but SequencePadder is expecting 3"):
        padder.inverse_transform(np.ones((2, 5, 7)))
