"""Blocks of steps that are small enough for the processor's cache."""

import torch

__all__ = ["states_before", "step_blocks"]

Tensor = torch.Tensor

BLOCK_SIZE = 2**17  # values of a block; half a MiB in single precision


def step_blocks(n_steps: int, size: int) -> list[slice]:
    """Cut steps of `size` values each into blocks, all but the last of the same length."""
    length = max(1, BLOCK_SIZE // size)
    return [slice(start, min(start + length, n_steps)) for start in range(0, n_steps, length)]


def states_before(states: Tensor, initial: Tensor, block: slice) -> Tensor:
    """States before the steps of a block, of those behind all steps and the initial one."""
    if block.start:
        return states[block.start - 1 : block.stop - 1]
    return torch.cat([initial.unsqueeze(0), states[: block.stop - 1]])
