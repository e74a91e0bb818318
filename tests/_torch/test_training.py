"""The engine's parts against torch's own."""

import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch import losses  # noqa: E402
from sklearn_ext._torch.batches import Batch, Ragged  # noqa: E402
from sklearn_ext._torch.device import resolve_device  # noqa: E402
from sklearn_ext._torch.evaluation import weighted_mean  # noqa: E402
from sklearn_ext._torch.optimizers import SGD, AdamW  # noqa: E402
from sklearn_ext._torch.schedules import rate_factor  # noqa: E402
from sklearn_ext._torch.training import GradientSteps  # noqa: E402


def descend(make, steps=20):
    weight = torch.linspace(-1, 1, 6, dtype=torch.float64).requires_grad_()
    optimizer = make([weight])
    for _ in range(steps):
        weight.grad = None
        (weight - 2.0).pow(4).sum().backward()
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_is_that_of_torch(decay):
    ours = descend(lambda p: AdamW(p, lr=0.05, weight_decay=decay))
    peer = descend(lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.9, 0.95), weight_decay=decay))
    torch.testing.assert_close(ours, peer)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_that_of_torch(momentum):
    ours = descend(lambda p: SGD(p, lr=1e-3, momentum=momentum))
    peer = descend(lambda p: torch.optim.SGD(p, lr=1e-3, momentum=momentum, nesterov=momentum > 0))
    torch.testing.assert_close(ours, peer)


def test_losses_are_those_of_torch():
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(3, 7, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (7,), generator=generator)
    ours = losses.CrossEntropy(0.1)(raw, labels)[1]
    peer = torch.nn.functional.cross_entropy(raw[1], labels, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(ours, peer)
    yes = (raw[0] > 0.3).to(raw.dtype)
    peer = torch.nn.functional.binary_cross_entropy_with_logits(raw[1], yes, reduction="none")
    torch.testing.assert_close(losses.BinaryCrossEntropy()(raw, yes)[1], peer.mean(-1))
    target = raw[0, :, :1]
    peer = torch.nn.functional.poisson_nll_loss(raw[1, :, :1], target, reduction="none")
    torch.testing.assert_close(losses.Poisson()(raw[..., :1], target)[1], peer[:, 0])


def test_weighted_mean_is_that_of_repeated_rows():
    values = torch.tensor([1.0, 2.0, 5.0])
    weights = torch.tensor([2.0, 0.0, 1.0])
    assert weighted_mean(values, weights) == torch.tensor([1.0, 1.0, 5.0]).mean()


def test_clipping_bounds_the_step():
    weight = torch.zeros(2, requires_grad=True)
    steps = GradientSteps(
        lambda inputs: inputs * weight,
        lambda raw, target: (raw - target).square().sum(-1),
        SGD([weight], lr=1.0, momentum=0.0),
        n_steps=1,
        max_grad_norm=0.5,
    )
    steps.step(Batch(torch.ones(3, 2), torch.full((3, 2), 100.0), None))
    assert weight.detach().norm().item() == pytest.approx(0.5)


def test_ragged_rows_are_padded_to_their_longest():
    ragged = Ragged.from_sequences([torch.ones(2, 1), torch.ones(4, 1), torch.ones(1, 1)], -1.0)
    taken = ragged.take(torch.tensor([2, 0]))
    assert taken["values"][..., 0].tolist() == [[1.0, -1.0], [1.0, 1.0]]
    assert taken["lengths"].tolist() == [1, 2]


def test_schedules():
    for name in ("cosine", "flat_cosine", "one_cycle"):
        factors = [rate_factor(name, step, 1000) for step in range(1000)]
        assert max(factors) <= 1.0
        assert factors[-1] < 0.01
    assert rate_factor("constant", 7, 10) == 1.0
    assert rate_factor("invscaling", 3, 10) == 0.5
    assert rate_factor("constant", 0, 100, warmup=0.1) == pytest.approx(0.05)


def test_unknown_device():
    with pytest.raises(ValueError, match="device='None' cannot be used here"):
        resolve_device(None)
    with pytest.raises(ValueError, match="device='no-such' cannot be used here"):
        resolve_device("no-such")
