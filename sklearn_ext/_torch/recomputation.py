"""Blocks of a net that are computed anew for gradients, so that nothing inside of them is kept."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from sklearn_ext._torch.dropout import SharedDropout

__all__ = ["blocks_of", "recomputed_blocks"]


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """Find the blocks of a net, the outermost members of its lists of modules.

    Parameters
    ----------
    module : torch.nn.Module
        Net.

    Returns
    -------
    blocks : list of torch.nn.Module
        Blocks.

    Raises
    ------
    ValueError
        If there are none.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_ext._torch.recomputation import blocks_of
    >>> len(blocks_of(nn.Sequential(nn.Linear(2, 2), nn.ModuleList([nn.ReLU(), nn.Tanh()]))))
    2
    """
    found = list(_outermost(module))
    if not found:
        raise ValueError(
            f"gradient_checkpointing=True needs blocks, but {type(module).__name__} has no "
            "torch.nn.ModuleList of any. Use gradient_checkpointing=False."
        )
    return found


def _outermost(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        else:
            yield from _outermost(child)


@contextmanager
def recomputed_blocks(
    blocks: Iterable[nn.Module],
    module: nn.Module,
    placed: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[None]:
    """Let blocks be recomputed [1]_ where gradients go through what they computed in this context.

    Dropout draws the same units again, and the generators go on from where they were.

    Parameters
    ----------
    blocks : iterable of torch.nn.Module
        Blocks.
    module : torch.nn.Module
        Net with all :class:`SharedDropout` that the blocks see.
    placed : callable
        Makes the context in which a block computes again as it does now.

    References
    ----------
    .. [1] T. Chen, B. Xu, C. Zhang and C. Guestrin, "Training deep nets with sublinear memory
       cost", 2016, arXiv:1604.06174; section 4.
    """
    dropout = [layer for layer in module.modules() if isinstance(layer, SharedDropout)]
    with ExitStack() as stack:
        for block in blocks:
            own = block.__dict__
            if "forward" in own:
                stack.callback(own.__setitem__, "forward", own["forward"])
            else:
                stack.callback(own.pop, "forward")
            own["forward"] = _recomputing(block, dropout, placed)
        yield


def _recomputing(
    block: nn.Module,
    dropout: Sequence[SharedDropout],
    placed: Callable[[], AbstractContextManager[None]],
) -> Callable[..., Any]:
    """Make the `forward` of a block that keeps its inputs only."""
    from torch.utils.checkpoint import checkpoint

    forward = block.forward

    def recomputing(*args: Any, **kwargs: Any) -> Any:
        if not (block.training and torch.is_grad_enabled()):
            return forward(*args, **kwargs)

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            drawing = [layer.generator for layer in dropout if layer.generator is not None]
            return nullcontext(), _Again(list({id(g): g for g in drawing}.values()), placed)

        return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)

    return recomputing


class _Again(AbstractContextManager[None]):
    """Context in which generators draw what they draw from now on; it can be entered repeatedly."""

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        placed: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.generators, self.placed = generators, placed
        self.states = [generator.get_state() for generator in generators]

    def __enter__(self) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(self.placed())
        for generator, state in zip(self.generators, self.states, strict=True):
            self._stack.callback(generator.set_state, generator.get_state())
            generator.set_state(state)

    def __exit__(self, *error: object) -> None:
        self._stack.close()
