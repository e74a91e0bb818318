"""Low-rank changes against hand-written references, and their dropout."""

import copy

import pytest

torch = pytest.importorskip("torch")

from lora_bases import DOUBLE, adapt, every_kind, generator, make_base, matrix_of, normal, shake  # noqa: E402

from sklearn_ext._torch.batches import Batch  # noqa: E402
from sklearn_ext._torch.losses import SquaredError  # noqa: E402
from sklearn_ext._torch.low_rank import LoRASettings, LowRank, principal_factors  # noqa: E402
from sklearn_ext._torch.optimizers import AdamW  # noqa: E402
from sklearn_ext._torch.training import GradientSteps  # noqa: E402


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


@pytest.mark.parametrize("shape", [(7, 5), (1, 6), (2, 3, 6)])
def test_pissa_of_a_weight_with_a_side_smaller_than_the_rank_is_the_weight(shape):
    matrix = normal(*shape)
    A, B = principal_factors(matrix, 8, 0.5)
    assert A.shape == (*shape[:-2], 8, shape[-1])
    assert B.shape == (*shape[:-1], 8)
    torch.testing.assert_close(0.5 * B @ A, matrix)


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
