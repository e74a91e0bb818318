"""Randomness that is passed in: one explicit generator a fit, never torch's global one."""

import numpy as np
import torch

__all__ = ["generator_at", "generator_state", "make_generator"]


def make_generator(
    random_state: int | np.random.RandomState | None, n_seen: int = 0
) -> torch.Generator:
    """Build the generator of a fit.

    It lives on the CPU whatever the device of the net: the same `random_state` then gives the same
    initial weights and the same order of rows on every device.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        Seed. None takes entropy from the operating system and leaves numpy's global generator as
        it is; a RandomState is drawn from once.
    n_seen : int, default=0
        Samples, or epochs, that a fit which goes on has seen before: its order of rows and its
        dropout are others than those of the fits before it.

    Returns
    -------
    generator : torch.Generator
        On the CPU.

    Examples
    --------
    >>> from sklearn_ext._torch.random import make_generator
    >>> make_generator(0).initial_seed() == make_generator(0).initial_seed()
    True
    """
    if isinstance(random_state, np.random.RandomState):
        seed = int(random_state.randint(np.iinfo(np.int32).max))
    else:
        entropy = [random_state, n_seen] if n_seen and random_state is not None else random_state
        seed = int(np.random.default_rng(entropy).integers(np.iinfo(np.int64).max))
    return torch.Generator(device="cpu").manual_seed(seed)


def generator_state(generator: torch.Generator) -> int | np.ndarray:
    """Give the state of a generator, to be kept.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    state : int or ndarray
        The seed where nothing was drawn yet; the whole state has 5 kB.
    """
    seed, state = generator.initial_seed(), generator.get_state()
    return seed if torch.equal(generator_at(seed).get_state(), state) else state.numpy()


def generator_at(state: int | np.ndarray) -> torch.Generator:
    """Make a generator in a state that :func:`generator_state` gave.

    Parameters
    ----------
    state : int or ndarray
        The state.

    Returns
    -------
    generator : torch.Generator
        On the CPU.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.random import generator_at, generator_state, make_generator
    >>> generator = make_generator(0)
    >>> state = generator_state(generator)
    >>> one, other = torch.randperm(9, generator=generator), generator_at(state)
    >>> torch.equal(torch.randperm(9, generator=other), one)
    True
    """
    generator = torch.Generator(device="cpu")
    if isinstance(state, int):
        return generator.manual_seed(state)
    generator.set_state(torch.from_numpy(np.array(state)))
    return generator
