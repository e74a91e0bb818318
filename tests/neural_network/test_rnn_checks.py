"""scikit-learn's checks with every cell; the default one is in the common tests."""

import warnings

import pytest
from sklearn.utils.estimator_checks import check_estimator

pytest.importorskip("torch")

from sklearn_ext import RNNClassifier, RNNRegressor


@pytest.mark.parametrize("kind", [RNNClassifier, RNNRegressor])
@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_every_check_passes(kind, cell):
    # Short runs at a high rate, since some hundred fits are made; default ones in the common tests.
    short = {"max_iter": 10, "learning_rate_init": 0.01}
    model = kind(cell=cell, hidden_size=16, stem_channels=32, n_members=1, **short)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the common tests judge warnings
        records = check_estimator(model, on_skip=None, on_fail=None)
    assert [record for record in records if record["status"] != "passed"] == []
    assert len(records) >= (73 if kind is RNNClassifier else 66)
