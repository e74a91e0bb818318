"""Laws of low-rank adaptation, for every kind of module, against hand-written references."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sklearn_ext._torch.batches import Batch  # noqa: E402
from sklearn_ext._torch.cells import make_cell  # noqa: E402
from sklearn_ext._torch.encoding import PackedEmbedding  # noqa: E402
from sklearn_ext._torch.lora import LoRAModule  # noqa: E402
from sklearn_ext._torch.losses import SquaredError  # noqa: E402
from sklearn_ext._torch.low_rank import LoRASettings, LowRank  # noqa: E402
from sklearn_ext._torch.modules import PackedLinear  # noqa: E402
from sklearn_ext._torch.optimizers import AdamW  # noqa: E402
from sklearn_ext._torch.parameters import set_dtype  # noqa: E402
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


# Laws of every kind of module


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


# The formulas


def matrix_of(weight, layout):
    """A weight as matrices (..., n_out, n_in), written index by index."""
    if layout == "transposed":
        return torch.einsum("kio->koi", weight)
    if layout == "channels_first":
        return torch.stack([one.reshape(-1) for one in weight])
    if layout == "taps_first":
        return torch.stack([weight[:, :, o].reshape(-1) for o in range(weight.shape[2])])
    return weight


def weight_of(matrix, like, layout):
    weight = torch.empty_like(like)
    if layout == "transposed":
        for member, values in enumerate(matrix):
            weight[member] = values.T
    elif layout == "channels_first":
        for channel, values in enumerate(matrix):
            weight[channel] = values.reshape(like.shape[1:])
    elif layout == "taps_first":
        for channel, values in enumerate(matrix):
            weight[:, :, channel] = values.reshape(like.shape[:2])
    else:
        weight[...] = matrix
    return weight


def by_hand(module, key, scaling, *, dora=False):
    """W_0 + s B A, or DoRA's form of it, in loops over members and rows."""
    change = module.low_rank[key]
    weight = module.base.get_parameter(key.replace("/", ".")).detach()
    matrix = matrix_of(weight, change.layout)
    A, B = change.weight_A.detach(), change.weight_B.detach()
    if matrix.ndim == 3:
        product = torch.stack([b @ a for a, b in zip(A, B, strict=True)])
    else:
        product = B @ A
    changed = matrix + scaling * product
    if dora:
        lengths = changed.square().sum(-1, keepdim=True).sqrt()
        changed = change.magnitude.detach() * changed / lengths
    return weight_of(changed, weight, change.layout)


