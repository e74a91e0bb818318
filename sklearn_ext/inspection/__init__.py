"""Pictures and measures of estimators."""

from sklearn_ext.inspection._fit_diagnosis import diagnose_fit
from sklearn_ext.inspection._fit_diagnosis_display import FitDiagnosisDisplay
from sklearn_ext.inspection._fit_report import FitDiagnosis
from sklearn_ext.inspection._gradient_flow import GradientFlow, gradient_flow
from sklearn_ext.inspection._gradient_flow_display import GradientFlowDisplay
from sklearn_ext.inspection._loss_curve import LossCurveDisplay
from sklearn_ext.inspection._polynomial_fit import PolynomialFitDisplay

__all__ = [
    "FitDiagnosis",
    "FitDiagnosisDisplay",
    "GradientFlow",
    "GradientFlowDisplay",
    "LossCurveDisplay",
    "PolynomialFitDisplay",
    "diagnose_fit",
    "gradient_flow",
]
