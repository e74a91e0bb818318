"""Nets for tables: reading and coding columns, and their encoding inside the net."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from sklearn_ext._missing import is_missing
from sklearn_ext._onnx.export import OnnxExportMixin
from sklearn_ext._onnx.feed_forward import add_encoding, add_tower
from sklearn_ext._onnx.graph import arrays_below
from sklearn_ext._validation import (
    Interval,
    StrOptions,
    _check_categorical_features,
    check_has_rows,
    is_arrow_table,
    validate_data,
)
from sklearn_ext.neural_network._base import BaseNet
from sklearn_ext.neural_network._sparse_rows import SparseRows
from sklearn_ext.neural_network._tables import fit_encoding

__all__ = ["BaseFeedForward"]

# What numpy, pandas, polars and pyarrow call single precision.
SINGLE = "float32", "Float32", "float[pyarrow]"
ENCODED_AT_ONCE = 100_000_000  # numbers; larger tables are encoded batch by batch
PREDICTED_AT_ONCE = 2**22  # numbers before their encoding
# What "auto" gives each numeric column, unless all of them would have more than this together.
AUTO_FREQUENCIES, MOST_AUTO_WAVES = 16, 2048


class BaseFeedForward(OnnxExportMixin, BaseNet):
    """What both feed-forward estimators do with the columns of a table."""

    _parameter_constraints = {
        **BaseNet._parameter_constraints,
        "solver": [StrOptions({"adam", "sgd", "lbfgs"})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [
            StrOptions({"gelu", "gelu_tanh", "relu", "silu", "tanh", "logistic", "identity"})
        ],
        "n_bins": [StrOptions({"auto"}), Interval(Integral, 0, 256, closed="both")],
        "n_frequencies": [StrOptions({"auto"}), Interval(Integral, 0, 256, closed="both")],
        "blend_linear": ["boolean"],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    }

    _makes_net = (
        "hidden_layer_sizes",
        "activation",
        "dropout",
        "n_members",
        "n_bins",
        "n_frequencies",
        "blend_linear",
        "categorical_features",
    )

    def _read_rows(self, X, *, reset):
        """Validate X and code its categories; floats with NaN for what is missing."""
        given = self.categorical_features if reset else self._categorical
        X = _as_table(X, has_categories=given is not None and not isinstance(given, str))
        if reset:
            self._categorical = None
            if self.categorical_features is not None:
                self._categorical = _check_categorical_features(X, self.categorical_features)
        try:
            return self._numbers(X, reset)
        except (TypeError, ValueError) as error:
            _name_the_column(error, X, self._categorical)
            raise

    def _numbers(self, X, reset):
        """Floats in the order of the columns."""
        if self._categorical is None:
            # Of frames scikit-learn sees the precision of pandas' plain columns only.
            is_single = _is_frame(X) and _float_type(X) == np.float32
            dtypes = np.float32 if is_single else [np.float64, np.float32]
            kinds = {"accept_sparse": "csr", "dtype": dtypes}
            X = validate_data(self, X, reset=reset, ensure_all_finite="allow-nan", **kinds)
            return SparseRows(X) if issparse(X) else X
        return self._coded(X.toarray() if issparse(X) else X, reset)

    def _coded(self, X, reset):
        """Put codes in the place of categories."""
        validate_data(self, X, reset=reset, skip_check_array=True)
        columns = [_column(X, index) for index in range(self.n_features_in_)]
        coded_columns = np.flatnonzero(self._categorical)
        if reset:
            self._categories = [_known(columns[j]) for j in coded_columns]
        numeric = np.flatnonzero(~self._categorical)
        coded = np.empty((len(columns[0]), self.n_features_in_), dtype=_float_type(X, numeric))
        for j, known in zip(coded_columns, self._categories, strict=True):
            coded[:, j] = _codes(columns[j], known)
        for j in numeric:
            coded[:, j] = check_array(
                np.asarray(columns[j]), ensure_2d=False, ensure_all_finite="allow-nan", dtype=float
            )
        return coded

    def _learn_inputs(self, table, y, weights, constant_scale=0.0):
        """Find what the encoding needs."""
        categorical = self._categorical
        if categorical is None:
            categorical = np.zeros(table.shape[1], dtype=bool)
        else:
            self._forget_unseen_categories(table)
        columns = table.table if isinstance(table, SparseRows) else table
        self._encoding = fit_encoding(columns, categorical, weights, self.n_bins, constant_scale)
        self.n_layers_ = len(_widths(self.hidden_layer_sizes)) + 2

    def _forget_unseen_categories(self, table):
        """Number the categories of training rows alone: those of rows of weight 0 are unknown."""
        for index, column in enumerate(np.flatnonzero(self._categorical)):
            codes = table[:, column]
            seen = np.unique(codes[~np.isnan(codes)]).astype(np.int64)
            known = self._categories[index]
            if len(seen) < len(known):
                self._categories[index] = [known[code] for code in seen]
                table[:, column] = np.where(np.isnan(codes), codes, np.searchsorted(seen, codes))

    def _build_module(self, generator):
        from sklearn_ext._torch.encoding import TableEncoding
        from sklearn_ext._torch.modules import FeedForward

        return FeedForward(
            TableEncoding(self._encoding, with_straight=self._blends_linear()),
            _widths(self._of_net("hidden_layer_sizes")),
            self._build_loss().n_outputs(self._n_targets),
            activation=self._of_net("activation"),
            dropout=self._of_net("dropout"),
            n_members=self._of_net("n_members"),
            n_frequencies=self._waves_a_column(),
            blend_linear=self._blends_linear(),
            generator=generator,
        )

    def _blends_linear(self):
        """Whether there are linear members; only rows that are watched can give them a share."""
        several = self._of_net("n_members") > 1
        return several and self._of_net("blend_linear") and self._watches_rows

    def _waves_a_column(self):
        """Waves that every numeric column gets."""
        n_numeric = len(self._encoding["numeric"])
        asked = self._of_net("n_frequencies")
        if asked != "auto" or n_numeric == 0:
            return asked if n_numeric else 0
        return AUTO_FREQUENCIES if n_numeric * AUTO_FREQUENCIES <= MOST_AUTO_WAVES else 0

    def _member_turns(self):
        """Members of each tower take turns at the same folds."""
        towers = self.net_.module_.tower_slices
        return [turn for members in towers for turn in range(members.stop - members.start)]

    def _weigh_members(self, run):
        """Let each kind of members weigh in the mean what serves held-out rows best."""
        module = self.net_.module_
        if run.valid is None or len(module.towers) == 1:
            return
        from sklearn_ext._torch.evaluation import best_shares

        kinds = module.tower_slices
        forward, criterion = run.steps.forward, self.net_.criterion_
        shares = best_shares(forward, criterion, run.valid, run.rows_at_once, kinds)
        for members, share in zip(kinds, shares, strict=True):
            module.shares[members] = share / (members.stop - members.start)

    def _training_inputs(self, tables, device, dtype):
        """Encode tables, where they are not too long; else each batch is encoded."""
        import torch

        module = self.net_.module_
        # One decision for all: the function has to suit the inputs of each.
        longest = max(len(table) for table in tables)
        encoded = longest * module.encoding.n_outputs <= ENCODED_AT_ONCE
        if not encoded:
            return [_as_inputs(table).to(device) for table in tables], _encoded_by(module)

        def encode(table):
            # Filled part by part: joining the parts at the end would hold all of it twice.
            shape = len(table), module.encoding.n_outputs
            encoded = torch.empty(shape, dtype=dtype, device=device)
            for part in self._prediction_parts(table):
                encoded[part] = module.encode(self._prediction_inputs(table[part], device))
            return encoded

        return [encode(table) for table in tables], lambda batch: batch

    def _rows_at_once(self, table):
        return max(1, min(super()._rows_at_once(table), PREDICTED_AT_ONCE // table.shape[1]))

    # As a graph

    def _add_raw_outputs(self, graph, module, arrays):
        """Add the nodes from the inputs to raw outputs, (n_members, n, n_outputs)."""
        X = graph.input("X", (None, self.n_features_in_))
        categories = self._numeric_categories(graph.dtype)
        with_straight = module.encoding.with_straight
        encoded = add_encoding(graph, X, self._encoding, categories, with_straight=with_straight)
        towers = [
            add_tower(
                graph,
                encoded,
                arrays_below(arrays, f"towers.{index}"),
                self._of_net("activation"),
                sees_bins=tower.n_seen > module.encoding.n_plain,
                sees_straight=tower.straight is not None,
                gain=tower.gain,
            )
            for index, tower in enumerate(module.towers)
        ]
        return graph.joined(towers, axis=0)

    def _numeric_categories(self, dtype):
        """Numbers that the codes of categorical columns stand for, by the column's position."""
        if self._categorical is None:
            return {}
        columns = np.flatnonzero(self._categorical)
        for column, known in zip(columns, self._categories, strict=True):
            if not all(isinstance(value, Real) for value in known):
                raise NotImplementedError(
                    f"to_onnx takes one table of numbers, but categorical_features holds column "
                    f"{column} of other values. Fit on numbers, by OrdinalEncoder for instance."
                )
            if len(np.unique(np.array(known, dtype=dtype))) < len(known):
                raise NotImplementedError(
                    f"Some of categorical_features are equal in {dtype}, in column {column}. "
                    "Give dtype='float64'."
                )
        return dict(zip(columns, self._categories, strict=True))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        return tags


