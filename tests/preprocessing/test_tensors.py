"""Rank and description of data of every library."""

import numpy as np
import pytest
import scipy.sparse

from sklearn_ext._sequences import read_sequences
from sklearn_ext.preprocessing import describe_tensor, tensor_rank


def series_of_arrays():
    return pytest.importorskip("pandas").Series([np.ones(3), np.ones(5)])


def object_array():
    array = np.empty(2, dtype=object)
    array[:] = [np.ones((2, 3)), np.ones((4, 3))]
    return array


def torch(name, *args, **kwargs):
    return lambda: getattr(pytest.importorskip("torch"), name)(*args, **kwargs)


def frame(library, name, *args):
    return lambda: getattr(pytest.importorskip(library), name)(*args)


def sparse(form):
    return lambda: scipy.sparse.csr_array(np.eye(3)).asformat(form)


def frame_of_arrays(columns, make_matrix=False):
    def make():
        arrays = [np.ones(3), np.ones(5)]
        found = pytest.importorskip("pandas").DataFrame(dict.fromkeys(columns, arrays))
        return found.to_numpy() if make_matrix else found

    return make


TABLE = {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}
# What makes the data; its shape, dtype and bytes.
CASES = {
    "float": (lambda: 3.0, (), "float64", 8),
    "numpy scalar": (lambda: np.float32(3), (), "float32", 4),
    "0-d array": (lambda: np.array(3, np.int16), (), "int16", 2),
    "text": (lambda: "abc", (), "str", 12),
    "list": (lambda: [1.0, 2.0], (2,), "float64", 16),
    "list of text": (lambda: ["a", "b"], (2,), "str", 8),
    "empty list": (list, (0,), "no elements", 0),
    "nested lists": (lambda: [[1, 2, 3], [4, 5, 6]], (2, 3), "int64", 48),
    "ragged lists": (lambda: [[1, 2, 3], [4]], (2, None), "int64", 32),
    "twice ragged": (lambda: [[[1.0], [2.0]], [[1.0, 2.0]]], (2, None, None), "float64", 32),
    "ragged in the last axis": (lambda: [[[1.0]], [[1.0, 2.0]]], (2, 1, None), "float64", 24),
    "tuple": (lambda: ((1.0, 2.0), (3.0, 4.0)), (2, 2), "float64", 32),
    "numpy": (lambda: np.ones((2, 3, 4), np.float32), (2, 3, 4), "float32", 96),
    "list of arrays": (lambda: [np.ones((2, 3)), np.ones((5, 3))], (2, None, 3), "float64", 168),
    "two dtypes": (lambda: [np.ones(2), np.ones(2, np.int8)], (2, 2), "float64 and int8", 18),
    "object array": (object_array, (2, None, 3), "float64", 144),
    "sparse": (lambda: scipy.sparse.csr_array(np.eye(3)), (3, 3), "float64", None),
    "sparse coordinates": (sparse("coo"), (3, 3), "float64", 3 * 8 + 2 * 3 * 4),
    "sparse lists": (sparse("lil"), (3, 3), "float64", 3 * 8 + 2 * 3 * 4),
    "sparse keys": (sparse("dok"), (3, 3), "float64", 3 * 8 + 2 * 3 * 4),
    "sparse diagonals": (sparse("dia"), (3, 3), "float64", 3 * 8 + 4),
    "torch": (torch("ones", 2, 3, 4), (2, 3, 4), "float32", 96),
    "torch sparse": (lambda: torch("eye", 3)().to_sparse(), (3, 3), "float32", 3 * 4 + 2 * 3 * 8),
    "torch scalar": (torch("tensor", 3.0), (), "float32", 4),
    "pandas frame": (frame("pandas", "DataFrame", TABLE), (3, 2), "float64", 48),
    "pandas series": (frame("pandas", "Series", [1.0, 2.0]), (2,), "float64", 16),
    "pandas index": (frame("pandas", "Index", [1.0, 2.0]), (2,), "float64", 16),
    "column of arrays": (frame_of_arrays("a"), (2, None), "float64", 64),
    "columns of arrays": (frame_of_arrays("ab"), (2, None, 2), "float64", 128),
    "matrix of arrays": (frame_of_arrays("ab", True), (2, None, 2), "float64", 128),
    "series of arrays": (series_of_arrays, (2, None), "float64", 64),
    "polars frame": (frame("polars", "DataFrame", TABLE), (3, 2), "Float64", 48),
    "polars series": (frame("polars", "Series", [1.0, 2.0]), (2,), "Float64", 16),
    "polars column of lists": (
        frame("polars", "DataFrame", {"a": [[1.0], [2.0, 3.0]]}),
        (2, None),
        "Float64",
        24,
    ),
    "pyarrow table": (frame("pyarrow", "table", TABLE), (3, 2), "float64", 48),
    "polars lists": (frame("polars", "Series", [[1.0], [2.0, 3.0]]), (2, None), "Float64", 24),
}


