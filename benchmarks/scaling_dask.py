"""Scaling out with dask: one and two worker processes against the calling process alone.

Measured, on a real ``LocalCluster`` whose workers are processes with one thread each: wall seconds
of a grid search of ``FFNNRegressor`` by joblib's dask backend (12 fits), of a cubic
``PolynomialRegressor`` fitted to a dask array whose partitions the workers make, and of lazy
predictions reduced to one number, the smallest of the repeats after a warm-up. "no cluster" is the
serial search and dask's synchronous scheduler. Client and scheduler share the cores with the
workers, so two cores cannot be twice as fast. Checked: the search's scores are the serial ones to
the bit, and the planted cubic is found.
"""

import itertools
from contextlib import contextmanager

import dask
import dask.array as da
import joblib
import numpy as np
import torch
from _measure import (
    argument_parser,
    limit_threads,
    print_heading,
    print_table,
    print_target,
    timed,
)
from distributed import Client, LocalCluster
from sklearn.model_selection import GridSearchCV

from sklearn_ext import FFNNRegressor, PolynomialRegressor

N_COLUMNS = 10
DEGREE = 3
NUMBERS = itertools.count()


@contextmanager
def workers(n_workers):
    """Run what is inside on as many worker processes; on none, in this process."""
    if not n_workers:
        with dask.config.set(scheduler="synchronous"):
            yield "loky"  # never started: the search is told n_jobs=1
        return
    cluster = LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    )
    with cluster, Client(cluster) as client:
        assert len(client.scheduler_info()["workers"]) == n_workers
        yield "dask"


def search(backend, n_rows):
    """Mean test scores of a grid search."""
    X = np.random.default_rng(0).normal(size=(n_rows, N_COLUMNS))
    y = X[:, 0] - 2 * X[:, 1] * X[:, 2]
    net = FFNNRegressor((64,), max_iter=20, early_stopping=False, random_state=0)
    grid = {"learning_rate_init": [1e-3, 3e-3], "dropout": [0.0, 0.1]}
    with joblib.parallel_config(backend, n_jobs=1 if backend == "loky" else -1):
        return GridSearchCV(net, grid, cv=3, refit=False).fit(X, y).cv_results_["mean_test_score"]


def make_rows(block_id, n_rows):
    """Make one partition: the columns, and the target last."""
    rng = np.random.default_rng(block_id[0])
    X = rng.uniform(-1, 1, (n_rows, N_COLUMNS))
    return np.column_stack([X, X[:, 0] - 2 * X[:, 1] * X[:, 2] ** 2])


def table(n_partitions, n_rows):
    """Rows that are made where they are asked for, again at each pass."""
    chunks = ((n_rows,) * n_partitions, (N_COLUMNS + 1,))
    name = f"rows-{next(NUMBERS)}"  # a table of its own for the scheduler, each time
    rows = da.map_blocks(
        make_rows, n_rows=n_rows, chunks=chunks, name=name, dtype=float, meta=np.empty((0, 0))
    )
    return rows[:, :N_COLUMNS], rows[:, N_COLUMNS]


def fit(n_partitions, n_rows):
    return PolynomialRegressor(DEGREE).fit(*table(n_partitions, n_rows))


def largest_error(model, n_partitions, n_rows):
    X, y = table(n_partitions, n_rows)
    return float(abs(model.predict(X) - y).max().compute())


def least_time(call, repeats):
    runs = [timed(call) for _ in range(repeats)]
    return min(seconds for seconds, _ in runs), runs[-1][1]


def measure(n_workers, args):
    """Seconds of the three, the scores and the largest error."""
    n_partitions, n_rows, n_searched = (4, 20_000, 300) if args.quick else (10, 50_000, 500)
    with workers(n_workers) as backend:
        search(backend, 100), fit(4, 1000)  # warm-up: imports in every process
        searching, scores = least_time(lambda: search(backend, n_searched), args.repeats)
        fitting, model = least_time(lambda: fit(n_partitions, n_rows), args.repeats)
        predicting, error = least_time(
            lambda: largest_error(model, n_partitions, n_rows), args.repeats
        )
    names = (
        f"grid search of `FFNNRegressor`, {n_searched:,} rows, 12 fits",
        f"`PolynomialRegressor({DEGREE}).fit`, {n_partitions} x {n_rows:,} rows x {N_COLUMNS}",
        "`predict` of the same rows, reduced to one number",
    )
    return dict(zip(names, (searching, fitting, predicting), strict=True)), scores, error


def main():
    args = argument_parser(__doc__).parse_args()
    torch.set_num_threads(args.threads)
    print_heading("Dask on one machine", args, ("dask", "distributed", "torch"))
    with limit_threads(args.threads):
        seconds, scores, errors = zip(*(measure(n, args) for n in (0, 1, 2)), strict=True)
    rows = [
        [name, *(f"{found[name]:.2f}" for found in seconds), f"{one[name] / two[name]:.2f}"]
        for _, one, two in [seconds]
        for name in one
    ]
    header = ["wall seconds", "no cluster", "1 worker", "2 workers", "1 worker over 2"]
    print_table(header, rows)
    same = all(np.array_equal(found, scores[0]) for found in scores)
    print_target(
        f"scores equal to a serial search ({'yes' if same else 'no'}), a planted cubic found to "
        f"1e-10 in every place (largest error {max(errors):.0e})",
        same and max(errors) < 1e-10,
        args.quick,
    )


if __name__ == "__main__":
    main()
