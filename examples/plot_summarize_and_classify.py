"""
==========================================
Summaries that feed a classifier of texts
==========================================

Long reports say much that has nothing to do with their subject. A summarizer in front of a
classifier keeps the sentences that carry it; how many, and about what, is chosen by a grid search
like any other parameter. Everything runs offline: no model is downloaded, no server is asked.
"""

import random

import matplotlib.pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_ext import TextSummarizer

# %%
# Reports with one subject and much padding
# -----------------------------------------
# Each report has three sentences about its incident, at the harbour or at the airport, in words
# that belong together, two that look back at an incident at the other place, and eight remarks
# that could stand in any report. A bag of words over the whole report is misled by them.

rng = random.Random(0)
INCIDENTS = {
    "harbour": [
        "A cargo ship touched the pier of the harbour.",
        "The ship and its cargo stayed at the pier for a day.",
        "A pilot guided the damaged cargo ship from the pier.",
        "Divers looked at the pier below the ship.",
        "The cargo of the ship was moved to another pier.",
    ],
    "airport": [
        "A passenger plane left the runway of the airport.",
        "The plane stood beside the runway with its passengers.",
        "The pilot of the plane had asked for another runway.",
        "Crews cleared the runway and moved the passenger plane.",
        "Passengers of the plane walked from the runway.",
    ],
}
REMARKS = [
    "Lunch was served late.",
    "Somebody compared it with the ship seen last year.",
    "A neighbour remembered a plane from childhood.",
    "Parking remains difficult on Mondays.",
    "The office will be painted green.",
    "Old pilots tell many stories.",
    "Visitors asked about cargo rates and runway lights.",
    "Nobody could find the blue folder.",
    "Two passengers of a pier restaurant complained about noise.",
    "The coffee machine is broken again.",
    "A harbour festival and an airport open day are planned.",
    "Forms should be filled in with black ink.",
]


def report(place):
    """Write one report about an incident at a place."""
    (other,) = set(INCIDENTS) - {place}
    sentences = rng.sample(INCIDENTS[place], 3) + rng.sample(INCIDENTS[other], 2)
    sentences += rng.sample(REMARKS, 8)
    rng.shuffle(sentences)
    return " ".join(sentences)


places = [rng.choice(sorted(INCIDENTS)) for _ in range(60)]
reports = [report(place) for place in places]

# %%
# One summary
# -----------

print(reports[0], end="\n\n")
print(TextSummarizer(max_sentences=2).fit_transform(reports[:1])[0])

# %%
# The number of sentences and the focus are parameters
# ----------------------------------------------------
# The labels that go through the pipeline are no reference summaries, so the summarizer leaves
# them alone. Another backend, such as ``"openai"``, would be one more value in the grid.

pipeline = make_pipeline(TextSummarizer(), TfidfVectorizer(), LogisticRegression())
grid = {
    "textsummarizer__max_sentences": [1, 2, 4, None],
    "textsummarizer__focus": [None, "ship at the pier, plane on the runway"],
}
search = GridSearchCV(pipeline, grid, cv=5).fit(reports, places)
whole = cross_val_score(pipeline[1:], reports, places, cv=5).mean()
print(f"whole reports: {whole:.3f}, best summaries: {search.best_score_:.3f}")
print(search.best_params_)

# %%
# Scores over the grid
# --------------------

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
scores = search.cv_results_["mean_test_score"].reshape(2, 4)
for label, row, marker in zip(("no focus", "with focus"), scores, "os", strict=True):
    ax.plot(["1", "2", "4", "no limit"], row, marker=marker, label=label)
ax.axhline(whole, color="grey", linestyle="--", label="whole reports")
ax.set(xlabel="sentences of a summary", ylabel="accuracy (5-fold)", title="Summaries as features")
ax.legend()
fig.savefig("summarize_and_classify.png", dpi=120)
