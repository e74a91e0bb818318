"""What the terms of a polynomial are, before any data but the columns' bounds is seen."""

from dataclasses import dataclass

import numpy as np

from sklearn_ext.linear_model._index_sets import count_terms, hyperbolic_powers
from sklearn_ext.linear_model._polynomial_basis import make_basis

# Least growth of the penalty from one total degree to the next: coefficients that halve.
_LEAST_GROWTH = 4.0


@dataclass(frozen=True)
class Terms:
    """What the user asked the terms to be.

    Attributes
    ----------
    family : str
        Univariate polynomials.
    bounds : ndarray of shape (2, n_features)
        Box that is mapped to [-1, 1].
    truncation : float
        Exponent q of the index set.
    interaction_only : bool
        Whether only first powers occur.
    fit_intercept : bool
        Whether the model has a constant.
    adaptive : bool
        Whether an ill-conditioned basis may be replaced by the empirical one.
    """

    family: str
    bounds: np.ndarray
    truncation: float
    interaction_only: bool
    fit_intercept: bool
    adaptive: bool = False

    def powers(self, degree):
        """Multi-indices of the set, the constant first."""
        n_features = self.bounds.shape[1]
        return hyperbolic_powers(n_features, degree, self.truncation, self.interaction_only)

    def count(self, degree):
        """Number of terms of the set without the constant."""
        n_features = self.bounds.shape[1]
        return count_terms(n_features, degree, self.truncation, self.interaction_only)

    def basis(self, powers, degree=None):
        """Classical basis with the multi-indices `powers`."""
        return make_basis(
            self.family, self.bounds, powers, degree=degree, fit_intercept=self.fit_intercept
        )

    @property
    def penalty_growth(self):
        """Growth of the penalty from one total degree to the next.

        Coefficients of a smooth function fall geometrically with the degree; 4 is the prior that
        they halve. With many columns there are (d + 1) / 2 times as many terms of degree 2 as
        of degree 1: the growth is at least that, or the higher degrees would be given more
        variance all together than the lower ones.
        """
        return max(_LEAST_GROWTH, (self.bounds.shape[1] + 1) / 2)

    def penalty(self, powers):
        """Weight of each term in the penalty: growth ** (total degree - 1), 0 for the constant."""
        total = powers.sum(axis=1, dtype=np.float64)
        return np.where(total > 0, self.penalty_growth ** (total - 1), 0.0)

    @property
    def first(self):
        """First column of the design: 0 with the constant, 1 without."""
        return 0 if self.fit_intercept else 1
