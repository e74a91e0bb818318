"""The functional optimizers take the steps of torch's classes, whatever the layout in memory."""

import pytest
import torch

from sklearn_ext._torch.optimizers import SGD, AdamW


def problem():
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    turned = torch.randn(3, 5, generator=generator, dtype=torch.float64).T
    steps = [[torch.randn(p.shape, generator=generator).double() for p in (plain, turned)]] * 3
    return [plain, turned], steps


def turned(values):
    """The same values in the other layout."""
    return values.T.contiguous().T


@pytest.mark.parametrize("layout", [torch.Tensor.contiguous, turned])
@pytest.mark.parametrize(
    ("ours", "peer"),
    [
        (
            lambda p: AdamW(p, lr=0.1, betas=(0.9, 0.95), weight_decay=0.1),
            lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.9, 0.95), weight_decay=0.1),
        ),
        (
            lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        ),
    ],
    ids=["adam", "sgd"],
)
def test_steps_are_those_of_torch(ours, peer, layout):
    values, steps = problem()
    own = [torch.nn.Parameter(value.clone()) for value in values]
    others = [torch.nn.Parameter(value.contiguous().clone()) for value in values]
    optimizer, reference = ours(own), peer(others)
    for gradients in steps:
        optimizer.step([layout(gradient) for gradient in gradients])
        for parameter, gradient in zip(others, gradients, strict=True):
            parameter.grad = gradient.contiguous()
        reference.step()
    for parameter, other in zip(own, others, strict=True):
        torch.testing.assert_close(parameter.detach(), other.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [AdamW, SGD])
def test_forgetting_starts_as_a_new_one(make):
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(4, 3, generator=generator).unbind()
    moved, fresh = torch.ones(3), torch.ones(3)
    optimizer = make([moved], lr=0.1)
    optimizer.step([gradients[0]])
    optimizer.forget()
    assert optimizer.state == []
    fresh.copy_(moved)
    other = make([fresh], lr=0.1)
    for gradient in gradients[1:]:
        optimizer.step([gradient])
        other.step([gradient])
    assert torch.equal(moved, fresh)
