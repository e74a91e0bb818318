"""Nets in two parts: both together are the net, wherever it is cut, and rows keep their states."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch.batches import Batch, Ragged, Rows, take  # noqa: E402
from sklearn_ext._torch.encoding import TableEncoding  # noqa: E402
from sklearn_ext._torch.frozen_states import frozen_states  # noqa: E402
from sklearn_ext._torch.gpt import GPT  # noqa: E402
from sklearn_ext._torch.likelihood import TextLikelihood  # noqa: E402
from sklearn_ext._torch.lora import LoRAModule  # noqa: E402
from sklearn_ext._torch.low_rank import LoRASettings  # noqa: E402
from sklearn_ext._torch.modules import FeedForward  # noqa: E402
from sklearn_ext._torch.parameters import set_dtype  # noqa: E402
from sklearn_ext._torch.sequence_ensemble import SequenceEnsemble  # noqa: E402
from sklearn_ext._torch.sequence_net import Architecture  # noqa: E402
from sklearn_ext._torch.text_encoder import PooledClassifier, TextEncoder  # noqa: E402


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape):
    return torch.randn(*shape, generator=generator(), dtype=torch.float64)


def text_encoder(positions="rotary", pooling="mean"):
    encoder = TextEncoder(11, 8, 3, 2, 16, positions, 0.5, generator())
    return PooledClassifier(encoder, pooling, 2, 0.5, generator()).double()


def gpt(positions="rotary"):
    return TextLikelihood(GPT(11, 8, 3, 2, 16, positions, 0.5, generator()).double())


def sequence_net(**changes):
    plan = {
        "n_channels": 2,
        "n_outputs": 3,
        "cell": "gru",
        "hidden_size": 4,
        "num_layers": 2,
        "bidirectional": True,
        "pooling": ("mean", "attention"),
        "stem_channels": 5,
        "window": 2,
        "longest": 9,
        "dropout": 0.5,
        "nonlinearity": "tanh",
        "recurrent_init": "orthogonal",
        "gate_bias": "chrono",
    }
    scale = torch.ones(2, dtype=torch.float64)
    net = SequenceEnsemble(Architecture(**plan | changes), 2, 0 * scale, scale, generator())
    return net.double()


def feed_forward(n_members, n_frequencies=3):
    names = "numeric", "missing", "hot_column", "bin_column", "embedded", "embedded_size"
    sizes = 4, 0, 0, 2, 0, 0  # six encoded columns, two of them bins
    columns = {name: np.arange(size) for name, size in zip(names, sizes, strict=True)}
    encoding = TableEncoding(columns)
    return FeedForward(
        encoding,
        (6, 5),
        2,
        n_members=n_members,
        n_frequencies=n_frequencies,
        blend_linear=n_members > 1,
        activation="gelu",
        dropout=0.5,
        generator=generator(),
    ).double()


def tokens(depth=()):
    values = torch.randint(1, 11, (7, 9, *depth), generator=generator())
    lengths = torch.tensor([9, 3, 5, 9, 1, 2, 4])
    steps = [values[row, :length] for row, length in enumerate(lengths)]
    return Ragged.from_sequences(steps, padding=-1)


def sequences(n_steps=(9, 3, 5, 8, 1, 2, 4)):
    values = normal(7, 9, 2)
    return Ragged.from_sequences([values[row, :length] for row, length in enumerate(n_steps)])


# Module, inputs, cuts with a name of a trained parameter for which they are made.
CASES = {
    "encoder": (text_encoder, tokens, {1: "encoder.blocks.1.up.weight", -1: "head.weight"}),
    "encoder, norm": (text_encoder, tokens, {3: "encoder.norm.weight"}),
    "encoder, learned places": (
        lambda: text_encoder("learned", "first"),
        tokens,
        {2: "encoder.blocks.2.attention.out.weight"},
    ),
    "gpt": (
        gpt,
        lambda: tokens((2,)),
        {1: "body.blocks.1.down.bias", 2: "body.blocks.2.up.weight", 3: "body.norm.bias"},
    ),
    "gpt, learned places": (
        lambda: gpt("learned"),
        lambda: tokens((2,)),
        {2: "body.blocks.2.up.weight"},
    ),
    "sequences": (
        sequence_net,
        sequences,
        {
            1: "nets.1.recurrence.back.0.layer.weight_ih_l0",
            2: "nets.0.recurrence.ahead.1.layer.weight_ih_l0",
            3: "nets.1.poolings.1.weight",
            4: "nets.0.output.weight",
        },
    ),
    "ahead only, no stem": (
        lambda: sequence_net(bidirectional=False, stem_channels=0, window=1, pooling=("last",)),
        sequences,
        {2: "nets.0.recurrence.ahead.1.layer.weight_ih_l0", 4: "nets.0.output.bias"},
    ),
    "equal lengths": (
        sequence_net,
        lambda: sequences([9] * 7),
        {2: "nets.0.recurrence.ahead.1.layer.weight_ih_l0"},
    ),
    "table": (
        lambda: feed_forward(1),
        lambda: normal(7, 6),
        {(1,): "towers.0.hidden.0.weight", (3,): "towers.0.output.bias"},
    ),
    "plain table": (
        lambda: feed_forward(1, 0),
        lambda: normal(7, 6),
        {(2,): "towers.0.hidden.1.weight"},
    ),
    "table, members": (
        lambda: feed_forward(3),
        lambda: normal(7, 6),
        {(2, 3, 1): "towers.0.hidden.1.weight", (3, 0, 1): "towers.1.waves.phase"},
    ),
}
PAIRS = [(case, cut) for case, (_, _, cuts) in CASES.items() for cut in cuts]


def in_case(case, cut):
    """Module in evaluation, inputs, and the cut in the form that the module gives it."""
    make, inputs, cuts = CASES[case]
    module = make().train(False)
    found = module.cut_for([cuts[cut]])
    return module, inputs(), found


def some_rows(n_members):
    """Row numbers of each member, (n_members, 4)."""
    return torch.randint(0, 7, (n_members, 4), generator=generator(1))


@pytest.mark.parametrize(("case", "cut"), PAIRS)
def test_the_cut_is_below_the_trained_parameter(case, cut):
    _, _, found = in_case(case, cut)
    assert (tuple(found) if isinstance(found, list) else found) == cut


@pytest.mark.parametrize(("case", "cut"), PAIRS)
@pytest.mark.parametrize("per_member", [False, True])
def test_both_parts_are_the_whole(case, cut, per_member):
    module, inputs, found = in_case(case, cut)
    n_members = getattr(module, "n_members", 1)
    batch = take(inputs, some_rows(n_members) if per_member else some_rows(1)[0])
    with torch.no_grad():
        parts = module.above(batch, module.below(batch, found), found)
        torch.testing.assert_close(parts, module.members(batch), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("case", "cut"), PAIRS)
@pytest.mark.parametrize("per_member", [False, True])
def test_kept_states_are_those_of_the_rows(case, cut, per_member):
    module, inputs, found = in_case(case, cut)
    n_members = getattr(module, "n_members", 1)
    order = torch.tensor([4, 5, 1, 6, 2, 0, 3])
    with torch.no_grad():
        states = frozen_states(inputs, lambda b: module.below(b, found), order.split(3))
        index = some_rows(n_members) if per_member else some_rows(1)[0]
        rows = Rows({"inputs": inputs, "states": states}, torch.zeros(7))
        batch = rows.batch(index).inputs
        raw = module.above(batch["inputs"], batch["states"], found)
        expected = module.members(take(inputs, index))
    torch.testing.assert_close(raw, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("encoder", "encoder.blocks.0.up.weight"),
        ("encoder", "encoder.embedding.weight"),
        ("encoder, learned places", "encoder.places.weight"),
        ("gpt", "body.embedding.weight"),  # the tied head
        ("sequences", "nets.1.stem.layers.0.weight"),
        ("ahead only, no stem", "nets.0.recurrence.ahead.0.layer.weight_ih_l0"),
        ("plain table", "towers.0.hidden.0.weight"),
        ("table", "towers.0.waves.frequency"),
    ],
)
def test_nothing_lies_below_the_first_layer(case, name):
    assert CASES[case][0]().cut_for([name, "head.weight"] if case == "encoder" else [name]) is None


@pytest.mark.parametrize("per_member", [False, True])
def test_parts_of_a_batch_are_its_rows(per_member):
    inputs = {"inputs": normal(7, 4), "states": [normal(7, 3), normal(7, 2)]}
    index = torch.tensor([[0, 2, 4, 6], [1, 3, 5, 0]])
    index = index if per_member else index[0]
    rows = Rows(inputs, torch.zeros(7, 1))
    part: Batch = rows.batch(index).split([1, 2, 1])[1]
    expected = rows.batch(index[..., 1:3])
    assert torch.equal(part.inputs["inputs"], expected.inputs["inputs"])
    pairs = zip(part.inputs["states"], expected.inputs["states"], strict=True)
    assert all(torch.equal(own, other) for own, other in pairs)


def test_written_sequences_are_taken_again():
    ragged = Ragged(torch.zeros(6, 2), torch.tensor([1, 3, 2]))
    index = torch.tensor([2, 1])
    values = normal(2, 3, 2).float()
    ragged.write(index, values)
    found = ragged.take(index)["values"]
    values[0, 2] = 0.0  # padding
    assert torch.equal(found, values)
    assert not ragged.take(torch.tensor([0]))["values"].any()


def adapted(**settings):
    module = text_encoder()
    return module, LoRAModule(module, LoRASettings(r=2, **settings), generator())


def test_below_there_is_no_dropout_and_above_there_is():
    _, module = adapted(target_modules=["blocks.2"])
    module.train(True)
    inputs = tokens().take(torch.arange(7))
    first, second = module.below(inputs)["values"], module.below(inputs)["values"]
    assert torch.equal(first, second)
    assert module.training and module.base.training
    with torch.no_grad():
        assert not torch.equal(module.in_parts(inputs), module.in_parts(inputs))


def test_gradients_are_those_of_the_whole():
    _, module = adapted(target_modules=["blocks.1", "head"], bias="lora_only")
    for layer in module.modules():
        if hasattr(layer, "shared_by_rows"):
            layer.p = 0.0
    module.train(True)
    for number, parameter in enumerate(module.parameters()):
        torch.nn.init.normal_(parameter, std=0.3, generator=generator(number))
    inputs = tokens().take(torch.arange(7))
    trained = list(module.parameters())
    states = module.below(inputs)
    parts = torch.autograd.grad(module.above(inputs, states).square().sum(), trained)
    whole = torch.autograd.grad(module.members(inputs).square().sum(), trained)
    for own, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-12)


def test_what_is_trained_whole_counts():
    assert adapted(target_modules=["blocks.2"])[1].cut == 2
    assert adapted(target_modules=["blocks.2"], modules_to_save=["blocks.1.up"])[1].cut == 1
    assert adapted(target_modules=["blocks.2"], bias="all")[1].cut is None
    assert adapted(target_modules=["blocks.2"], modules_to_save=["embedding"])[1].cut is None
    assert adapted()[1].cut is None


def test_rounded_weights_are_below_too():
    base, module = adapted(target_modules=["blocks.2"])
    inputs = tokens().take(torch.arange(7))
    set_dtype(module, None, torch.float32)
    states = module.below(inputs)["values"]
    assert states.dtype == torch.float32
    assert all(parameter.dtype == torch.float64 for parameter in base.parameters())
    assert all(own.dtype == torch.float64 for own in module.base.parameters())
