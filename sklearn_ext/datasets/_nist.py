"""The linear sets of NIST's Statistical Reference Datasets, with certified answers."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from sklearn.utils import Bunch

__all__ = ["list_nist", "load_nist"]

_DESCR = """\
{name}: NIST StRD, linear least-squares regression, level of difficulty: {level}

{n_samples} observations, {n_features} predictor(s), {n_coef} certified coefficients ({model}).

NIST computed the certified values with 500 digits of precision and rounded them to 15. The
data are decimal numbers; software reads them as the nearest doubles, and the exact
least-squares answer for those doubles may differ from the certified one in its last digits.
`coef_exact_double_inputs` holds that answer to 30 digits, as strings.

Source: National Institute of Standards and Technology, Statistical Reference Datasets,
https://www.itl.nist.gov/div898/strd/lls/lls.shtml. A work of the United States Government,
in the public domain.
"""


def list_nist():
    """List the names that :func:`load_nist` knows.

    Returns
    -------
    names : list of str
        The 11 names, from NIST's lower to its higher level of difficulty.

    See Also
    --------
    load_nist : Load one of the sets.

    Examples
    --------
    >>> from sklearn_ext.datasets import list_nist
    >>> list_nist()[:3]
    ['Norris', 'Pontius', 'NoInt1']
    """
    return list(_read_all())


def load_nist(name):
    """Load one of the 11 linear regression sets of NIST's StRD, with certified results.

    They were made to find out how many digits of a least-squares solver are right. Filip
    (degree 10) and Longley (six columns, nearly collinear) are the ones that programs fail.

    Parameters
    ----------
    name : str
        Name of the set, spelled as :func:`list_nist` returns it.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with these attributes.

        data : ndarray of shape (n_samples, n_features)
            The predictors: one column, six for Longley.
        target : ndarray of shape (n_samples,)
            The response.
        coef : ndarray of shape (n_terms,)
            Certified coefficients, in rising powers of the predictor. The intercept comes
            first where `fit_intercept` is True.
        standard_error : ndarray of shape (n_terms,)
            Certified standard errors of `coef`.
        residual_std : float
            Certified residual standard deviation.
        r2 : float
            Certified coefficient of determination. Where `fit_intercept` is False it is
            taken about zero, not about the mean.
        degree : int
            Degree of the polynomial that NIST fits. 1 for Longley, which is linear in its
            six columns.
        fit_intercept : bool
            Whether the model has an intercept.
        coef_exact_double_inputs : list of str
            Exact least-squares coefficients for the data as rounded to doubles, to 30
            digits: the answer that a perfect program in double precision would give.
        feature_names : list of str
            Names of the columns of `data`.
        DESCR : str
            Description of the set and its source.

    See Also
    --------
    list_nist : The names of the sets.

    Examples
    --------
    >>> from sklearn_ext.datasets import load_nist
    >>> filip = load_nist("Filip")
    >>> filip.data.shape, filip.degree, filip.coef.shape
    ((82, 1), 10, (11,))
    >>> norris = load_nist("Norris")
    >>> norris.coef.tolist()
    [-0.262323073774029, 1.00211681802045]
    """
    record = _record(name)
    data = np.array(record["x"], dtype=np.float64)
    return Bunch(
        data=data,
        target=np.array(record["y"], dtype=np.float64),
        coef=np.array(record["coef"], dtype=np.float64),
        standard_error=np.array(record["standard_error"], dtype=np.float64),
        residual_std=record["residual_std"],
        r2=record["r2"],
        degree=record["degree"],
        fit_intercept=record["fit_intercept"],
        coef_exact_double_inputs=list(record["coef_exact_double_inputs"]),
        feature_names=_feature_names(data.shape[1]),
        DESCR=_describe(name, record, data.shape),
    )


@cache
def _read_all() -> dict[str, dict[str, Any]]:
    """Read the file once a process; `load_nist` copies what it hands out."""
    text = files("sklearn_ext.datasets").joinpath("data/nist_strd_linear.json").read_text("utf-8")
    return json.loads(text)


def _record(name: str) -> dict[str, Any]:
    sets = _read_all()
    if not isinstance(name, str) or name not in sets:
        raise ValueError(f"name must be one of {sorted(sets)}. Got {name!r} instead.")
    return sets[name]


def _feature_names(n_features: int) -> list[str]:
    return ["x"] if n_features == 1 else [f"x{i}" for i in range(1, n_features + 1)]


def _describe(name: str, record: dict[str, Any], shape: tuple[int, int]) -> str:
    intercept = "with" if record["fit_intercept"] else "without"
    return _DESCR.format(
        name=name,
        level=record["level"],
        n_samples=shape[0],
        n_features=shape[1],
        n_coef=len(record["coef"]),
        model=f"degree {record['degree']}, {intercept} intercept",
    )
