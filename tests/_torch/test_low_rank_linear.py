"""A frozen linear layer with a low-rank change against autograd's own form."""

import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch.low_rank_linear import low_rank_linear  # noqa: E402
from sklearn_ext._torch.quantization import NF4, Int8Rows  # noqa: E402

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


@pytest.mark.parametrize("front", [(), (0,), (2, 0), (6,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_equals_the_changed_weight(front, has_bias):
    inputs, weight, bias, A, B = arguments(*front)
    bias = bias if has_bias else None
    outputs = low_rank_linear(inputs, weight, bias, A, B, SCALING)
    torch.testing.assert_close(outputs, by_autograd(inputs, weight, bias, A, B))


@pytest.mark.parametrize("front", [(6,), (3, 4)])
def test_gradients_are_those_of_differences(front):
    inputs, weight, bias, A, B = arguments(*front)

    def layer(x, a, b):
        return low_rank_linear(x, weight, bias, a, b, SCALING)

    assert torch.autograd.gradcheck(layer, (inputs, A, B))
    assert torch.autograd.gradgradcheck(layer, (inputs, A, B))


def test_second_derivatives_of_a_large_layer_are_those_of_autograd():
    generator = torch.Generator().manual_seed(0)
    shapes = (300, 64), (96, 64), (96,), (2, 64), (96, 2)
    x, W, b, A, B = (0.1 * torch.randn(s, generator=generator) for s in shapes)
    trained = [tensor.requires_grad_() for tensor in (x, A, B)]

    def penalty(outputs):
        (slope,) = torch.autograd.grad(outputs.tanh().sum(), x, create_graph=True)
        return slope.square().sum()

    found = torch.autograd.grad(penalty(low_rank_linear(x, W, b, A, B, SCALING)), trained)
    expected = torch.autograd.grad(penalty(by_autograd(x, W, b, A, B)), trained)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("front", [(6,), (3, 4)])
def test_outputs_can_be_written_to(front):
    inputs, weight, bias, A, B = arguments(*front)
    found = low_rank_linear(inputs, weight, bias, A, B, SCALING).relu_()
    expected = by_autograd(inputs, weight, bias, A, B).relu()
    torch.testing.assert_close(found, expected)
    gradients = (
        torch.autograd.grad(outputs.square().sum(), (inputs, A, B)) for outputs in (found, expected)
    )
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("kind", [NF4, Int8Rows])
@pytest.mark.parametrize("at_once", [2**4, 2**20])
def test_of_a_quantised_weight_equals_that_of_the_dequantised(kind, at_once, monkeypatch):
    monkeypatch.setattr("sklearn_ext._torch.quantization.VALUES_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(0)
    n_inputs, n_outputs = 128, 400  # blocks of 128 rows
    shapes = (3, 4, n_inputs), (n_outputs, n_inputs), (n_outputs,), (2, n_inputs), (n_outputs, 2)
    x, W, b, A, B = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    trained = [tensor.requires_grad_() for tensor in (x, A, B)]
    stored = kind(W)
    outputs = low_rank_linear(x, stored, b, A, B, SCALING)
    expected = by_autograd(x, stored.dequantized(torch.float64), b, A, B)
    torch.testing.assert_close(outputs, expected)
    found = torch.autograd.grad(outputs.square().sum(), trained)
    torch.testing.assert_close(found, torch.autograd.grad(expected.square().sum(), trained))


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