def _as_inputs(table):
    """Make tensors of a table; a sparse one stays sparse."""
    import torch

    from sklearn_ext._torch.batches import SparseTable

    if not isinstance(table, SparseRows):
        return torch.from_numpy(np.array(table))
    stored = table.table
    parts = (stored.data, stored.indices, stored.indptr)
    values, columns, starts = (torch.from_numpy(np.array(part)) for part in parts)
    return SparseTable(values, columns.long(), starts.long(), stored.shape[1])


def _encoded_by(module):
    def encoded(X):
        if X.ndim == 2:
            return module.encode(X)
        return module.encode(X.flatten(0, 1)).unflatten(0, X.shape[:2])

    return encoded


def _widths(hidden_layer_sizes):
    widths = np.atleast_1d(np.asarray(hidden_layer_sizes))
    if widths.size == 0:
        return []
    if widths.ndim > 1 or not np.issubdtype(widths.dtype, np.integer) or np.any(widths < 1):
        raise ValueError(f"hidden_layer_sizes must hold integers > 0, got {hidden_layer_sizes!r}.")
    return widths.tolist()


def _as_table(X, *, has_categories):
    """Give a frame, or an array of two axes where some of its columns may hold anything."""
    if is_arrow_table(X):
        return X.to_pandas()
    check_has_rows(X)
    if not has_categories or issparse(X) or _is_frame(X):
        return X
    X = X if hasattr(X, "dtype") else np.asarray(X, dtype=object)  # of mixed types
    return check_array(X, dtype=None, ensure_all_finite=False, input_name="X")


