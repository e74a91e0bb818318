"""Long dependency: the last state alone, with our first weights and with torch's.

Measured: accuracy of first-token recall (8 classes, chance 0.125) and squared error of the adding
problem (0.167 without memory) on 1,000 new sequences, CPU seconds, and the memory length before
training (`inspection.gradient_flow`), of each cell with ``pooling="last"``, one direction and no
convolutions, so that nothing but the recurrence can carry what is asked. All cells get the same
number of steps. "torch" is the same net with torch's first weights (``recurrent_init="uniform",
gate_bias=0``). Last, the default net on recall at 400 steps.
"""

import time

import numpy as np
from _measure import argument_parser, limit_threads, print_heading, print_table, print_target

from sklearn_ext import RNNClassifier, RNNRegressor
from sklearn_ext.datasets import make_adding_problem, make_first_token_recall
from sklearn_ext.inspection import gradient_flow

BATCH = 64
N_TRAIN, N_TEST = 4000, 1000
# Task, steps of a sequence, gradient steps.
TASKS = [("recall", 100, 600), ("recall", 400, 900), ("adding", 200, 1500)]
LAST_ONLY = {"pooling": "last", "bidirectional": False, "stem_channels": 0}
TORCH = {"recurrent_init": "uniform", "gate_bias": 0.0}
CELLS = ("mingru", "lstm", "gru", "rnn")
BUDGET = 300  # CPU seconds


def sequences(task, n_timesteps):
    make = make_first_token_recall if task == "recall" else make_adding_problem
    X, y = make(N_TRAIN, n_timesteps, random_state=0)
    X_test, y_test = make(N_TEST, n_timesteps, random_state=1)
    return X.astype(np.float32), y, X_test.astype(np.float32), y_test


def measure(task, data, n_steps, **parameters):
    """Memory length before training, score and CPU seconds."""
    X, y, X_test, y_test = data
    kind = RNNClassifier if task == "recall" else RNNRegressor
    epochs = -(-n_steps * BATCH // N_TRAIN)
    model = kind(batch_size=BATCH, max_iter=epochs, random_state=0, **parameters)
    memory = gradient_flow(model, X[:64], y[:64], initial=True).memory_length
    start = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - start
    predicted = model.predict(X_test)
    score = np.mean(predicted == y_test if task == "recall" else (predicted - y_test) ** 2)
    return memory, float(score), seconds


def solved(task, score):
    return score >= 0.98 if task == "recall" else score < 0.02


def rows(args, verdicts):
    for task, n_timesteps, n_steps in TASKS:
        data = sequences(task, n_timesteps)
        steps = 20 if args.quick else n_steps
        for cell in CELLS:
            for start, extra in (("ours", {}), ("torch", TORCH)):
                found = measure(task, data, steps, cell=cell, **LAST_ONLY, **extra)
                memory, score, seconds = found
                if start == "ours" and cell != "rnn":
                    verdicts.append(solved(task, score) and seconds < BUDGET)
                yield (
                    task,
                    n_timesteps,
                    cell,
                    start,
                    f"{memory:.1f}",
                    f"{score:.4f}",
                    f"{seconds:.0f}",
                )
    data = sequences("recall", 400)
    memory, score, seconds = measure("recall", data, 20 if args.quick else 200)
    yield "recall", 400, "default net", "ours", f"{memory:.1f}", f"{score:.4f}", f"{seconds:.0f}"


def main():
    args = argument_parser(__doc__).parse_args()
    verdicts = []
    with limit_threads(args.threads):
        print_heading("Long dependency by the last state", args, ("torch",))
        header = ("task", "T", "cell", "weights", "memory before", "score", "CPU s")
        print_table(header, rows(args, verdicts))
    text = "recall >= 0.98 at T = 100 and 400, adding < 0.02 at T = 200 by LSTM, GRU and minGRU"
    print_target(f"{text} within {BUDGET} s each", all(verdicts), args.quick)


if __name__ == "__main__":
    main()
