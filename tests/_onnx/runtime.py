"""Running exported models, and comparing them with their estimators."""

import numpy as np
import onnxruntime


def run(model, **inputs):
    """Outputs of a model by their names."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def assert_regression_agrees(found, expected, tolerance):
    """Differences are below the tolerance times the spread of the predictions."""
    expected = expected[:, None] if expected.ndim == 1 else expected
    assert set(found) == {"variable"}
    assert found["variable"].shape == expected.shape
    assert np.abs(found["variable"] - expected).max() <= tolerance * np.std(expected)


def assert_classification_agrees(found, labels, probabilities, tolerance):
    """Probabilities agree, and labels wherever these do not tie."""
    assert set(found) == {"label", "probabilities"}
    assert np.abs(found["probabilities"] - probabilities).max() <= tolerance
    assert found["label"].shape == labels.shape
    if labels.ndim == 1:
        highest = np.sort(probabilities, axis=1)
        clear = highest[:, -1] - highest[:, -2] > 2 * tolerance
    else:
        clear = np.abs(probabilities - 0.5) > tolerance
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(found["label"][clear], labels[clear])
