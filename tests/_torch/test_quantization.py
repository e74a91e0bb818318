"""Quantised weights: codes from their definition, and modules that work with them."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

torch = pytest.importorskip("torch")

from sklearn_ext._torch.adapter_state import base_is  # noqa: E402
from sklearn_ext._torch.gpt import GPT  # noqa: E402
from sklearn_ext._torch.lora import LoRAModule  # noqa: E402
from sklearn_ext._torch.low_rank import LoRASettings  # noqa: E402
from sklearn_ext._torch.packed_linear import PackedLinear  # noqa: E402
from sklearn_ext._torch.quantization import NF4, Int8Rows, nf4_codebook  # noqa: E402
from sklearn_ext._torch.quantized_layers import quantize_layers  # noqa: E402
from sklearn_ext._torch.random import make_generator  # noqa: E402

nn = torch.nn

# Appendix E of the QLoRA paper.
PRINTED = [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
]


def weights(*shape, seed=0):
    return torch.randn(*shape, generator=make_generator(seed))


def test_codebook_is_the_printed_one():
    book = nf4_codebook()
    assert_allclose(book, PRINTED, rtol=0, atol=1e-6)
    offset = 0.5 * (29 / 30 + 31 / 32)  # scipy's quantiles, as an independent way
    positive = norm.ppf(np.linspace(offset, 0.5, 9)[:-1])
    assert_allclose(book[8:], np.sort(positive) / positive.max(), atol=1e-12)


@pytest.mark.parametrize("at_once", [128, 2**18])
def test_codes_are_the_nearest_ones(at_once, monkeypatch):
    monkeypatch.setattr("sklearn_ext._torch.quantization.ROUNDED_AT_ONCE", at_once)
    weight = weights(40, 33)
    weight[3] = 0.0
    stored = NF4(weight)
    flat = np.append(weight.numpy().ravel(), np.zeros(-weight.numel() % 64))
    blocks = flat.reshape(-1, 64)
    largest = np.abs(blocks).max(1, keepdims=True)
    scaled = blocks / np.where(largest > 0, largest, 1.0)
    nearest = np.abs(scaled[..., None] - np.array(PRINTED)).argmin(-1).ravel()
    assert np.array_equal(stored.codes.numpy(), nearest[0::2] * 16 + nearest[1::2])
    exact = np.array(PRINTED)[nearest].reshape(-1, 64) * largest
    found = stored.dequantized(torch.float64).numpy()
    assert found.shape == weight.shape
    assert np.abs(found.ravel() - exact.ravel()[: weight.numel()]).max() < 0.02
    assert torch.all(stored.dequantized(torch.float32)[3] == 0.0)


@pytest.mark.parametrize("shape", [(256, 512), (384, 1536)])
def test_codes_are_those_of_bitsandbytes(shape):
    peer = pytest.importorskip("bitsandbytes", reason="install bitsandbytes to compare").functional
    weight = 0.05 * weights(*shape)
    stored = NF4(weight)
    codes, state = peer.quantize_4bit(
        weight, blocksize=64, quant_type="nf4", compress_statistics=False
    )
    assert torch.equal(stored.codes, codes.flatten())
    difference = stored.dequantized(torch.float32) - peer.dequantize_4bit(codes, state)
    assert float(difference.abs().max()) < 1e-3


def test_sizes_and_errors_are_those_of_the_paper():
    weight = weights(1024, 256)
    stored = NF4(weight)
    bits = 8 * stored.n_bytes() - 8 * stored.pairs.numel() * stored.pairs.element_size()
    assert bits / weight.numel() == pytest.approx(4 + 8 / 64 + 32 / (64 * 256), abs=0.01)

    def error(kind):
        return float((kind.dequantized(torch.float32) - weight).norm() / weight.norm())

    assert 0.085 < error(stored) < 0.1
    assert error(Int8Rows(weight)) < 0.01


@pytest.mark.parametrize("rows_first", [True, False])
def test_rows_of_integers(rows_first):
    weight = weights(2, 5, 7).double() * 3
    stored = Int8Rows(weight, rows_first)
    axis = -1 if rows_first else -2
    largest = weight.numpy().__abs__().max(axis, keepdims=True)
    expected = np.round(weight.numpy() / largest * 127).astype(np.int8)
    assert np.abs(stored.codes.numpy().astype(int) - expected).max() <= 1
    assert (stored.codes.numpy() != expected).mean() < 0.02
    assert np.abs(stored.dequantized(torch.float64).numpy() - weight.numpy()).max() <= (
        0.51 * largest.max() / 127
    )


@pytest.mark.parametrize("kind", [NF4, Int8Rows])
@pytest.mark.parametrize("width", [1, 96, 4097])
def test_few_rows_are_dequantised_at_once(kind, width, monkeypatch):
    at_once = 2**15
    monkeypatch.setattr("sklearn_ext._torch.quantization.VALUES_AT_ONCE", at_once)
    stored = kind(weights(3 * at_once // width, width))
    parts = [rows for _, rows in stored._row_blocks(torch.float32)]
    assert max(rows.numel() for rows in parts) <= at_once
    assert len(parts) <= 5
    assert torch.equal(torch.cat(parts), stored.dequantized(torch.float32))


def test_weights_near_the_end_of_single_precision():
    weight = 3e38 * torch.sign(weights(200, 64))  # the sum of all magnitudes is infinite
    assert_allclose(NF4(weight).dequantized(torch.float32), weight, rtol=1e-6)


class Mixed(nn.Module):
    """Layers that are quantised, a tied table, and one that is not."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(20, 16)
        self.first = nn.Linear(16, 32)
        self.members = PackedLinear(weights(2, 32, 16), torch.zeros(2, 1, 16))
        self.cell = nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 20, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens):
        values = self.first(self.table(tokens)).tanh()
        values = self.members(values.flatten(0, 1).expand(2, -1, -1)).mean(0)
        return self.head(self.cell(values.view(*tokens.shape, -1))[0])


