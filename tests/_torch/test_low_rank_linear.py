"""A frozen linear layer with a low-rank change against autograd's own form."""

import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch.low_rank_linear import low_rank_linear  # noqa: E402

SCALING = 1.5


def arguments(*front):
    """Inputs, W, b, A and B in float64, of which x, A and B are differentiated."""
    generator = torch.Generator().manual_seed(0)
    shapes = (*front, 5), (7, 5), (7,), (2, 5), (7, 2)
    found = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    for place in (0, 3, 4):
        found[place].requires_grad_()
    return found


def by_autograd(inputs, weight, bias, A, B):
    return torch.nn.functional.linear(inputs, weight + SCALING * B @ A, bias)


@pytest.mark.parametrize("front", [(6,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_equals_the_changed_weight(front, has_bias):
    inputs, weight, bias, A, B = arguments(*front)
    bias = bias if has_bias else None
    outputs = low_rank_linear(inputs, weight, bias, A, B, SCALING)
    torch.testing.assert_close(outputs, by_autograd(inputs, weight, bias, A, B))


@pytest.mark.parametrize("front", [(6,), (3, 4)])
def test_gradients_are_those_of_differences(front):
    inputs, weight, bias, A, B = arguments(*front)
    assert torch.autograd.gradcheck(
        lambda x, a, b: low_rank_linear(x, weight, bias, a, b, SCALING), (inputs, A, B)
    )


def test_inputs_without_gradient_cost_none():
    inputs, weight, bias, A, B = arguments(6)
    outputs = low_rank_linear(inputs.detach(), weight, bias, A, B, SCALING)
    found = torch.autograd.grad(outputs.square().sum(), (A, B))
    expected = torch.autograd.grad(by_autograd(inputs, weight, bias, A, B).square().sum(), (A, B))
    torch.testing.assert_close(found, expected)


def test_change_of_zero_leaves_the_outputs_to_the_bit():
    inputs, weight, bias, A, B = arguments(3, 4)
    outputs = low_rank_linear(inputs, weight, bias, A, torch.zeros_like(B), SCALING)
    assert torch.equal(outputs, torch.nn.functional.linear(inputs, weight, bias))
