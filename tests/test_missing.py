"""What counts as a missing cell, for every reader of tables and lists."""

from decimal import Decimal

import numpy as np
import pytest

from sklearn_ext._missing import is_missing


@pytest.mark.parametrize(
    "cell",
    [None, float("nan"), np.float32("nan"), np.datetime64("NaT"), Decimal("nan"), complex("nan")],
)
def test_missing(cell):
    assert is_missing(cell) is True


@pytest.mark.parametrize(
    "cell", ["", "nan", "<NA>", b"", 0, 0.0, False, np.str_("nan"), (), [None], np.full(2, np.nan)]
)
def test_present(cell):
    assert is_missing(cell) is False


@pytest.mark.parametrize("name", ["NA", "NaT"])
def test_missing_values_of_pandas(name):
    assert is_missing(getattr(pytest.importorskip("pandas"), name)) is True
