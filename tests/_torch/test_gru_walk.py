"""The walk of a gated recurrent unit against torch's own layer."""

import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch import step_blocks  # noqa: E402
from sklearn_ext._torch.cells import make_cell  # noqa: E402
from sklearn_ext._torch.gru_walk import gru_walk  # noqa: E402


def normal(*shape, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def walk_arguments(n_steps, n, n_inputs, width, dtype=torch.float64):
    """Inputs, weights of the inputs and of the states, biases, initial state."""
    shapes = (n_steps, n, n_inputs), (3 * width, n_inputs), (3 * width, width), (6 * width,)
    found = [normal(*shape, seed=seed) for seed, shape in enumerate((*shapes, (n, width)))]
    return [values.to(dtype).requires_grad_() for values in found]


def walked_by_torch(inputs, of_inputs, recurrent, bias, initial):
    layer = torch.nn.GRU(of_inputs.shape[1], recurrent.shape[1], dtype=inputs.dtype)
    names = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
    weights = dict(zip(names, (of_inputs, recurrent, *bias.chunk(2)), strict=True))
    return torch.func.functional_call(layer, weights, (inputs, initial.unsqueeze(0)))[0]


@pytest.mark.parametrize("block_size", [1, 100, 2**17])  # steps one by one, 3 a block, all
@pytest.mark.parametrize("n_steps", [1, 6, 8])
def test_values_and_gradients_are_those_of_torch(monkeypatch, block_size, n_steps):
    monkeypatch.setattr(step_blocks, "BLOCK_SIZE", block_size)
    arguments, weight = walk_arguments(n_steps, 2, 3, 5), normal(n_steps, 2, 5, seed=9)
    before = [values.detach().clone() for values in arguments]
    ours, expected = gru_walk(*arguments), walked_by_torch(*arguments)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)
    of_ours, of_expected = (torch.autograd.grad(h, arguments, weight) for h in (ours, expected))
    torch.testing.assert_close(of_ours, of_expected, atol=1e-11, rtol=0)
    assert all(torch.equal(now, then) for now, then in zip(arguments, before, strict=True))


def test_gradient_is_that_of_small_changes():
    assert torch.autograd.gradcheck(gru_walk, walk_arguments(4, 2, 3, 2))


def test_gradient_of_some_arguments_only():
    arguments, wanted = walk_arguments(5, 2, 3, 4), (1, 3)
    for number, values in enumerate(arguments):
        values.requires_grad_(number in wanted)
    found = torch.autograd.grad(gru_walk(*arguments).sum(), [arguments[i] for i in wanted])
    for values in arguments:
        values.requires_grad_()
    expected = torch.autograd.grad(walked_by_torch(*arguments).sum(), arguments)
    torch.testing.assert_close(found, tuple(expected[i] for i in wanted))


def test_gradients_over_many_steps_in_single_precision():
    exact = walk_arguments(300, 3, 4, 8)
    single = [values.detach().float().requires_grad_() for values in exact]
    expected = torch.autograd.grad(gru_walk(*exact).square().sum(), exact)
    found = torch.autograd.grad(gru_walk(*single).square().sum(), single)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.double() - theirs).norm() <= 1e-4 * theirs.norm()


def test_cells_take_it_on_a_cpu_and_read_the_weights_of_the_layer():
    cell = make_cell("gru", 3, 5, torch.Generator().manual_seed(0), longest=7)
    inputs, state = normal(7, 2, 3, seed=0), (normal(2, 5, seed=1),)
    outputs, after = cell(inputs, state)
    assert type(outputs.grad_fn).__name__ == "_GRUWalkBackward"
    expected, last = cell.layer(inputs, state[0].unsqueeze(0))
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(after[0], last[0])


def test_cells_walk_in_the_precision_of_their_weights_under_autocast():
    cell = make_cell("gru", 3, 5, torch.Generator().manual_seed(0), longest=7).float()
    low = normal(7, 2, 3, seed=0).bfloat16()
    expected, _ = cell(low.float(), cell.initial_state(low.float()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, (last,) = cell(low, cell.initial_state(low))
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(last, expected[-1])
