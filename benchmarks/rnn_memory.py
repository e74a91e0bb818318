"""Long dependency: the last state alone, with our first weights and with torch's.

Measured: accuracy of first-token recall (8 classes, chance 0.125) and squared error of the adding
problem (0.167 without memory) on 1,000 new sequences, CPU seconds, and the memory length before
training (`inspection.gradient_flow`), of each cell with ``pooling="last"``, one direction and no
convolutions, so that nothing but the recurrence can carry what is asked. All else is default, the
number of gradient steps too. "torch" is the same net with torch's first weights
(``recurrent_init="uniform", gate_bias=0``). These learn from 4,000 sequences. The task "pooled" is
recall at 400 steps by nets with all defaults, from 1,000 sequences.

``--cells``, ``--tasks`` and ``--weights`` name a part of the table.
"""

import time
from itertools import product
from math import ceil

import numpy as np
import torch
from _measure import argument_parser, limit_threads, print_heading, print_table, print_target

from sklearn_ext import RNNClassifier, RNNRegressor
from sklearn_ext.datasets import make_adding_problem, make_first_token_recall
from sklearn_ext.inspection import gradient_flow

N_TEST = 1000
LAST_ONLY = {"pooling": "last", "bidirectional": False, "stem_channels": 0}
# Data, numbers of sequences and of steps, parameters, and the CPU seconds that a cell with gates
# may take.
TASKS = {
    "recall-100": ("recall", 4000, 100, LAST_ONLY, 300),
    "recall-400": ("recall", 4000, 400, LAST_ONLY, 300),
    "adding-200": ("adding", 4000, 200, LAST_ONLY, 300),
    "pooled": ("recall", 1000, 400, {}, 60),
}
WEIGHTS = {"ours": {}, "torch": {"recurrent_init": "uniform", "gate_bias": 0.0}}
CELLS = ("mingru", "lstm", "gru", "rnn")


def sequences(task, n_train, n_timesteps):
    make = make_first_token_recall if task == "recall" else make_adding_problem
    X, y = make(n_train, n_timesteps, random_state=0)
    X_test, y_test = make(N_TEST, n_timesteps, random_state=1)
    return X.astype(np.float32), y, X_test.astype(np.float32), y_test


def measure(kind, data, quick, **parameters):
    """Memory length before training, score, CPU seconds and gradient steps."""
    X, y, X_test, y_test = data
    estimator = RNNClassifier if kind == "recall" else RNNRegressor
    model = estimator(max_iter=1 if quick else "auto", random_state=0, **parameters)
    memory = gradient_flow(model, X[:64], y[:64], initial=True).memory_length
    start = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - start
    predicted = model.predict(X_test)
    score = np.mean(predicted == y_test if kind == "recall" else (predicted - y_test) ** 2)
    return memory, float(score), seconds, model.n_iter_ * ceil(len(X) / model._batch_size(len(X)))


def solved(kind, score):
    return score >= 0.98 if kind == "recall" else score < 0.02


def is_asked(cell, weights, parameters):
    """Whether a row has to be solved: with the last state only, a net without gates need not."""
    return weights == "ours" and (cell != "rnn" or parameters is not LAST_ONLY)


def rows(args, verdicts):
    for name in args.tasks:
        kind, *sizes, parameters, budget = TASKS[name]
        data = sequences(kind, *sizes)
        for cell, weights in product(args.cells, args.weights):
            if name == "pooled" and weights != "ours":
                continue
            settings = {"cell": cell, **parameters, **WEIGHTS[weights]}
            memory, score, seconds, steps = measure(kind, data, args.quick, **settings)
            target = ""
            if is_asked(cell, weights, parameters):
                verdicts.append(solved(kind, score) and seconds < budget)
                bound = ">= 0.98" if kind == "recall" else "< 0.02"
                target = f"{bound} in {budget} s: {'yes' if verdicts[-1] else 'NO'}"
            numbers = f"{memory:.1f}", f"{score:.4f}", f"{seconds:.0f}", steps
            yield name, cell, weights, *numbers, target


def main():
    parser = argument_parser(__doc__)
    for name, values in {"cells": CELLS, "tasks": TASKS, "weights": WEIGHTS}.items():
        values = list(values)
        parser.add_argument(f"--{name}", nargs="*", default=values, choices=values)
    args = parser.parse_args()
    verdicts = []
    header = ("task", "cell", "weights", "memory before", "score", "CPU s", "steps", "target")
    with limit_threads(args.threads):
        torch.set_num_threads(args.threads)
        print_heading("Long dependency", args, ("torch",))
        print_table(header, rows(args, verdicts))
    print_target("every row that has one", all(verdicts), args.quick)


if __name__ == "__main__":
    main()
