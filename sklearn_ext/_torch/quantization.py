"""Weights in 4 or 8 bits: 4-bit NormalFloat with double quantisation, and rows of int8."""

from collections.abc import Iterator
from functools import reduce
from math import gcd

import torch
from torch import nn

from sklearn_ext._torch.products import product

__all__ = ["NF4", "Int8Rows", "StoredWeight", "nf4_codebook"]

Tensor = torch.Tensor

BLOCK, SECOND_BLOCK = 64, 256
WHOLE = BLOCK * SECOND_BLOCK  # values that share all their scales
ROWS_AT_ONCE = 2**12  # of a weight that is rounded
VALUES_AT_ONCE = 2**20  # of a weight whose rows are dequantised one block after the other
ROUNDED_AT_ONCE = 2**18  # of a weight whose values are rounded to codes, in whole blocks
# Mean of 1 - 1/(2 * 15) and 1 - 1/(2 * 16), the largest quantile that is finite for both halves.
OFFSET = 0.5 * ((1.0 - 1.0 / 30.0) + (1.0 - 1.0 / 32.0))


def nf4_codebook() -> Tensor:
    """Compute the 16 values of 4-bit NormalFloat [1]_, of float64.

    Quantiles of the normal distribution, eight of the positive half and seven of the negative one,
    scaled to [-1, 1], and an exact zero.

    References
    ----------
    .. [1] T. Dettmers et al., "QLoRA: Efficient finetuning of quantized LLMs", NeurIPS 2023,
       arXiv:2305.14314; eq. 4 and appendix E.

    Examples
    --------
    >>> from sklearn_ext._torch.quantization import nf4_codebook
    >>> [round(float(value), 4) for value in nf4_codebook()[[0, 1, 7, 8, 15]]]
    [-1.0, -0.6962, 0.0, 0.0796, 1.0]
    """
    positive = _normal_quantiles(9)
    negative = -_normal_quantiles(8)
    codes = torch.cat([negative, positive, torch.zeros(1, dtype=torch.float64)])
    return codes.sort().values / codes.abs().max()


def _normal_quantiles(n: int) -> Tensor:
    """Quantiles from OFFSET down to 1/2, the last of which, 0, is left out."""
    quantiles: Tensor = torch.special.ndtri(torch.linspace(OFFSET, 0.5, n, dtype=torch.float64))
    return quantiles[:-1]


def _rounded_blocks(values: Tensor, middles: Tensor) -> tuple[Tensor, Tensor]:
    """Codes, two a byte, and largest magnitudes of blocks; the last block may not be whole."""
    blocks = nn.functional.pad(values.float(), (0, -len(values) % BLOCK)).view(-1, BLOCK)
    largest = blocks.abs().amax(1)
    divisors = largest.clamp_min(torch.finfo(torch.float32).tiny)
    codes = torch.bucketize(blocks / divisors[:, None], middles, out_int32=True)
    first, second = codes.to(torch.uint8).view(-1, 2).unbind(1)
    return first << 4 | second, largest


