"""
=========================================
Summaries that feed a classifier of texts
=========================================

Reviews speak of many things, a label often of one. A summarizer in front of a classifier keeps
the sentences that matter; how many, and about what, is chosen by a grid search like any other
parameter. Everything runs offline: no model is downloaded, no server is asked.
"""

import random

import matplotlib.pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_ext import TextSummarizer

# %%
# Reviews of four things, labels of one
# -------------------------------------
# Each review judges the delivery, the price, the battery and the screen of a telephone, each
# independently of the others and in the same words. Asked is whether the customer was content
# with the delivery. A bag of words over the whole review sees praise and blame, but not of what.

rng = random.Random(0)
ASPECTS = {
    "delivery": ["The delivery was {}.", "The parcel came by a {} delivery.", "{} delivery."],
    "price": ["The price is {}.", "A {} price for what it is.", "{} price."],
    "battery": ["Its battery is {}.", "The battery makes a {} impression.", "{} battery."],
    "screen": ["The screen looks {}.", "It has a {} screen.", "{} screen."],
}
WORDS = {
    True: ["great", "very good", "wonderful", "excellent", "pleasing"],
    False: ["poor", "very bad", "terrible", "awful", "disappointing"],
}


def review():
    """Write one review; return it with whether its author liked the delivery."""
    liked = {aspect: rng.random() < 0.5 for aspect in ASPECTS}
    sentences = [
        rng.choice(forms).format(rng.choice(WORDS[liked[aspect]])).capitalize()
        for aspect, forms in ASPECTS.items()
    ]
    rng.shuffle(sentences)
    return " ".join(sentences), "content" if liked["delivery"] else "not content"


reviews, labels = zip(*(review() for _ in range(80)), strict=True)

# %%
# One review, and what is kept of it
# ----------------------------------

print(reviews[0])
print("->", TextSummarizer(max_sentences=1, focus="delivery").fit_transform(reviews[:1])[0])

# %%
# The number of sentences and the focus are parameters
# ----------------------------------------------------
# The labels that go through the pipeline are no reference summaries, so the summarizer leaves
# them alone. Another backend, such as ``"openai"``, would be one more value in the grid.

pipeline = make_pipeline(TextSummarizer(), TfidfVectorizer(), LogisticRegression())
grid = {
    "textsummarizer__focus": [None, "price", "delivery"],
    "textsummarizer__max_sentences": [1, 2, 3],
}
search = GridSearchCV(pipeline, grid, cv=4).fit(reviews, labels)
whole = cross_val_score(pipeline[1:], reviews, labels, cv=4).mean()
print(f"whole reviews: {whole:.3f}, best summaries: {search.best_score_:.3f}")
print(search.best_params_)

# %%
# Scores over the grid
# --------------------

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
scores = search.cv_results_["mean_test_score"].reshape(3, 3)
for focus, row, marker in zip(grid["textsummarizer__focus"], scores, "osD", strict=True):
    ax.plot([1, 2, 3], row, marker=marker, label=f"focus={focus!r}")
ax.axhline(whole, color="grey", linestyle="--", label="whole reviews")
ax.set(xlabel="sentences of a summary", ylabel="accuracy (4-fold)", title="Summaries as features")
ax.set_xticks([1, 2, 3])
ax.legend()
fig.savefig("summarize_and_classify.png", dpi=120)
