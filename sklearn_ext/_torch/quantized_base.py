"""The frozen base of an adapted module with quantised weights."""

from dataclasses import dataclass
from zlib import crc32

import torch
from torch import nn

from sklearn_ext._torch.adaptable import as_matrix, as_weight
from sklearn_ext._torch.low_rank import LoRASettings, LowRank, principal_factors
from sklearn_ext._torch.quantized_layers import (
    quantizable_layers,
    quantize_layers,
    set_stored,
    stored_weight,
)
from sklearn_ext._torch.weight_files import loaded

__all__ = ["QuantizedBase", "checksum", "quantize_base"]

Tensor = torch.Tensor

LOFTQ_STEPS = 5


@dataclass
class QuantizedBase:
    """What was quantised.

    Attributes
    ----------
    layers : dict of str to list of torch.nn.Module
        Layers with each quantised weight, by its first name.
    error : torch.Tensor
        Norm of what was lost of all these weights over their norm.
    """

    layers: dict[str, list[nn.Module]]
    error: Tensor


@torch.no_grad()
def quantize_base(
    base: nn.Module,
    settings: LoRASettings,
    changes: dict[str, LowRank],
    kept: set[str],
    given: dict[str, nn.Parameter],
) -> QuantizedBase:
    """Quantise the weights of a base in place, one after the other.

    Parameters
    ----------
    base : torch.nn.Module
        Copy whose parameters may be given up.
    settings : LoRASettings
        With `quantization`; `init_lora_weights` "loftq" sets the changes of quantised weights.
    changes : dict of str to LowRank
        Changes by the names of the weights.
    kept : set of str
        Names of weights that stay whole.
    given : dict of str to torch.nn.Parameter
        All parameters, which may still be in files.

    Returns
    -------
    quantised : QuantizedBase
        What was done.

    Raises
    ------
    ValueError
        If there is nothing to quantise, the base has several precisions, or the changes need whole
        weights.
    """
    _check_one_precision(settings.quantization, given)
    if settings.use_dora:
        raise ValueError("use_dora=True needs whole weights: set quantization=None.")
    assert settings.quantization is not None
    found = quantizable_layers(base, kept)
    if not found:
        raise ValueError(
            f"quantization={settings.quantization!r} finds no linear layer to quantise in "
            f"{type(base).__name__}. Use quantization=None."
        )
    lost, norm = torch.zeros(()), torch.zeros(())
    for name, layers in found.items():
        told = _quantize_weight(loaded(given[name]), layers, changes.get(name), settings)
        lost, norm = lost + told[0], norm + told[1]
    return QuantizedBase(found, (lost / norm.clamp_min(torch.finfo(norm.dtype).tiny)).sqrt())


def _quantize_weight(
    weight: Tensor, layers: list[nn.Module], change: LowRank | None, settings: LoRASettings
) -> tuple[Tensor, Tensor]:
    """Quantise a weight; the sums of squares of what is lost and of all."""
    assert settings.quantization is not None
    quantize_layers(layers, weight, settings.quantization)
    made_up_for: Tensor | float = 0.0
    if settings.init_lora_weights == "loftq" and change is not None:
        _share_the_work(weight, layers, change, settings)
        made_up_for = as_weight(change.change(), change.layout, weight.shape)
    stored = stored_weight(layers[0])  # of all of them, and by now the last one
    stored.checksum.fill_(checksum(weight))
    lost = stored.dequantized(weight.dtype).sub_(weight).add_(made_up_for)
    return _square_sum(lost), _square_sum(weight)


def _square_sum(values: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values)
    return norm.square().float().cpu()


def checksum(weight: Tensor) -> int:
    """Compute the CRC-32 of the bytes of a weight."""
    array = weight.detach().cpu().contiguous().reshape(-1)
    return crc32(array.view(torch.uint8).numpy().data)


def _share_the_work(
    weight: Tensor, layers: list[nn.Module], change: LowRank, settings: LoRASettings
) -> None:
    """Let the quantised weight and the change share the work [1]_, algorithm 1.

    References
    ----------
    .. [1] Y. Li et al., "LoftQ: LoRA-fine-tuning-aware quantization for large language models",
       ICLR 2024, arXiv:2310.08659.
    """
    stored = stored_weight(layers[0])
    _take_up(weight - stored.dequantized(weight.dtype), change, settings)
    for _ in range(LOFTQ_STEPS - 1):
        rest = weight - as_weight(change.change(), change.layout, weight.shape)
        stored = type(stored)(rest, stored.rows_first)
        _take_up(weight - stored.dequantized(weight.dtype), change, settings)
    for layer in layers:
        set_stored(layer, stored)


def _take_up(residual: Tensor, change: LowRank, settings: LoRASettings) -> None:
    """Set a change to the nearest matrix of its rank."""
    A, B = principal_factors(as_matrix(residual, change.layout), settings.r, settings.scaling)
    change.weight_A.copy_(A)
    change.weight_B.copy_(B)


def _check_one_precision(quantization: str | None, given: dict[str, nn.Parameter]) -> None:
    """Raise an error for a base of several precisions that names one parameter of each."""
    some = {p.dtype: name for name, p in given.items() if p.is_floating_point()}
    if len(some) > 1:
        found = ", ".join(f"{name} is {str(dtype)[6:]}" for dtype, name in some.items())
        raise ValueError(
            f"quantization={quantization!r} needs a base of one precision, but {found}. Convert "
            "the base, as by base.float(), or use quantization=None."
        )
