"""What each default of the nets is worth: one switch at a time, on validation rows of real tables.

Measured: R² on 20 % of the training part of each split of ``ffnn_quality.py`` - never on its test
part - of the default net and of nets with one default changed, on the 12 regression tables cut to
1,000 random rows (``--rows``), 2 splits each; the mean change against the default with its standard
error over the tables, and the ratio of CPU seconds. A table counts as much as any other.

``--results FILE`` keeps every fit in a file of JSON lines and takes from it what is already there,
so that a run can be interrupted.
"""

import json
import statistics
import time
import warnings
from math import sqrt
from pathlib import Path

from _measure import (
    add_data_argument,
    argument_parser,
    data_folder,
    limit_threads,
    print_heading,
    print_table,
)
from ffnn_quality import REGRESSION, load
from sklearn.model_selection import train_test_split

from sklearn_ext import FFNNRegressor

SWITCHES = {
    "default": {},
    "one member": {"n_members": 1},
    "4 members": {"n_members": 4},
    "no bins": {"n_bins": 0},
    "no waves": {"n_frequencies": 0},
    "neither": {"n_bins": 0, "n_frequencies": 0},
    "no linear members": {"blend_linear": False},
    "25 % held out": {"validation_fraction": 0.25},
    "dropout 0.1": {"dropout": 0.1},
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


def validation_split(folder, name, seed, most_rows):
    """Split the training part of a split of ``ffnn_quality.py`` once more."""
    X, y = load(folder, "reg", name, most_rows)
    X, _, y, _ = train_test_split(X, y, test_size=0.25, random_state=seed)
    return train_test_split(X, y, test_size=0.2, random_state=100 + seed)


def measure(settings, split, seed):
    """R² on the validation rows, and CPU seconds of the fit."""
    X, X_valid, y, y_valid = split
    start = time.process_time()
    model = FFNNRegressor(random_state=seed, **settings).fit(X, y)
    seconds = time.process_time() - start
    return {"r2": model.score(X_valid, y_valid), "seconds": seconds}


def read_results(path):
    """Fits of before, by switch, table and seed."""
    if path is None or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {(row["switch"], row["table"], row["seed"]): row for row in rows}


def fits_of(switch, splits, known, results):
    """Fit one net to all splits; what is known already is taken over."""
    found = {}
    for (table, seed), split in splits.items():
        key = switch, table, seed
        if key not in known:
            row = dict(zip(("switch", "table", "seed"), key, strict=True))
            known[key] = row | measure(SWITCHES[switch], split, seed)
            if results is not None:
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(known[key]) + "\n")
        found[table, seed] = known[key]
    return found


def changes(fits, base):
    """Mean change of R² over the seeds, one a table."""
    return [
        statistics.fmean(fits[key]["r2"] - base[key]["r2"] for key in fits if key[0] == table)
        for table in dict.fromkeys(table for table, _ in fits)
    ]


def rows(splits, known, results):
    """One row a switch, the default first."""
    base = None
    for switch in SWITCHES:
        fits = fits_of(switch, splits, known, results)
        base = base or fits
        change = changes(fits, base)
        seconds, base_seconds = (sum(row["seconds"] for row in of.values()) for of in (fits, base))
        yield [
            switch,
            f"{statistics.fmean(row['r2'] for row in fits.values()):.4f}",
            f"{statistics.fmean(change):+.4f}",
            f"{statistics.stdev(change) / sqrt(len(change)):.4f}",
            f"{sum(value > 0 for value in change)} of {len(change)}",
            f"{seconds / base_seconds:.2f}",
        ]


def main():
    parser = argument_parser(__doc__)
    add_data_argument(parser)
    parser.add_argument("--seeds", type=int, default=2, help="splits a table (default: 2)")
    parser.add_argument("--rows", type=int, default=1000, help="most rows a table (default: 1000)")
    parser.add_argument("--results", type=Path, default=None, help="file to keep fits in")
    args = parser.parse_args()
    folder = data_folder(args, "tabular")
    warnings.simplefilter("ignore")
    with limit_threads(args.threads):
        print_heading("One default at a time", args, ("torch", "skorch"))
        splits = {
            (name, seed): validation_split(folder, name, seed, 300 if args.quick else args.rows)
            for name in (REGRESSION[:3] if args.quick else REGRESSION)
            for seed in range(args.seeds)
        }
        header = ["net", "mean R²", "change", "± standard error", "tables better", "time"]
        print_table(header, rows(splits, read_results(args.results), args.results))


if __name__ == "__main__":
    main()
