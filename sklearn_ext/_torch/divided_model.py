"""A model of transformers whose lower and upper layers are computed apart.

Its layers are in one list, as its configuration counts them. Each part of the model is the model
with the others taken out of the list: what goes into the upper part takes the place of what its
first layer would get.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import nn

__all__ = ["DividedModel"]

Tensor = torch.Tensor


class DividedModel(nn.Module):
    """A model of transformers whose lower and upper layers can be computed apart.

    For :mod:`sklearn_ext._torch.frozen_states`. A subclass has `model` and calls it in ``_called``.
    """

    model: nn.Module

    def _called(self, *inputs: Any) -> Tensor:
        """What `forward` gives."""
        raise NotImplementedError

    def _called_inside(self, *inputs: Any) -> None:
        """Go through the layers; what lies behind them need not be computed."""
        self._called(*inputs)

    def forward(self, tokens: Tensor, further: Tensor | None = None) -> Tensor:
        """Compute states, or logits, of tokens (n, length)."""
        return self._called(tokens, further)

    def cut_for(self, trained: Iterable[str]) -> int:
        """Lowest layer with a trained parameter, at most the last one; 0 where layers are no chain.

        The embeddings are below all layers, and so is everything that this cannot tell of.
        """
        found = _layers(self.model)
        if found is None:
            return 0
        path, n_layers = found
        behind = _behind(self, f"model.{path}.")
        cut = n_layers - 1
        for name in trained:
            if name.startswith(f"model.{path}."):
                cut = min(cut, int(name.removeprefix(f"model.{path}.").partition(".")[0]))
            elif name not in behind:
                return 0
        return cut if cut and self._is_chain(cut) else 0

    def below(self, tokens: Tensor, further: Tensor | None, cut: int) -> Tensor:
        """States that go into layer `cut`, (n, length, width)."""
        found: list[Tensor] = []

        def keep(layer: nn.Module, args: Any, outputs: Any) -> None:
            found.append(outputs[0] if isinstance(outputs, tuple) else outputs)

        with self._only(slice(cut)) as layers, _hook(layers[-1].register_forward_hook(keep)):
            self._called_inside(tokens, further)
        return found[0]

    def above(self, tokens: Tensor, further: Tensor | None, states: Tensor, cut: int) -> Tensor:
        """What `forward` gives, of what `below` gives."""

        def replace(layer: nn.Module, args: Any, options: dict[str, Any]) -> tuple[Any, Any]:
            if args:
                return (states, *args[1:]), options
            return args, {**options, "hidden_states": states}

        with self._only(slice(cut, None)) as layers:
            hook = layers[0].register_forward_pre_hook(replace, with_kwargs=True)
            with _hook(hook):
                return self._called(tokens, further)

    @contextmanager
    def _only(self, chosen: slice) -> Iterator[nn.ModuleList]:
        """Let the model have some of its layers only."""
        path, _ = _layers(self.model)  # type: ignore[misc]
        parent, _, name = path.rpartition(".")
        owner = self.model.get_submodule(parent)
        whole: Any = owner._modules[name]
        part = owner._modules[name] = whole[chosen]
        try:
            yield part
        finally:
            owner._modules[name] = whole

    @torch.no_grad()
    def _is_chain(self, cut: int) -> bool:
        """Try whether both parts give what the whole gives; not all layers are a plain chain."""
        tokens = torch.tensor([[1, 2, 3, 4]], device=_device(self))
        further = self._some_further(tokens)
        training = self.training
        self.train(False)
        try:
            whole, states = self(tokens, further), self.below(tokens, further, cut)
            if states.shape[:2] != tokens.shape:  # some have the texts in the second axis
                return False
            parts = self.above(tokens, further, states, cut)
        except (IndexError, KeyError, TypeError, ValueError):
            return False
        finally:
            self.train(training)
        return bool(torch.allclose(whole, parts, atol=1e-4 * float(whole.abs().max())))

    def _some_further(self, tokens: Tensor) -> Tensor | None:
        return None


def _device(module: nn.Module) -> torch.device:
    """Device of a module, which may have no parameter that is not quantised."""
    return next(chain(module.parameters(), module.buffers())).device


@contextmanager
def _hook(handle: Any) -> Iterator[None]:
    """Take a hook away behind the block."""
    try:
        yield
    finally:
        handle.remove()


def _layers(model: nn.Module) -> tuple[str, int] | None:
    """Path and number of all layers, if there is one list of so many as the model says."""
    settings: Any = model.config
    n_layers = getattr(settings, "num_hidden_layers", None)
    paths = [
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    ]
    return (paths[0], n_layers) if len(paths) == 1 and n_layers is not None else None


def _behind(module: nn.Module, layers: str) -> set[str]:
    """Names of parameters that come into play behind the layers only.

    These are registered behind them, and are no tables, which a model may look into anywhere.
    """
    weights = _weights(module)
    names = list(weights)
    inside = [number for number, name in enumerate(names) if name.startswith(layers)]
    n_first = max(inside, default=len(names)) + 1
    tied = {id(weights[name]) for name in names[:n_first]}
    return {
        name
        for name in names[n_first:]
        if id(weights[name]) not in tied
        and not isinstance(module.get_submodule(name.rpartition(".")[0]), nn.Embedding)
    }


def _weights(module: nn.Module) -> dict[str, Tensor | nn.Module]:
    """What there is of each parameter, by all its names in order; of quantised ones, the codes."""
    found: dict[str, Any] = {}
    for path, owner in module.named_modules(remove_duplicate=False):
        stored = {"weight": owner._modules["stored"]} if "stored" in owner._modules else {}
        own = {**stored, **owner._parameters}
        found |= {f"{path}.{local}": kept for local, kept in own.items() if kept is not None}
    return found
