"""Running exported models, and comparing them with their estimators."""

import numpy as np
import onnxruntime
from sklearn.base import is_regressor


def run(model, **inputs):
    """Outputs of a model by their names."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more of them spin, and slow down a busy machine
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def assert_agrees(estimator, X, found, tolerance):
    """Compare the outputs of a model with the predictions of its estimator for X."""
    if is_regressor(estimator):
        return _assert_regression_agrees(found, estimator.predict(X), tolerance)
    labels, probabilities = estimator.predict(X), estimator.predict_proba(X)
    return _assert_classification_agrees(found, labels, probabilities, tolerance)


def _assert_regression_agrees(found, expected, tolerance):
    """Differences are below the tolerance times the spread of the predictions."""
    expected = expected[:, None] if expected.ndim == 1 else expected
    assert list(found) == ["variable"]
    assert found["variable"].shape == expected.shape
    assert np.abs(found["variable"] - expected).max() <= tolerance * np.std(expected)


def _assert_classification_agrees(found, labels, probabilities, tolerance):
    """Probabilities agree, and labels wherever these do not tie."""
    assert list(found) == ["label", "probabilities"]
    assert np.abs(found["probabilities"] - probabilities).max() <= tolerance
    assert found["label"].shape == labels.shape
    if labels.ndim == 1:
        highest = np.sort(probabilities, axis=1)
        clear = highest[:, -1] - highest[:, -2] > 2 * tolerance
    else:
        clear = np.abs(probabilities - 0.5) > tolerance
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(found["label"][clear], labels[clear])
