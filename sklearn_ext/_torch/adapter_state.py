"""What an adapted module has besides its base, and the fingerprint of a base."""

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

from sklearn_ext._torch.lora import LoRAModule
from sklearn_ext._torch.parameters import load_arrays, module_arrays
from sklearn_ext._torch.quantization import StoredWeight
from sklearn_ext._torch.quantized_base import checksum

__all__ = ["adapter_arrays", "base_is", "changed_buffers", "fingerprint", "load_adapter_arrays"]

OF_BASE = "base."
OF_START = (".start_A", ".start_B")


def adapter_arrays(module: LoRAModule, base: nn.Module) -> dict[str, np.ndarray]:
    """Copy what `base` does not have: trained parameters and buffers that have changed.

    Parameters
    ----------
    module : LoRAModule
        Adapted module.
    base : torch.nn.Module
        What it was made of.

    Returns
    -------
    arrays : dict of str to ndarray
        By the names of the state of `module`.
    """
    own = _own(module)
    own |= {OF_BASE + name: tensor for name, tensor in _unlike(module, base).items()}
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in own.items()}


def _own(module: LoRAModule) -> dict[str, torch.Tensor]:
    """State of a module besides its base and what follows from that, the start of PiSSA."""
    return {
        name: tensor
        for name, tensor in module.state_dict().items()
        if not name.startswith(OF_BASE) and not name.endswith(OF_START)
    }


def changed_buffers(module: LoRAModule, base: nn.Module | None) -> dict[str, torch.Tensor]:
    """Find the buffers, such as running means, that differ from those of `base`.

    Quantised weights are not among them: they can be made again.

    Parameters
    ----------
    module : LoRAModule
        Adapted module.
    base : torch.nn.Module or None
        What it was made of; None gives all buffers.

    Returns
    -------
    buffers : dict of str to torch.Tensor
        By their names in the base.

    Raises
    ------
    ValueError
        If the weights of `base` are not those that the module was made of.
    """
    if base is not None and not base_is(module, base):
        raise ValueError(
            "The frozen base is not any more what this adapter was fitted on, as it was fitted "
            "again. Fit the adapter again too, or pickle it with store_base=True."
        )
    return _unlike(module, base)


def _unlike(module: LoRAModule, base: nn.Module | None) -> dict[str, torch.Tensor]:
    of_base = {} if base is None else dict(base.named_buffers())
    stored, buffers = module.base.state_dict(), dict(module.base.named_buffers())
    return {
        name: tensor
        for name, tensor in buffers.items()
        if name in stored
        and not (name in of_base and torch.equal(of_base[name], tensor))
        and not isinstance(module.base.get_submodule(name.rpartition(".")[0]), StoredWeight)
    }


def load_adapter_arrays(module: LoRAModule, arrays: Mapping[str, np.ndarray]) -> None:
    """Put arrays of :func:`adapter_arrays` into a module around the same base."""
    own = _own(module)
    missing = sorted(set(own) - set(arrays))
    if missing:
        raise ValueError(f"Of the adapter {', '.join(missing)} is missing.")
    for part, front in ((module.low_rank, "low_rank."), (module.whole, "whole.")):
        of_part = {n.removeprefix(front): a for n, a in arrays.items() if n.startswith(front)}
        load_arrays(part, module_arrays(part) | of_part)
    buffers = dict(module.base.named_buffers())
    for name in (name for name in arrays if name.startswith(OF_BASE)):
        kept = buffers[name.removeprefix(OF_BASE)]
        kept.copy_(torch.from_numpy(np.array(arrays[name])))


def base_is(module: LoRAModule, base: nn.Module) -> bool:
    """Tell whether the frozen parameters of an adapted module are those of `base`."""
    given = dict(base.named_parameters())
    return module.frozen_weights().keys() == given.keys() and all(
        module.keeps(name, weight) for name, weight in given.items()
    )


def fingerprint(module: nn.Module, without: Iterable[str] = ()) -> str:
    """Compute the SHA-256 of names, shapes and checksums of all parameters.

    Parameters
    ----------
    module : torch.nn.Module
        Module. That of an adapted one is the fingerprint of what it was made of.
    without : iterable of str
        Names of parameters that have no part in it.

    Returns
    -------
    digest : str
        64 hexadecimal digits.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.adapter_state import fingerprint
    >>> layer = torch.nn.Linear(2, 1)
    >>> before = fingerprint(layer)
    >>> _ = torch.nn.init.zeros_(layer.weight)
    >>> fingerprint(layer) == before
    False
    """
    weights: dict[str, nn.Parameter | StoredWeight] = dict(module.named_parameters())
    if isinstance(module, LoRAModule):
        weights = module.frozen_weights()
    digest = hashlib.sha256()
    for name in sorted(set(weights) - set(without)):
        weight = weights[name]
        kept = int(weight.checksum) if isinstance(weight, StoredWeight) else checksum(weight)
        digest.update(f"{name} {tuple(weight.shape)} {kept};".encode())
    return digest.hexdigest()
