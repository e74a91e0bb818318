"""Scans, cells, convolutions and poolings against independent computations."""

import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch import step_blocks  # noqa: E402
from sklearn_ext._torch.cells import CELLS, make_cell  # noqa: E402
from sklearn_ext._torch.convolution import step_convolution  # noqa: E402
from sklearn_ext._torch.initialization import chrono_logits, orthogonal  # noqa: E402
from sklearn_ext._torch.pooling import POOLINGS, make_pooling  # noqa: E402
from sklearn_ext._torch.recurrence import Recurrence, reversed_steps  # noqa: E402
from sklearn_ext._torch.scan import doubling_scan, gated_scan, sequential_scan  # noqa: E402
from sklearn_ext._torch.sequence_ensemble import SequenceEnsemble, changes, series_scaled  # noqa: E402
from sklearn_ext._torch.sequence_net import Architecture  # noqa: E402
from sklearn_ext._torch.stem import ConvStem  # noqa: E402


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def stepped(gated, state):
    """The recurrence as its formula says, step by step."""
    states = []
    for logits, candidate in (step.chunk(2, dim=-1) for step in gated):
        share = torch.sigmoid(logits)
        state = (1.0 - share) * state + share * candidate
        states.append(state)
    return torch.stack(states)


def scan_arguments(n_steps, n, n_inputs, width, dtype=torch.float64):
    """Inputs, weight, bias and initial state of a scan."""
    weight, bias = normal(2 * width, n_inputs, seed=1), normal(2 * width, seed=2)
    found = normal(n_steps, n, n_inputs), weight, bias, normal(n, width, seed=3)
    return [values.to(dtype) for values in found]


def projected(inputs, weight, bias):
    return torch.nn.functional.linear(inputs, weight, bias)


@pytest.mark.parametrize("scan", [sequential_scan, doubling_scan])
@pytest.mark.parametrize("n_steps", [1, 2, 7, 300])
@pytest.mark.parametrize("n", [1, 3])
def test_scan_is_the_recurrence_step_by_step(scan, n_steps, n):
    arguments = scan_arguments(n_steps, n, 4, 5, torch.float32)
    before = [values.clone() for values in arguments]
    *projection, initial = arguments
    expected = stepped(projected(*projection), initial)
    torch.testing.assert_close(scan(*arguments), expected, atol=1e-5, rtol=0)
    assert all(torch.equal(now, then) for now, then in zip(arguments, before, strict=True))


@pytest.mark.parametrize("block_size", [1, 50, 2**17])  # steps one by one, 4 a block, all
@pytest.mark.parametrize("n_steps", [1, 8, 11])
def test_scan_by_blocks_has_values_and_gradients_of_the_steps(monkeypatch, block_size, n_steps):
    monkeypatch.setattr(step_blocks, "BLOCK_SIZE", block_size)
    arguments = [values.requires_grad_() for values in scan_arguments(n_steps, 2, 4, 3)]
    *projection, initial = arguments
    weight = normal(n_steps, 2, 3, seed=4)
    ours, expected = sequential_scan(*arguments), stepped(projected(*projection), initial)
    torch.testing.assert_close(ours, expected)
    of_ours, of_expected = (torch.autograd.grad(h, arguments, weight) for h in (ours, expected))
    torch.testing.assert_close(of_ours, of_expected)


@pytest.mark.parametrize("scan", [sequential_scan, doubling_scan])
def test_scan_has_the_right_gradient(scan):
    arguments = [values.requires_grad_() for values in scan_arguments(6, 2, 4, 3)]
    assert torch.autograd.gradcheck(scan, arguments)


def test_gradient_of_a_scan_without_one_of_its_inputs():
    inputs, *others = scan_arguments(6, 2, 4, 3)
    others = [values.requires_grad_() for values in others]
    assert torch.autograd.gradcheck(lambda *rest: sequential_scan(inputs, *rest), others)


def test_gradients_of_both_scans_agree_over_many_steps():
    arguments = [values.requires_grad_() for values in scan_arguments(400, 4, 6, 8)]
    weight = normal(400, 4, 8, seed=5)
    found = [
        torch.autograd.grad((scan(*arguments) * weight).sum(), arguments)
        for scan in (sequential_scan, doubling_scan)
    ]
    torch.testing.assert_close(*found)


