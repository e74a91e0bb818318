"""Matrix products by the faster of the two libraries that torch has on a CPU."""

import platform
from functools import cache
from pathlib import Path

import torch

__all__ = ["is_transformed", "product"]

Tensor = torch.Tensor

# Below so many multiplications oneDNN's set-up costs more than it saves.
FEWEST = 2**20


def product(rows: Tensor, factor: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply rows by a matrix, rows @ factor + bias.

    Parameters
    ----------
    rows : torch.Tensor of shape (n, k)
        Left factor.
    factor : torch.Tensor of shape (k, m)
        Right factor, in the same dtype, with any strides.
    bias : torch.Tensor of shape (m,) or None, default=None
        Added to each row.

    Returns
    -------
    found : torch.Tensor of shape (n, m)
        Equal to torch's product up to rounding.

    Notes
    -----
    torch gives products in single precision to MKL, which does not use AVX-512 on processors of
    AMD: on a Zen 5 oneDNN takes .43 of the time. On those of Intel, and without AVX-512 as on a
    Zen 3, MKL is as fast or faster, and torch multiplies. `_linear_pointwise` is how torch's own
    compiler calls oneDNN. Torch multiplies too where a build does not have it, and where autograd,
    which it knows nothing of, has to see the product.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.products import product
    >>> rows, factor = torch.randn(300, 64), torch.randn(64, 96)
    >>> torch.allclose(product(rows, factor), rows @ factor, atol=1e-4)
    True
    """
    by_onednn = _by_onednn()
    if by_onednn is not None and _is_large(rows, factor) and not _is_seen(rows, factor, bias):
        found: Tensor = by_onednn(rows, factor.mT, bias, "none", [], "")
        return found
    return rows @ factor if bias is None else torch.addmm(bias, rows, factor)


def is_transformed() -> bool:
    """Tell whether torch.func, as by `vmap`, sees what is computed now.

    Its transforms know torch's own operations, and nothing of our functions for autograd.
    """
    return torch._C._functorch.peek_interpreter_stack() is not None


def _by_onednn():  # type: ignore[no-untyped-def]
    """Give the operator, or None: not built, switched off by the user, or not the faster one."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return None
    if torch.backends.mkl.is_available() and not _leaves_avx512():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


@cache
def _leaves_avx512() -> bool:
    """Tell whether MKL leaves AVX-512 alone, by the maker of the processor as it does itself."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    try:
        maker = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        maker = platform.processor()
    return "GenuineIntel" not in maker


def _is_large(rows: Tensor, factor: Tensor) -> bool:
    """Tell whether a product is in single precision, on a CPU, and large enough."""
    return (
        rows.dtype == factor.dtype == torch.float32
        and rows.device.type == "cpu"
        and rows.numel() * factor.shape[1] >= FEWEST
    )


def _is_seen(*tensors: Tensor | None) -> bool:
    """Tell whether autograd records what is done to some tensors."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
