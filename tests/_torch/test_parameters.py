"""Parameters as arrays and back."""

import numpy as np
import torch

from sklearn_ext._torch.parameters import load_arrays, module_arrays


def tied():
    module = torch.nn.Sequential(torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5))
    module[1].weight = module[0].weight
    return module


def test_tied_parameters_are_one_array_and_stay_tied():
    module = tied()
    arrays = module_arrays(module)
    assert arrays["0.weight"] is arrays["1.weight"]
    other = tied()
    load_arrays(other, arrays)
    assert other[0].weight is other[1].weight
    np.testing.assert_array_equal(other[1].weight.detach(), module[1].weight.detach())


def test_arrays_are_copies():
    module = tied()
    arrays = module_arrays(module)
    before = arrays["1.bias"].copy()
    with torch.no_grad():
        module[1].bias.add_(1.0)
    np.testing.assert_array_equal(arrays["1.bias"], before)
