"""Sparse X gives what the dense table gives."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_ext import FFNNClassifier, FFNNRegressor
from sklearn_ext.neural_network._sparse_rows import SparseRows
from sklearn_ext.neural_network._tables import fit_encoding

torch = pytest.importorskip("torch")

from sklearn_ext._torch.batches import SparseTable, take  # noqa: E402

LIMIT = "sklearn_ext.neural_network._tabular.ENCODED_AT_ONCE"
SHORT = {"max_iter": 3, "n_members": 2, "hidden_layer_sizes": (16,), "random_state": 0}

rng = np.random.default_rng(0)
# Many zeros, a column without any, one of zeros only, and one missing value.
X = np.where(rng.random((300, 8)) < 0.3, rng.normal(size=(300, 8)), 0.0)
X[:, 1] = rng.normal(size=300)
X[:, 2] = 0.0
X[7, 3] = np.nan
y = X[:, 0] + X[:, 1] ** 2 - X[:, 5]
FORMS = [
    sparse.csr_array,
    sparse.csr_matrix,
    sparse.csc_array,
    sparse.csc_matrix,
    sparse.coo_array,
    sparse.lil_array,
]


def with_duplicates(table):
    """Store every entry in two parts, and some zeros explicitly."""
    row, column = np.nonzero(table)
    stored = table[row, column]
    values = np.r_[0.25 * stored, 0.75 * stored, np.zeros(5)]
    row, column = np.r_[row, row, np.arange(5)], np.r_[column, column, np.full(5, 2)]
    order = np.argsort(row, kind="stable")
    starts = np.searchsorted(row[order], np.arange(len(table) + 1))
    return sparse.csr_array((values[order], column[order], starts), shape=table.shape)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_predictions_as_the_dense_table(form, dtype):
    dense, table = X.astype(dtype), form(X.astype(dtype))
    expected = FFNNRegressor(**SHORT).fit(dense, y)
    found = FFNNRegressor(**SHORT).fit(table, y)
    predicted = found.predict(table)
    assert predicted.dtype == dtype
    assert_array_equal(predicted, expected.predict(dense))
    assert_array_equal(found.predict(dense), predicted)


@pytest.mark.parametrize("limit", [None, 1000])
def test_weights_own_validation_rows_and_classes(limit, monkeypatch):
    if limit:
        monkeypatch.setattr(LIMIT, limit)
    weight = rng.integers(0, 3, size=200).astype(float)
    labels = np.where(y > 0, "high", "low")
    rows, table = X[:200], sparse.csr_array(X[:200])
    valid = X[200:], labels[200:]
    expected = FFNNClassifier(**SHORT).fit(rows, labels[:200], weight, validation_set=valid)
    for X_valid in (X[200:], sparse.csr_array(X[200:])):
        valid = X_valid, labels[200:]
        found = FFNNClassifier(**SHORT).fit(table, labels[:200], weight, validation_set=valid)
        assert_allclose(found.predict_proba(table), expected.predict_proba(rows), rtol=1e-4)


def test_large_table_is_never_dense_in_whole(monkeypatch):
    monkeypatch.setattr(LIMIT, 1000)
    monkeypatch.setattr("sklearn_ext.neural_network._tabular.PREDICTED_AT_ONCE", 800)
    sizes, to_array, to_batch = [], SparseRows.__array__, SparseTable.take

    def array(self, dtype=None, copy=None):
        sizes.append(len(self))
        return to_array(self, dtype)

    def batch(self, index):
        sizes.append(index.shape[-1])
        return to_batch(self, index)

    monkeypatch.setattr(SparseRows, "__array__", array)
    monkeypatch.setattr(SparseTable, "take", batch)
    table = sparse.csr_array(X)
    found = FFNNRegressor(**SHORT, batch_size=32).fit(table, y).predict(table)
    assert max(sizes) == 100  # of 300 rows
    monkeypatch.undo()
    expected = FFNNRegressor(**SHORT, batch_size=32).fit(X, y).predict(X)
    assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("limit", [None, 1000])
def test_explicit_zeros_and_entries_in_parts(limit, monkeypatch):
    if limit:
        monkeypatch.setattr(LIMIT, limit)
    table = with_duplicates(X)
    before = [part.copy() for part in (table.data, table.indices, table.indptr)]
    found = FFNNRegressor(**SHORT).fit(table, y).predict(table)
    for old, new in zip(before, (table.data, table.indices, table.indptr), strict=True):
        assert_array_equal(new, old)
    assert_allclose(found, FFNNRegressor(**SHORT).fit(X, y).predict(X), rtol=1e-4)


def test_partial_fit_takes_both_by_turns():
    ours, dense = FFNNRegressor(**SHORT), FFNNRegressor(**SHORT)
    for rows in (slice(0, 100), slice(100, 200), slice(200, 300)):
        ours.partial_fit(sparse.csc_array(X)[rows] if rows.start else X[rows], y[rows])
        dense.partial_fit(X[rows], y[rows])
    assert_array_equal(ours.predict(X), dense.predict(X))


def test_whole_numbers_and_one_batch():
    table = sparse.csr_array((np.nan_to_num(X) * 3).astype(np.int64))
    model = FFNNRegressor(**SHORT, batch_size=300, early_stopping=False)
    expected = model.fit(table.toarray(), y).predict(table)
    assert expected.dtype == np.float64
    assert_array_equal(model.fit(table, y).predict(table), expected)


def test_whole_batch_of_a_large_table(monkeypatch):
    model = FFNNRegressor(**SHORT, batch_size=300, early_stopping=False)
    expected = model.fit(X, y).predict(X)
    monkeypatch.setattr(LIMIT, 1000)
    assert_allclose(model.fit(sparse.csr_array(X), y).predict(X), expected, rtol=1e-4)


def test_columns_of_categories():
    codes = np.nan_to_num(X)
    codes[:, 4] = rng.integers(0, 3, size=300)
    model = FFNNRegressor(**SHORT, categorical_features=[4])
    expected = model.fit(codes, y).predict(codes)
    assert_array_equal(model.fit(sparse.csr_array(codes), y).predict(codes), expected)


def test_encoding_counts_what_is_not_stored():
    weights = rng.integers(1, 4, size=300).astype(float)
    none = np.zeros(8, dtype=bool)
    table = sparse.csr_array(X)
    for weight in (weights, np.ones(300)):
        expected = fit_encoding(X, none, weight, 10)
        for name, values in fit_encoding(table, none, weight, 10).items():
            assert_array_equal(values, expected[name], err_msg=name)


def test_batches_of_a_sparse_table_are_dense():
    stored = sparse.csr_array(np.nan_to_num(X))
    parts = (torch.from_numpy(part) for part in (stored.data, stored.indices, stored.indptr))
    values, columns, starts = parts
    table = SparseTable(values, columns.long(), starts.long(), 8).to(torch.device("cpu"))
    dense = torch.from_numpy(stored.toarray())
    assert len(table) == 300
    for index in (torch.tensor([3, 3, 0]), torch.randint(300, (4, 50))):
        assert torch.equal(take(table, index), dense[index])
    assert take(table, torch.zeros(0, dtype=torch.int64)).shape == (0, 8)


def test_errors_are_those_of_the_dense_table():
    model = FFNNRegressor(**SHORT).fit(X, y)
    with pytest.raises(ValueError, match="X has 7 features, but FFNNRegressor is expecting 8"):
        model.predict(sparse.csr_array(X[:, :7]))
    with pytest.raises(ValueError, match="infinity"):
        model.fit(sparse.csr_array(np.where(X == 0.0, 0.0, np.inf)), y)
