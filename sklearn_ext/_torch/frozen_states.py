"""What the frozen lower part of a net gives for each row, computed once.

Where only upper layers learn, a net is cut in front of the first of them: what lies below is the
same function in every step. A module that can be cut has three methods:

- ``cut_for(names)`` tells where, for the names of all trained parameters; None if nothing is
  computed below;
- ``below(inputs, cut)`` gives what goes into the upper part: a tensor (n, ...), a dictionary of
  padded "values" (n, longest, ...) and "lengths" (n,), or a list with one of them for each member;
- ``above(inputs, below, cut)`` makes raw outputs, (n_members, n, n_outputs), of both.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from sklearn_ext._torch.batches import Inputs, Ragged, take

__all__ = ["frozen_states"]

Tensor = torch.Tensor


def frozen_states(inputs: Inputs, below: Callable[[Any], Any], parts: Iterable[Tensor]) -> Any:
    """Compute what goes into the upper part for all rows.

    Parameters
    ----------
    inputs : torch.Tensor, Ragged, SparseTable or dict
        Rows on the first axis.
    below : callable
        Rows to what goes into the upper part.
    parts : iterable of torch.Tensor of shape (n,)
        Numbers of the rows that are taken together; each row is in one part.

    Returns
    -------
    states : torch.Tensor, Ragged or list
        Rows in their order. Padding is not kept.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.frozen_states import frozen_states
    >>> frozen_states(torch.eye(3), lambda X: X.sum(1), torch.tensor([[2, 0], [1, 1]])[:, :2])
    tensor([1., 1., 1.])
    """
    found = [(index, below(take(inputs, index))) for index in parts]
    states = _room(found)
    while found:  # each part is given up as soon as it is copied
        _write(states, *found.pop())
    return states


def _room(found: list[tuple[Tensor, Any]]) -> Any:
    """Allocate room for the rows of all parts."""
    first = found[0][1]
    if isinstance(first, list):
        return [_room([(index, part[m]) for index, part in found]) for m in range(len(first))]
    n_rows = sum(len(index) for index, _ in found)
    if not isinstance(first, dict):
        return first.new_empty(n_rows, *first.shape[1:])
    lengths = first["lengths"].new_empty(n_rows)
    for index, part in found:
        lengths[index] = part["lengths"]
    values = first["values"]
    return Ragged(values.new_empty(int(lengths.sum()), *values.shape[2:]), lengths)


def _write(states: Any, index: Tensor, part: Any) -> None:
    """Copy the rows of one part to their place."""
    if isinstance(states, list):
        for own, of_member in zip(states, part, strict=True):
            _write(own, index, of_member)
    elif isinstance(states, Ragged):
        states.write(index, part["values"])
    else:
        states[index] = part
