"""Packing loses no token, and attention of packed texts does not leak."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sklearn_ext._torch.gpt import GPT
from sklearn_ext._torch.likelihood import TextLikelihood
from sklearn_ext._torch.packing import pack, packed_rows, segments


def make_gpt(positions="rotary", **sizes):
    sizes = {"n_tokens": 13, "width": 16, "n_layers": 2, "n_heads": 2, "longest": 24} | sizes
    generator = torch.Generator().manual_seed(0)
    gpt = GPT(**sizes, positions=positions, dropout=0.0, generator=generator)
    return gpt.double().train(False)


def random_batch(lengths, seed=0):
    lengths = torch.tensor(lengths)
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 13, (len(lengths), int(lengths.max())), generator=generator)
    return tokens, lengths


@pytest.mark.parametrize("seed", range(5))
def test_rows_hold_every_sequence_once_and_no_row_is_too_long(seed):
    lengths = np.random.default_rng(seed).integers(1, 30, size=40).tolist()
    rows = packed_rows(lengths)
    assert sorted(number for row in rows for number in row) == list(range(40))
    assert max(sum(lengths[number] for number in row) for row in rows) == max(lengths)
    # Of any two rows only one can be less than half full, or they would be one.
    fills = sorted(sum(lengths[number] for number in row) for row in rows)
    assert fills[0] + fills[1] > max(lengths)


def test_packed_tokens_are_those_of_the_batch():
    tokens, lengths = random_batch([3, 7, 1, 4, 2])
    packed = pack(tokens, lengths)
    assert packed.tokens.shape[0] < len(lengths)
    assert_array_equal(packed.tokens.reshape(-1)[packed.place], tokens.reshape(-1)[packed.source])
    of_batch = {(row, step) for row in range(5) for step in range(lengths[row])}
    longest = tokens.shape[1]
    assert {divmod(place, longest) for place in packed.source.tolist()} == of_batch


def test_segments_number_the_texts_of_a_row():
    tokens, lengths = random_batch([3, 7, 1, 4, 2])
    packed = pack(tokens, lengths)
    numbers = segments(packed.positions).reshape(-1)[packed.place]
    rows = packed.place // packed.tokens.shape[1]
    texts = packed.source // tokens.shape[1]
    pairs = set(zip(rows.tolist(), numbers.tolist(), texts.tolist(), strict=True))
    assert len(pairs) == len({text for *_, text in pairs}) == 5  # one number for each text


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_no_text_sees_another_in_its_row(positions):
    gpt = make_gpt(positions)
    tokens, lengths = random_batch([5, 9, 2, 4, 3])
    packed = pack(tokens, lengths)
    logits = gpt(packed.tokens, packed.positions).flatten(0, 1)[packed.place]
    start = 0
    for row in (packed.source // tokens.shape[1]).unique_consecutive().tolist():
        alone = gpt(tokens[row : row + 1, : lengths[row]])[0]
        torch.testing.assert_close(logits[start : start + lengths[row]], alone)
        start += int(lengths[row])


@pytest.mark.parametrize("at_once", [1, 30, 2**21])
@torch.no_grad()
def test_likelihood_is_that_of_a_loop_over_tokens(at_once, monkeypatch):
    monkeypatch.setattr("sklearn_ext._torch.likelihood.LOGITS_AT_ONCE", at_once)
    gpt = make_gpt()
    tokens, lengths = random_batch([5, 9, 2, 4])
    target = tokens.roll(-1, dims=1)
    target[:, 1] = -1  # one token that is not counted
    batch = {"values": torch.stack([tokens, target], dim=-1), "lengths": lengths}
    found = TextLikelihood(gpt).members(batch)
    assert found.shape == (1, 4, 1)
    for row in range(4):
        total = 0.0
        for step in range(int(lengths[row])):
            if step != 1:
                shares = gpt(tokens[row : row + 1, : step + 1])[0, -1].softmax(-1)
                total -= float(shares[target[row, step]].log())
        assert float(found[0, row, 0]) == pytest.approx(total, rel=1e-10)
