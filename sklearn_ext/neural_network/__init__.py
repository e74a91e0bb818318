"""Neural networks."""

from sklearn_ext.neural_network._adapter_bank import AdapterBank
from sklearn_ext.neural_network._ffnn import FFNNClassifier, FFNNRegressor
from sklearn_ext.neural_network._lora import LoRAAdapter
from sklearn_ext.neural_network._rnn import RNNClassifier, RNNRegressor
from sklearn_ext.neural_network._stream import SequenceStream

__all__ = [
    "AdapterBank",
    "FFNNClassifier",
    "FFNNRegressor",
    "LoRAAdapter",
    "RNNClassifier",
    "RNNRegressor",
    "SequenceStream",
]
