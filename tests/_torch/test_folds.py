"""Folds of members: disjoint, and every class has its share in each."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn_ext._torch.folds import member_folds  # noqa: E402


@pytest.mark.parametrize("n_rows", [65, 110, 487, 999])
@pytest.mark.parametrize("fraction", [0.125, 0.25, 0.4, 0.6])
def test_every_fold_has_its_share_of_every_class(n_rows, fraction):
    labels = np.repeat([0, 1, 2], [n_rows - 2 * (n_rows // 10), n_rows // 10, n_rows // 10])
    seen, held = member_folds(n_rows, labels, fraction, range(6), torch.Generator().manual_seed(0))
    shares = np.bincount(labels) * held.shape[1] / n_rows
    for rows in held.numpy():
        assert np.all(np.abs(np.bincount(labels[rows], minlength=3) - shares) <= 1.0)
    for ours, theirs in zip(seen.numpy(), held.numpy(), strict=True):
        assert set(ours) | set(theirs) == set(range(n_rows))
        assert not set(ours) & set(theirs)


def test_turns_hold_out_different_rows():
    held = member_folds(110, None, 0.25, range(3), torch.Generator().manual_seed(0))[1]
    assert len(held.unique()) == held.numel()
