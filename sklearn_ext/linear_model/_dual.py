"""Polynomials in kernel form: for more terms than rows, none of them listed."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from sklearn.utils import gen_batches

from sklearn_ext.linear_model._fitted import Fitted, noise_variance
from sklearn_ext.linear_model._least_squares import block_rows
from sklearn_ext.linear_model._model_choice import best_by_leave_one_out
from sklearn_ext.linear_model._polynomial_kernel import kernel_diagonal, polynomial_kernel
from sklearn_ext.linear_model._rows import kernel_factors

_EPS = np.finfo(np.float64).eps


def fit_dual(rows, terms, degrees, alphas):
    """Fit in the span of the rows: one n x n eigendecomposition for each degree.

    Parameters are those of :func:`fit_primal`; the leave-one-out score comes for free.
    """
    no_powers = np.zeros((1, terms.bounds.shape[1]), dtype=np.uint8)
    basis = terms.basis(no_powers, degree=max(degrees))
    factors = _penalised_factors(basis, terms.penalty_growth, rows.X)
    spectra, errors = [], []
    for degree in degrees:
        kernel = _kernel(terms, degree, factors, factors)
        spectrum = KernelSpectrum.of(kernel, rows, terms.fit_intercept)
        spectra.append((spectrum, kernel))
        errors.append(spectrum.leave_one_out_errors(alphas))
    place, index, loo = best_by_leave_one_out(errors, rows)
    spectrum, kernel = spectra[place]
    solved = spectrum.solve(kernel, rows, float(alphas[index]))
    return Fitted(basis=basis, terms=terms, solver="dual", degree=degrees[place], loo=loo, **solved)


@dataclass(frozen=True)
class KernelSpectrum:
    """Eigendecomposition of a weighted, centred kernel matrix.

    Attributes
    ----------
    values : ndarray of shape (n_rows,)
        Eigenvalues, at least 0.
    vectors : ndarray of shape (n_rows, n_rows)
        Eigenvectors.
    targets : ndarray of shape (n_rows, n_outputs)
        Weighted, centred targets in the eigenbasis.
    constant : ndarray of shape (n_rows,)
        Share of each row in the direction of the intercept; 0 without one.
    lifted : float
        Eigenvalue given to that direction.
    left_out : ndarray of shape (n_rows,)
        Share of each row's weight that one sample is.
    """

    values: np.ndarray
    vectors: np.ndarray
    targets: np.ndarray
    constant: np.ndarray
    lifted: float
    left_out: np.ndarray

    @classmethod
    def of(cls, kernel, rows, fit_intercept):
        """Weight and centre a kernel matrix and decompose it."""
        root = np.sqrt(rows.sample_weight)
        share = _constant_share(rows.sample_weight, fit_intercept)
        mean = kernel @ share
        weighted = _centred(kernel, mean, mean, share)
        weighted *= np.multiply.outer(root, root)
        y, lifted = rows.y - share @ rows.y, 0.0
        if fit_intercept:
            # The centred kernel is blind to the intercept: lift that direction out of the
            # null space, so that the rest of the null space can be told from it.
            lifted = float(np.trace(weighted)) or 1.0
            weighted += lifted * np.multiply.outer(np.sqrt(share), np.sqrt(share))
        # The fastest driver; older LAPACK wrappers refuse it a single row.
        driver = "evd" if len(root) > 1 else "ev"
        values, vectors = eigh(weighted, driver=driver, overwrite_a=True)
        return cls(
            values=np.maximum(values, 0.0),
            vectors=vectors,
            targets=vectors.T @ (root[:, None] * y),
            constant=share,
            lifted=lifted,
            left_out=rows.left_out,
        )

    @property
    def floor(self):
        """Rounding level of the eigenvalues."""
        return len(self.values) * _EPS * max(self.values[-1], np.finfo(float).tiny)

    def inverse(self, alpha):
        """Eigenvalues of the regularised inverse, bounded at the rounding level."""
        return 1.0 / np.maximum(self.values + alpha, self.floor)

    def leave_one_out_errors(self, alphas):
        """Sums of squared deleted residuals (n_alphas, n_outputs)."""
        alphas = np.asarray(alphas, dtype=np.float64)
        inverses = self.inverse(alphas[:, None]).T  # (n_rows, n_alphas)
        # Residual and 1 - leverage, both divided by alpha: sound for alpha = 0 as well.
        room = self.vectors**2 @ inverses
        room -= np.multiply.outer(self.constant, self._lifted_inverse(alphas))
        stays = np.multiply.outer(1.0 - self.left_out, 1.0 / np.maximum(alphas, self.floor))
        room = stays + self.left_out[:, None] * room
        errors = np.empty((len(alphas), self.targets.shape[1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            for error, target in zip(errors.T, self.targets.T, strict=True):
                residual = self.vectors @ (inverses * target[:, None])
                error[:] = np.sum((residual / room) ** 2, axis=0)
        return np.where(np.isnan(errors), np.inf, errors)

    def _lifted_inverse(self, alpha):
        return 1.0 / (self.lifted + alpha) if self.lifted else 0.0 * alpha

    def solve(self, kernel, rows, alpha):
        """Solve for the dual coefficients under one penalty."""
        kept = self.values > self.floor
        inverse = np.where(kept, self.inverse(alpha), 0.0)
        root = np.sqrt(rows.sample_weight)[:, None]
        dual = root * (self.vectors @ (inverse[:, None] * self.targets))
        # Both do nothing without an intercept, where the share is 0.
        dual -= np.multiply.outer(self.constant, dual.sum(axis=0))
        intercept = self.constant @ (rows.y - kernel @ dual)
        spent = float(np.sum(self.values * inverse))
        if self.lifted:  # the intercept is not shrunk: it spends one degree of freedom
            spent += 1.0 - self.lifted * self._lifted_inverse(alpha)
        dof = rows.weight_sum - spent
        residual = root * (rows.y - kernel @ dual - intercept)
        return {
            "alpha": alpha,
            "rank": int(kept.sum()) - bool(self.lifted),
            "noise_variance": noise_variance(np.sum(residual**2, axis=0), dof),
            "dof": dof,
            "spent": spent - bool(self.lifted),
            "dual": {
                "coefficients": dual,
                "intercept": intercept,
                "X_fit": rows.X.copy(),
                "sample_weight": rows.sample_weight,
            },
        }


def predict_dual(fitted, X, working_memory):
    """Evaluate the kernel form: (n_rows, n_outputs).

    Parameters
    ----------
    fitted : Fitted
        A model of the dual solver.
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        Inputs.
    working_memory : float
        MiB that a block of the kernel may take.
    """
    predicted = np.empty((X.shape[0], fitted.dual["coefficients"].shape[1]))
    for batch, _, kernel in _kernel_blocks(fitted, X, working_memory):
        predicted[batch] = kernel @ fitted.dual["coefficients"] + fitted.dual["intercept"]
    return predicted


def _kernel_blocks(fitted, X, working_memory):
    """Yield slices of rows, their factors, and their kernel (n_rows, n_fit) with the fitted."""
    trained = _penalised_factors(fitted.basis, fitted.terms.penalty_growth, fitted.dual["X_fit"])
    size = block_rows(4 * fitted.dual["X_fit"].shape[0], working_memory)
    for batch in gen_batches(X.shape[0], size):
        factors = _penalised_factors(fitted.basis, fitted.terms.penalty_growth, X[batch])
        yield batch, factors, _kernel(fitted.terms, fitted.degree, factors, trained)


def _constant_share(weight, fit_intercept):
    """Share of each row in the mean that the intercept takes out; 0 without one."""
    return weight / weight.sum() if fit_intercept else np.zeros(len(weight))


def _centred(kernel, first_mean, second_mean, share):
    """Kernel of terms whose mean over the fitted rows is taken out.

    `first_mean` and `second_mean` are the kernel's means over the fitted rows for the rows of
    either side; the second side are the fitted rows, with their shares.
    """
    return kernel - first_mean[:, None] - second_mean + share @ second_mean


def _penalised_factors(basis, growth, X):
    """Univariate values p_k divided by the root of their share of the penalty."""
    factors = kernel_factors(basis, X)
    return [factor * growth ** (-k / 2) for k, factor in enumerate(factors, start=1)]


def _kernel(terms, degree, first, second):
    """Kernel A P^-1 A' between rows; the factors' shares hold the growth once too often."""
    kernel = polynomial_kernel(first, second, degree, terms.truncation, terms.interaction_only)
    return terms.penalty_growth * kernel


def _pseudo_inverse(kernel):
    """V diag(1 / s) over the eigenvalues s above the rounding level."""
    values, vectors = eigh(kernel)
    kept = values > len(values) * _EPS * max(values[-1], 0.0)
    return vectors[:, kept] / values[kept]


def _quadratic_form(kernel, alpha):
    """Function from rows k to k' (K + alpha I)^-1 k; without a penalty to k' (K^+)^2 k."""
    if alpha == 0:
        inverse = _pseudo_inverse(kernel)
        return lambda rows: np.sum((rows @ inverse) ** 2, axis=1)
    factor = cho_factor(kernel + alpha * np.eye(len(kernel)))
    return lambda rows: np.sum(rows * cho_solve(factor, rows.T).T, axis=1)


def spread_dual(fitted, X, working_memory):
    r"""Variance of the fitted value over the noise variance, (n_rows,).

    .. math::

        \frac{1}{\sum w} + \frac{k_c(x, x) - k_c(x)' (K_c + \alpha W^{-1})^{-1} k_c(x)}{\alpha}

    with the centred kernel :math:`k_c`: the ridge posterior, written in the span of the rows.
    Without a penalty, :math:`k_c(x)' (K_c^+)^2 k_c(x)` takes the place of the fraction.
    """
    terms, weight = fitted.terms, fitted.dual["sample_weight"]
    trained = _penalised_factors(fitted.basis, fitted.terms.penalty_growth, fitted.dual["X_fit"])
    kernel = _kernel(terms, fitted.degree, trained, trained)
    share = _constant_share(weight, terms.fit_intercept)
    mean, root = kernel @ share, np.sqrt(weight)
    weighted = _centred(kernel, mean, mean, share) * np.multiply.outer(root, root)
    quadratic = _quadratic_form(weighted, fitted.alpha)
    spread = np.empty(X.shape[0])
    for batch, values, block in _kernel_blocks(fitted, X, working_memory):
        to_mean = block @ share
        spread[batch] = quadratic(_centred(block, to_mean, mean, share) * root)
        if fitted.alpha == 0:
            continue
        own = terms.penalty_growth * kernel_diagonal(
            values, fitted.degree, terms.truncation, terms.interaction_only
        )
        spread[batch] = (own - 2 * to_mean + share @ mean - spread[batch]) / fitted.alpha
    return spread + (1.0 / weight.sum() if terms.fit_intercept else 0.0)