@pytest.mark.parametrize(("make", "shape", "dtype", "n_bytes"), CASES.values(), ids=CASES)
def test_description(make, shape, dtype, n_bytes):
    x = make()
    found = describe_tensor(x)
    assert tensor_rank(x) == found.rank == len(shape) == len(found.axes) == len(found.sizes)
    assert found.shape == shape
    assert found.dtype == dtype
    assert found.n_bytes == n_bytes or n_bytes is None
    assert found.is_ragged == (None in shape)
    for size, (low, high) in zip(shape, found.sizes, strict=True):
        assert (low == high == size) if size is not None else low < high


@pytest.mark.parametrize("axis_order", ["channels_last", "channels_first"])
@pytest.mark.parametrize("columns", ["a", "abc"])
def test_frames_of_arrays_are_what_nets_read(columns, axis_order):
    x = frame_of_arrays(columns)()
    read, found = (
        read_sequences(x, axis_order=axis_order),
        describe_tensor(x, axis_order=axis_order),
    )
    sizes = dict(zip(found.axes, found.sizes, strict=True))
    assert sizes["timesteps"] == (read.lengths.min(), read.lengths.max())
    assert sizes.get("channels", (1, 1)) == (read.n_channels, read.n_channels)


@pytest.mark.parametrize("rank", range(6))
def test_rank_is_ndim(rank):
    assert tensor_rank(np.ones((2,) * rank)) == rank
    assert tensor_rank(np.ones((2,) * rank).tolist()) == rank


def test_sizes_of_ragged_axes():
    assert describe_tensor([np.ones((7, 12)), np.ones((29, 12))]).sizes == (
        (2, 2),
        (7, 29),
        (12, 12),
    )


@pytest.mark.parametrize(
    ("rank", "name"),
    [(0, "scalar"), (1, "vector"), (2, "matrix"), (3, "3-tensor"), (4, "4-tensor")],
)
def test_name(rank, name):
    found = describe_tensor(np.ones((2,) * rank))
    assert found.name == name
    assert str(found).startswith(name)
    assert repr(found) == str(found)


def test_names_of_axes():
    assert describe_tensor(np.ones((2, 3))).axes == ("samples", "features")
    assert describe_tensor([[1], [1, 2]]).axes == ("samples", "timesteps")
    assert describe_tensor(np.ones((2, 3, 4))).axes == ("samples", "timesteps", "channels")
    turned = describe_tensor(np.ones((2, 3, 4)), axis_order="channels_first")
    assert turned.axes == ("samples", "channels", "timesteps")
    assert describe_tensor(np.ones((1, 1, 1, 1))).axes == ("samples", "axis_1", "axis_2", "axis_3")
    assert describe_tensor(np.ones((2, 3)), axes=["days", "hours"]).axes == ("days", "hours")


def test_names_that_the_object_carries():
    class Labelled(np.ndarray):
        dims = ("station", "day")

    assert describe_tensor(np.ones((2, 3)).view(Labelled)).axes == ("station", "day")


def test_columns_may_have_the_names_of_methods():
    pandas = pytest.importorskip("pandas")
    names = ["dims", "estimated_size", "refine_names", "tocoo", "element_size", "lazy", "collect"]
    found = describe_tensor(pandas.DataFrame(np.ones((2, 7)), columns=names))
    assert found == describe_tensor(pandas.DataFrame(np.ones((2, 7))))


def test_text_form():
    found = describe_tensor(np.zeros((1000, 100, 10), np.float32))
    assert str(found) == (
        "3-tensor (samples 1000 x timesteps 100 x channels 10) of float32, 3.81 MiB, numpy.ndarray"
    )
    assert str(describe_tensor(2.0)) == "scalar of float64, 8 bytes, float"


@pytest.mark.parametrize("x", [[1.0, [2.0]], [np.ones(2), np.ones((2, 2))], [[1], [[1]]]])
def test_parts_of_different_ranks(x):
    for function in (tensor_rank, describe_tensor):
        with pytest.raises(ValueError, match=r"same number of axes: part 0 has \d, part 1 has \d"):
            function(x)


def test_refused():
    for x in ({"a": 1}, {1}, frozenset([1]), (i for i in range(3))):
        for function in (tensor_rank, describe_tensor):
            with pytest.raises(TypeError, match=f"A {type(x).__name__} has no axes"):
                function(x)
    with pytest.raises(ValueError, match="axes must hold 2 names"):
        describe_tensor(np.ones((2, 3)), axes=["days"])
    with pytest.raises(ValueError, match="axis_order must be"):
        describe_tensor(np.ones((2, 3)), axis_order="first")
