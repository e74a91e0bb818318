"""Linear models: least squares in bases that are worth it."""

from sklearn_ext.linear_model._polynomial import PolynomialRegressor

__all__ = ["PolynomialRegressor"]
