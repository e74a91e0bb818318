"""Neural networks."""

from sklearn_ext.neural_network._ffnn import FFNNClassifier, FFNNRegressor
from sklearn_ext.neural_network._language_model import CausalLanguageModel
from sklearn_ext.neural_network._rnn import RNNClassifier, RNNRegressor
from sklearn_ext.neural_network._stream import SequenceStream
from sklearn_ext.neural_network._transformer import TransformerClassifier

__all__ = [
    "CausalLanguageModel",
    "FFNNClassifier",
    "FFNNRegressor",
    "RNNClassifier",
    "RNNRegressor",
    "SequenceStream",
    "TransformerClassifier",
]
