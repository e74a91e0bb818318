"""From the columns of a table to the inputs of a feed-forward net.

:class:`TableEncoding` is fixed, so that its result can be kept for a whole run;
:class:`PeriodicFeatures` and :class:`PackedEmbedding` are learned by each member of an ensemble.
"""

from math import pi, sqrt

import numpy as np
import torch
from torch import nn

from sklearn_ext._torch.initialization import normal

__all__ = ["PackedEmbedding", "PeriodicFeatures", "TableEncoding"]

Tensor = torch.Tensor

# Bins start out weaker than the column itself: they are many, and a step moves all of them.
BIN_SCALE = 0.3
# Scaled values beyond this are 3 after clipping, to rounding; squares of much larger ones overflow.
FARTHEST = 1e6
# Standard deviation of the frequencies, in waves an interquartile range.
FREQUENCY_SCALE = 0.3


class TableEncoding(nn.Module):
    """Fixed encoding of raw columns.

    The encoded columns are, in this order: numeric ones, scaled robustly and clipped smoothly;
    flags of missing values; one column a category of a column with few of them; piecewise linear
    bins; the numeric ones once more, not clipped, if they are asked for; and the row numbers in a
    table of embeddings for columns with many categories.

    Parameters
    ----------
    columns : dict of ndarray
        What :func:`sklearn_ext.neural_network._tables.fit_encoding` found.
    with_straight : bool, default=False
        Whether numeric columns come also as they are, up to shift and scale.
    """

    def __init__(self, columns: dict[str, np.ndarray], with_straight: bool = False) -> None:
        super().__init__()
        self.with_straight = with_straight
        for name, values in columns.items():
            self.register_buffer(name, torch.from_numpy(np.array(values)))

    def _count(self, name: str) -> int:
        return len(self.get_buffer(name))

    @property
    def n_numeric(self) -> int:
        """Number of numeric columns."""
        return self._count("numeric")

    @property
    def n_plain(self) -> int:
        """Number of columns that every member sees."""
        return sum(self._count(name) for name in ("numeric", "missing", "hot_column"))

    @property
    def n_bins(self) -> int:
        """Number of bins of all columns."""
        return self._count("bin_column")

    @property
    def n_straight(self) -> int:
        """Number of numeric columns that are not clipped."""
        return self.n_numeric if self.with_straight else 0

    @property
    def n_outputs(self) -> int:
        """Number of encoded columns."""
        return self.n_plain + self.n_bins + self.n_straight + self.n_embedded

    @property
    def n_embedded(self) -> int:
        """Number of columns with many categories."""
        return self._count("embedded")

    @property
    def n_embeddings(self) -> int:
        """Rows of the table of embeddings."""
        return int(self.get_buffer("embedded_size").sum())

    def forward(self, X: Tensor) -> Tensor:
        """Encode raw rows, (n, n_features) to (n, n_outputs)."""
        numeric = X[:, self.get_buffer("numeric")]
        center, scale = (self.get_buffer(name).to(X.dtype) for name in ("center", "scale"))
        scaled = torch.nan_to_num((numeric - center) * scale, nan=0.0).clamp(-FARTHEST, FARTHEST)
        clipped = scaled / (1.0 + (scaled / 3.0).square()).sqrt()  # smooth clip to (-3, 3)
        absent = X[:, self.get_buffer("missing")].isnan().to(X.dtype)
        parts = [clipped, absent, self._one_hot(X), self._bins(X)]
        if self.with_straight:
            parts.append(self._straight(scaled))
        return torch.cat([*parts, self._embedded_rows(X)], dim=1)

    def _straight(self, scaled: Tensor) -> Tensor:
        """Columns of one root mean square, which end far beyond all rows of `fit`."""
        reach, size = (self.get_buffer(name).to(scaled.dtype) for name in ("reach", "size"))
        return torch.maximum(torch.minimum(scaled, reach), -reach) / size

    def _bins(self, X: Tensor) -> Tensor:
        """Share of each bin that lies below the value; a missing value is below none."""
        left, width = self.get_buffer("bin_left"), self.get_buffer("bin_width")
        values = X[:, self.get_buffer("bin_column")]
        shares = ((values - left.to(X.dtype)) / width.to(X.dtype)).clamp(0.0, 1.0)
        return torch.nan_to_num(shares, nan=0.0).mul_(BIN_SCALE)

    def _one_hot(self, X: Tensor) -> Tensor:
        """One column a category; an unknown or missing one sets none."""
        values = X[:, self.get_buffer("hot_column")]
        return (values == self.get_buffer("hot_value").to(X.dtype)).to(X.dtype)

    def _embedded_rows(self, X: Tensor) -> Tensor:
        """Rows in the table of embeddings; the first of each column is for unknown categories."""
        sizes = self.get_buffer("embedded_size")
        codes = torch.nan_to_num(X[:, self.get_buffer("embedded")] + 1.0, nan=0.0)
        known = torch.where(codes < sizes, codes, 0.0)
        return (known + (sizes.cumsum(0) - sizes)).to(X.dtype)


