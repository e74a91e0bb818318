"""Adapted layers where autograd, functorch and plain modules may meet them."""

from functools import partial

import pytest

torch = pytest.importorskip("torch")

from lora_bases import adapt, normal, shake  # noqa: E402
from torch import nn  # noqa: E402

KINDS = pytest.mark.parametrize("quantization", [None, "int8", "nf4"])


def net(*layers):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = nn.Sequential(*(make() for make in layers))
    return found.double()


def linear(n_inputs, n_outputs, **options):
    return lambda: nn.Linear(n_inputs, n_outputs, **options)


@KINDS
@pytest.mark.parametrize("targets", ["all-linear", ["0"]])
def test_layers_in_front_of_functions_that_write_in_place(quantization, targets):
    base = net(
        linear(4, 8),
        partial(nn.ReLU, inplace=True),
        linear(8, 8, bias=False),
        partial(nn.ReLU, inplace=True),
    )
    module = shake(adapt(base, quantization=quantization, target_modules=targets)).train()
    rows = normal(3, 5, 4)
    trained = list(module.parameters())
    gradients = torch.autograd.grad(module(rows).sum(), trained)
    plain = net(linear(4, 8), nn.ReLU, linear(8, 8, bias=False), nn.ReLU)
    other = shake(adapt(plain, quantization=quantization, target_modules=targets)).train()
    expected = torch.autograd.grad(other(rows).sum(), list(other.parameters()))
    torch.testing.assert_close(gradients, expected)


@KINDS
@pytest.mark.parametrize("targets", ["all-linear", ["2"]])
def test_a_penalty_on_the_gradient_has_the_gradients_of_differences(quantization, targets):
    base = net(linear(4, 8), nn.Tanh, linear(8, 1))
    module = shake(adapt(base, quantization=quantization, target_modules=targets)).train()
    rows, trained = normal(6, 4).requires_grad_(), list(module.parameters())

    def penalty(*values):
        outputs = module(rows)
        (slope,) = torch.autograd.grad(outputs.sum(), rows, create_graph=True)
        return outputs.square().mean() + slope.square().sum()

    assert torch.autograd.gradcheck(penalty, trained)


@KINDS
@pytest.mark.parametrize("shape", [(4,), (0, 4), (2, 0, 4), (1, 4)])
def test_no_rows_and_one_row_without_an_axis(quantization, shape):
    module = shake(adapt(net(linear(4, 3)), quantization=quantization))
    rows = normal(*shape)
    trained, inferred = module.train()(rows), module.eval()(rows)
    assert trained.shape == (*shape[:-1], 3)
    torch.testing.assert_close(trained, inferred)


def test_transforms_of_functions():
    module = shake(adapt(net(linear(3, 4), nn.Tanh, linear(4, 2)))).train()
    rows = normal(5, 3)
    with torch.no_grad():
        found = torch.func.vmap(torch.func.jacrev(module))(rows)
    expected = torch.stack([torch.autograd.functional.jacobian(module, row) for row in rows])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("bias", ["none", "all"])
def test_layers_between_adapted_ones_are_constant_maps(bias):
    base = net(linear(32, 96), nn.Tanh, linear(96, 64), nn.Tanh, linear(64, 2)).float()
    module = shake(adapt(base, target_modules=["0"], bias=bias)).train()
    rows = normal(300, 32).float()

    def gradients(module, rows):
        outputs = module(rows)
        trained = list(module.parameters())
        return outputs, torch.autograd.grad(outputs.square().mean(), trained)

    found = gradients(module, rows)
    in_double = gradients(module.double(), rows.double())
    torch.testing.assert_close(found, in_double, check_dtype=False, rtol=1e-4, atol=1e-5)
    assert all(type(layer) in (nn.Linear, nn.Tanh) for layer in module.base)
