"""Long dependency: the last state alone, with our first weights and with torch's.

Measured: accuracy of first-token recall (8 classes, chance 0.125) and squared error of the adding
problem (0.167 without memory) on 1,000 new sequences, CPU seconds, and the memory length before
training (`inspection.gradient_flow`), of each cell with ``pooling="last"``, one direction and no
convolutions, so that nothing but the recurrence can carry what is asked. All else is default, the
number of gradient steps too. "torch" is the same net with torch's first weights
(``recurrent_init="uniform", gate_bias=0``). Last, nets with default pooling on recall at 400 steps.

``--cells`` names some of the cells, ``--tasks`` some of the tasks.
"""

import time

import numpy as np
from _measure import argument_parser, limit_threads, print_heading, print_table, print_target

from sklearn_ext import RNNClassifier, RNNRegressor
from sklearn_ext.datasets import make_adding_problem, make_first_token_recall
from sklearn_ext.inspection import gradient_flow

N_TRAIN, N_TEST = 4000, 1000
TASKS = {
    "recall-100": ("recall", 100),
    "recall-400": ("recall", 400),
    "adding-200": ("adding", 200),
}
LAST_ONLY = {"pooling": "last", "bidirectional": False, "stem_channels": 0}
TORCH = {"recurrent_init": "uniform", "gate_bias": 0.0}
CELLS = ("mingru", "lstm", "gru", "rnn")
BUDGET, DEFAULT_BUDGET = 300, 60  # CPU seconds


def sequences(task, n_timesteps):
    make = make_first_token_recall if task == "recall" else make_adding_problem
    X, y = make(N_TRAIN, n_timesteps, random_state=0)
    X_test, y_test = make(N_TEST, n_timesteps, random_state=1)
    return X.astype(np.float32), y, X_test.astype(np.float32), y_test


def measure(task, data, quick, **parameters):
    """Memory length before training, score and CPU seconds."""
    X, y, X_test, y_test = data
    kind = RNNClassifier if task == "recall" else RNNRegressor
    model = kind(max_iter=1 if quick else "auto", random_state=0, **parameters)
    memory = gradient_flow(model, X[:64], y[:64], initial=True).memory_length
    start = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - start
    predicted = model.predict(X_test)
    score = np.mean(predicted == y_test if task == "recall" else (predicted - y_test) ** 2)
    return memory, float(score), seconds


def solved(task, score):
    return score >= 0.98 if task == "recall" else score < 0.02


def row(task, n_timesteps, cell, start, found):
    memory, score, seconds = found
    numbers = f"{memory:.1f}", f"{score:.4f}", f"{seconds:.0f}"
    return task, n_timesteps, cell, start, *numbers


def rows_of_last_state(args, verdicts):
    for task, n_timesteps in (TASKS[name] for name in args.tasks):
        data = sequences(task, n_timesteps)
        for cell in args.cells:
            for start, extra in (("ours", {}), ("torch", TORCH)):
                found = measure(task, data, args.quick, cell=cell, **LAST_ONLY, **extra)
                if start == "ours" and cell != "rnn":
                    verdicts.append(solved(task, found[1]) and found[2] < BUDGET)
                yield row(task, n_timesteps, cell, start, found)


def rows_of_default_pooling(args, verdicts):
    data = sequences("recall", 400)
    for cell in args.cells:
        found = measure("recall", data, args.quick, cell=cell)
        verdicts.append(solved("recall", found[1]) and found[2] < DEFAULT_BUDGET)
        yield row("recall", 400, cell, "ours", found)


def main():
    parser = argument_parser(__doc__)
    parser.add_argument("--cells", nargs="*", default=CELLS, choices=CELLS, help="default: all")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS, help="likewise")
    args = parser.parse_args()
    by_last, by_default = [], []
    header = ("task", "T", "cell", "weights", "memory before", "score", "CPU s")
    with limit_threads(args.threads):
        print_heading("Long dependency by the last state", args, ("torch",))
        print_table(header, rows_of_last_state(args, by_last))
        print_table(header, rows_of_default_pooling(args, by_default))
    text = "recall >= 0.98 at T = 100 and 400, adding < 0.02 at T = 200 by LSTM, GRU and minGRU"
    print_target(f"{text} within {BUDGET} s each", all(by_last), args.quick)
    text = f"with default pooling recall >= 0.98 at T = 400 within {DEFAULT_BUDGET} s"
    print_target(f"{text} by every cell", all(by_default), args.quick)


if __name__ == "__main__":
    main()