class PeriodicFeatures(nn.Module):
    r"""Waves of each numeric column, and a linear layer a column [1]_.

    .. math:: \mathrm{Linear}_j(\cos(2 \pi (f_j x_j + \phi_j)))

    Parameters
    ----------
    members : int
        Size of the ensemble.
    n_columns : int
        Number of numeric columns.
    n_frequencies : int
        Waves a column.
    size : int
        Outputs a column.
    generator : torch.Generator
        Draws frequencies, phases and weights.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in
       tabular deep learning", NeurIPS 2022, arXiv:2203.05556; eq. 2. The form with cosines and
       phases is that of arXiv:2407.04491, section 3.
    """

    def __init__(
        self,
        members: int,
        n_columns: int,
        n_frequencies: int,
        size: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        waves = (members, n_columns, 1, n_frequencies)
        scale = 1.0 / sqrt(n_frequencies)
        phases = torch.rand(waves, generator=generator, dtype=torch.float64)
        self.frequency = nn.Parameter(normal(waves, FREQUENCY_SCALE, generator))
        self.phase = nn.Parameter(phases)
        self.weight = nn.Parameter(
            normal((members, n_columns, n_frequencies, size), scale, generator)
        )
        self.bias = nn.Parameter(normal((members, n_columns, 1, size), scale, generator))

    @property
    def n_outputs(self) -> int:
        """Outputs of all columns."""
        return self.weight.shape[1] * self.weight.shape[3]

    def forward(self, columns: Tensor) -> Tensor:
        """Waves of (k, n, n_columns) as (k, n, n_columns * size)."""
        values = columns.transpose(1, 2).unsqueeze(-1)  # (k, n_columns, n, 1)
        # The factor 2 pi at the parameters, which are far fewer than the waves.
        turns, start = (2.0 * pi) * self.frequency, (2.0 * pi) * self.phase
        waves = torch.cos(torch.addcmul(start, values, turns))
        mixed = torch.matmul(waves, self.weight) + self.bias  # (k, n_columns, n, size)
        return mixed.transpose(1, 2).flatten(2)


class PackedEmbedding(nn.Module):
    """Learned vectors for columns of many categories, a table for each member.

    Parameters
    ----------
    members : int
        Size of the ensemble.
    n_rows : int
        Rows of a member's table, those of all columns one after another.
    size : int
        Length of a vector.
    generator : torch.Generator
        Draws the vectors.
    """

    def __init__(self, members: int, n_rows: int, size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.table = nn.Parameter(normal((members, n_rows, size), 0.1, generator))

    def forward(self, rows: Tensor) -> Tensor:
        """Look up (k, n, n_columns) as (k, n, n_columns * size)."""
        members, n_rows, size = self.table.shape
        start = torch.arange(members, device=rows.device) * n_rows
        index = rows.long() + start[:, None, None]
        return self.table.reshape(-1, size)[index].flatten(2)
