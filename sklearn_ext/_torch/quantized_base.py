"""The frozen base of an adapted module with quantised weights."""

from dataclasses import dataclass
from zlib import crc32

import torch
from torch import nn

from sklearn_ext._torch.low_rank import (
    LoRASettings,
    LowRank,
    as_matrix,
    as_weight,
    principal_factors,
)
from sklearn_ext._torch.quantized_layers import quantize_layers, set_stored, stored_weight

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
    checksums : dict of str to int
        Of the weights before.
    error : torch.Tensor
        Norm of what was lost of all these weights over their norm.
    """

    layers: dict[str, list[nn.Module]]
    checksums: dict[str, int]
    error: Tensor


@torch.no_grad()
def quantize_base(
    base: nn.Module, settings: LoRASettings, changes: dict[str, LowRank], kept: set[str]
) -> QuantizedBase:
    """Quantise the weights of a base in place.

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

    Returns
    -------
    quantised : QuantizedBase
        What was done.

    Raises
    ------
    ValueError
        If there is nothing to quantise, or the changes need whole weights.
    """
    if settings.use_dora:
        raise ValueError("use_dora=True needs whole weights: set quantization=None.")
    assert settings.quantization is not None
    whole = {name: parameter.detach() for name, parameter in base.named_parameters()}
    layers = quantize_layers(base, settings.quantization, kept)
    if settings.init_lora_weights == "loftq":
        for name in layers.keys() & changes.keys():
            _start_at_residual(whole[name], layers[name], changes[name], settings)
    whole = {name: whole[name] for name in layers}
    sums = {name: checksum(weight) for name, weight in whole.items()}
    return QuantizedBase(layers, sums, _relative_error(whole, layers))


def checksum(weight: Tensor) -> int:
    """Compute the CRC-32 of the bytes of a weight."""
    array = weight.detach().cpu().contiguous().reshape(-1)
    return crc32(array.view(torch.uint8).numpy().data)


def _relative_error(whole: dict[str, Tensor], layers: dict[str, list[nn.Module]]) -> Tensor:
    lost, norm = torch.zeros(()), torch.zeros(())
    for name, weight in whole.items():
        kept = stored_weight(layers[name][0]).dequantized(weight.dtype)
        lost = lost + (weight - kept).square().sum().float().cpu()
        norm = norm + weight.square().sum().float().cpu()
    return (lost / norm.clamp_min(torch.finfo(norm.dtype).tiny)).sqrt()


def _start_at_residual(
    weight: Tensor, layers: list[nn.Module], change: LowRank, settings: LoRASettings
) -> None:
    """Let the quantised weight and the change share the work [1]_, algorithm 1.

    References
    ----------
    .. [1] Y. Li et al., "LoftQ: LoRA-fine-tuning-aware quantization for large language models",
       ICLR 2024, arXiv:2310.08659.
    """
    stored = stored_weight(layers[0])
    for _ in range(LOFTQ_STEPS):
        residual = as_matrix(weight - stored.dequantized(weight.dtype), change.layout)
        A, B = principal_factors(residual, settings.r, settings.scaling)
        change.weight_A.copy_(A)
        change.weight_B.copy_(B)
        rest = weight - as_weight(change.change(), change.layout, weight.shape)
        stored = type(stored)(rest, stored.rows_first)
    for layer in layers:
        set_stored(layer, stored)
