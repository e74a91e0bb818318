"""Rank (number of axes) of data of any kind, and a description of its axes."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sklearn_ext._sequences import columns_of_arrays

__all__ = ["TensorDescription", "describe_tensor", "tensor_rank"]

_NAMES = {0: "scalar", 1: "vector", 2: "matrix"}
_AXES = ("samples", "timesteps", "channels")
# What the formats of scipy and the layouts of torch store. All else is counted as coordinates.
_OF_SCIPY = {
    **dict.fromkeys(("csr", "csc", "bsr"), ("data", "indices", "indptr")),
    "dia": ("data", "offsets"),
}
_OF_TORCH = {
    **dict.fromkeys(("sparse_csr", "sparse_bsr"), ("values", "col_indices", "crow_indices")),
    **dict.fromkeys(("sparse_csc", "sparse_bsc"), ("values", "row_indices", "ccol_indices")),
    "sparse_coo": ("_values", "_indices"),
}


@dataclass(frozen=True)
class TensorDescription:
    """What :func:`describe_tensor` found.

    Parameters
    ----------
    rank : int
        Number of axes.
    axes : tuple of str
        Name of each axis.
    shape : tuple of int or None
        Size of each axis; None where it differs between the parts of ragged data.
    sizes : tuple of (int, int)
        Smallest and largest size of each axis.
    dtype : str
        Type of the elements.
    n_bytes : int
        Memory that the elements need. For nested lists this is what the array would need, not
        the Python objects; for a sparse matrix, stored values and their places.
    kind : str
        Type of the object described, with its package.

    Examples
    --------
    >>> from sklearn_ext.preprocessing import describe_tensor
    >>> found = describe_tensor([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]])
    >>> found.rank, found.shape, found.sizes
    (3, (2, None, 2), ((2, 2), (1, 2), (2, 2)))
    """

    rank: int
    axes: tuple
    shape: tuple
    sizes: tuple
    dtype: str
    n_bytes: int
    kind: str

    @property
    def name(self):
        """The word for the rank: scalar, vector, matrix, 3-tensor, ..."""
        return _NAMES.get(self.rank, f"{self.rank}-tensor")

    @property
    def is_ragged(self):
        """Whether parts differ in size."""
        return None in self.shape

    def __str__(self):
        sizes = [
            f"{axis} {low if low == high else f'{low} to {high}'}"
            for axis, (low, high) in zip(self.axes, self.sizes, strict=True)
        ]
        shape = f" ({' x '.join(sizes)})" if sizes else ""
        ragged = "ragged " if self.is_ragged else ""
        return f"{ragged}{self.name}{shape} of {self.dtype}, {_memory(self.n_bytes)}, {self.kind}"

    __repr__ = __str__


def tensor_rank(x):
    """Count the axes of data: 0 for a scalar, 1 for a vector, 2 for a matrix, n for an n-tensor.

    This is the rank, or order, of a tensor. The other rank, how many components its entries need,
    is found by :func:`multilinear_rank`.

    Parameters
    ----------
    x : scalar, array-like, tensor, data frame, series or nested list
        Data. Text counts as a scalar. A list, object array or series of arrays has one axis more
        than the arrays, whose sizes may differ, and so has a data frame with one column of arrays.
        Several columns of arrays are channels: they are one axis more.

    Returns
    -------
    rank : int
        Number of axes.

    Raises
    ------
    ValueError
        If the parts of nested data have different numbers of axes.
    TypeError
        If `x` is a collection that is no array, such as a dict, a set or a generator.

    See Also
    --------
    describe_tensor : Sizes, names of axes, dtype and memory.
    multilinear_rank : Number of components along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.preprocessing import tensor_rank
    >>> [tensor_rank(x) for x in (3.0, [1, 2], np.eye(2), np.zeros((5, 4, 3)))]
    [0, 1, 2, 3]
    >>> tensor_rank([[1.0, 2.0, 3.0], [4.0]])
    2
    """
    return len(_measure(x)[0])


def describe_tensor(x, *, axes=None, axis_order="channels_last"):
    """Describe data: rank, axes by name, dtype, memory.

    Parameters
    ----------
    x : scalar, array-like, tensor, data frame, series or nested list
        Data of numpy, torch, pandas, polars, scipy or plain Python; nested data may be ragged.
    axes : sequence of str, default=None
        Name of each axis. None takes the names that the object carries itself (`dims` or
        `names`), else samples and features for a matrix (samples and timesteps for a ragged
        one); samples, timesteps and channels for a 3-tensor; samples, axis_1, axis_2, ... beyond.
    axis_order : {"channels_last", "channels_first"}, default="channels_last"
        Which of the last two axes of a 3-tensor holds the channels.

    Returns
    -------
    description : TensorDescription
        Its attributes hold the parts, its text form all of them on one line.

    Raises
    ------
    ValueError
        If the parts of nested data have different numbers of axes, or `axes` has another length.
    TypeError
        If `x` is a collection that is no array, such as a dict, a set or a generator.

    See Also
    --------
    tensor_rank : The number of axes alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ext.preprocessing import describe_tensor
    >>> describe_tensor(np.zeros((270, 29, 12), dtype=np.float32))
    3-tensor (samples 270 x timesteps 29 x channels 12) of float32, 367 KiB, numpy.ndarray
    >>> describe_tensor([np.zeros((7, 12)), np.zeros((29, 12))])
    ragged 3-tensor (samples 2 x timesteps 7 to 29 x channels 12) of float64, 3.38 KiB, list
    """
    sizes, dtypes, n_bytes = _measure(x, axis_order)
    return TensorDescription(
        rank=len(sizes),
        axes=_axis_names(x, sizes, axes, axis_order),
        shape=tuple(low if low == high else None for low, high in sizes),
        sizes=tuple(sizes),
        dtype=" and ".join(sorted(dtypes)) or "no elements",
        n_bytes=n_bytes,
        kind=_kind(x),
    )


def _measure(x, axis_order="channels_last"):
    """Sizes [(lowest, highest), ...] of the axes, set of dtypes, bytes of the elements."""
    columns = columns_of_arrays(x)
    if columns is not None:
        return _measure_columns(list(columns.values()), axis_order)
    children = _children(x)
    if children is not None:
        return _measure_children(children)
    if not hasattr(x, "dtype") and not hasattr(x, "dtypes"):  # a table of pyarrow has neither
        x = _as_array(x)
    return [(n, n) for n in x.shape], _dtypes(x), _n_bytes(x)


def _measure_columns(columns, axis_order):
    """Measure a table of arrays as it is read: one column holds samples, several are channels."""
    if len(columns) == 1:
        return _measure(columns[0])
    sizes, dtypes, n_bytes = _measure([list(cells) for cells in zip(*columns, strict=True)])
    if axis_order == "channels_last":
        sizes = [sizes[0], *sizes[2:], sizes[1]]
    return sizes, dtypes, n_bytes


def _as_array(x):
    array = np.asarray(x)
    if array.ndim == 0 and isinstance(x, Iterable) and not isinstance(x, str | bytes):
        raise TypeError(
            f"A {type(x).__name__} has no axes: pass an array or a nested list, such as list(x)."
        )
    return array


def _children(x):
    """List the parts of nested data; None for what is an array or a scalar itself."""
    if isinstance(x, list | tuple):
        return list(x)
    is_series = hasattr(x, "to_list") and not hasattr(x, "columns")
    if is_series or (isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1):
        items = list(x)
        return items if any(_has_axes(item) for item in items) else None
    return None


def _has_axes(item):
    return isinstance(item, list | tuple) or len(getattr(item, "shape", ())) > 0


def _measure_children(children):
    n = len(children)
    if not any(_has_axes(child) for child in children):  # leaves: one array, not n of them
        array = np.asarray(children)
        dtypes = {_plain_dtype(array.dtype)} if n else set()
        return [(n, n)], dtypes, array.nbytes
    parts = [_measure(child) for child in children]
    ranks = [len(sizes) for sizes, _, _ in parts]
    other = next((i for i, rank in enumerate(ranks) if rank != ranks[0]), None)
    if other is not None:
        raise ValueError(
            f"All parts of nested data must have the same number of axes: part 0 has {ranks[0]}, "
            f"part {other} has {ranks[other]}."
        )
    inner = [(min(low), max(high)) for low, high in _columns([sizes for sizes, _, _ in parts])]
    dtypes = set().union(*(found for _, found, _ in parts))
    return [(n, n), *inner], dtypes, sum(found for _, _, found in parts)


def _columns(parts):
    """For each axis the lowest and the highest sizes of all parts."""
    for of_axis in zip(*parts, strict=True):
        low, high = zip(*of_axis, strict=True)
        yield low, high


def _dtypes(x):
    """Names of the types of the elements; a data frame may have several."""
    found = getattr(x, "dtypes", None)
    if found is None or not hasattr(x, "columns"):
        return {_plain_dtype(x.dtype)}
    return {_plain_dtype(dtype) for dtype in found}


def _plain_dtype(dtype):
    """Name of a type without its package: torch.float32 is float32."""
    return "str" if getattr(dtype, "kind", "") == "U" else str(dtype).removeprefix("torch.")


def _n_bytes(x):
    """Bytes of the elements, as each library counts them."""
    if hasattr(type(x), "estimated_size"):  # polars; columns of pandas are attributes too
        return int(x.estimated_size())
    if hasattr(type(x), "memory_usage"):  # pandas
        columns_only = {"index": False} if hasattr(x, "index") else {}  # an index has none
        return int(np.sum(x.memory_usage(**columns_only, deep=True)))
    if hasattr(type(x), "tocoo"):  # scipy
        return sum(part.nbytes for part in _scipy_parts(x))
    if hasattr(type(x), "element_size"):  # torch
        return sum(part.element_size() * part.nelement() for part in _torch_parts(x))
    return int(getattr(x, "nbytes", 0))


def _scipy_parts(x):
    if x.format in _OF_SCIPY:
        return [getattr(x, name) for name in _OF_SCIPY[x.format]]
    found = x.tocoo()
    return [found.data, *(found.coords if hasattr(found, "coords") else (found.row, found.col))]


def _torch_parts(x):
    names = _OF_TORCH.get(str(x.layout).removeprefix("torch."))
    return [x] if names is None else [getattr(x, name)() for name in names]


def _axis_names(x, sizes, axes, axis_order):
    rank = len(sizes)
    own = x.dims if hasattr(type(x), "dims") else _torch_names(x)
    if axes is None and own:
        return tuple(map(str, own))
    if axes is not None:
        if len(axes) != rank:
            raise ValueError(f"axes must hold {rank} names, one for each axis, got {axes!r}.")
        return tuple(axes)
    if axis_order not in ("channels_last", "channels_first"):
        raise ValueError(
            f"axis_order must be 'channels_last' or 'channels_first', got {axis_order!r}."
        )
    if rank <= 2:
        is_ragged = rank == 2 and sizes[1][0] < sizes[1][1]
        return ("samples", "timesteps" if is_ragged else "features")[:rank]
    if rank == 3:
        return _AXES if axis_order == "channels_last" else (_AXES[0], _AXES[2], _AXES[1])
    return ("samples", *(f"axis_{i}" for i in range(1, rank)))


def _torch_names(x):
    """Names of a named tensor of torch, None for all else."""
    if not hasattr(type(x), "refine_names") or not x.has_names():
        return None
    return [f"axis_{i}" if name is None else name for i, name in enumerate(x.names)]


def _kind(x):
    package = type(x).__module__.partition(".")[0]
    return type(x).__name__ if package == "builtins" else f"{package}.{type(x).__name__}"


def _memory(n_bytes):
    """Write bytes with the unit that leaves at most three digits before the point."""
    size, unit = float(n_bytes), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1000:
            break
        size, unit = size / 1024, larger
    return f"{n_bytes} bytes" if unit == "bytes" else f"{size:.3g} {unit}"
