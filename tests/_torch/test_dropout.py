"""Dropout of a fit draws from the generator of the fit, torch's own layers included."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sklearn_ext._torch.dropout import SharedDropout, dropout_from  # noqa: E402


@pytest.mark.parametrize("kind", [SharedDropout, nn.Dropout])
def test_draws_come_from_the_given_generator_only(kind):
    net, inputs = nn.Sequential(kind(0.5), nn.Linear(40, 3), kind(0.5)), torch.ones(30, 40)

    def outputs(seed):
        generator = torch.Generator().manual_seed(seed)
        with dropout_from(generator, net, shared_by_rows=False):
            return net(inputs)

    first, other = outputs(0), outputs(1)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        state = torch.get_rng_state()
        assert torch.equal(outputs(0), first)
        assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first, other)
    assert type(net[0]) is kind
    assert getattr(net[0], "generator", None) is None


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("training", [True, False])
def test_dropout_of_torch_zeroes_single_units_and_scales_the_others_up(p, training):
    layer, inputs = nn.Dropout(p).train(training), torch.full((20, 30, 50), 7.0)
    with dropout_from(torch.Generator().manual_seed(0), layer, shared_by_rows=True):
        outputs = layer(input=inputs)
    left_out = (outputs == 0.0).float()
    expected = p if training else 0.0
    assert abs(float(left_out.mean()) - expected) < 0.01
    torch.testing.assert_close(
        outputs[outputs != 0.0], inputs[outputs != 0.0] / (1.0 - expected), equal_nan=True
    )
    if expected == 0.3:  # no two rows alike
        assert len(left_out.view(-1, 50).unique(dim=0)) == 20 * 30
