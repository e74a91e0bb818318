"""The shipped concrete table is whole and reads as arrays and as a frame."""

import numpy as np
import pytest

from sklearn_ext.datasets import load_concrete


def test_shape_units_and_licence():
    data = load_concrete()
    assert data.data.shape == (1030, 8)
    assert data.feature_names[0] == "cement" and data.feature_names[-1] == "age"
    assert np.isfinite(data.data).all()
    # Published range of the strength in MPa.
    assert data.target.min() == pytest.approx(2.33) and data.target.max() == pytest.approx(82.6)
    assert "CC BY 4.0" in data.DESCR


def test_frame_holds_the_same_numbers():
    pytest.importorskip("pandas")
    frame, target = load_concrete(as_frame=True, return_X_y=True)
    X, y = load_concrete(return_X_y=True)
    np.testing.assert_array_equal(frame.to_numpy(), X)
    np.testing.assert_array_equal(target.to_numpy(), y)
    assert target.name == "strength"