TOKENS = torch.arange(18).view(3, 6)
ALL = ["table", "first", "members", "cell"]


def make(quantization, **fields):
    torch.manual_seed(0)
    base = Mixed()
    settings = LoRASettings(r=2, quantization=quantization, target_modules=ALL, **fields)
    return base, LoRAModule(base, settings, make_generator(0))


def disturb(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * weights(*parameter.shape)
    return module


def dequantized_base(base, module):
    """Plain base with the weights that the quantised one stands for."""
    plain = copy.deepcopy(base)
    kept = module.frozen_weights()
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            if hasattr(kept[name], "dequantized"):
                parameter.copy_(kept[name].dequantized(torch.float32))
    return plain


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
@pytest.mark.parametrize("training", [True, False])
def test_a_quantised_base_computes_as_its_dequantised_one(quantization, training):
    base, module = make(quantization)
    before = [p.clone() for p in base.parameters()]
    plain = dequantized_base(base, module)
    kinds = {name: type(kept).__name__ for name, kept in module.frozen_weights().items()}
    code = "NF4" if quantization == "nf4" else "Int8Rows"
    assert kinds["first.weight"] == kinds["members.weight"] == code
    assert kinds["table.weight"] == "Int8Rows"
    assert kinds["cell.weight_hh_l0"] == "Parameter"
    torch.testing.assert_close(module.train(training)(TOKENS), plain(TOKENS))
    settings = LoRASettings(r=2, target_modules=ALL)
    reference = LoRAModule(plain, settings, make_generator(0)).train(training)
    disturb(module), disturb(reference)
    out, expected = module(TOKENS), reference(TOKENS)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    gradients = torch.autograd.grad(out.square().sum(), list(module.parameters()))
    others = torch.autograd.grad(expected.square().sum(), list(reference.parameters()))
    for own, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-3)
    assert all(torch.equal(a, b) for a, b in zip(before, base.parameters(), strict=True))


def layer_of(kind):
    if kind == "packed":
        return PackedLinear(weights(2, 6, 5), weights(2, 1, 5, seed=1)), weights(2, 4, 6, seed=2)
    torch.manual_seed(0)
    layer = nn.Linear(6, 5, bias=kind == "biased")
    return layer, weights(3, 4, 6, seed=2)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
@pytest.mark.parametrize("kind", ["biased", "plain", "packed"])
def test_gradients_are_those_of_the_dequantised_weight(quantization, kind):
    layer, inputs = layer_of(kind)
    quantised = copy.deepcopy(layer)
    quantize_layers([quantised], quantised.weight, quantization)
    with torch.no_grad():
        layer.weight.copy_(quantised.weight)
    quantised, layer = quantised.double(), layer.double()
    inputs = inputs.double().requires_grad_()
    assert torch.autograd.gradcheck(quantised, inputs)
    cotangent = weights(*layer(inputs).shape, seed=3).double()
    of_inputs, *of_bias = torch.autograd.grad(
        (quantised(inputs) * cotangent).sum(), [inputs, *quantised.parameters()]
    )
    expected = torch.autograd.grad(
        (layer(inputs) * cotangent).sum(),
        [inputs, *(p for name, p in layer.named_parameters() if name == "bias")],
    )
    for own, other in zip([of_inputs, *of_bias], expected, strict=True):
        torch.testing.assert_close(own, other)


class Conv1D(nn.Module):
    """The linear layer of transformers."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(weights(nx, nf)), nn.Parameter(weights(nf))

    def forward(self, inputs):
        return inputs @ self.weight + self.bias


class EachRow(nn.Module):
    """Calls another net by `torch.vmap`, one row at a time."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, inputs):
        return torch.vmap(self.inner)(inputs)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