class StoredWeight(nn.Module):
    """A quantised weight, in buffers.

    Parameters
    ----------
    weight : torch.Tensor
        Weight. It is not kept.
    rows_first : bool
        Whether the last axis, not the one before, is that of the inputs.

    Attributes
    ----------
    checksum : torch.Tensor of shape (), int64
        CRC-32 of the weight that this stands for, set by who quantises it.
    """

    codes: Tensor
    checksum: Tensor

    def __init__(self, weight: Tensor, rows_first: bool = True) -> None:
        super().__init__()
        self.shape, self.rows_first = weight.shape, rows_first
        self.register_buffer("checksum", weight.new_zeros((), dtype=torch.int64))

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """Give the weight in a floating dtype."""
        raise NotImplementedError

    def product(self, inputs: Tensor) -> Tensor:
        """Multiply (n, n_in) to (n, n_out); where columns come first, any number of axes."""
        if not self.rows_first:
            return inputs @ self.dequantized(inputs.dtype)
        if self.shape.numel() <= VALUES_AT_ONCE:
            return product(inputs, self.dequantized(inputs.dtype).mT)
        found = inputs.new_empty(len(inputs), self.shape[0])
        for rows, weight in self._row_blocks(inputs.dtype):
            found[:, rows] = product(inputs, weight.mT)
        return found

    def product_back(self, gradient: Tensor) -> Tensor:
        """Multiply the gradient of outputs (n, n_out) to that of inputs, (n, n_in)."""
        if not self.rows_first:
            return gradient @ self.dequantized(gradient.dtype).mT
        blocks = self._row_blocks(gradient.dtype)
        return reduce(Tensor.add_, (product(gradient[:, rows], w) for rows, w in blocks))

    def _row_blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """Yield which rows, and them: never all of a large matrix are there at once."""
        n_rows, n_columns = self.shape
        at_once = max(1, VALUES_AT_ONCE // max(n_columns, 1))
        unit = WHOLE // gcd(n_columns, WHOLE)
        step = at_once // unit * unit or at_once  # whole blocks, where rows of them are few
        for start in range(0, n_rows, step):
            rows = slice(start, min(start + step, n_rows))
            yield rows, self._rows(rows).to(dtype)

    def _rows(self, rows: slice) -> Tensor:
        """Give rows of a matrix in single precision."""
        raise NotImplementedError

    def n_bytes(self) -> int:
        """Count the bytes of all buffers."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self.buffers())


class NF4(StoredWeight):
    """4-bit NormalFloat with double quantisation [1]_, 4.13 bits a weight.

    Blocks of 64 weights are divided by their largest magnitude and rounded to the nearest code.
    The magnitudes, less their mean, are kept as integers of 8 bits in blocks of 256.

    Attributes
    ----------
    codes : torch.Tensor of shape (n_blocks * 32,)
        Two codes a byte, the first in the upper half, as bitsandbytes has them.

    References
    ----------
    .. [1] T. Dettmers et al., "QLoRA: Efficient finetuning of quantized LLMs", NeurIPS 2023,
       arXiv:2305.14314; section 3.
    """

    scales: Tensor
    second_scales: Tensor
    mean: Tensor
    pairs: Tensor

    @torch.no_grad()
    def __init__(self, weight: Tensor, rows_first: bool = True) -> None:
        super().__init__(weight, rows_first)
        book = nf4_codebook()
        middles = ((book[1:] + book[:-1]) / 2).to(weight.device, torch.float32)
        # Some blocks at a time: what rounding needs besides them is small.
        values = weight.detach().flatten().split(ROUNDED_AT_ONCE)
        rounded = [_rounded_blocks(part, middles) for part in values]
        codes, largest = map(torch.cat, zip(*rounded, strict=True))
        self.register_buffer("codes", codes)
        self._store_scales(largest)
        pairs = torch.cartesian_prod(book.float(), book.float()).to(weight.device)
        self.register_buffer("pairs", pairs, persistent=False)

    def _store_scales(self, largest: Tensor) -> None:
        mean = largest.cpu().double().mean().to(largest)  # the sum may be beyond single precision
        centred = nn.functional.pad(largest - mean, (0, -len(largest) % SECOND_BLOCK))
        blocks = centred.view(-1, SECOND_BLOCK)
        second = blocks.abs().amax(1) / 127.0
        divisors = second.clamp_min(torch.finfo(torch.float32).tiny)
        rounded = (blocks / divisors[:, None]).round().to(torch.int8).flatten()[: len(largest)]
        self.register_buffer("scales", rounded.clone())
        self.register_buffer("second_scales", second)
        self.register_buffer("mean", mean.reshape(1))

    def _largest(self, start: int, stop: int) -> Tensor:
        """Magnitudes of blocks; the first is a multiple of 256."""
        second = self.second_scales[start // SECOND_BLOCK :].repeat_interleave(SECOND_BLOCK)
        scales = self.scales[start:stop]
        return torch.addcmul(self.mean, scales.float(), second[: len(scales)])

    def _values(self, start: int, stop: int) -> Tensor:
        """Values from the first of some 256 blocks on, without axes."""
        # Both values of a byte as one complex number: single entries of a table are looked up
        # several times faster than rows.
        table = torch.view_as_complex(self.pairs)
        first, last = start // BLOCK, -(-stop // BLOCK)
        codes = self.codes[first * BLOCK // 2 : last * BLOCK // 2]
        values = torch.view_as_real(table.index_select(0, codes.int())).view(-1, BLOCK)
        values.mul_(self._largest(first, last)[:, None])
        return values.flatten()[: stop - start]

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """Give the weight in a floating dtype."""
        return self._values(0, self.shape.numel()).view(self.shape).to(dtype)

    def _rows(self, rows: slice) -> Tensor:
        n_columns = self.shape[1]
        start, stop = rows.start * n_columns, rows.stop * n_columns
        first = start // WHOLE * WHOLE
        return self._values(first, stop)[start - first :].view(-1, n_columns)


class Int8Rows(StoredWeight):
    """Integers of 8 bits; all weights of one output share a scale, their largest magnitude [1]_.

    References
    ----------
    .. [1] T. Dettmers et al., "LLM.int8(): 8-bit matrix multiplication for transformers at scale",
       NeurIPS 2022, arXiv:2208.07339; section 2.1, vector-wise, without its outliers.
    """

    scales: Tensor

    @torch.no_grad()
    def __init__(self, weight: Tensor, rows_first: bool = True) -> None:
        super().__init__(weight, rows_first)
        weight = weight.detach().float()
        axis = -1 if rows_first else -2
        scales = torch.linalg.vector_norm(weight, torch.inf, axis, keepdim=True) / 127.0
        divisors = scales.clamp_min(torch.finfo(torch.float32).tiny)
        codes = torch.empty_like(weight, dtype=torch.int8)
        # A table is large: some rows at a time need little besides it.
        for rows in range(0, len(weight), ROWS_AT_ONCE):
            part = slice(rows, rows + ROWS_AT_ONCE)
            of_part = divisors[part] if len(divisors) == len(weight) else divisors
            codes[part] = (weight[part] / of_part).round_()
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """Give the weight in a floating dtype."""
        return self.codes.float().mul_(self.scales).to(dtype)

    def _rows(self, rows: slice) -> Tensor:
        return self.codes[rows].float().mul_(self.scales[rows])

    def rows(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Give some rows of a table."""
        return self.codes[index].float().mul_(self.scales[index]).to(dtype)
