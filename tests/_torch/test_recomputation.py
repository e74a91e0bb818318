"""Blocks that are computed anew: the same gradients, and nothing inside of them is kept."""

import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch.dropout import dropout_from  # noqa: E402
from sklearn_ext._torch.gpt import GPT  # noqa: E402
from sklearn_ext._torch.lora import LoRAModule  # noqa: E402
from sklearn_ext._torch.low_rank import LoRASettings  # noqa: E402
from sklearn_ext._torch.random import make_generator  # noqa: E402
from sklearn_ext._torch.recomputation import blocks_of, recomputed_blocks  # noqa: E402

nn = torch.nn

TOKENS = torch.arange(24).view(2, 12) % 11


def net(dropout=0.3):
    return GPT(11, 16, 3, 2, 16, "rotary", dropout, make_generator(0)).double()


def adapted(recomputed, **fields):
    settings = LoRASettings(r=2, lora_dropout=0.2, gradient_checkpointing=recomputed, **fields)
    module = LoRAModule(net(), settings, make_generator(1))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=make_generator(2))
    return module.train()


def gradients(module, generator):
    loss = module(TOKENS).square().mean()
    found = torch.autograd.grad(loss, list(module.parameters()))
    return [loss, *found, generator.get_state()]


def assert_same(found, expected):
    for own, other in zip(found, expected, strict=True):
        assert torch.equal(own, other)


def test_dropout_draws_the_same_units_again():
    module, generator = net().train(), make_generator(3)
    with dropout_from(generator, module, shared_by_rows=False):
        expected = gradients(module, generator)
    generator = make_generator(3)
    with dropout_from(generator, module, shared_by_rows=False):
        with recomputed_blocks(blocks_of(module), module):
            found = gradients(module, generator)
    assert_same(found, expected)
    assert "forward" not in vars(module.blocks[0])


@pytest.mark.parametrize("quantization", [None, "int8", "nf4"])
@pytest.mark.parametrize("targets", ["all-linear", ["up", "embedding"]])
def test_changed_weights_are_in_place_again(quantization, targets):
    fields = {"quantization": quantization, "target_modules": targets}
    both = []
    for recomputed in (False, True):
        module, generator = adapted(recomputed, **fields), make_generator(3)
        with dropout_from(generator, module, shared_by_rows=False):
            both.append(gradients(module, generator))
    assert_same(*both)


def test_weights_that_are_put_in_whole_are_in_place_again():
    both = []
    for recomputed in (False, True):
        module, generator = adapted(recomputed, use_dora=True), make_generator(3)
        with dropout_from(generator, module, shared_by_rows=False):
            both.append(gradients(module, generator))
    assert_same(*both)


def kept_numbers(module):
    """Count what one forward pass keeps for gradients, weights excepted."""
    weights = {p.data_ptr() for p in module.base.parameters()} | {
        p.data_ptr() for p in module.parameters()
    }
    kept = {}

    def keep(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(TOKENS)
    return sum(kept.values())


def test_only_inputs_of_blocks_are_kept():
    assert kept_numbers(adapted(True)) < 0.3 * kept_numbers(adapted(False))


def test_global_generator_stays():
    state = torch.get_rng_state()
    module, generator = adapted(True), make_generator(3)
    with dropout_from(generator, module, shared_by_rows=False):
        gradients(module, generator)
    assert torch.equal(torch.get_rng_state(), state)


def test_net_without_blocks():
    settings = LoRASettings(r=2, gradient_checkpointing=True)
    with pytest.raises(ValueError, match=r"gradient_checkpointing=True needs blocks, but Linear"):
        LoRAModule(nn.Linear(3, 4), settings, make_generator(0))