@every_kind
@pytest.mark.parametrize(
    ("settings", "scaling"),
    [({}, 3.0 / 2), ({"use_rslora": True}, 3.0 / 2**0.5), ({"use_dora": True}, 3.0 / 2)],
)
def test_changed_weights_are_the_formula(kind, settings, scaling):
    base, inputs = make_base(kind)
    module = shake(adapt(base, **settings)).eval()
    expected = copy.deepcopy(base).eval()
    for key in module.low_rank:
        found = by_hand(module, key, scaling, dora="use_dora" in settings)
        with torch.no_grad():
            expected.get_parameter(key.replace("/", ".")).copy_(found)
    torch.testing.assert_close(module(inputs), expected(inputs), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dora", [True, False])
def test_gradients_are_those_by_hand(training, dora):
    base, inputs = make_base("linear")
    module = shake(adapt(base, use_dora=dora)).train(training)
    change, weight = module.low_rank["weight"], base.weight.detach()
    A, B = change.weight_A.detach(), change.weight_B.detach()
    of_outputs = normal(3, 5, seed=3)
    found = torch.autograd.grad((module(inputs) * of_outputs).sum(), list(module.parameters()))
    of_weight = of_outputs.T @ inputs
    if dora:  # W = m V / |V| with |V| held constant
        direction = weight + 1.5 * B @ A
        lengths = direction.norm(dim=1, keepdim=True)
        of_magnitude = (of_weight * direction / lengths).sum(1, keepdim=True)
        of_weight = of_weight * change.magnitude.detach() / lengths
    expected = {"weight_A": 1.5 * B.T @ of_weight, "weight_B": 1.5 * of_weight @ A.T}
    if dora:
        expected["magnitude"] = of_magnitude
    names = [name.rpartition(".")[2] for name, _ in module.named_parameters()]
    for name, gradient in zip(names, found, strict=True):
        torch.testing.assert_close(gradient, expected[name])


@every_kind
def test_start_is_zero_times_kaiming(kind):
    base, _ = make_base(kind)
    module = adapt(base, r=64)
    for change in module.low_rank.values():
        assert not change.weight_B.any()
        A, n_inputs = change.weight_A.detach(), change.weight_A.shape[-1]
        assert A.abs().max() <= n_inputs**-0.5  # Kaiming's bound for a slope of sqrt(5)
        assert abs(A.std() - (3 * n_inputs) ** -0.5) < 0.15 * n_inputs**-0.5
        assert A.flatten(0, -2).unique(dim=0).shape[0] == A.flatten(0, -2).shape[0]


def test_gaussian_start_has_the_spread_of_the_rank():
    change = LowRank(
        normal(40, 500), "matrix", LoRASettings(r=20, init_lora_weights="gaussian"), generator()
    )
    assert abs(change.weight_A.std() - 1 / 20) < 0.002
    assert not change.weight_B.any()


@pytest.mark.parametrize("rslora", [True, False])
def test_pissa_starts_at_the_largest_singular_values(rslora):
    weight = normal(9, 6)
    settings = LoRASettings(r=3, lora_alpha=5, use_rslora=rslora, init_lora_weights="pissa")
    change = LowRank(weight, "matrix", settings, generator())
    U, S, Vh = torch.linalg.svd(weight)
    best = U[:, :3] @ S[:3].diag() @ Vh[:3]
    product = settings.scaling * change.weight_B.detach() @ change.weight_A.detach()
    torch.testing.assert_close(product, best)
    # Both share the singular values equally.
    torch.testing.assert_close(
        change.weight_A.detach().norm(dim=1), change.weight_B.detach().norm(dim=0)
    )
    assert torch.equal(change(weight), weight)


def test_pissa_needs_a_rank_within_the_weight():
    with pytest.raises(ValueError, match=r"need r <= 5.*got r=6.*Lower r"):
        adapt(nn.Linear(7, 5), r=6, init_lora_weights="pissa")


def test_full_rank_reaches_the_optimum_of_full_fine_tuning():
    base, _ = make_base("linear")
    X, target = normal(60, 7, seed=1), normal(60, 5, seed=2)
    module = adapt(base, r=5, lora_alpha=5, bias="all")
    optimizer = AdamW(list(module.parameters()), lr=0.02)
    steps = GradientSteps(
        module.train(), SquaredError(), optimizer, 4000, schedule="cosine", warmup=0.0
    )
    for _ in range(4000):
        steps.step(Batch(X, target, None, False))
    # Least squares are the optimum of one linear layer with its bias.
    design = torch.cat([X, torch.ones(60, 1, dtype=DOUBLE)], dim=1)
    best = design @ torch.linalg.lstsq(design, target).solution
    torch.testing.assert_close(module.eval()(X).detach(), best, rtol=0, atol=1e-5)


# Dropout


def test_dropout_leaves_out_input_units_of_the_low_rank_path():
    base, inputs = make_base("linear")
    module = shake(adapt(base, lora_dropout=0.5)).train()
    change = module.low_rank["weight"]
    change.dropout.generator = generator(3)
    found = module(inputs) - base(inputs)
    change.dropout.generator = generator(3)
    kept = change.dropout(torch.ones(1, 7, dtype=DOUBLE))
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    A, B = change.weight_A.detach(), change.weight_B.detach()
    torch.testing.assert_close(found.detach(), 1.5 * (inputs * kept) @ A.T @ B.T)
    torch.testing.assert_close(module.eval()(inputs), base(inputs) + 1.5 * inputs @ A.T @ B.T)


@every_kind
def test_dropout_keeps_the_mean_of_the_change(kind):
    base, _ = make_base(kind)
    module = shake(adapt(base, lora_dropout=0.25)).train()
    for change in module.low_rank.values():
        change.dropout.generator = generator()
        mean = torch.stack([change.change().detach() for _ in range(4000)]).mean(0)
        expected = change.eval().change().detach()
        torch.testing.assert_close(mean, expected, rtol=0, atol=0.06 * float(expected.abs().max()))


# What is adapted


def small_net():
    return nn.Sequential(
        nn.Embedding(9, 4), nn.GRU(4, 5), nn.Conv1d(5, 5, 3), nn.LayerNorm(5), nn.Linear(5, 2)
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("all-linear", ["1.weight_ih_l0", "1.weight_hh_l0", "4.weight"]),
        (["4"], ["4.weight"]),
        (["weight_hh_l0"], ["1.weight_hh_l0"]),
        (["1.weight_ih_l0", "0"], ["0.weight", "1.weight_ih_l0"]),
        (r"[02]", ["0.weight", "2.weight"]),
        (r"1\..*_hh_.*", ["1.weight_hh_l0"]),
    ],
)
def test_targets(target, expected):
    module = adapt(small_net(), target_modules=target)
    assert [key.replace("/", ".") for key in module.low_rank] == expected


