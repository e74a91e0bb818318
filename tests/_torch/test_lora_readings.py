"""Nets that use the weights of their layers in other ways than by calling them with one tensor."""

import pytest

torch = pytest.importorskip("torch")

from lora_bases import DOUBLE, adapt, normal, shake  # noqa: E402
from torch import nn  # noqa: E402
from torch.func import functional_call  # noqa: E402

from sklearn_ext._torch.packed_linear import PackedLinear  # noqa: E402


class Autoencoder(nn.Module):
    """A decoder that is the transposed encoder."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(6, 4)

    def forward(self, inputs):
        states = torch.tanh(self.encode(inputs))
        return nn.functional.linear(states, self.encode.weight.t())


class Reading(nn.Module):
    """A layer that is never called."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, inputs):
        return nn.functional.linear(inputs, self.layer.weight, self.layer.bias)


class Keyword(nn.Module):
    """A layer that gets its inputs by their name."""

    def __init__(self, layer, name):
        super().__init__()
        self.layer, self.name = layer, name

    def forward(self, inputs):
        return self.layer(**{self.name: inputs})


class Penalized(nn.Module):
    """Packed layers whose weights are read too."""

    def __init__(self):
        super().__init__()
        self.layer = PackedLinear(normal(2, 6, 4), normal(2, 1, 4))

    def forward(self, inputs):
        return self.layer(inputs) + self.layer.weight.square().sum()


def hooked():
    """A layer that something of the user's looks at in front of each call."""
    layer, seen = nn.Linear(6, 4), []
    layer.register_forward_pre_hook(lambda layer, args: seen.append(layer.weight.sum()))
    return layer


NETS = {
    "autoencoder": (Autoencoder, (3, 6)),
    "reading": (Reading, (3, 6)),
    "keyword": (lambda: Keyword(nn.Linear(6, 4), "input"), (3, 6)),
    "packed keyword": (lambda: Keyword(Penalized().layer, "inputs"), (2, 3, 6)),
    "penalized": (Penalized, (2, 3, 6)),
    "hooked": (hooked, (3, 6)),
}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("start", [True, "pissa"])
def test_all_that_reads_a_weight_sees_the_changed_one(net, training, start):
    make, shape = NETS[net]
    base, inputs = make().to(DOUBLE), normal(*shape)
    module = shake(adapt(base, init_lora_weights=start)).train(training)
    trained = list(module.parameters())

    def outputs_and_gradients(outputs):
        return [outputs, *torch.autograd.grad(outputs.square().sum(), trained)]

    found = outputs_and_gradients(module(inputs))
    expected = outputs_and_gradients(functional_call(base, module.weights(), inputs))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


class Listing(nn.Module):
    """A layer whose weight is read in other ways than as an attribute."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 64, bias=False)

    def forward(self, inputs):
        with pytest.raises(AttributeError, match="is not an nn"):
            self.get_parameter("layer.weight")
        return dict(self.named_parameters()), self.layer.weight


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("quantization", [None, "int8"])
def test_lists_of_parameters_hold_what_the_notes_say(training, quantization):
    base = Listing()
    module = shake(adapt(base.to(DOUBLE), quantization=quantization)).train(training)
    changed = module.weights()["layer.weight"]
    listed, read = module(normal(3, 64))
    torch.testing.assert_close(read, changed)
    if quantization is None:
        expected = base.layer.weight if training else changed
        torch.testing.assert_close(listed["layer.weight"], expected)
    else:
        assert not listed


@pytest.mark.parametrize("name", ["nf4", "int8"])
def test_quantised_layers_take_keywords_too(name):
    base = nn.Sequential(Keyword(nn.Linear(64, 64), "input"), Keyword(nn.Linear(64, 4), "input"))
    module = shake(adapt(base.to(DOUBLE), quantization=name))
    inputs = normal(3, 64)
    weights = module.weights()
    for training in (True, False):
        expected = functional_call(base, weights, inputs)
        torch.testing.assert_close(module.train(training)(inputs), expected)


@pytest.mark.parametrize("quantization", [None, "int8"])
@pytest.mark.parametrize("start", [True, "gaussian", "pissa"])
def test_the_padding_of_a_table_is_not_trained(quantization, start):
    base = nn.Embedding(11, 6, padding_idx=3).to(DOUBLE)
    module = shake(adapt(base, quantization=quantization, init_lora_weights=start))
    change = module.low_rank["weight"]
    inputs = torch.tensor([[3, 1, 3], [2, 3, 5]])
    trained = [change.weight_A, change.weight_B]
    found = torch.autograd.grad(module(inputs).square().sum(), trained)
    expected = torch.autograd.grad(module(inputs[inputs != 3]).square().sum(), trained)
    torch.testing.assert_close(found, expected)
    assert not found[1][3].any()


@pytest.mark.parametrize("start", [True, "gaussian", "pissa"])
@pytest.mark.parametrize("training", [True, False])
def test_rows_of_a_quantised_table_are_changed(start, training):
    base, inputs = nn.Embedding(11, 6).to(DOUBLE), torch.tensor([[3, 1, 3], [2, 3, 5]])
    module = adapt(base, quantization="int8", init_lora_weights=start).train(training)
    for changed in (module, shake(module)):
        expected = functional_call(base, module.weights(), inputs)
        torch.testing.assert_close(changed(inputs), expected)


class Mixed(nn.Module):
    """A layer in single precision between two in double precision."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(6, 4).to(DOUBLE), nn.LayerNorm(4).to(DOUBLE)
        self.middle = nn.Linear(4, 4)
        self.last = nn.Linear(4, 3).to(DOUBLE)

    def forward(self, inputs):
        states = self.norm(self.first(inputs)).float()
        return self.last(torch.tanh(self.middle(states)).double())


@pytest.mark.parametrize("targets", [".*", ["middle"], ["last"]])
@pytest.mark.parametrize("training", [True, False])
def test_weights_of_a_base_of_several_precisions_keep_theirs(targets, training):
    torch.manual_seed(0)  # of some weights, sums in float32 are not close enough for a float64
    base, inputs = Mixed(), normal(3, 6)
    module = adapt(base, target_modules=targets).train(training)
    assert torch.equal(module(inputs), base(inputs))
    merged = shake(module).merged_copy()
    torch.testing.assert_close(merged(inputs), module(inputs))
    dtypes = [[p.dtype for p in net.parameters()] for net in (base, merged)]
    assert dtypes[0] == dtypes[1]


def test_a_base_of_several_precisions_is_not_quantised():
    with pytest.raises(ValueError, match=r"'int8' needs a base of one.*middle.bias is float32"):
        adapt(Mixed(), quantization="int8")
