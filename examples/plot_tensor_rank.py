"""
Two ranks of a tensor, and ragged sequences as one
==================================================

"Rank" has two meanings. A table of sequences has three axes (samples, timesteps, channels), so it
is a tensor of rank 3. How many components each axis needs is its multilinear rank. Both are shown
here, with sequences of unequal length put into one tensor, and images reduced axis by axis.
"""

# %%
# Ragged sequences
# ----------------
# Twelve sequences of 5 to 18 steps. Padded with NaN they are one 3-tensor that still says where
# each of them ends.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from sklearn_ext.preprocessing import (
    MultilinearPCA,
    SequencePadder,
    describe_tensor,
    multilinear_rank,
    tensor_rank,
)

rng = np.random.default_rng(0)
sequences = [rng.standard_normal((n, 2)).cumsum(axis=0) for n in rng.integers(5, 20, 12)]
print(describe_tensor(sequences))
padder = SequencePadder().fit(sequences)
padded = padder.transform(sequences)
print(f"padded: {padded.shape}, rank {tensor_rank(padded)}")
print(f"lengths {padder.get_lengths(padded).tolist()}")

# %%
# Multilinear rank
# ----------------
# The digits are 1,797 images of 8 x 8 pixels. Exactly, their rows and columns need all eight
# directions; but few of them hold 90 % of what varies, and a core of 5 x 5 numbers an image holds
# most of it.

images = load_digits().images
centred = images - images.mean(axis=0)
print(f"rank {tensor_rank(images)}, multilinear rank {multilinear_rank(centred)}")
print(f"for 90 % of the variation along each axis: {multilinear_rank(centred, energy=0.9)}")

sizes = range(1, 9)
by_axis = [MultilinearPCA(size).fit(images) for size in sizes]
flat = [PCA(size**2).fit(images.reshape(len(images), -1)) for size in sizes]
stored = [sum(basis.size for basis in model.components_) for model in by_axis]
print(f"5 x 5 cores hold {by_axis[4].explained_variance_ratio_:.1%} of the variation,")
print(f"learned with {stored[4]} numbers; PCA stores {flat[4].components_.size}")

# %%
# The picture
# -----------

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
shown = left.imshow(padded[..., 0], aspect="auto", cmap="viridis")
figure.colorbar(shown, ax=left, label="first channel")
left.set(xlabel="timestep", ylabel="sequence", title="Ragged sequences, padded with NaN")
left.set_xticks(range(0, padded.shape[1], 3))

for axis, (name, marker) in enumerate([("rows", "o-"), ("columns", "s-")]):
    share = np.cumsum(by_axis[-1].axis_variance_ratios_[axis])
    middle.plot(sizes, share, marker, label=f"{name} of the images")
middle.axhline(0.9, color="0.7", linewidth=1)
middle.set(xlabel="components of the axis", ylabel="share of the variation", ylim=(0, 1.03))
middle.set_title("How many components each axis needs")
middle.legend(loc="lower right")

right.semilogx(stored, [model.explained_variance_ratio_ for model in by_axis], "o-")
right.semilogx(
    [model.components_.size for model in flat],
    [model.explained_variance_ratio_.sum() for model in flat],
    "s-",
)
right.legend(["MultilinearPCA, k x k cores", "PCA, k² components"], loc="lower right")
right.set(xlabel="numbers stored by the reduction", ylabel="share of the variation", ylim=(0, 1.03))
right.set_title("k = 1 to 8")
figure.savefig("tensor_rank.png", dpi=120)
print("picture: tensor_rank.png")