def test_a_name_stands_for_all_inside_and_is_no_part_of_a_word():
    base = nn.ModuleDict({"head": nn.Linear(2, 2), "overhead": nn.Linear(2, 2), "deep": encoder()})
    assert list(adapt(base, target_modules=["head"]).low_rank) == ["head/weight"]
    inside = adapt(base, target_modules=["layers.1", "linear2"]).low_rank
    assert list(inside) == [
        "deep/layers/0/linear2/weight",
        *(
            f"deep/layers/1/{name}/weight".replace("in_proj/weight", "in_proj_weight")
            for name in ("self_attn/in_proj", "self_attn/out_proj", "linear1", "linear2")
        ),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_modules": ["query"]}, "'query' in target_modules does not match a weight.*4.we"),
        ({"target_modules": ["4", "query"]}, "'query' in target_modules.*There are: 0.weight"),
        ({"target_modules": "query"}, "target_modules='query' does not match.*1.weight_ih_l0"),
        ({"target_modules": []}, r"target_modules=\[\] does not match"),
        ({"target_modules": "*"}, "is no regular expression.*names in a list"),
        ({"modules_to_save": ["top"]}, "'top' in modules_to_save.*There are: 0, 1, 2, 3, 4"),
        ({"target_modules": ["4"], "modules_to_save": ["4"]}, "does not match a weight"),
    ],
)
def test_errors_list_what_there_is(settings, message):
    with pytest.raises(ValueError, match=message):
        adapt(small_net(), **settings)


def test_a_module_without_weights_to_adapt_is_an_error():
    with pytest.raises(ValueError, match="There are: none"):
        adapt(nn.LayerNorm(3))


def test_a_base_that_changes_its_own_weights_is_an_error():
    with pytest.raises(ValueError, match=r"'0' has max_norm=1.0.*needs max_norm=None"):
        adapt(nn.Sequential(nn.Embedding(3, 2, max_norm=1.0), nn.Linear(2, 2)))


def test_modules_to_save_are_trained_whole():
    base = nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.Linear(5, 3)).to(DOUBLE)
    before, X = bits(base), normal(8, 4)
    module = adapt(base, target_modules="all-linear", modules_to_save=["2", "1"])
    assert list(module.low_rank) == ["0/weight"]
    assert list(module.whole) == ["1/weight", "1/bias", "2/weight", "2/bias"]
    train(module, X)
    plain = module.merged_copy()
    for name in ("1.weight", "1.bias", "2.weight", "2.bias"):
        assert not torch.equal(plain.state_dict()[name], before[name])
    assert torch.equal(plain.state_dict()["0.bias"], before["0.bias"])
    assert_same_bits(base, before)


@pytest.mark.parametrize(
    ("bias", "expected"),
    [
        ("none", []),
        ("lora_only", ["1/bias_ih_l0", "1/bias_hh_l0"]),
        ("all", ["1/bias_ih_l0", "1/bias_hh_l0", "2/bias", "3/bias", "4/bias"]),
    ],
)
def test_biases(bias, expected):
    module = adapt(small_net(), target_modules=["1"], bias=bias)
    assert list(module.whole) == expected


