"""Parameters of a module as arrays and back."""

import numpy as np
import torch
from torch import nn

from sklearn_ext._torch.parameters import load_arrays, module_arrays


def test_arrays_go_back_into_another_module():
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    load_arrays(second, module_arrays(first))
    inputs = torch.ones(4, 3)
    assert torch.equal(first(inputs), second(inputs))


def test_compiled_module_gives_the_arrays_of_the_plain_one():
    plain = nn.Linear(3, 2)
    found, expected = module_arrays(torch.compile(plain, backend="eager")), module_arrays(plain)
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


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
