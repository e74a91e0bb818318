"""Tokens are drawn from the distribution that the settings say, with or without a cache."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from test_packing import make_gpt

from sklearn_ext._torch.decoding import Decoding, decoded, last_window, restricted


def probabilities(logits, **settings):
    return restricted(torch.tensor([logits]), Decoding(**settings)).softmax(-1)[0].numpy()


def test_temperature_is_a_power_of_the_probabilities():
    shares = np.array([0.6, 0.3, 0.1])
    expected = shares**2 / (shares**2).sum()
    assert_allclose(probabilities(np.log(shares).tolist(), temperature=0.5), expected, rtol=1e-6)


@pytest.mark.parametrize("top_k", [1, 2, 3, 9])
def test_top_k_keeps_the_most_probable(top_k):
    shares = np.array([0.1, 0.5, 0.15, 0.25])
    kept = shares >= np.sort(shares)[::-1][: min(top_k, 4)].min()
    expected = np.where(kept, shares, 0.0)
    found = probabilities(np.log(shares).tolist(), top_k=top_k)
    assert_allclose(found, expected / expected.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.5, [1]), (0.51, [1, 3]), (0.8, [1, 2, 3]), (1.0, [0, 1, 2, 3])]
)
def test_top_p_keeps_the_smallest_set_of_that_probability(top_p, kept):
    shares = np.array([0.125, 0.5, 0.125 + 1e-3, 0.25 - 1e-3])
    expected = np.zeros(4)
    expected[kept] = shares[kept]
    found = probabilities(np.log(shares).tolist(), top_p=top_p)
    assert_allclose(found, expected / expected.sum(), rtol=1e-5)


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_cached_logits_are_the_uncached(positions):
    gpt = make_gpt(positions)
    tokens = torch.randint(0, 13, (3, 20), generator=torch.Generator().manual_seed(1))
    logits, memory = gpt.step(tokens[:, :6], None)
    for length in range(6, 20):
        torch.testing.assert_close(logits, gpt(tokens[:, :length])[:, -1])
        logits, memory = gpt.step(tokens[:, length : length + 1], memory)


def uncached_step(gpt, longest):
    """A step that reads all of the text each time, in the window that predicts its next token."""

    def step(tokens, memory):
        seen = tokens if memory is None else torch.cat([memory, tokens], dim=1)
        return gpt(seen)[:, -1], seen

    return step


@pytest.mark.parametrize("longest", [24, 8])
def test_drawn_tokens_are_those_of_the_uncached_net(longest):
    gpt = make_gpt()
    first = torch.tensor([[1, 2, 3], [4, 5, 6]])
    found = [
        decoded(
            step,
            first,
            Decoding(temperature=0.7, top_k=5),
            generator=torch.Generator().manual_seed(2),
            most=20,
            longest=longest,
            is_over=lambda new: False,
        )
        for step in (gpt.step, uncached_step(gpt, longest))
    ]
    assert found[0] == found[1]
    assert [len(new) for new in found[0]] == [20, 20]


def test_frequencies_are_the_probabilities():
    gpt = make_gpt()
    first = torch.full((4000, 1), 3)
    drawn = decoded(
        gpt.step,
        first,
        Decoding(),
        generator=torch.Generator().manual_seed(0),
        most=1,
        longest=24,
        is_over=lambda new: False,
    )
    expected = gpt(first[:1])[0, -1].softmax(-1).detach().numpy()
    found = np.bincount([new[0] for new in drawn], minlength=13) / 4000
    assert_allclose(found, expected, atol=4 * np.sqrt(expected.max() / 4000))


def test_the_smallest_temperature_takes_the_most_probable():
    logits = torch.tensor([[0.0, 2.0, 1.0, -1.0]], dtype=torch.float64)
    shares = restricted(logits, Decoding(temperature=5e-324)).softmax(-1)
    assert shares.tolist() == [[0.0, 1.0, 0.0, 0.0]]


def test_temperature_zero_is_the_most_probable_and_rows_end_alone():
    gpt = make_gpt()
    first = torch.tensor([[1], [2]])
    found = decoded(
        gpt.step,
        first,
        Decoding(temperature=0.0),
        generator=torch.Generator(),
        most=6,
        longest=24,
        is_over=lambda new: len(new) == 2,
    )
    assert [len(new) for new in found] == [2, 2]
    assert found[0][0] == int(gpt(first[:1])[0, -1].argmax())


@pytest.mark.parametrize("longest", [2, 3, 8, 9])
def test_windows_begin_at_halves_and_hold_what_they_predict(longest):
    for length in range(1, 40):
        start = last_window(length, longest)
        assert start % max(1, longest // 2) == 0
        assert 0 < length - start <= longest
        assert start == 0 or start - max(1, longest // 2) + longest < length  # the first such one
