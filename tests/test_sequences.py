"""Every accepted form is read into the same steps, and everything else is refused by name."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator

from sklearn_ext._sequences import read_sequences, validate_sequences

RNG = np.random.default_rng(0)
LENGTHS = [3, 1, 5]
RAGGED = [RNG.normal(size=(length, 2)) for length in LENGTHS]
SINGLE = [RNG.normal(size=length) for length in LENGTHS]


def nan_padded(arrays, extra=0):
    """Pad by hand, one sequence after another."""
    tensor = np.full((len(arrays), max(map(len, arrays)) + extra, arrays[0].shape[1]), np.nan)
    for i, array in enumerate(arrays):
        tensor[i, : len(array)] = array
    return tensor


def object_array(arrays):
    array = np.empty(len(arrays), dtype=object)
    array[:] = arrays
    return array


def pandas_series(arrays):
    return pytest.importorskip("pandas").Series(arrays)


def polars_series(arrays):
    return pytest.importorskip("polars").Series([array.tolist() for array in arrays])


def pandas_frame(arrays):
    return pytest.importorskip("pandas").DataFrame({"sequence": arrays})


def polars_frame(arrays):
    return pytest.importorskip("polars").DataFrame({"s": [array.tolist() for array in arrays]})


def arrays_of_arrays(arrays):
    """Frames that pandas reads from Parquet have such cells."""
    cells = [object_array([row.copy() for row in a]) if a.ndim == 2 else a for a in arrays]
    return pytest.importorskip("pandas").DataFrame({"s": cells})


def pyarrow_table(arrays):
    return pytest.importorskip("pyarrow").table({"s": [array.tolist() for array in arrays]})


def torch_list(arrays):
    return [pytest.importorskip("torch").from_numpy(array) for array in arrays]


def pandas_list(arrays):
    pandas = pytest.importorskip("pandas")
    return [pandas.DataFrame(a) if a.ndim == 2 else pandas.Series(a) for a in arrays]


def nested_lists(arrays):
    return [array.tolist() for array in arrays]


RAGGED_FORMS = [
    list,
    tuple,
    object_array,
    pandas_series,
    polars_series,
    pandas_frame,
    polars_frame,
    arrays_of_arrays,
    pyarrow_table,
    torch_list,
    pandas_list,
    nested_lists,
]


def assert_holds(found, arrays):
    assert_array_equal(found.lengths, [len(array) for array in arrays])
    assert found.lengths.dtype == np.int64
    for steps, array in zip(found.as_list(), arrays, strict=True):
        assert_array_equal(steps, np.reshape(array, (len(array), -1)))


@pytest.mark.parametrize("form", RAGGED_FORMS)
@pytest.mark.parametrize("arrays", [RAGGED, SINGLE], ids=["two channels", "one channel"])
def test_ragged_forms(form, arrays):
    found = read_sequences(form(arrays))
    assert_holds(found, arrays)
    assert found.form == "ragged"
    assert found.n_features == found.n_channels
    assert_array_equal(found.starts, [0, 3, 4])
    for back, array in zip(found.restored(), arrays, strict=True):
        assert_array_equal(back, array)


@pytest.mark.parametrize("axis_order", ["channels_last", "channels_first"])
@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_columns_of_arrays_are_channels(frame, axis_order):
    columns = {name: [array[:, i] for array in RAGGED] for i, name in enumerate("ab")}
    X = pytest.importorskip(frame).DataFrame(columns)
    assert_holds(read_sequences(X, axis_order=axis_order), RAGGED)


@pytest.mark.parametrize("axis_order", ["channels_last", "channels_first"])
def test_matrix_of_arrays_is_read_like_the_frame(axis_order):
    columns = {name: [array[:, i] for array in RAGGED] for i, name in enumerate("ab")}
    frame = pytest.importorskip("pandas").DataFrame(columns)
    found = read_sequences(frame.to_numpy(), axis_order=axis_order)
    assert_holds(found, RAGGED)
    assert_holds(read_sequences(frame[["a"]].to_numpy()), columns["a"])


MISSING = "is missing: it is .* in place of an array. Remove the sample, with its target"


@pytest.mark.parametrize("missing", [None, np.nan, "pandas.NA"])
def test_missing_cell_among_arrays(missing):
    pandas = pytest.importorskip("pandas")
    missing = pandas.NA if missing == "pandas.NA" else missing
    for place in (0, 1):
        cells = [np.ones(2)]
        cells.insert(place, missing)
        X = pandas.DataFrame({"a": cells, "b": [np.ones(2), np.ones(2)]})
        with pytest.raises(ValueError, match=rf"X \(sample {place}\) {MISSING}"):
            read_sequences(X[["a"]])
        with pytest.raises(ValueError, match=rf"X \(sample {place}, column 'a'\) {MISSING}"):
            read_sequences(X)


@pytest.mark.parametrize("form", ["frame", "series", "pandas", "list"])
def test_missing_cell_among_lists(form):
    cells = [[1.0, 2.0]] * 23 + [None]
    if form == "pandas":
        X = pytest.importorskip("pandas").Series(cells)
    elif form == "list":
        X = cells
    else:
        polars = pytest.importorskip("polars")
        X = polars.DataFrame({"a": cells}) if form == "frame" else polars.Series(cells)
    with pytest.raises(ValueError, match=rf"X \(sample 23\) {MISSING}"):
        read_sequences(X)


def test_columns_of_a_pyarrow_table_are_channels():
    arrow = pytest.importorskip("pyarrow")
    columns = {name: [array[:, i] for array in RAGGED] for i, name in enumerate("ab")}
    assert_holds(read_sequences(arrow.table(columns)), RAGGED)
    assert_holds(read_sequences(arrow.table({"a": columns["a"]})), columns["a"])
    reader = Reader().fit(arrow.table(columns))
    assert reader.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match=rf"X \(sample 1\) {MISSING}"):
        read_sequences(arrow.table({"a": [[1.0], None]}))


def test_pyarrow_table_of_numbers_is_a_matrix():
    X = RNG.normal(size=(4, 12))
    names = [f"c{i}" for i in range(12)]
    table = pytest.importorskip("pyarrow").table(dict(zip(names, X.T, strict=True)))
    found = read_sequences(table)
    assert found.form == "matrix"
    assert_holds(found, list(X))
    assert Reader().fit(table).feature_names_in_.tolist() == names


def test_lazy_frame_is_told_to_be_collected():
    lazy = pytest.importorskip("polars").LazyFrame({"a": [1.0, 2.0]})
    with pytest.raises(TypeError, match=r"a LazyFrame, which has no rows yet. Give X.collect\(\)"):
        read_sequences(lazy)


def test_columns_of_unequal_arrays():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"a": [np.ones(3), np.ones(2)], "b": [np.ones(3), np.ones(4)]})
    with pytest.raises(ValueError, match=r"sample 1 has the shapes .*'b': \(4,\)"):
        read_sequences(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_is_kept(dtype):
    arrays = [array.astype(dtype) for array in RAGGED]
    tensor = nan_padded(RAGGED).astype(dtype)
    for X in (arrays, tensor, np.ones((2, 3), dtype)):
        assert read_sequences(X).values.dtype == dtype


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.bool_, np.float16, object])
def test_other_numbers_become_double(dtype):
    for X in (np.ones((2, 3), dtype), np.ones((2, 3, 2), dtype), [np.ones((2, 1), dtype)]):
        assert read_sequences(X).values.dtype == np.float64


def test_mixed_precision_becomes_double():
    found = read_sequences([RAGGED[0].astype(np.float32), RAGGED[1]])
    assert found.values.dtype == np.float64


def test_matrix_is_one_channel():
    X = RNG.normal(size=(4, 6))
    found = read_sequences(X)
    assert (found.form, found.n_channels, found.n_timesteps, found.n_features) == (
        "matrix",
        1,
        6,
        6,
    )
    assert_holds(found, list(X))
    assert_array_equal(found.restored(), X)


def test_lists_of_equal_lengths_are_a_matrix_and_arrays_are_not():
    assert read_sequences([[1.0, 2.0], [3.0, 4.0]]).form == "matrix"
    assert read_sequences([np.ones(2), np.ones(2)]).form == "ragged"


@pytest.mark.parametrize("extra", [0, 2])
def test_padded_tensor(extra):
    X = nan_padded(RAGGED, extra)
    found = read_sequences(X)
    assert_holds(found, RAGGED)
    assert found.n_timesteps == 5 + extra
    assert_array_equal(found.restored(), X)
    assert_array_equal(found.padded(), X)
    assert_array_equal(found.padded(9, fill=0.0)[:, : 5 + extra], np.nan_to_num(X))


def test_whole_tensor_is_not_copied():
    X = RNG.normal(size=(4, 5, 2))
    assert np.shares_memory(read_sequences(X).values, X)


@pytest.mark.parametrize("X", [nan_padded(RAGGED), RNG.normal(size=(3, 4, 2))])
def test_channels_first_tensor(X):
    found = read_sequences(X.swapaxes(1, 2), axis_order="channels_first")
    expected = read_sequences(X)
    assert_array_equal(found.values, expected.values)
    assert_array_equal(found.lengths, expected.lengths)
    assert_array_equal(found.restored(), X.swapaxes(1, 2))


def test_channels_first_ragged():
    turned = [array.T for array in RAGGED]
    found = read_sequences(turned, axis_order="channels_first")
    assert_holds(found, RAGGED)
    for back, array in zip(found.restored(), turned, strict=True):
        assert_array_equal(back, array)


def spoiled(place, value, X=None):
    X = nan_padded(RAGGED) if X is None else X.copy()
    X[place] = value
    return X


NOT_FINITE = {
    "inside": (spoiled((2, 1), np.nan), "X contains NaN: sample 2, step 1, channel 0"),
    "first step": (spoiled((0, 0), np.nan), "X contains NaN: sample 0, step 0, channel 0"),
    "last step, one channel": (spoiled((2, 4, 1), np.nan), "NaN: sample 2, step 4, channel 1"),
    "infinity": (spoiled((0, 2, 1), np.inf), "X contains infinity .*: sample 0, step 2, channel 1"),
    "after padding": (spoiled((1, 2), 1.0), "X contains NaN: sample 1, step 1, channel 0"),
    "matrix": (spoiled((1, 3), np.nan, np.ones((2, 4))), "NaN: sample 1, step 3, channel 0"),
    "ragged": ([np.ones((2, 2)), spoiled((0, 1), np.nan, np.ones((1, 2)))], "sample 1, step 0"),
    "nothing left": (spoiled(1, np.nan), "0 step.* sample 1: all its steps are NaN"),
}


@pytest.mark.parametrize(("X", "message"), NOT_FINITE.values(), ids=NOT_FINITE)
def test_not_finite(X, message):
    with pytest.raises(ValueError, match=message):
        read_sequences(X)


def test_finite_values_whose_sum_is_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_sequences(np.full((2, 3), np.finfo(np.float64).max))
    assert len(found) == 2


REFUSED = {
    "empty list": ([], r"Found array with 0 sample\(s\) \(shape=\(0,\)\)"),
    "no samples": (np.ones((0, 3, 2)), r"Found array with 0 sample\(s\)"),
    "no steps": (np.ones((3, 0, 2)), r"Found array with 0 step\(s\)"),
    "no channels": (np.ones((3, 4, 0)), r"Found array with 0 channel\(s\)"),
    "no columns": (np.ones((3, 0)), r"Found array with 0 feature\(s\)"),
    "empty sequence": ([np.ones((2, 1)), np.ones((0, 1))], r"0 step\(s\) \(X, sample 1: it is"),
    "sequence without channels": ([np.ones((2, 0))], r"Found sequence with 0 channel\(s\)"),
    "channels": (
        [np.ones((2, 3)), np.ones((2, 3)), np.ones((3, 2))],
        "sample 0 has 3, sample 2 has",
    ),
    "one axis": (np.ones(4), "Expected 2D array, got 1D array instead"),
    "one axis, list": ([1.0, 2.0], "Expected 2D array, got 1D array instead"),
    "no axis": (3.0, "Expected 2D array, got scalar array instead"),
    "four axes": (np.ones((1, 2, 3, 4)), "Found array with dim 4, while dim <= 3 is required"),
    "three axes in a list": ([np.ones((1, 2, 3))], r"got 3D array instead \(sample 0"),
    "a number among arrays": ([np.ones(2), 3.0], r"got 0D array instead \(sample 1"),
    "nothing among arrays": ([np.ones(2), None], r"X \(sample 1\) is missing: it is None"),
    "text": (["one", "two"], "could not convert string to float"),
    "text among arrays": ([np.ones(2), np.array(["a"])], r"not compatible with X\[1\]"),
    "objects among arrays": ([np.ones(2), np.array([{}])], r"X\[1\] is not an array of numbers"),
    "uneven element": ([np.ones(2), [[1.0], [1.0, 2.0]]], r"X\[1\] is not an array of numbers"),
    "complex": ([np.ones(2) * 1j], "Complex data not supported"),
    "complex tensor": (np.ones((1, 2, 3)) * 1j, "Complex data not supported"),
    "dates": (np.zeros((1, 2, 3), "M8[s]"), "not compatible with X, an array of datetime64"),
}


@pytest.mark.parametrize(("X", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(X, message):
    with pytest.raises(ValueError, match=message):
        read_sequences(X)


def test_unknown_axis_order():
    with pytest.raises(ValueError, match=r"axis_order must be one of .* got 'time_first'"):
        read_sequences(RAGGED, axis_order="time_first")


def test_name_of_the_input():
    with pytest.raises(ValueError, match="Input y contains NaN"):
        read_sequences([[np.nan]], input_name="y")


# With an estimator


class Reader(BaseEstimator):
    def read(self, X, reset=False, **options):
        return validate_sequences(self, X, reset=reset, **options)

    def fit(self, X):
        self.read(X, reset=True)
        return self


@pytest.mark.parametrize(
    ("X", "n_features", "n_channels"),
    [(np.ones((3, 7)), 7, 1), (np.ones((3, 7, 2)), 2, 2), (RAGGED, 2, 2), (SINGLE, 1, 1)],
)
def test_features_and_channels(X, n_features, n_channels):
    reader = Reader().fit(X)
    assert (reader.n_features_in_, reader.n_channels_) == (n_features, n_channels)


@pytest.mark.parametrize(
    ("seen", "given"),
    [
        (np.ones((3, 7, 2)), np.ones((2, 9, 2))),
        (np.ones((3, 7, 2)), RAGGED),
        (RAGGED, np.ones((2, 9, 2))),
        (SINGLE, np.ones((2, 9))),
        (SINGLE, np.ones((2, 9, 1))),
        (np.ones((3, 7)), SINGLE),
        (np.ones((3, 7)), np.ones((2, 9, 1))),
    ],
)
def test_lengths_and_forms_may_differ_from_fit(seen, given):
    found = Reader().fit(seen).read(given)
    assert_array_equal(found.values, read_sequences(given).values)


def test_columns_of_a_matrix_may_not_differ_from_fit():
    with pytest.raises(ValueError, match="X has 9 features, but Reader is expecting 7 features"):
        Reader().fit(np.ones((3, 7))).read(np.ones((2, 9)))
    with pytest.raises(ValueError, match="X has 5 features, but Reader is expecting 1 features"):
        Reader().fit(np.ones((3, 1))).read(np.ones((2, 5)))


@pytest.mark.parametrize("given", [np.ones((2, 9)), np.ones((2, 9, 3)), SINGLE])
def test_channels_may_not_differ_from_fit(given):
    with pytest.raises(ValueError, match="channels, but Reader is expecting 2 channels as input"):
        Reader().fit(RAGGED).read(given)


@pytest.mark.parametrize("axis_order", ["channels_last", "channels_first"])
def test_one_sequence_in_place_of_several(axis_order):
    channels_first = axis_order == "channels_first"
    seen = [steps.T if channels_first else steps for steps in RAGGED]
    reader = Reader().fit(RAGGED)
    with pytest.raises(ValueError, match=r"for one sequence pass \[X\]"):
        reader.read(seen[2], axis_order=axis_order)
    with pytest.raises(ValueError, match=r"expecting 2 channels as input\.$"):
        reader.read(np.ones((4, 3)), axis_order=axis_order)


def test_names_of_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.ones((3, 2)), columns=["first", "second"])
    reader = Reader().fit(frame)
    assert reader.feature_names_in_.tolist() == ["first", "second"]
    with pytest.raises(ValueError, match="feature names should match"):
        reader.read(frame[["second", "first"]])
    assert not hasattr(reader.fit(RAGGED), "feature_names_in_")


@pytest.mark.parametrize(
    "X", [np.ones((2, 3, 1)), [np.ones(5), np.ones(3)], [[1.0] * 5, [1.0] * 3]]
)
def test_least_number_of_steps(X):
    with pytest.raises(ValueError, match=r"3 step.* while a minimum of 4 is required"):
        Reader().read(X, reset=True, min_timesteps=4)
    assert Reader().read(X, reset=True, min_timesteps=3).lengths.min() == 3


def test_least_number_of_columns():
    with pytest.raises(ValueError, match=r"3 feature.* while a minimum of 4 is required by Reader"):
        Reader().read(np.ones((2, 3)), reset=True, min_timesteps=4)


def test_new_values_in_the_old_form():
    found = read_sequences(nan_padded(RAGGED))
    doubled = replace(found, values=2 * found.values)
    assert_array_equal(doubled.restored(), 2 * nan_padded(RAGGED))


def test_tuples_in_a_column_are_sequences():
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([(1.0, 2.0, 3.0), (1.0, 2.0)])
    found = read_sequences(pandas.DataFrame({"a": column}))
    assert_array_equal(found.values, read_sequences(column).values)
    assert_array_equal(found.lengths, [3, 2])


def test_arrays_of_unequal_axes_are_told():
    with pytest.raises(ValueError, match=r"must have the same axes: sample 0 has the shape \(5,\)"):
        read_sequences([np.ones(5), np.ones((5, 2))])
