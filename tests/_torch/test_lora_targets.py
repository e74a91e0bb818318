"""What is adapted, and what a module around its base keeps, shares and refuses."""

import pytest

torch = pytest.importorskip("torch")

from lora_bases import (  # noqa: E402
    DOUBLE,
    adapt,
    assert_same_bits,
    bits,
    encoder,
    make_base,
    normal,
    shake,
    train,
)
from torch import nn  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from sklearn_ext._torch.batches import Batch  # noqa: E402
from sklearn_ext._torch.losses import SquaredError  # noqa: E402
from sklearn_ext._torch.optimizers import AdamW  # noqa: E402
from sklearn_ext._torch.parameters import set_dtype  # noqa: E402
from sklearn_ext._torch.shared_copies import name_in_base  # noqa: E402
from sklearn_ext._torch.training import GradientSteps  # noqa: E402


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
        (
            {"target_modules": ["4"], "modules_to_save": ["4"]},
            "All weights of target_modules=.*trained whole",
        ),
    ],
)
def test_errors_list_what_there_is(settings, message):
    with pytest.raises(ValueError, match=message):
        adapt(small_net(), **settings)


@pytest.mark.parametrize("path", ["0", "2", "2.a/b~1"])
def test_a_layer_with_several_names_has_all_of_them(path):
    layer = nn.Linear(2, 2)
    base = nn.Sequential(layer, nn.Linear(2, 2), nn.ModuleDict({"a/b~1": layer}))
    module = adapt(base, target_modules=[path])
    assert list(module.weights()) == list(dict(base.named_parameters()))
    assert list(module.low_rank) == ["0/weight"]


def test_names_may_hold_slashes():
    base = nn.ModuleDict({"a/b~1": nn.Linear(2, 2), "a": nn.ModuleDict({"b": nn.Linear(2, 2)})})
    module = shake(adapt(base))
    moved = {
        name: not torch.equal(weight, base.get_parameter(name))
        for name, weight in module.weights().items()
    }
    assert moved == {name: name.endswith("weight") for name, _ in base.named_parameters()}


@pytest.mark.parametrize(
    "computed",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.spectral_norm,
        pytest.param(
            nn.utils.weight_norm, marks=pytest.mark.filterwarnings("ignore:.*weight_norm")
        ),
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
)
def test_a_weight_that_is_no_parameter_is_an_error_where_it_is_asked_for(computed):
    base = nn.Sequential(computed(nn.Linear(4, 4)), nn.Linear(4, 2)).to(DOUBLE)
    inputs = normal(3, 4)
    base(inputs)
    for asked in ("all-linear", ["0"], "0|1"):
        with pytest.raises(ValueError, match=r"0.weight is no parameter.*name other layers"):
            adapt(base, target_modules=asked)
    module = train(adapt(base, target_modules=["1"]), inputs)
    assert list(module.low_rank) == ["1/weight"]
    torch.testing.assert_close(module.merged_copy().eval()(inputs), module(inputs))
    whole = adapt(base, target_modules="all-linear", modules_to_save=["0"])
    assert list(whole.low_rank) == ["1/weight"]


def test_a_module_without_weights_to_adapt_is_an_error():
    with pytest.raises(ValueError, match="There are: none"):
        adapt(nn.LayerNorm(3))


def test_a_base_that_changes_its_own_weights_is_an_error():
    with pytest.raises(ValueError, match=r"'0' has max_norm=1.0.*needs max_norm=None"):
        adapt(nn.Sequential(nn.Embedding(3, 2, max_norm=1.0), nn.Linear(2, 2)))


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_tables_with_sparse_gradients_are_named_where_they_are_adapted(quantization):
    base = nn.Sequential(nn.Embedding(3, 2, sparse=True), nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"'0' has sparse=True.*leave it out of target_modules"):
        adapt(base, quantization=quantization)
    module = adapt(base, target_modules=["1"], quantization=quantization).train()
    module(torch.tensor([0, 2])).sum().backward()
    base[0].sparse = False
    adapt(base, quantization=quantization).train()(torch.tensor([0, 2])).sum().backward()


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


def test_a_merged_copy_trains_what_the_base_does():
    base, inputs = make_base("transformer")
    for number, parameter in enumerate(base.parameters()):
        parameter.requires_grad_(number % 3 > 0)
    merged = train(adapt(base), inputs).merged_copy()
    expected = {name: parameter.requires_grad for name, parameter in base.named_parameters()}
    assert {name: p.requires_grad for name, p in merged.named_parameters()} == expected


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


def test_a_head_that_is_the_table_of_embeddings_is_not_among_all_linear():
    base, _ = make_base("tied")
    assert list(adapt(base, target_modules="all-linear").low_rank) == ["mix/weight"]


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
    names = [name_in_base(name) for name in named]
    steps = GradientSteps(module, SquaredError(), optimizer, 1, names=names)
    batch = Batch(torch.ones(4, 3), torch.ones(4, 2), None, False)
    with pytest.raises(ValueError, match=r"No gradient reaches pooler\.weight: "):
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
    assert not module._frozen._rounded  # kept only as long as it is needed


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


def test_equal_weights_are_not_written_when_a_state_is_loaded():
    base, inputs = make_base("transformer")
    first, second = (train(adapt(base), inputs) for _ in range(2))
    state = {name: value.clone() for name, value in first.state_dict().items()}
    outputs = first(inputs)
    shake(first).load_state_dict(state)
    assert torch.equal(first(inputs), outputs)
    assert torch.equal(second(inputs), outputs)  # or the base would seem to be another
    with pytest.raises(RuntimeError, match=r"Missing: .*low_rank.*unexpected: \['other'\]"):
        first.load_state_dict({"other": inputs})
    with torch.no_grad():
        next(base.parameters()).add_(1.0)
    for module in (first, second):
        with pytest.raises(ValueError, match="base was trained further"):
            module(inputs)


def test_what_has_moved_is_not_the_memory_of_the_base():
    base, inputs = make_base("linear")
    module = train(adapt(base), inputs).float()
    outputs = module(inputs.float())
    with torch.no_grad():
        base.weight.add_(1.0)
    assert torch.equal(module(inputs.float()), outputs)
