"""Laws of low-rank adaptation, for every kind of module."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")

from lora_bases import (  # noqa: E402
    DOUBLE,
    VARIANTS,
    adapt,
    assert_same_bits,
    bits,
    every_kind,
    every_variant,
    make_base,
    matrix_of,
    normal,
    shake,
    train,
)

from sklearn_ext._torch.packed_linear import PackedLinear  # noqa: E402


@every_kind
@every_variant
@pytest.mark.parametrize("training", [True, False])
def test_before_training_the_outputs_are_those_of_the_base(kind, variant, training):
    base, inputs = make_base(kind)
    module = adapt(base, **VARIANTS[variant]).train(training)
    assert torch.equal(module(inputs), base.train(training)(inputs))


@every_variant
@pytest.mark.parametrize("dtype", [DOUBLE, torch.float32])
def test_large_packed_layers_start_at_the_base_too(variant, dtype):
    # Here a transposed weight would be multiplied, and rounded, in another order.
    base = PackedLinear(normal(4, 90, 128), normal(4, 1, 128, seed=1)).to(dtype)
    inputs = normal(4, 300, 90, seed=2, dtype=dtype)
    module = adapt(base, **VARIANTS[variant])
    assert torch.equal(module.eval()(inputs), base(inputs))
    assert torch.equal(module.train()(inputs), base(inputs))
    assert all(own.is_contiguous() for own in module.weights().values())


@pytest.mark.parametrize("make", [torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM])
@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("learns", [True, False])
def test_before_training_recurrent_layers_run_by_the_kernels_of_the_base(make, without, learns):
    torch.manual_seed(0)
    base = make(16, 5, batch_first=True).requires_grad_(learns)
    module, inputs = adapt(base).eval(), torch.randn(4, 9, 16)
    with without():
        assert torch.equal(module(inputs)[0], base(inputs)[0])
    assert all(not weight.requires_grad for weight in module.base.parameters())


@every_kind
@every_variant
def test_training_changes_outputs_and_not_a_bit_of_the_base(kind, variant):
    base, inputs = make_base(kind)
    before, outputs = bits(base), base.eval()(inputs)
    module = adapt(base, **VARIANTS[variant])
    train(module, inputs)
    assert_same_bits(base, before)
    assert all(parameter.grad is None for parameter in base.parameters())
    assert torch.equal(base(inputs), outputs)
    assert (module(inputs) - outputs).abs().max() > 1e-3


@every_kind
@every_variant
def test_training_inference_and_merged_weights_agree(kind, variant):
    base, inputs = make_base(kind)
    module = shake(adapt(base, **VARIANTS[variant]))
    training, inference = module.train()(inputs), module.eval()(inputs)
    torch.testing.assert_close(training, inference, rtol=1e-10, atol=1e-10)
    with torch.no_grad():  # where torch takes its fast paths
        fast = module(inputs)
        torch.testing.assert_close(fast, inference, rtol=1e-10, atol=1e-10)
        plain = module.merged_copy().eval()
        torch.testing.assert_close(plain(inputs), inference, rtol=1e-10, atol=1e-10)
        merged = module.merge()(inputs)
        torch.testing.assert_close(merged, inference, rtol=1e-10, atol=1e-10)
        assert torch.equal(module.unmerge()(inputs), fast)
    assert type(plain) is type(base)
    assert plain.state_dict().keys() == base.state_dict().keys()


def test_the_fast_path_of_torch_sees_the_change(monkeypatch):
    base, inputs = make_base("transformer")
    module = shake(adapt(base)).eval()
    fused, seen = torch._transformer_encoder_layer_fwd, []

    def watched(*args, **kwargs):
        seen.append(args[3])  # the weight of the attention's inputs
        return fused(*args, **kwargs)

    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", watched)
    with torch.no_grad():
        module(inputs)
        weights = module.weights()
    for layer, weight in enumerate(seen):
        assert torch.equal(weight, weights[f"layers.{layer}.self_attn.in_proj_weight"])
    assert len(seen) == 2


@every_kind
def test_unmerged_weights_are_the_ones_of_before(kind):
    base, inputs = make_base(kind)
    before = bits(base)
    module = shake(adapt(base))
    module.merge().merge()(inputs)
    assert module.is_merged
    assert not torch.equal(
        module.base.state_dict()[next(iter(before))], next(iter(before.values()))
    )
    module.unmerge()
    assert_same_bits(module.base, before)
    assert_same_bits(base, before)


@every_kind
def test_copies_compute_the_same(kind):
    base, inputs = make_base(kind)
    module = train(adapt(base), inputs)
    copied = copy.deepcopy(module)
    assert torch.equal(copied(inputs), module(inputs))
    shake(copied)
    assert not torch.equal(copied(inputs), module(inputs))


@every_kind
def test_same_seed_same_bits(kind):
    base, inputs = make_base(kind)
    first, second = (train(adapt(base), inputs)(inputs) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, train(adapt(base, seed=1), inputs)(inputs))


@every_kind
def test_only_the_trained_part_is_counted_and_trained(kind):
    base, inputs = make_base(kind)
    module = adapt(base)
    trained = sum(parameter.numel() for parameter in module.parameters())
    sizes = 0
    for key, change in module.low_rank.items():
        weight = base.get_parameter(key.replace("/", "."))
        *front, n_outputs, n_inputs = matrix_of(weight, change.layout).shape
        sizes += int(torch.tensor(front).prod()) * 2 * (n_outputs + n_inputs)
    assert trained == sizes
    gradients = torch.autograd.grad(module(inputs).sum(), list(module.parameters()))
    assert len(gradients) == 2 * len(module.low_rank)
    assert not any(parameter.requires_grad for parameter in module.base.parameters())


def test_the_base_inside_can_be_pickled_after_a_pass():
    # torch's recurrent layers keep the weights of the last pass in a list.
    base, inputs = make_base("lstm")
    module = train(adapt(base), inputs)
    pickled = pickle.loads(pickle.dumps(module.base))
    assert torch.equal(pickled(inputs), base(inputs))
