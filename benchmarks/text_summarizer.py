"""Extractive summaries: ROUGE and documents a second, against LEAD, LexRank and sumy.

Measured: F1 of ROUGE-1, -2 and -L by the package rouge-score with its stemmer, the best of several
references for each, on SciTLDR-A (abstracts of papers, 1 sentence) and ACLSum (abstract,
introduction and conclusion of papers, 3 sentences, the reference being its three aspects joined).
Each text is its sentences joined by spaces, so that splitting counts. "ours" is the ranking
without training, the same for every set; "ours, fitted" has learned from the training split. LEAD
takes the first sentences; LexRank is plain, on tf-idf of words, after our splitter. sumy's LexRank
gets our sentences and is left out where sumy is not installed.

ACLSum comes with the package aclsum (`pip install --no-deps aclsum`); SciTLDR is read from
text/scitldr of the data folder: train.jsonl, dev.jsonl and, if it is there, test.jsonl.

Last run: 2026-11-25, 2 cores AMD EPYC, one thread.
ACLSum test: ours 42.9 / 16.9 / 27.2 (fitted: the same), LEAD 41.1 / 15.2 / 26.1, LexRank 36.6 /
12.5 / 22.3, sumy 36.9 / 11.7 / 21.4. SciTLDR-A dev: ours 39.7 / 18.8 / 32.1, fitted 41.0 / 20.5 /
33.9, LEAD 30.2 / 11.5 / 23.7, LexRank 33.4 / 11.2 / 24.8, sumy 32.2 / 12.1 / 24.9.
"""

import importlib.util
import json
import re
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from _measure import (
    add_data_argument,
    argument_parser,
    data_folder,
    limit_threads,
    print_heading,
    print_table,
    print_target,
)
from rouge_score.rouge_scorer import RougeScorer

from sklearn_ext.text._extractive import Limits, SentenceRanker, extract
from sklearn_ext.text._ranking import lexrank
from sklearn_ext.text._sentences import split_sentences
from sklearn_ext.text._terms import term_matrix, word_terms

KINDS = ("rouge1", "rouge2", "rougeL")
SECTIONS = ("abstract", "introduction", "conclusion")
ASPECTS = ("challenge", "approach", "outcome")
# On the test splits: without training, and fitted.
FLOORS = {
    "SciTLDR-A": ((35.6, 12.9, 26.4), (39.4, 17.1, 30.9)),
    "ACLSum": ((41.8, 16.1, 27.1),) * 2,
}
QUICK_TEXTS = 40


def read_lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def read_scitldr(folder, split):
    """Texts and lists of references of a split of SciTLDR-A."""
    rows = read_lines(folder / f"{split}.jsonl")
    texts = [" ".join(part.strip() for part in row["source"] if part.strip()) for row in rows]
    return texts, [row["target"] for row in rows]


def read_aclsum(folder, split):
    """Texts and lists of one reference of a split of ACLSum."""
    rows = read_lines(folder / f"{split}.jsonl")
    texts = [" ".join(s for part in SECTIONS for s in row["sentences"][part]) for row in rows]
    return texts, [[" ".join(row["summary"][aspect] for aspect in ASPECTS)] for row in rows]


def aclsum_folder():
    """Where the package aclsum keeps its data, or None."""
    try:
        return Path(distribution("aclsum").locate_file("aclsum/dataset"))
    except PackageNotFoundError:
        return None


def lead(text, n_sentences):
    return " ".join(split_sentences(text)[:n_sentences])


def plain_lexrank(text, n_sentences):
    sentences = split_sentences(text)
    scores = lexrank(term_matrix(map(word_terms, sentences)))
    chosen = np.sort(np.argsort(-scores, kind="stable")[:n_sentences])
    return " ".join(sentences[i] for i in chosen)


class SplitAsOurs:
    """Sentences and words for sumy, whose own tokenizer downloads data at run time."""

    def to_sentences(self, text):
        return split_sentences(text)

    def to_words(self, sentence):
        return re.findall(r"[^\W\d_]+", sentence.lower())


def sumy_lexrank(text, n_sentences):
    from sumy.parsers.plaintext import PlaintextParser
    from sumy.summarizers.lex_rank import LexRankSummarizer

    document = PlaintextParser.from_string(text, SplitAsOurs()).document
    return " ".join(map(str, LexRankSummarizer()(document, n_sentences)))


