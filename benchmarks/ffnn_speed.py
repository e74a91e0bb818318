"""Speed of the nets: epochs and predictions against MLPRegressor, small fits, growth.

Measured: seconds of an epoch and of predictions for the same plain architecture (20-128-128-1,
ReLU, batch 200, float32, one member, no encoding beyond the scale) against ``MLPRegressor``,
medians of alternating repeats; seconds of ``check_estimator`` and of 100 rows with
defaults; seconds and memory of an epoch for growing tables. Aims: 0.8, 1.0, 15 s, 0.5 s.

Last run: 2026-11-28, 2 cores AMD EPYC, one thread, other work beside it: epoch 0.78 (CPU time);
2026-11-25: prediction 0.57.
"""

import time
import warnings

import numpy as np
import torch
from _measure import (
    argument_parser,
    in_new_process,
    limit_threads,
    median_times,
    peak_memory,
    print_heading,
    reset_peak,
    timed,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.utils.estimator_checks import check_estimator

from sklearn_ext import FFNNClassifier, FFNNRegressor

EPOCHS = 10


def table(n_rows, n_columns):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_columns)).astype(np.float32)
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2]


def plain_models():
    shared = {
        "activation": "relu",
        "batch_size": 200,
        "max_iter": EPOCHS,
        "random_state": 0,
        "early_stopping": False,
    }
    ours = FFNNRegressor((128, 128), n_members=1, n_bins=0, n_frequencies=0, dropout=0.0, **shared)
    return ours, MLPRegressor(hidden_layer_sizes=(128, 128), **shared)


def compare_plain(args):
    X, y = table(20_000, 20)
    ours, peer = plain_models()
    fits = {"ours": lambda: ours.fit(X, y), "peer": lambda: peer.fit(X, y)}
    ours.fit(X[:500], y[:500])
    seconds, _ = median_times(fits, args.repeats)
    print(f"epoch: {seconds['ours'] / EPOCHS:.3f} s, MLPRegressor {seconds['peer'] / EPOCHS:.3f} s")
    print(f"ratio {seconds['ours'] / seconds['peer']:.2f} (aim 0.80)\n")
    rows, _ = table(100_000 if args.quick else 1_000_000, 20)
    predictions = {"ours": lambda: ours.predict(rows), "peer": lambda: peer.predict(rows)}
    seconds, _ = median_times(predictions, args.repeats)
    print(f"{len(rows):,} predictions: {seconds['ours']:.2f} s, MLP {seconds['peer']:.2f} s")
    print(f"ratio {seconds['ours'] / seconds['peer']:.2f} (aim 1.00)\n", flush=True)


def small_data():
    X, y = table(100, 10)
    start = time.perf_counter()
    FFNNRegressor(random_state=0).fit(X.astype(float), y)
    print(f"fit of 100 rows: {time.perf_counter() - start:.2f} s (aim 0.50)")
    for estimator in (FFNNRegressor(), FFNNClassifier()):
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_estimator(estimator, on_skip=None)
        name = type(estimator).__name__
        print(f"check_estimator({name}()): {time.perf_counter() - start:.1f} s (aim 15)")
    print(flush=True)


def one_epoch(n_rows, n_columns):
    """Seconds of one epoch, set-up included, and peak MiB above the data."""
    X, y = table(n_rows, n_columns)
    settings = {"max_iter": 1, "early_stopping": False, "random_state": 0}
    FFNNRegressor(**settings).fit(X[:1000], y[:1000])
    before = reset_peak()
    seconds, _ = timed(lambda: FFNNRegressor(**settings).fit(X, y))
    return seconds, peak_memory() - before


def growth(args):
    print("| rows x columns | seconds of an epoch | seconds a million rows | MiB above the data |")
    print("| --- | --- | --- | --- |")
    for n_columns in (10, 100, 1000):
        for n_rows in (10_000, 100_000) if args.quick else (10_000, 100_000, 1_000_000):
            if n_rows * n_columns > 1e8:
                continue  # 4 GB of data
            seconds, memory = in_new_process(one_epoch, n_rows, n_columns, threads=args.threads)
            rate = seconds / n_rows * 1e6
            row = f"{n_rows:,} x {n_columns:,} | {seconds:.2f} | {rate:.0f} | {memory:.0f}"
            print(f"| {row} |", flush=True)


def main():
    args = argument_parser(__doc__).parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(args.threads)
    with limit_threads(args.threads):
        print_heading("Speed of feed-forward nets", args, ("torch", "skorch"))
        compare_plain(args)
        small_data()
        growth(args)


if __name__ == "__main__":
    main()
