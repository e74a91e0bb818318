"""scikit-learn's checks with every cell; the default one is in the common tests."""

import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator

pytest.importorskip("torch")

from sklearn_ext import RNNClassifier, RNNRegressor


@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_every_check_passes(kind, cell):
    model = kind(cell=cell, hidden_size=16, stem_channels=32, n_members=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the common tests judge warnings
        records = check_estimator(model, on_skip=None, on_fail=None)
    assert [record for record in records if record["status"] != "passed"] == []
    assert len(records) >= (73 if kind is RNNClassifier else 66)
