"""Pictures of fitted estimators."""

from sklearn_ext.inspection._loss_curve import LossCurveDisplay

__all__ = ["LossCurveDisplay"]