def test_tied_weights_stay_tied():
    base, tokens = make_base("tied")
    module = shake(adapt(base, target_modules=["head"]))
    assert list(module.low_rank) == ["embed/weight"]
    plain = module.merged_copy()
    assert plain.head.weight is plain.embed.weight
    assert not torch.equal(plain.head.weight, base.head.weight)
    torch.testing.assert_close(plain(tokens), module(tokens))
    whole = adapt(base, target_modules=["mix"], modules_to_save=["head"])
    train(whole, tokens)
    assert list(whole.whole) == ["embed/weight"]
    assert whole.merged_copy().head.weight.equal(whole.whole["embed/weight"])


class PartlyUsed(nn.Module):
    """A layer that nobody calls beside one that is."""

    def __init__(self):
        super().__init__()
        self.used, self.pooler = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, inputs):
        return self.used(inputs)


def test_a_weight_that_no_gradient_reaches_is_an_error_that_names_it():
    module = adapt(PartlyUsed(), lora_dropout=0.0).train()
    named = dict(module.named_parameters())
    optimizer = AdamW(list(named.values()))
    names = [name.replace("/", ".") for name in named]
    steps = GradientSteps(module, SquaredError(), optimizer, 1, names=names)
    batch = Batch(torch.ones(4, 3), torch.ones(4, 2), None, False)
    with pytest.raises(ValueError, match=r"No gradient reaches .*pooler\.weight\.weight_A, .*_B:"):
        steps.step(batch)


# Memory, precision, methods


def test_the_base_is_shared_and_not_copied():
    base = nn.Sequential(nn.Linear(50, 40), nn.BatchNorm1d(40))
    module = adapt(base)
    pairs = zip(base.parameters(), module.base.parameters(), strict=True)
    assert all(own.data_ptr() == shared.data_ptr() for own, shared in pairs)
    module.train()(normal(5, 50, dtype=torch.float32))
    assert not base[1].num_batches_tracked  # buffers are copied: they change by themselves
    assert module.base[1].num_batches_tracked == 1


def test_precision_changes_for_the_trained_part_only():
    base, inputs = make_base("gru")
    before = bits(base)
    module = shake(adapt(base))
    outputs = module.eval()(inputs)
    set_dtype(module, None, torch.float32)
    single = module(inputs.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, outputs.float())
    assert_same_bits(module.base, before)
    set_dtype(module, None, DOUBLE)
    torch.testing.assert_close(module(inputs), outputs, rtol=1e-6, atol=1e-6)
    assert not module._rounded  # the rounded weights are kept only as long as they are needed


def test_other_methods_of_the_base_see_the_changed_weights():
    class Two(nn.Module):
        width = 3

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def halved(self, inputs):
            return self.layer(inputs) / 2

        def forward(self, inputs):
            return 2 * self.halved(inputs)

    module, inputs = shake(adapt(Two().to(DOUBLE))), normal(4, 3)
    torch.testing.assert_close(module.halved(inputs), module(inputs) / 2)
    assert module.width == 3
    with pytest.raises(AttributeError, match="third"):
        _ = module.third


def test_the_weights_are_put_back_after_an_error():
    base, inputs = make_base("gru")
    module = shake(adapt(base))
    expected = module.eval()(inputs)
    with pytest.raises(RuntimeError):
        module(inputs[..., :2])
    assert_same_bits(module.base, bits(base))
    assert torch.equal(module(inputs), expected)


def test_members_of_parameters_are_those_of_their_weights():
    class Members(nn.Module):
        def __init__(self):
            super().__init__()
            self.nets = nn.ModuleList(nn.Linear(3, 2) for _ in range(2))

        def parameter_members(self):
            return [slice(i, i + 1) for i in range(2) for _ in range(2)]

    module = adapt(Members(), bias="all")
    assert [members.start for members in module.parameter_members()] == [0, 0, 1, 1, 0, 1]
    assert not hasattr(adapt(nn.Linear(3, 2)), "parameter_members")
