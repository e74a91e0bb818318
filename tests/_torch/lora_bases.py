"""Modules of every kind with low-rank changes, and what tests do to them."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sklearn_ext._torch.batches import Batch  # noqa: E402
from sklearn_ext._torch.cells import make_cell  # noqa: E402
from sklearn_ext._torch.encoding import PackedEmbedding  # noqa: E402
from sklearn_ext._torch.lora import LoRAModule  # noqa: E402
from sklearn_ext._torch.losses import SquaredError  # noqa: E402
from sklearn_ext._torch.low_rank import LoRASettings  # noqa: E402
from sklearn_ext._torch.optimizers import AdamW  # noqa: E402
from sklearn_ext._torch.packed_linear import PackedLinear  # noqa: E402
from sklearn_ext._torch.stem import DilatedConv  # noqa: E402
from sklearn_ext._torch.training import GradientSteps  # noqa: E402

DOUBLE = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def rows(high, *shape):
    return torch.randint(0, high, shape, generator=generator())


class Tied(nn.Module):
    """Embedding and head with one weight, as language models have it."""

    def __init__(self):
        super().__init__()
        self.embed, self.mix = nn.Embedding(11, 6), nn.Linear(6, 6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(torch.tanh(self.mix(self.embed(tokens))))


class Attention(nn.Module):
    """Attention of steps to each other, or to those of something else."""

    def __init__(self, n_other=None):
        super().__init__()
        self.n_other = n_other
        self.attention = nn.MultiheadAttention(8, 2, kdim=n_other, vdim=n_other, batch_first=True)

    def forward(self, steps):
        other = steps if self.n_other is None else steps[..., : self.n_other]
        return self.attention(steps, other, other, need_weights=False)[0]


class Walk(nn.Module):
    """One of our cells from its initial state on."""

    def __init__(self, kind):
        super().__init__()
        self.cell = make_cell(kind, 5, 4, generator())

    def forward(self, steps):
        return self.cell(steps, self.cell.initial_state(steps))[0]


class Outputs(nn.Module):
    """A recurrent layer without its last states."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, steps):
        return self.layer(steps)[0]


def encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


KINDS = {
    "linear": (lambda: nn.Linear(7, 5), normal(3, 7)),
    "linear of steps": (lambda: nn.Linear(7, 5), normal(3, 4, 7)),
    "packed": (lambda: PackedLinear(normal(3, 7, 5), normal(3, 1, 5)), normal(3, 6, 7, seed=1)),
    "embedding": (lambda: nn.Embedding(11, 6, padding_idx=0), rows(11, 4, 3)),
    "packed embedding": (lambda: PackedEmbedding(2, 9, 4, generator()), rows(9, 2, 5, 1)),
    "conv1d": (lambda: nn.Conv1d(6, 4, 3, groups=2), normal(2, 6, 9)),
    "conv2d": (lambda: nn.Conv2d(3, 4, (2, 3)), normal(2, 3, 6, 7)),
    "dilated conv": (lambda: DilatedConv(3, 4, 2, True, generator()), normal(7, 2, 3)),
    "rnn": (lambda: Outputs(nn.RNN(5, 4, bidirectional=True)), normal(6, 2, 5)),
    "lstm": (lambda: Outputs(nn.LSTM(5, 4, num_layers=2, proj_size=3)), normal(6, 2, 5)),
    "gru": (lambda: Outputs(nn.GRU(5, 4, num_layers=2)), normal(6, 2, 5)),
    "lstm cell": (lambda: Outputs(nn.LSTMCell(5, 4)), normal(2, 5)),
    "our lstm": (lambda: Walk("lstm"), normal(6, 2, 5)),
    "our mingru": (lambda: Walk("mingru"), normal(6, 2, 5)),
    "attention": (Attention, normal(2, 5, 8)),
    "cross attention": (lambda: Attention(6), normal(2, 5, 8)),
    "transformer": (encoder, normal(2, 5, 8)),
    "tied": (Tied, rows(11, 4, 3)),
}
VARIANTS = {
    "plain": {},
    "rank-stabilised": {"use_rslora": True},
    "gaussian": {"init_lora_weights": "gaussian"},
    "pissa": {"init_lora_weights": "pissa"},
    "dora": {"use_dora": True},
    "dora from pissa": {"use_dora": True, "init_lora_weights": "pissa"},
    "biases": {"bias": "all"},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def make_base(kind):
    """A module of a kind with its own weights in double precision, and inputs for it."""
    make, inputs = KINDS[kind]
    base = make().to(DOUBLE)
    with torch.no_grad():
        for seed, parameter in enumerate(base.parameters()):
            parameter.copy_(0.5 * normal(*parameter.shape, seed=seed + 10))
    return base, inputs


def adapt(base, seed=0, **settings):
    settings = {"r": 2, "lora_alpha": 3.0, "target_modules": ".*"} | settings
    return LoRAModule(base, LoRASettings(**settings), generator(seed))


def shake(module):
    """Move all that is trained, as training would."""
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter.add_(0.3 * normal(*parameter.shape, seed=seed + 50))
    return module


def train(module, inputs, steps=3):
    """Take gradient steps by the engine, towards noise."""
    shape = module(inputs).flatten(0, -2).shape
    optimizer = AdamW(list(module.parameters()), lr=0.05)
    taken = GradientSteps(
        lambda part: module.train()(part).reshape(shape), SquaredError(), optimizer, steps
    )
    for _ in range(steps):
        taken.step(Batch(inputs, normal(*shape, seed=7), None, False))
    return module.eval()


def bits(module):
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def assert_same_bits(module, before):
    after = module.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def matrix_of(weight, layout):
    """A weight as matrices (..., n_out, n_in), written index by index."""
    if layout == "transposed":
        return torch.einsum("kio->koi", weight)
    if layout == "channels_first":
        return torch.stack([one.reshape(-1) for one in weight])
    if layout == "taps_first":
        return torch.stack([weight[:, :, o].reshape(-1) for o in range(weight.shape[2])])
    return weight