def sumy_runs():
    """Tell whether sumy is there, and say so if not."""
    if importlib.util.find_spec("sumy") is None:
        print("sumy is not installed: left out.\n")
        return False
    return True


def mean_rouge(references, summaries):
    """Mean F1 in per cent of each kind."""
    scorer = RougeScorer(KINDS, use_stemmer=True)
    scores = [
        [scorer.score_multi(group, summary)[kind].fmeasure for kind in KINDS]
        for group, summary in zip(references, summaries, strict=True)
    ]
    return 100 * np.mean(scores, axis=0)


def measure(name, split, summarize, texts, references, n_sentences, found):
    """Row of one method on one split; its scores are added to `found`."""
    start = time.perf_counter()
    summaries = [summarize(text, n_sentences) for text in texts]
    seconds = time.perf_counter() - start
    scores = found[name] = mean_rouge(references, summaries)
    shown = " / ".join(f"{score:.1f}" for score in scores)
    return [split, name, shown, f"{len(texts) / seconds:.0f}"]


def fitted_extract(train):
    ranker = SentenceRanker().fit(*train, random_state=0)
    return lambda text, n_sentences: extract(text, Limits(n_sentences), ranker=ranker)


def compare(title, train, tests, n_sentences, with_sumy, quick):
    """Print the table of one set; tests maps the name of a split to its texts and references."""
    if quick:
        train = tuple(part[:QUICK_TEXTS] for part in train)
    methods = {
        "LEAD": lead,
        "LexRank": plain_lexrank,
        "ours": lambda text, n_sentences: extract(text, Limits(n_sentences)),
        "ours, fitted": fitted_extract(train),
    }
    if with_sumy:
        methods["sumy LexRank"] = sumy_lexrank
    print(f"{title}, {n_sentences} sentence(s), {len(train[0])} texts to learn from:\n")
    found = {split: {} for split in tests}
    rows = (
        measure(name, split, method, *data, n_sentences, found[split])
        for split, data in tests.items()
        for name, method in methods.items()
    )
    print_table(["split", "method", "ROUGE-1 / 2 / L", "documents/s"], rows)
    for split, scores in found.items():
        judge(title, split, scores, quick)


def judge(title, split, scores, quick):
    """Say whether ours is above LEAD, and on a test split above the floors."""
    above = all((scores[name] > scores["LEAD"]).all() for name in ("ours", "ours, fitted"))
    print_target(f"{title} {split}: above LEAD in every ROUGE", above, quick)
    if split == "test":
        for name, floor in zip(("ours", "ours, fitted"), FLOORS[title], strict=True):
            reached = (scores[name].round(1) >= floor).all()
            print_target(f"{title} {split}: {name} at least {floor}", reached, quick)
    print()


def splits(read, folder, quick):
    """Held-out splits that exist, by name."""
    found = {}
    for split in ("dev", "val", "test"):
        if (folder / f"{split}.jsonl").is_file():
            texts, references = read(folder, split)
            end = QUICK_TEXTS if quick else None
            found[split] = (texts[:end], references[:end])
    return found


def main():
    parser = argument_parser(__doc__, repeats=1)
    add_data_argument(parser)
    args = parser.parse_args()
    print_heading("Extractive summaries", args, ["rouge-score", "aclsum", "sumy"])
    with limit_threads(args.threads):
        with_sumy = sumy_runs()
        folder = aclsum_folder()
        if folder is None:
            print("aclsum is not installed (pip install --no-deps aclsum): ACLSum left out.\n")
        else:
            tests = splits(read_aclsum, folder, args.quick)
            compare("ACLSum", read_aclsum(folder, "train"), tests, 3, with_sumy, args.quick)
        folder = data_folder(args, "text") / "scitldr"
        if not folder.is_dir():
            sys.exit(f"SciTLDR left out: {folder} is not a folder.")
        tests = splits(read_scitldr, folder, args.quick)
        compare("SciTLDR-A", read_scitldr(folder, "train"), tests, 1, with_sumy, args.quick)


if __name__ == "__main__":
    main()
