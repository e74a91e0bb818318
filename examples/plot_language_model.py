"""
Fine-tuning a language model, in full and by LoRA
=================================================

A small GPT learns reports of the weather. Then it is trained further on reports from a kitchen,
once all of its parameters and once only matrices of low rank. How likely do the three models find
new reports of either kind? The picture shows it, and what full fine-tuning has forgotten.
"""

# %%
# Reports of two kinds
# --------------------
# Every report follows the same grammar; the words are others.

import copy
import random

import matplotlib.pyplot as plt
import numpy as np

from sklearn_ext import CausalLanguageModel, LoRAAdapter

WORDS = {
    "weather": (["rain", "fog", "wind", "frost"], ["coast", "hills", "town"], ["fades", "grows"]),
    "kitchen": (["soup", "dough", "sauce", "stock"], ["oven", "stove", "pan"], ["boils", "cools"]),
}


def reports(kind, n, seed):
    """Draw reports of one kind."""
    rng = random.Random(seed)
    things, places, verbs = WORDS[kind]
    return [
        f"the {rng.choice(things)} {rng.choice(verbs)} at the {rng.choice(places)}"
        for _ in range(n)
    ]


weather, kitchen = reports("weather", 200, 0), reports("kitchen", 40, 1)
new = {"weather": reports("weather", 50, 2), "kitchen": reports("kitchen", 50, 3)}

# %%
# Trained from scratch
# --------------------
# The objective is the log-likelihood: the sum over tokens of log P(y_t | y_1 ... y_{t-1}).

base = CausalLanguageModel(hidden_size=32, num_layers=2, max_iter=30, random_state=0).fit(weather)
print(f"{base.n_parameters_:,} parameters, {base.n_iter_} epochs")
print(f"it goes on: the {base.generate(['the '], temperature=0)[0]}")

# %%
# Fine-tuned, in full and by low-rank changes
# -------------------------------------------
# Both go over the 40 reports 20 times. LoRA leaves the base as it is.

full = copy.deepcopy(base).set_params(warm_start=True, max_iter=20).fit(kitchen)
low_rank = LoRAAdapter.from_fitted(
    base, r=4, learning_rate_init=0.02, max_iter=20, random_state=0
).fit(kitchen)
print(f"LoRA trains {low_rank.trainable_fraction_:.0%} of the parameters")

models = {"base": base, "full fine-tuning": full, "LoRA, rank 4": low_rank}
likelihood = {
    (name, kind): np.mean(model.score_samples(texts))
    for name, model in models.items()
    for kind, texts in new.items()
}
for (name, kind), value in likelihood.items():
    print(f"{name:<18} new reports, {kind}: log-likelihood {value:7.1f} a text")

# %%
# The picture
# -----------

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.plot(base.loss_curve_, label="base, on weather")
left.plot(full.loss_curve_, label="full fine-tuning, on kitchen")
left.plot(low_rank.loss_curve_, label="LoRA, on kitchen")
left.set(xlabel="epoch", ylabel="training loss", title="- log P a token")
left.legend()

positions = np.arange(len(models))
for offset, kind in ((-0.2, "weather"), (0.2, "kitchen")):
    values = [-likelihood[name, kind] for name in models]
    right.bar(positions + offset, values, width=0.38, label=f"new reports, {kind}")
right.set_xticks(positions, models)
right.set(ylabel="- log P a text (lower is better)", title="Learned and forgotten")
right.legend()
figure.savefig("language_model.png", dpi=120)
print("picture: language_model.png")
