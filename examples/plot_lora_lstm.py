"""
Adapting an LSTM
================

An LSTM tells apart handwritten digits 0 to 4, whose images a scanner reads row by row. Then the
scanner is turned upside down. ``LoRAAdapter`` adapts the recurrent weights to 60 turned digits; the
picture shows what happens to them, and the losses.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_ext import LoRAAdapter, RNNClassifier

images, digits = load_digits(n_class=5, return_X_y=True)
images = images.reshape(-1, 8, 8).astype(np.float32)  # rows of an image are steps
X, X_new, y, y_new = train_test_split(images, digits, train_size=400, random_state=0)
turned = X_new[:, ::-1, ::-1]
X_few, X_test, y_few, y_test = train_test_split(turned, y_new, train_size=60, random_state=0)

lstm = {"cell": "lstm", "stem_channels": 0, "hidden_size": 32, "max_iter": 40, "random_state": 0}
base = RNNClassifier(**lstm).fit(X, y)
print(f"upright digits      {base.score(X_new, y_new):.3f}")
print(f"turned digits       {base.score(X_test, y_test):.3f}")
fresh = RNNClassifier(**lstm).fit(X_few, y_few)
print(f"new net on 60       {fresh.score(X_test, y_test):.3f}")

# %%
# The weights of the cells are adapted, or everything that is linear.

for targets in (["recurrence"], "all-linear"):
    adapter = LoRAAdapter.from_fitted(
        base, target_modules=targets, learning_rate_init=0.02, max_iter=60, random_state=0
    ).fit(X_few, y_few)
    share, score = adapter.trainable_fraction_, adapter.score(X_test, y_test)
    print(f"{targets!s:<19} {score:.3f}, {share:.1%} of the parameters trained")
print(f"base, still         {base.score(X_new, y_new):.3f}")

parameters = adapter.merge().net_.module_.named_parameters()
before = dict(base.net_.module_.named_parameters())
name, after = next((n, p) for n, p in parameters if "weight_hh" in n)
change = (after - before[name]).detach().numpy()

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
left.imshow(np.hstack([X_new[0], turned[0]]), cmap="gray_r")
left.set(title="A digit, upright and turned", xticks=[], yticks=[])
limit = np.abs(change).max()
middle.imshow(change, cmap="coolwarm", vmin=-limit, vmax=limit, aspect="auto")
middle.set(title="Change of the recurrent weights", xlabel="state", ylabel="gates")
right.plot(adapter.loss_curve_)
right.set(title="Adaptation", xlabel="epoch", ylabel="training loss")
figure.savefig("lora_lstm.png", dpi=110)
