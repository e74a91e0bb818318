"""An optimizer that is made of its arrays takes the same next steps."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_ext._torch.optimizer_arrays import optimizer_arrays, optimizer_of
from sklearn_ext._torch.optimizers import SGD, AdamW


def module():
    """Two layers, of which one has its weight in the other layout in memory."""
    generator = torch.Generator().manual_seed(0)
    made = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, generator=generator)
    made[1].weight.data = made[1].weight.data.T.contiguous().T
    return made


def groups(made):
    matrices, biases = [[p for p in made.parameters() if p.ndim == ndim] for ndim in (2, 1)]
    return [{"params": biases, "weight_decay": 0.0}, {"params": matrices, "lr": 0.3}]


def move(optimizer, n_steps):
    for _ in range(n_steps):
        optimizer.step([torch.cos(parameter.detach()) for parameter in optimizer.parameters])


@pytest.mark.parametrize("n_steps", [0, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "make",
    [
        lambda groups: AdamW(groups, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1),
        lambda groups: SGD(groups, lr=0.1, momentum=0.5, nesterov=False, weight_decay=0.1),
        lambda groups: SGD(groups, momentum=0.0),
    ],
)
def test_the_next_steps_are_the_same(make, dtype, n_steps):
    ours, other = module().to(dtype), module().to(dtype)
    optimizer = make(groups(ours))
    move(optimizer, n_steps)
    optimizer.set_rate(0.05)
    other.load_state_dict(ours.state_dict())
    twin = optimizer_of(optimizer_arrays(optimizer, ours), other)
    assert twin.defaults == optimizer.defaults
    move(optimizer, 2)
    move(twin, 2)
    for one, two in zip(ours.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_arrays_are_copies_of_numpy():
    made = module()
    optimizer = AdamW(made.parameters())
    move(optimizer, 1)
    arrays = optimizer_arrays(optimizer, made)
    assert arrays["groups"][0]["params"] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    moments, steps = arrays["state"][0]["exp_avg"], arrays["state"][0]["step"]
    assert isinstance(steps, np.ndarray) and steps.tolist() == [1.0] * 4
    before = moments[0].copy()
    move(optimizer, 1)
    assert np.array_equal(moments[0], before)
