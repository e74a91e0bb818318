"""Neural networks."""

from sklearn_ext.neural_network._adapter_bank import AdapterBank
from sklearn_ext.neural_network._ffnn import FFNNClassifier, FFNNRegressor
from sklearn_ext.neural_network._language_model import CausalLanguageModel
from sklearn_ext.neural_network._lora import LoRAAdapter
from sklearn_ext.neural_network._rnn import RNNClassifier, RNNRegressor
from sklearn_ext.neural_network._stream import SequenceStream
from sklearn_ext.neural_network._transformer import TransformerClassifier

__all__ = [
    "AdapterBank",
    "CausalLanguageModel",
    "FFNNClassifier",
    "FFNNRegressor",
    "LoRAAdapter",
    "RNNClassifier",
    "RNNRegressor",
    "SequenceStream",
    "TransformerClassifier",
]
