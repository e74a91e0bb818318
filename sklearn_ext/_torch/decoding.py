"""Drawing texts token by token."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Decoding", "decoded", "last_window", "restricted"]

Tensor = torch.Tensor
Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


@dataclass(frozen=True)
class Decoding:
    """How the next token is chosen.

    Attributes
    ----------
    temperature : float
        Divides the logits, > 0; 0 takes the most probable token.
    top_k : int or None
        Only so many of the most probable tokens can be drawn.
    top_p : float or None
        Only the most probable tokens that together have at least this probability [1]_ can be
        drawn, in (0, 1].

    References
    ----------
    .. [1] A. Holtzman et al., "The curious case of neural text degeneration", ICLR 2020,
       arXiv:1904.09751; eq. 3.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None


def restricted(logits: Tensor, decoding: Decoding) -> Tensor:
    """Give the logits that tokens are drawn by: -inf for those that are left out.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_tokens)
        Logits of the next token.
    decoding : Decoding
        With a temperature above 0. `top_p` is applied to what `top_k` leaves.

    Returns
    -------
    logits : torch.Tensor of shape (n, n_tokens)
        New logits.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.decoding import Decoding, restricted
    >>> logits = torch.tensor([[0.5, 0.1, 0.4]]).log()
    >>> restricted(logits, Decoding(top_p=0.6)).softmax(-1)
    tensor([[0.5556, 0.0000, 0.4444]])
    """
    # No overflow with the smallest of temperatures: the largest is 0.
    logits = (logits - logits.amax(-1, keepdim=True)) / decoding.temperature
    if decoding.top_k is not None and decoding.top_k < logits.shape[-1]:
        lowest = logits.topk(decoding.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < lowest, -torch.inf)
    if decoding.top_p is not None and decoding.top_p < 1.0:
        ordered, order = logits.sort(dim=-1, descending=True)
        shares = ordered.softmax(-1)
        before = shares.cumsum(-1) - shares  # probability of all that are more probable
        ordered = ordered.masked_fill(before >= decoding.top_p, -torch.inf)
        logits = torch.empty_like(logits).scatter(-1, order, ordered)
    return logits


def _drawn(logits: Tensor, decoding: Decoding, generator: torch.Generator) -> Tensor:
    """Choose one token a row, (n,)."""
    if decoding.temperature == 0.0:
        return logits.argmax(-1)
    # The generator lives on the CPU, whatever the device of the net.
    shares = restricted(logits.double().cpu(), decoding).softmax(-1)
    return torch.multinomial(shares, 1, generator=generator).squeeze(-1).to(logits.device)


@torch.no_grad()
def decoded(
    step: Step,
    tokens: Tensor,
    decoding: Decoding,
    *,
    generator: torch.Generator,
    most: int,
    longest: int,
    is_over: Callable[[list[int]], bool],
) -> list[list[int]]:
    """Draw tokens behind others until each row is over.

    Parameters
    ----------
    step : callable
        Takes tokens (n, new) and a memory (None at first); gives logits (n, n_tokens) and a memory.
    tokens : torch.Tensor of shape (n, length)
        First tokens of each row.
    decoding : Decoding
        How tokens are chosen.
    generator : torch.Generator
        Draws them; on the CPU.
    most : int
        Number of new tokens at which a row is over.
    longest : int
        Most tokens that the net sees. Beyond them it starts anew with about the last half of them,
        see :func:`last_window`.
    is_over : callable
        New tokens of a row to whether it is over, its last token included.

    Returns
    -------
    drawn : list of list of int
        New tokens of each row.
    """
    new: list[list[int]] = [[] for _ in tokens]
    running, memory, start = set(range(len(new))), None, 0
    seen, unread = tokens, tokens
    for _ in range(most):
        if memory is None or seen.shape[1] - start > longest:
            start = last_window(seen.shape[1], longest)
            memory, unread = None, seen[:, start:]
        logits, memory = step(unread, memory)
        unread = _drawn(logits, decoding, generator).unsqueeze(1)
        seen = torch.cat([seen, unread], dim=1)
        for row in sorted(running):  # the others go on too, for the shape only
            new[row].append(int(unread[row]))
            if is_over(new[row]):
                running.discard(row)
        if not running:
            break
    return new


def last_window(length: int, longest: int) -> int:
    """Start of the window that predicts what follows so many tokens.

    Windows have `longest` tokens and begin at every multiple of half of that.

    Examples
    --------
    >>> from sklearn_ext._torch.decoding import last_window
    >>> [last_window(length, 8) for length in (8, 9, 12, 13)]
    [0, 4, 4, 8]
    """
    stride = max(1, longest // 2)
    return max(0, -(-(length - longest) // stride) * stride)
