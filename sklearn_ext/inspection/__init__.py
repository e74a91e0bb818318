"""Pictures and measures of estimators."""

from sklearn_ext.inspection._gradient_flow import GradientFlow, gradient_flow
from sklearn_ext.inspection._gradient_flow_display import GradientFlowDisplay
from sklearn_ext.inspection._loss_curve import LossCurveDisplay

__all__ = ["GradientFlow", "GradientFlowDisplay", "LossCurveDisplay", "gradient_flow"]