def test_the_loop_is_taken_on_the_cpu():
    arguments = [values.requires_grad_() for values in scan_arguments(3, 1, 2, 2)]
    assert type(gated_scan(*arguments).grad_fn).__name__ == "_SequentialScanBackward"


@pytest.mark.parametrize("n_inputs", [2, 20])  # copies side by side, and a product a tap
@pytest.mark.parametrize("before", [0, 8, 16])
@pytest.mark.parametrize(("n_steps", "n"), [(40, 3), (3, 3), (1, 3), (3, 1), (1, 1)])
def test_convolution_is_that_of_torch(n_inputs, before, n_steps, n):
    values, weight = normal(n_steps, n, n_inputs), normal(9, n_inputs, 5, seed=1)
    bias = normal(5, seed=2)
    before_call = values.clone(), weight.clone(), bias.clone()
    padded = torch.nn.functional.pad(values.permute(1, 2, 0), (before, 16 - before))
    peer = torch.nn.functional.conv1d(padded, weight.permute(2, 1, 0), bias, dilation=2)
    ours = step_convolution(values, weight, bias, dilation=2, before=before, n_steps=n_steps)
    torch.testing.assert_close(ours, peer.permute(2, 0, 1))
    pairs = zip((values, weight, bias), before_call, strict=True)
    assert all(torch.equal(now, then) for now, then in pairs)


@pytest.mark.parametrize("n_inputs", [2, 16])
@pytest.mark.parametrize("n_steps", [5, 2])  # of 2 steps one tap sees all, the others nothing
def test_convolution_has_the_right_gradient(n_inputs, n_steps):
    tensors = [normal(n_steps, 2, n_inputs), normal(3, n_inputs, 2, seed=1), normal(2, seed=2)]
    tensors = [tensor.requires_grad_() for tensor in tensors]

    def convolved(*arguments):
        return step_convolution(*arguments, dilation=2, before=2, n_steps=n_steps)

    assert torch.autograd.gradcheck(convolved, tensors)


def torch_cell(kind, cell):
    """One step of torch's cell of the same weights."""
    classes = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell}
    layer = cell.layer
    peer = classes[kind](layer.input_size, layer.hidden_size, dtype=torch.float64)
    for name, weight in layer.named_parameters():
        getattr(peer, name.removesuffix("_l0")).data.copy_(weight.data)
    return peer


@pytest.mark.parametrize("kind", CELLS)
def test_cell_is_its_recurrence(kind):
    cell = make_cell(kind, 3, 4, generator(), longest=50)
    inputs = normal(6, 2, 3)
    outputs, state = cell(inputs, cell.initial_state(inputs))
    torch.testing.assert_close(state[0], outputs[-1])
    if kind == "mingru":
        expected = stepped(cell.projection(inputs), torch.zeros(2, 4, dtype=torch.float64))
    else:
        peer, steps, hidden = torch_cell(kind, cell), [], None
        for step in inputs:
            hidden = peer(step, hidden)
            steps.append(hidden[0] if kind == "lstm" else hidden)
        expected = torch.stack(steps)
    torch.testing.assert_close(outputs, expected)


