"""Which degrees, penalties and solvers the "auto" settings stand for."""

import numpy as np

# What degree="auto" spends on its largest model: multiply-adds (rows times the square of terms
# or rows, whichever are fewer), and terms beyond degree 2. Seconds on one core; in trials on
# real tables larger models gained little or lost.
_AUTO_WORK = 3e10
_AUTO_TERMS = 2000
# The same for a leave-one-out score that nobody asked for by name.
_SPARE_WORK = 1e9
# Below this a triangle costs no time that a user would notice, and keeps more digits.
_QR_WORK = 2e8


def candidate_degrees(terms, n_rows, max_degree, penalised):
    """Degrees that ``degree="auto"`` chooses from.

    Parameters
    ----------
    terms : Terms
        Index set without its degree.
    n_rows : int
        Number of training rows.
    max_degree : int
        Highest degree that the user allows.
    penalised : bool
        Whether there is a penalty, without which more terms than rows cannot be told apart.

    Returns
    -------
    list of int
        1 up to the highest degree that the rows support and that is affordable.
    """
    degrees = [1]
    for degree in range(2, max_degree + 1):
        count = terms.count(degree)
        if not penalised and count >= n_rows - 1:
            break
        work = n_rows * min(count, n_rows) ** 2
        if work > _AUTO_WORK or (degree > 2 and count > _AUTO_TERMS):
            break
        degrees.append(degree)
    return degrees


def penalty_grid(alpha, alphas, weight_sum, heaviest=1.0):
    """Penalties to choose from: ``alpha`` itself, or the grid that "auto" stands for.

    Parameters
    ----------
    alpha : float or "auto"
        Parameter of the estimator.
    alphas : array-like or None
        Parameter of the estimator.
    weight_sum : float
        Number of samples, to which the penalties are relative.
    heaviest : float, default=1.0
        Largest weight of a term in the penalty. The grid reaches down to where that term is
        penalised by a thousandth of the number of samples: a curve that needs its highest degree
        must be able to have it.

    Returns
    -------
    ndarray of shape (n_alphas,)
        Rising; two values a decade.
    """
    if alpha != "auto":
        return np.array([float(alpha)])
    if alphas is None:
        lowest = min(-8.0, -3.0 - np.log10(heaviest))
        return weight_sum * np.logspace(lowest, 1, int(np.ceil(2 * (1 - lowest))) + 1)
    return np.sort(np.asarray(alphas, dtype=np.float64))


def choose_solver(solver, n_terms, n_rows):
    """Solver that "auto" stands for."""
    if solver != "auto":
        return solver
    if n_terms > n_rows:
        return "dual"
    return "qr" if n_rows * n_terms**2 <= _QR_WORK else "cholesky"


def affords_leave_one_out(compute_loo, n_terms, n_rows):
    """Whether the leave-one-out score of a single model is computed."""
    if compute_loo != "auto":
        return bool(compute_loo)
    return n_rows * n_terms**2 <= _SPARE_WORK


def best_by_leave_one_out(errors, rows):
    """Pick the model of the largest leave-one-out R², the lowest degree among equals.

    Returns
    -------
    place, index : int
        Degree and penalty.
    score : float
        R², the mean over outputs; -inf where every model has a row that no other row supports.
    """
    center = rows.target_means()
    total = rows.sample_weight @ (rows.y - center) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.array([np.mean(1.0 - error / total, axis=1) for error in errors])
    scores = np.where(np.isnan(scores), -np.inf, scores)  # 0 / 0: a constant target
    place, index = np.unravel_index(np.argmax(scores), scores.shape)
    return int(place), int(index), float(scores[place, index])
