"""Compressive strength of concrete: a real table with a strongly curved response."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_ext._optional import import_optional

__all__ = ["load_concrete"]

_DESCR = """\
Concrete compressive strength

1030 tests of 427 mixes, 8 columns, 1 target. The first seven columns are amounts in kg per cubic
metre (cement, blast furnace slag, fly ash, water, superplasticizer, coarse and fine aggregate), the
last is the age in days (1 to 365). The target is the compressive strength in MPa. Most mixes were
tested at several ages, and 25 rows are copies of others.

Source: I-Cheng Yeh, "Concrete Compressive Strength", UCI Machine Learning Repository, 2007,
https://doi.org/10.24432/C5PK67. Licence: CC BY 4.0 (columns renamed, values rounded as in the
repository's table). Described in I-C. Yeh, "Modeling of strength of high-performance concrete
using artificial neural networks", Cement and Concrete Research 28(12), 1797-1808, 1998.
"""


def load_concrete(*, return_X_y=False, as_frame=False):
    """Load the concrete strength data: 1030 tests, 8 columns, strength in MPa.

    Strength grows with the logarithm of age and depends on the ratio of water to cement, so a
    straight line explains six tenths of its variance and a polynomial nine tenths. The tests are of
    427 mixes, most of them at several ages: random test rows are mostly of mixes that the training
    rows hold at another age. For new mixes split by groups, see the example.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` only.
    as_frame : bool, default=False
        Whether data is a pandas DataFrame and target a Series; needs pandas.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with these attributes.

        data : {ndarray, DataFrame} of shape (1030, 8)
            Amounts in kg per cubic metre, and the age in days.
        target : {ndarray, Series} of shape (1030,)
            Compressive strength in MPa.
        feature_names : list of str
            Names of the columns.
        DESCR : str
            Origin and licence.
    (data, target) : tuple
        If `return_X_y` is True.

    See Also
    --------
    load_nist : Sets with certified regression results.

    Examples
    --------
    >>> from sklearn_ext.datasets import load_concrete
    >>> X, y = load_concrete(return_X_y=True)
    >>> X.shape, float(y.max())
    ((1030, 8), 82.6)

    Groups for scores on new mixes, as by :class:`~sklearn.model_selection.GroupKFold`:

    >>> import numpy as np
    >>> mix = np.unique(X[:, :7], axis=0, return_inverse=True)[1].ravel()
    >>> int(mix.max()) + 1
    427
    """
    path = files("sklearn_ext.datasets") / "data" / "concrete.csv"
    with path.open(encoding="utf-8") as file:
        *names, target_name = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",")
    data: Any = table[:, :-1]
    target: Any = table[:, -1]
    if as_frame:
        pandas = import_optional("pandas", extra="pandas", purpose="Loading data as a frame")
        data = pandas.DataFrame(data, columns=names)
        target = pandas.Series(target, name=target_name)
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, feature_names=names, DESCR=_DESCR)