@pytest.mark.parametrize("kind", CELLS)
def test_cell_goes_on_from_its_state(kind):
    cell = make_cell(kind, 3, 4, generator(), longest=50)
    inputs = normal(7, 2, 3)
    whole, _ = cell(inputs, cell.initial_state(inputs))
    first, state = cell(inputs[:3], cell.initial_state(inputs))
    second, _ = cell(inputs[3:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("recurrent_init", ["orthogonal", "identity", "uniform"])
def test_initial_weights_come_from_the_generator_alone(kind, recurrent_init):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again, other = (
        make_cell(kind, 3, 4, generator(seed), recurrent_init=recurrent_init, longest=9)
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    assert any(
        not torch.equal(one, two)
        for one, two in zip(first.parameters(), other.parameters(), strict=True)
    )


def test_recurrent_weights_are_orthogonal_or_one():
    lstm = make_cell("lstm", 3, 8, generator()).layer
    for block in lstm.weight_hh_l0.split(8):
        torch.testing.assert_close(block @ block.T, torch.eye(8, dtype=torch.float64))
    relu = make_cell("rnn", 3, 8, generator(), nonlinearity="relu", recurrent_init="identity")
    torch.testing.assert_close(relu.layer.weight_hh_l0.data, torch.eye(8, dtype=torch.float64))
    assert relu.layer.nonlinearity == "relu"


def test_orthogonal_matrices_turn_both_ways():
    determinants = [float(orthogonal(3, generator(seed)).det()) for seed in range(20)]
    assert {round(value, 6) for value in determinants} == {-1.0, 1.0}


@pytest.mark.parametrize("kind", ["lstm", "gru", "mingru"])
def test_chrono_gates_remember_for_the_length_of_the_sequences(kind):
    width, longest = 2000, 100
    cell = make_cell(kind, 1, width, generator(), longest=longest)
    if kind == "mingru":
        keeps = -cell.projection.bias[:width]
    else:
        keeps = cell.layer.bias_ih_l0[width : 2 * width]
        assert not cell.layer.bias_hh_l0.any()
    memory = 1.0 + keeps.detach().exp()  # steps in which a state decays
    assert memory.min() >= 2.0
    assert 0.98 * longest < memory.max() <= longest
    assert memory.mean() == pytest.approx((2 + longest) / 2, rel=0.03)
    if kind == "lstm":
        torch.testing.assert_close(cell.layer.bias_ih_l0[:width], -keeps)
    assert not chrono_logits(5, 1, generator()).any()


def test_linear_net_forgets_by_its_spectral_radius():
    cell = make_cell("rnn", 1, 6, generator(), nonlinearity="relu")
    with torch.no_grad():  # all states stay positive, where relu is the identity
        cell.layer.weight_hh_l0.copy_(0.9 * torch.eye(6, dtype=torch.float64))
        cell.layer.weight_ih_l0.fill_(1.0)
    initial = torch.ones(1, 6, dtype=torch.float64, requires_grad=True)
    _, (last,) = cell(torch.ones(30, 1, 1, dtype=torch.float64), (initial,))
    (gradient,) = torch.autograd.grad(last.sum(), initial)
    torch.testing.assert_close(gradient, torch.full_like(gradient, 0.9**30))


def test_reversing_twice_changes_nothing():
    values, lengths = normal(5, 3, 2), torch.tensor([5, 1, 3])
    once = reversed_steps(values, lengths)
    torch.testing.assert_close(once[:3, 2], values[:3, 2].flip(0))
    assert torch.equal(reversed_steps(once, lengths), values)
    assert torch.autograd.gradcheck(
        lambda inputs: reversed_steps(inputs, lengths), values.requires_grad_()
    )


def test_two_ways_are_those_of_torch():
    ours = Recurrence(
        lambda size: make_cell("gru", size, 4, generator(), longest=9),
        3,
        4,
        n_layers=2,
        bidirectional=True,
        dropout=0.0,
    )
    peer = torch.nn.GRU(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64)
    for layer in range(2):
        for cells, suffix in ((ours.ahead, ""), (ours.back, "_reverse")):
            for name, weight in cells[layer].layer.named_parameters():
                name = name.replace("_l0", f"_l{layer}{suffix}")
                getattr(peer, name).data.copy_(weight.data)
    lengths = torch.tensor([6, 4, 2])
    values = normal(6, 3, 3)
    packed = torch.nn.utils.rnn.pack_padded_sequence(values, lengths)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(peer(packed)[0])
    found = ours(values, lengths)
    for sequence, length in enumerate(lengths):
        torch.testing.assert_close(found[:length, sequence], expected[:length, sequence])


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_is_its_definition_and_joins(kind):
    pooling = make_pooling(kind, 4, 4, generator())
    outputs = normal(7, 2, 4)
    expected = {
        "last": outputs[-1],
        "mean": outputs.mean(0),
        "max": outputs.amax(0),
    }
    if kind == "attention":
        scores = (outputs @ pooling.weight[0]).softmax(0)
        expected["attention"] = (scores.unsqueeze(-1) * outputs).sum(0)
    whole = pooling.value(pooling.sum_up(outputs, None))
    torch.testing.assert_close(whole, expected[kind])
    parts = [pooling.sum_up(part, None) for part in outputs.split([2, 4, 1])]
    joined = pooling.join(pooling.join(parts[0], parts[1]), parts[2])
    torch.testing.assert_close(pooling.value(joined), whole)


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_does_not_see_padding(kind):
    pooling = make_pooling(kind, 4, 3, generator())
    outputs, lengths = normal(7, 2, 4), torch.tensor([7, 4])
    mask = (torch.arange(7).unsqueeze(-1) < lengths).unsqueeze(-1)
    found = pooling.value(pooling.sum_up(outputs, mask))
    short = pooling.value(pooling.sum_up(outputs[:4, 1:], None))
    torch.testing.assert_close(found[1:], short)
    if kind == "last":  # the way back ends at the first step
        assert found[1, 3] == outputs[0, 1, 3]


def test_last_outputs_of_attention_hold_large_scores():
    pooling = make_pooling("attention", 2, 2, generator())
    with torch.no_grad():
        pooling.weight.copy_(torch.tensor([[1e4, 0.0]]))
    outputs = torch.tensor([[[1.0, 5.0]], [[2.0, 6.0]]], dtype=torch.float64)
    torch.testing.assert_close(pooling.value(pooling.sum_up(outputs, None)), outputs[1])


@pytest.mark.parametrize("window", [1, 3])
def test_causal_stem_goes_on_from_its_past(window):
    stem = ConvStem(2, 16, window, True, generator())
    values = normal(20, 3, 2)
    whole = stem(values, None)
    first, pasts = stem.follow(values[:7], None)
    second, _ = stem.follow(values[7:], pasts)
    torch.testing.assert_close(stem.shortened(torch.cat([first, second])), whole)


@pytest.mark.parametrize("causal", [False, True])
def test_stem_takes_the_end_of_a_sequence_for_the_end(causal):
    stem = ConvStem(2, 16, 3, causal, generator())
    values, lengths = normal(20, 2, 2), torch.tensor([20, 11])
    mask = (torch.arange(20).unsqueeze(-1) < lengths).unsqueeze(-1)
    found = stem(values, mask)
    torch.testing.assert_close(found[:4, 1:], stem(values[:11, 1:], None))
    if causal:
        later = values.clone()
        later[12:] += 1.0
        torch.testing.assert_close(stem(later, None)[:4], stem(values, None)[:4])


# Views of the input


def test_changes_are_differences_from_step_to_step():
    values = normal(7, 2, 3)
    torch.testing.assert_close(changes(values)[1:], values.diff(dim=0))
    assert torch.all(changes(values)[0] == 0)


def test_padding_has_no_share_in_the_scale_of_a_series():
    lengths = torch.tensor([9, 4, 1])
    mask = (torch.arange(9).unsqueeze(-1) < lengths).unsqueeze(-1)
    for view in (lambda values: values, changes):
        found = series_scaled(view(normal(9, 3, 2)), mask, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = view(normal(9, 3, 2)[:length, row : row + 1])[:, 0]
            deviation = alone.std(0, correction=0)
            scale = torch.where(deviation > 0, deviation, 1.0)
            torch.testing.assert_close(found[:length, row], (alone - alone.mean(0)) / scale)
            assert torch.all(found[length:, row] == 0)


def test_sequences_of_members_are_prepared_like_those_of_one():
    plan = Architecture(
        n_channels=2,
        n_outputs=1,
        cell="mingru",
        hidden_size=3,
        num_layers=1,
        bidirectional=True,
        pooling=("mean",),
        stem_channels=0,
        window=1,
        longest=9,
        dropout=0.0,
        nonlinearity="tanh",
        recurrent_init="orthogonal",
        gate_bias="chrono",
    )
    ones = torch.ones(2, dtype=torch.float64)
    ensemble = SequenceEnsemble(plan, 2, 0.3 * ones, 2.0 * ones, generator())
    inputs = {
        "values": normal(2, 4, 9, 2),
        "lengths": torch.tensor([[9, 4, 1, 6], [2, 3, 8, 5]]),
    }
    together = ensemble.prepared(inputs)
    for member, own in enumerate(together):
        alone = ensemble.prepared({name: value[member] for name, value in inputs.items()})
        torch.testing.assert_close(own, alone)
