"""Texts go through an encoder in parts of about the same length, which changes nothing."""

from itertools import pairwise

import pytest
import torch
from torch.testing import assert_close

from sklearn_ext._torch.random import make_generator
from sklearn_ext._torch.text_encoder import PooledClassifier, TextEncoder, length_parts

LENGTHS = torch.tensor([3, 60, 4, 3, 20, 5, 61, 19, 1, 3])


def cost(lengths, parts, part_cost):
    """Padded tokens, and what the parts cost themselves."""
    return sum(len(part) * int(lengths[part].max()) + part_cost for part in parts)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("part_cost", [0, 10, 40])
def test_parts_hold_every_text_once_and_cost_no_more_than_one(seed, part_cost):
    lengths = torch.randint(1, 100, (1 + 8 * seed,), generator=make_generator(seed))
    parts = length_parts(lengths, part_cost)
    assert torch.cat(parts).sort().values.tolist() == list(range(len(lengths)))
    whole = [torch.arange(len(lengths))]
    assert cost(lengths, parts, part_cost) <= cost(lengths, whole, part_cost)
    bounds = [(int(lengths[part].min()), int(lengths[part].max())) for part in parts]
    for (_, longest), (shortest, _) in pairwise(bounds):
        assert shortest > longest  # texts of one length are in one part


def test_texts_of_one_length_are_one_part():
    assert len(length_parts(torch.full((50,), 7))) == 1
    assert len(length_parts(torch.arange(50), part_cost=10**6)) == 1


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("cut", [None, 0, 1])
def test_a_batch_in_parts_is_the_whole_batch(pooling, cut, monkeypatch):
    generator = make_generator(0)
    encoder = TextEncoder(9, 8, 2, 2, 61, "rotary", 0.0, generator)
    module = PooledClassifier(encoder, pooling, 3, 0.0, generator).double().train()
    tokens = torch.randint(0, 9, (len(LENGTHS), 61), generator=generator)
    inputs = {"values": tokens, "lengths": LENGTHS}

    def outputs_and_gradients():
        outputs = (
            module.members(inputs)
            if cut is None
            else module.above(inputs, module.below(inputs, cut), cut)
        )
        head, block = module.head.weight, module.encoder.blocks[1].up.weight
        return outputs, *torch.autograd.grad(outputs.square().sum(), [head, block])

    assert len(module._parts(LENGTHS)) > 2
    in_parts = outputs_and_gradients()
    monkeypatch.setattr(module, "_parts", lambda lengths: [torch.arange(len(lengths))])
    assert_close(in_parts, outputs_and_gradients(), rtol=1e-10, atol=1e-12)


def test_texts_that_share_their_dropout_are_one_part():
    generator = make_generator(0)
    encoder = TextEncoder(9, 8, 1, 2, 61, "rotary", 0.5, generator)
    module = PooledClassifier(encoder, "mean", 3, 0.5, generator).train()
    module.dropout.shared_by_rows = True
    assert len(module._parts(LENGTHS)) == 1
