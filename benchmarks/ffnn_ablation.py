"""What each default of the nets is worth: one switch at a time, on validation rows of real tables.

Measured: the mean over tables and seeds of R² (regression) or of accuracy (classification) on 20 %
of the training part of each split of ``ffnn_quality.py`` - never on its test part - of the default
net and of nets with one default turned off, the change against the default, and the ratio of CPU
seconds. A table counts as much as any other; diabetes and german are noisy.
"""

import statistics
import time
import warnings

from _measure import (
    add_data_argument,
    argument_parser,
    data_folder,
    limit_threads,
    print_heading,
    print_table,
)
from ffnn_quality import MOST_ROWS, load
from sklearn.model_selection import train_test_split

from sklearn_ext import FFNNClassifier, FFNNRegressor

REGRESSION = "diabetes concrete energy airfoil winered kin8nm california".split()
CLASSIFICATION = "german phoneme segment".split()

SWITCHES = {
    "default": {},
    "one member": {"n_members": 1},
    "4 members": {"n_members": 4},
    "no bins": {"n_bins": 0},
    "no waves": {"n_frequencies": 0},
    "neither": {"n_bins": 0, "n_frequencies": 0},
    "no linear members": {"blend_linear": False},
    "25 % held out": {"validation_fraction": 0.25},
    "no dropout": {"dropout": 0.0},
    "no weight decay": {"alpha": 0.0},
    "no held-out rows": {"early_stopping": False},
    "constant rate": {"learning_rate": "constant"},
    "one-cycle rate": {"learning_rate": "one_cycle"},
    "no warm-up": {"warmup_fraction": 0.0},
    "rate 0.001": {"learning_rate_init": 0.001},
    "beta_2 = 0.999": {"beta_2": 0.999},
    "gelu_tanh": {"activation": "gelu_tanh"},
    "relu": {"activation": "relu"},
    "silu": {"activation": "silu"},
    "width 256": {"hidden_layer_sizes": (256, 256)},
}


def validation_split(folder, task, name, seed, most_rows):
    """Split the training part of a split of ``ffnn_quality.py`` once more."""
    X, y = load(folder, task, name, most_rows)
    X, _, y, _ = train_test_split(X, y, test_size=0.25, random_state=seed)
    return train_test_split(X, y, test_size=0.2, random_state=100 + seed)


def measure(splits, settings):
    """Score of each table and CPU seconds of all fits."""
    scores, seconds = [], 0.0
    for task, parts in splits:
        of_table = []
        for seed, (X, X_valid, y, y_valid) in enumerate(parts):
            kind = FFNNRegressor if task == "reg" else FFNNClassifier
            start = time.process_time()
            model = kind(random_state=seed, **settings).fit(X, y)
            seconds += time.process_time() - start
            of_table.append(model.score(X_valid, y_valid))
        scores.append(statistics.fmean(of_table))
    return scores, seconds


def rows(splits):
    """One row a switch, the default first."""
    base = None
    for name, settings in SWITCHES.items():
        scores, seconds = measure(splits, settings)
        base = base or (scores, seconds)
        n_better = sum(score > default for score, default in zip(scores, base[0], strict=True))
        change = statistics.fmean(scores) - statistics.fmean(base[0])
        yield [
            name,
            f"{statistics.fmean(scores):.4f}",
            f"{change:+.4f}",
            f"{n_better} of {len(scores)}",
            f"{seconds / base[1]:.2f}",
        ]


def main():
    parser = argument_parser(__doc__)
    add_data_argument(parser)
    parser.add_argument("--seeds", type=int, default=2, help="splits a table (default: 2)")
    args = parser.parse_args()
    folder = data_folder(args, "tabular")
    warnings.simplefilter("ignore")
    with limit_threads(args.threads):
        print_heading("One default at a time", args, ("torch", "skorch"))
        tables = [("reg", name) for name in REGRESSION] + [("clf", name) for name in CLASSIFICATION]
        splits = [
            (
                task,
                [
                    validation_split(folder, task, name, seed, 1000 if args.quick else MOST_ROWS)
                    for seed in range(args.seeds)
                ],
            )
            for task, name in tables
        ]
        print_table(["net", "mean score", "change", "tables better", "time"], rows(splits))


if __name__ == "__main__":
    main()
