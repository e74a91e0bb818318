"""Windows and targets against plain loops over the series."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GroupKFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_ext.preprocessing import SequencePadder, SlidingWindow

RNG = np.random.default_rng(0)
RAGGED = [RNG.normal(size=(length, 2)) for length in (12, 7, 9)]
SHORT = [*RAGGED, RNG.normal(size=(3, 2))]


def windows_by_loop(steps, window, stride):
    starts = range(0, len(steps) - window + 1, stride)
    return np.array([steps[start : start + window] for start in starts])


def samples_by_loop(series, targets, window, stride, horizon, gap):
    """Windows, targets, groups and ends, one window after another."""
    found = []
    for group, (steps, target) in enumerate(zip(series, targets, strict=True)):
        start = 0
        while start + window + (gap + horizon if horizon else 0) <= len(steps):
            last = start + window - 1
            first_target = last + 1 + gap if horizon else last
            ahead = target[first_target : first_target + max(horizon, 1)]
            found.append((steps[start : last + 1], ahead.ravel(), group, last))
            start += stride
    return [np.array(part) for part in zip(*found, strict=True)]


@pytest.mark.parametrize("window", [1, 3, 7])
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_frames_of_ragged_series(window, stride):
    frames = SlidingWindow(window, stride=stride).fit_transform(RAGGED)
    for frame, steps in zip(frames, RAGGED, strict=True):
        expected = windows_by_loop(steps, window, stride)
        assert_array_equal(frame, expected.reshape(len(expected), -1))


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_frames_of_padded_series_stay_padded(stride):
    slider = SlidingWindow(3, stride=stride)
    frames = slider.fit_transform(SequencePadder(n_timesteps=14).fit_transform(RAGGED))
    assert frames.shape[1:] == ((14 - 3) // stride + 1, 6)
    ragged = slider.fit_transform(RAGGED)
    back = SequencePadder().fit(ragged).inverse_transform(frames)
    for one, other in zip(back, ragged, strict=True):
        assert_array_equal(one, other)


def test_frames_of_a_matrix_and_of_channels_first():
    X = RNG.normal(size=(4, 6)).astype(np.float32)
    frames = SlidingWindow(3).fit_transform(X)
    assert frames.dtype == np.float32
    assert_array_equal(frames, [windows_by_loop(row, 3, 1) for row in X])
    tensor = RNG.normal(size=(4, 6, 2))
    turned = SlidingWindow(3, axis_order="channels_first").fit_transform(tensor.swapaxes(1, 2))
    assert_array_equal(turned.swapaxes(1, 2), SlidingWindow(3).fit_transform(tensor))


def test_frames_without_overlap_hold_the_series():
    X = RNG.normal(size=(2, 12, 3))
    frames = SlidingWindow(4, stride=4).fit_transform(X)
    assert_array_equal(frames.reshape(X.shape), X)


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(("horizon", "gap"), [(1, 0), (2, 0), (1, 3), (3, 1)])
def test_samples(window, stride, horizon, gap):
    slider = SlidingWindow(window, stride=stride, horizon=horizon, gap=gap)
    samples = slider.make_samples(SHORT)
    expected = samples_by_loop(SHORT, SHORT, window, stride, horizon, gap)
    for found, wanted in zip(samples, expected, strict=True):
        assert_array_equal(found, wanted)


@pytest.mark.parametrize("horizon", [0, 1, 2])
def test_samples_with_a_series_of_targets(horizon):
    targets = [RNG.normal(size=(len(steps), 1)) for steps in SHORT]
    samples = SlidingWindow(4, horizon=horizon).make_samples(SHORT, targets)
    expected = samples_by_loop(SHORT, targets, 4, 1, horizon, 0)
    expected[1] = expected[1][:, 0] if horizon < 2 else expected[1]
    for found, wanted in zip(samples, expected, strict=True):
        assert_array_equal(found, wanted)


@pytest.mark.parametrize("horizon", [0, 1, 2])
@pytest.mark.parametrize("kind", [np.int64, np.int8, bool, "U3", object])
def test_labels_of_steps_stay_what_they_are(horizon, kind):
    names = np.array(["0", "no", "yes"]) if kind in ("U3", object) else np.arange(3)
    labels = [names[RNG.integers(0, 3, size=len(steps))].astype(kind) for steps in SHORT]
    samples = SlidingWindow(4, horizon=horizon).make_samples(SHORT, labels)
    columns = [part[:, None] for part in labels]
    expected = samples_by_loop(SHORT, columns, 4, 1, horizon, 0)[1]
    assert samples.y.dtype == np.dtype(kind)
    assert_array_equal(samples.y, expected[:, 0] if horizon < 2 else expected)


def test_forms_of_labels():
    series, labels = RNG.normal(size=(2, 8)), np.array([list("abababab"), list("bbbbaaaa")])
    slider = SlidingWindow(3)
    expected = np.concatenate([labels[0, 3:], labels[1, 3:]])
    for y in (labels, labels.tolist(), [*labels], labels[..., None], labels.astype(object)):
        assert_array_equal(slider.make_samples(series, y).y, expected)
    for library in ("pandas", "polars"):
        one = pytest.importorskip(library).Series(labels[0].tolist())
        assert_array_equal(slider.make_samples(series[0], one).y, labels[0, 3:])
    pairs = np.stack([labels, labels[::-1]], axis=1)  # channels first
    turned = SlidingWindow(3, axis_order="channels_first", target_channels=1)
    found = turned.make_samples(series[:, None], pairs).y
    assert_array_equal(found, np.concatenate([labels[1, 3:], labels[0, 3:]]))
    codes = slider.make_samples(series, (labels == "a").astype(int))
    assert LogisticRegression().fit(codes.X[..., 0], codes.y).classes_.dtype == np.int64


@pytest.mark.parametrize(("target_channels", "columns"), [(1, [1]), ([0], [0]), ([1, 0], [1, 0])])
def test_target_channels(target_channels, columns):
    y = SlidingWindow(4, target_channels=target_channels).make_samples(RAGGED).y
    expected = np.concatenate([steps[4:, columns] for steps in RAGGED])
    assert_array_equal(y, expected[:, 0] if len(columns) == 1 else expected)


def test_kinds_of_one_series():
    series = RNG.normal(size=10)
    kinds = [series, series.tolist(), series[None], [series], [series[:, None]]]
    for library in ("pandas", "polars"):
        kinds.append(pytest.importorskip(library).Series(series))
    kinds.append(pytest.importorskip("pandas").Series(series, dtype=object))
    for kind in kinds:
        samples = SlidingWindow(3).make_samples(kind)
        assert_array_equal(samples.X[:, :, 0], windows_by_loop(series, 3, 1)[:-1])
        assert_array_equal(samples.y, series[3:])
        assert_array_equal(SlidingWindow(3).last_windows(kind)[0, :, 0], series[-3:])


@pytest.mark.parametrize("form", [list, np.array])
def test_a_missing_step_of_one_series_is_named(form):
    with pytest.raises(ValueError, match="NaN: sample 0, step 1"):
        SlidingWindow(3).make_samples(form([1.0, None, 2.0, 3.0, 4.0]))


def test_samples_of_channels_first():
    turned = [steps.T for steps in RAGGED]
    samples = SlidingWindow(4, axis_order="channels_first").make_samples(turned)
    expected = SlidingWindow(4).make_samples(RAGGED)
    assert_array_equal(samples.X.swapaxes(1, 2), expected.X)
    assert_array_equal(samples.y, expected.y)
    last = SlidingWindow(4, axis_order="channels_first").last_windows(turned)
    assert_array_equal(last[0], turned[0][:, -4:])


def test_windows_do_not_share_memory_with_the_series():
    series = RNG.normal(size=(1, 10))
    assert not np.shares_memory(SlidingWindow(3).make_samples(series).X, series)


def test_forecast_of_a_linear_recurrence_is_exact():
    series = [1.0, 0.5]
    for _ in range(60):
        series.append(1.6 * series[-1] - 0.8 * series[-2])
    slider = SlidingWindow(2)
    X, y, _, _ = slider.make_samples(series[:-1])
    model = LinearRegression(fit_intercept=False).fit(X[:, :, 0], y)
    assert_allclose(model.coef_, [-0.8, 1.6], rtol=1e-9)
    assert_allclose(model.predict(slider.last_windows(series[:-1])[:, :, 0]), series[-1])


def test_groups_and_order_suit_the_splitters():
    samples = SlidingWindow(3).make_samples(RAGGED)
    for train, test in GroupKFold(3).split(samples.X, groups=samples.groups):
        assert not set(samples.groups[train]) & set(samples.groups[test])
    one = SlidingWindow(3).make_samples(RAGGED[0][None, :, 0])
    for train, test in TimeSeriesSplit(2).split(one.X):
        assert one.ends[train].max() < one.ends[test].min()


def test_in_a_pipeline():
    X = np.cumsum(RNG.normal(size=(60, 20)), axis=1)
    y = X[:, -1] > X[:, 0]
    flat = make_pipeline(SlidingWindow(4, stride=4), SequenceMean(), LogisticRegression())
    assert cross_val_score(flat, X, y, error_score="raise").shape == (5,)


class SequenceMean(SequencePadder):
    """Mean over time, for a classifier of flat samples."""

    def transform(self, X):
        return super().transform(X).mean(axis=1)


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"window": 20}, None, "No window fits: window=20, gap=0 and horizon=1 need 21 steps"),
        ({"horizon": 0}, None, "horizon=0 needs y"),
        ({"horizon": 0, "gap": 1}, None, "gap must be 0 where horizon is 0, got gap=1"),
        ({"target_channels": 2}, None, "integers from 0 to 1, channels, got 2"),
        ({"target_channels": [0.5]}, None, r"integers from 0 to 1, channels, got \[0.5\]"),
        ({"target_channels": -1}, None, "integers from 0 to 1, channels, got -1"),
        ({}, RAGGED[:2], "X has 3 series, but y has 2"),
        ({}, [RAGGED[0], RAGGED[1], RAGGED[0]], "series 2 has 9 in X and 12 in y"),
        ({}, [np.full(len(steps), np.nan) for steps in RAGGED], "Input y contains NaN: sample 0"),
        ({"stride": 0}, None, "The 'stride' parameter of SlidingWindow"),
    ],
)
def test_bad_samples(options, y, message):
    with pytest.raises(ValueError, match=message):
        SlidingWindow(**options).make_samples(RAGGED, y)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_of_channels_is_given_in_a_list(library):
    frame = pytest.importorskip(library).DataFrame(dict(zip("ab", RAGGED[0].T, strict=True)))
    slider = SlidingWindow(4)
    for method in (slider.make_samples, slider.last_windows):
        with pytest.raises(ValueError, match=r"several channels is given as \[X\]"):
            method(frame)
    assert_array_equal(slider.make_samples([frame]).X, slider.make_samples([RAGGED[0]]).X)


def test_short_series():
    with pytest.raises(ValueError, match=r"3 step\(s\) \(sample 3\) while a minimum of 4"):
        SlidingWindow(4).fit(SHORT)
    slider = SlidingWindow(4).fit(RAGGED)
    with pytest.raises(ValueError, match=r"3 step\(s\) \(sample 3\) while a minimum of 4"):
        slider.transform(SHORT)
    with pytest.raises(ValueError, match=r"Sample 3 has 3 step\(s\) while window=4 needs"):
        slider.last_windows(SHORT)