@pytest.mark.parametrize("targets", [["1"], ["2"], ".*"])
def test_transforms_of_torch_see_quantised_layers(quantization, targets):
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Embedding(30, 6), Conv1D(5, 6), nn.Linear(5, 4), nn.Linear(4, 3))
    settings = LoRASettings(r=2, target_modules=targets, quantization=quantization)
    plain = disturb(LoRAModule(inner, settings, make_generator(0)))
    module = disturb(LoRAModule(EachRow(inner), settings, make_generator(0)))
    for training in (True, False):
        out, expected = module.train(training)(TOKENS), plain.train(training)(TOKENS)
        torch.testing.assert_close(out, expected)
        gradients = torch.autograd.grad(out.square().sum(), list(module.parameters()))
        others = torch.autograd.grad(expected.square().sum(), list(plain.parameters()))
        torch.testing.assert_close(gradients, others, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_no_dequantised_weight_is_kept_for_backward(quantization):
    def saved_sizes(layer):
        sizes = []

        def keep(tensor):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            layer(torch.ones(2, 64, requires_grad=True)).sum().backward()
        return sizes

    layer = nn.Linear(64, 96).requires_grad_(False)
    assert 64 * 96 in saved_sizes(layer)
    quantize_layers([layer], layer.weight, quantization)
    assert not saved_sizes(layer)


@pytest.mark.parametrize("training", [True, False])
def test_change_of_a_table_that_a_head_reads_is_seen_there_too(training):
    net = GPT(11, 16, 1, 2, 16, "rotary", 0.0, make_generator(0)).float()
    settings = LoRASettings(r=2, quantization="int8", target_modules=["embedding"])
    module = disturb(LoRAModule(net, settings, make_generator(0))).train(training)
    tokens = torch.arange(10).view(2, 5)
    torch.testing.assert_close(module(tokens), module.merged_copy()(tokens))
    assert not torch.allclose(module(tokens), net(tokens), atol=0.01)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_merged_copy_is_plain(quantization):
    base, module = make(quantization)
    disturb(module).eval()
    merged = module.merged_copy()
    names = [(name, p.shape) for name, p in merged.named_parameters()]
    assert names == [(name, p.shape) for name, p in base.named_parameters()]
    assert [type(m) for m in merged.modules()] == [type(m) for m in base.modules()]
    assert merged.head.weight is merged.table.weight
    torch.testing.assert_close(merged(TOKENS), module(TOKENS), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="cannot be merged in place"):
        module.merge()
    assert type(module.base.first).__name__ == "QuantizedLinear"


def test_a_base_is_known_again_by_its_codes():
    base, module = make("nf4")
    assert base_is(module, base)
    with torch.no_grad():
        base.first.weight[0, 0] += 1.0
    assert not base_is(module, base)


def test_loftq_starts_nearer_to_the_base():
    base, plain = make("nf4")
    _, started = make("nf4", init_lora_weights="loftq")
    name = "first.weight"

    def error(module):
        return float((module.weights()[name] - base.first.weight).detach().norm())

    assert error(started) < 0.9 * error(plain)
    # What merging tells is what it is.
    norms = [(started.weights()[n] - base.get_parameter(n)).norm() ** 2 for n in started._quantized]
    of_all = [base.get_parameter(n).norm() ** 2 for n in started._quantized]
    told = (sum(norms) / sum(of_all)).sqrt().detach()
    torch.testing.assert_close(started.quantization_error, told)
    again = make("nf4", init_lora_weights="loftq")[1]
    assert torch.equal(again(TOKENS), started(TOKENS))


@pytest.mark.parametrize("r", [8, 32])
def test_loftq_is_algorithm_1(r):
    torch.manual_seed(0)
    base = nn.Linear(128, 64)
    settings = LoRASettings(r=r, quantization="nf4", init_lora_weights="loftq")
    started = LoRAModule(base, settings, make_generator(0))
    weight, change = base.weight.detach(), torch.zeros(64, 128)
    for _ in range(5):
        stored = NF4(weight - change).dequantized(weight.dtype)
        left, sizes, right = torch.linalg.svd(weight - stored, full_matrices=False)
        change = (left[:, :r] * sizes[:r]) @ right[:r]
    # Rounding of the factors can move single codes, not the distance.
    found = (started.weights()["weight"].detach() - weight).norm()
    torch.testing.assert_close(found, (stored + change - weight).norm(), rtol=0.01, atol=0.0)


def test_bases_that_cannot_be_quantised():
    settings = LoRASettings(quantization="nf4")
    with pytest.raises(ValueError, match="finds no linear layer to quantise in GRU"):
        LoRAModule(nn.GRU(3, 4), settings, make_generator(0))
    dora = LoRASettings(quantization="nf4", use_dora=True)
    with pytest.raises(ValueError, match="use_dora=True needs whole weights"):
        LoRAModule(nn.Linear(3, 4), dora, make_generator(0))


def test_layers_whose_weights_are_read_elsewhere_stay_whole():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    base = nn.Sequential(nn.Linear(8, 8), layer)
    settings = LoRASettings(r=2, quantization="nf4")
    module = disturb(LoRAModule(base, settings, make_generator(0)))
    inputs = weights(2, 5, 8)
    trained = module.train()(inputs).detach()
    with torch.no_grad():
        torch.testing.assert_close(module.eval()(inputs), trained, rtol=1e-4, atol=1e-4)
    assert type(module.base[0]).__name__ == "QuantizedLinear"
    assert type(module.base[1].linear1) is nn.Linear
