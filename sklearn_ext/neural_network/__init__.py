"""Neural networks."""

from sklearn_ext.neural_network._ffnn import FFNNClassifier, FFNNRegressor

__all__ = ["FFNNClassifier", "FFNNRegressor"]
