"""Sequences and tensors: padding, scaling, windows, rank, multilinear components."""

from sklearn_ext.preprocessing._multilinear import multilinear_rank
from sklearn_ext.preprocessing._multilinear_pca import MultilinearPCA
from sklearn_ext.preprocessing._padder import SequencePadder
from sklearn_ext.preprocessing._scaler import SequenceScaler
from sklearn_ext.preprocessing._tensors import TensorDescription, describe_tensor, tensor_rank
from sklearn_ext.preprocessing._windows import SlidingWindow, WindowSamples

__all__ = [
    "MultilinearPCA",
    "SequencePadder",
    "SequenceScaler",
    "SlidingWindow",
    "TensorDescription",
    "WindowSamples",
    "describe_tensor",
    "multilinear_rank",
    "tensor_rank",
]
