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
