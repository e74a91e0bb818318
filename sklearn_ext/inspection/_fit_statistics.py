"""Statistics of cross-validated scores: corrected t test, skill, noise by nearest neighbours."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import t as student_t
from sklearn.neighbors import NearestNeighbors

__all__ = [
    "MeanDifference",
    "corrected_t_test",
    "explained_share",
    "gamma_test",
    "removable_share",
    "skill",
]


@dataclass(frozen=True)
class MeanDifference:
    """Mean of the differences over folds, with its uncertainty.

    Parameters
    ----------
    mean : float
        Mean over folds.
    stderr : float
        Corrected standard error of the mean.
    p_value : float
        One-sided: how likely a mean at least so large is where the true one is 0.
    """

    mean: float
    stderr: float
    p_value: float


def corrected_t_test(differences, test_ratio):
    r"""Corrected resampled t test that the mean difference is above 0.

    Training sets of different folds overlap, so the differences are not independent, and the
    variance of their mean is larger than s² / K. Nadeau and Bengio put

    .. math:: \left(\frac{1}{K} + \frac{n_{test}}{n_{train}}\right) s^2

    in its place, with K - 1 degrees of freedom.

    Parameters
    ----------
    differences : array-like of shape (n_folds,)
        One difference of scores for each fold.
    test_ratio : float
        Test rows for each training row, > 0: 1 / (K - 1) for K folds.

    Returns
    -------
    difference : MeanDifference
        Mean, standard error, p-value. For equal differences the p-value is 0 or 1 by their sign
        (0.5 for zeros); for a single fold it is nan.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52,
       239-281, 2003; section 3.
    """
    differences = np.asarray(differences, dtype=float)
    n_folds, mean = len(differences), float(np.mean(differences))
    if n_folds < 2:
        return MeanDifference(mean, np.nan, np.nan)
    stderr = float(np.std(differences, ddof=1) * np.sqrt(1 / n_folds + test_ratio))
    if stderr <= np.finfo(float).eps * abs(mean):
        return MeanDifference(mean, stderr, 0.5 * (1 - np.sign(mean)))
    return MeanDifference(mean, stderr, float(student_t.sf(mean / stderr, n_folds - 1)))


def skill(score, chance, perfect):
    """Score on the scale where a constant prediction has 0 and a perfect one has 1.

    Parameters
    ----------
    score : float or ndarray
        What to convert.
    chance : float
        Score of the best constant prediction.
    perfect : float
        Score of predictions without an error.

    Returns
    -------
    skill : float or ndarray
        R² stays (nearly) as it is.
    """
    return (score - chance) / (perfect - chance)


def removable_share(reached, attainable):
    """Share of the error that would go away if the attainable skill were reached.

    Parameters
    ----------
    reached : float
        Skill on rows that the model has not seen, up to 1.
    attainable : float
        Skill that is known to be possible.

    Returns
    -------
    share : float
        0 where nothing can be gained, 1 where all errors could go.
    """
    return max(attainable - reached, 0.0) / max(1.0 - reached, np.finfo(float).tiny)


def explained_share(residuals, predictions, sample_weight=None):
    """Share of the squared residuals that predictions of them explain.

    Parameters
    ----------
    residuals : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        What a model left over.
    predictions : ndarray of the same shape
        Predictions of it, by a model that has not seen it.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    share : float
        1 where all of it was structure; 0 or below where none of it was found.
    """
    left, total = (residuals - predictions) ** 2, residuals**2
    if sample_weight is not None:
        left, total = sample_weight @ left, sample_weight @ total
    left, total = float(np.sum(left)), float(np.sum(total))
    return 1.0 - left / total if total > 0 else 0.0


def gamma_test(X, y, sample_weight=None, n_neighbors=10):
    r"""Estimate the variance of the noise in y from near neighbours, without a model.

    With :math:`\delta_p` the mean squared distance to the p-th neighbour and
    :math:`\gamma_p` half the mean squared difference of the targets, the line
    :math:`\gamma = \Gamma + A \delta` meets :math:`\delta = 0` at the variance of the noise, if y
    is a smooth function of X plus noise. It needs rows that lie close: few columns, or many rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, in comparable units.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    sample_weight : ndarray of shape (n_samples,), default=None
        How much a row counts in the two means.
    n_neighbors : int, default=10
        Number of neighbours, below n_samples.

    Returns
    -------
    variance : float or ndarray of shape (n_outputs,)
        Estimate, at least 0.

    References
    ----------
    .. [1] D. Evans, A. J. Jones, "A proof of the Gamma test", Proceedings of the Royal
       Society A 458, 2759-2799, 2002; section 1.
    """
    n_neighbors = min(n_neighbors, len(X) - 1)
    distances, neighbors = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors()
    mean = partial(np.average, axis=0, weights=sample_weight)
    delta = mean(distances**2)  # (n_neighbors,)
    gamma = mean((y[neighbors] - y[:, None]) ** 2) / 2  # (n_neighbors,) or (.., n_outputs)
    spread = delta - delta.mean()
    if not np.any(spread):
        return gamma.mean(axis=0)
    slope = np.maximum(spread @ gamma / (spread @ spread), 0.0)
    return np.maximum(gamma.mean(axis=0) - slope * delta.mean(), 0.0)