def _is_frame(X):
    """Tell a DataFrame of pandas or polars."""
    return (hasattr(X, "iloc") or hasattr(X, "get_column")) and hasattr(X, "columns")


def _float_type(X, numeric=slice(None)):
    """Single precision where all numbers come in it; codes fit into that too."""
    kinds = np.array([*map(str, X.dtypes)])[numeric] if _is_frame(X) else [str(X.dtype)]
    return np.float32 if len(kinds) and np.isin(kinds, SINGLE).all() else np.float64


def _column(X, index):
    if hasattr(X, "iloc"):
        return X.iloc[:, index].to_numpy(dtype=object, na_value=np.nan)  # pandas.NA is no number
    if hasattr(X, "get_column"):
        return X.get_column(X.columns[index]).to_numpy()
    return np.asarray(X)[:, index]


def _name_the_column(error, X, categorical):
    """Add to an error which column of a frame is neither numbers nor categories."""
    if "feature names" in str(error):  # that is about other names or another order
        return
    names = list(getattr(X, "columns", ()))
    coded = np.zeros(len(names), dtype=bool) if categorical is None else categorical
    if len(coded) != len(names):  # other columns than in fit: the error is about them
        return
    for index in np.flatnonzero(~coded):
        try:
            _column(X, index).astype(np.float64)
        except (TypeError, ValueError):
            error.add_note(
                f"Column {names[index]!r} is not numeric. Give it the dtype 'category', or name it "
                "in categorical_features, or encode it before."
            )


def _known(values):
    """Different categories, sorted by text so that mixed types are no error."""
    found = {_plain(value) for value in values if not is_missing(value)}
    try:
        return sorted(found)
    except TypeError:
        # Equal texts of several types would come in the order of their hashes.
        return sorted(found, key=lambda value: (str(value), type(value).__name__))


def _codes(values, known):
    """Position of each value among the known ones; NaN for others."""
    position = {value: float(code) for code, value in enumerate(known)}
    found = {}  # of the values as they come: what is plain of each is found out once

    def code_of(value):
        if is_missing(value):
            return np.nan
        if value not in found:
            found[value] = position.get(_plain(value), np.nan)
        return found[value]

    return [code_of(value) for value in values]


def _plain(value):
    """Text in the place of a category that is neither text nor a number, such as a date."""
    if isinstance(value, (str, bytes, Real, np.bool_)):
        return value
    return f"{type(value).__name__} {value}"
