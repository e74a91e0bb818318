"""Cost against the number of rows: a cubic in 5 columns, streamed in chunks of 100,000 rows.

Measured: seconds of ``partial_fit`` a million rows and the peak memory of the whole process,
each n in a process of its own, chunks drawn on the fly and their drawing not counted. For
comparison, what the expanded table alone would take.

Last run: 2026-11-22, 2 cores AMD EPYC, one thread.
0.59 s (qr) and 0.22 s (cholesky) a million rows at 10,000,000, peak 207 MiB at 1e6 and 1e7.
"""

import warnings

import numpy as np
from _measure import (
    MIB,
    argument_parser,
    in_new_process,
    peak_memory,
    print_heading,
    print_table,
    print_target,
    timed,
)

from sklearn_ext import PolynomialRegressor
from sklearn_ext.exceptions import ExtrapolationWarning

CHUNK, N_FEATURES, DEGREE, N_TERMS = 100_000, 5, 3, 55
SIZES = (100_000, 1_000_000, 10_000_000)
SOLVERS = ("qr", "cholesky")


def draw(rng, n_rows):
    X = rng.standard_normal((n_rows, N_FEATURES))
    y = X[:, 0] - 2.0 * X[:, 1] * X[:, 2] + 0.5 * X[:, 3] ** 3
    return X, y + rng.standard_normal(n_rows)


def stream(n_samples, solver):
    """Seconds in partial_fit, peak MiB before the first and after the last chunk, R²."""
    rng = np.random.default_rng(0)
    model = PolynomialRegressor(DEGREE, solver=solver)
    PolynomialRegressor(DEGREE, solver=solver).partial_fit(*draw(rng, 2000))
    before, seconds = peak_memory(), 0.0
    for _ in range(n_samples // CHUNK):
        X, y = draw(rng, CHUNK)
        seconds += timed(lambda X=X, y=y: model.partial_fit(X, y))[0]
    with warnings.catch_warnings():  # normal columns: some new rows lie further out
        warnings.simplefilter("ignore", ExtrapolationWarning)
        return seconds, before, peak_memory(), model.score(*draw(rng, CHUNK))


def row(n_samples, solver, measured):
    seconds, before, peak, r2 = measured
    cost = f"{seconds:.2f}", f"{seconds / n_samples * 1e6:.3f}"
    memory = f"{before:.0f}", f"{peak:.0f}", f"{n_samples * N_TERMS * 8 / MIB:,.0f}"
    return [f"{n_samples:,}", solver, *cost, *memory, f"{r2:.4f}"]


def main():
    args = argument_parser(__doc__, repeats=1).parse_args()
    sizes = SIZES[:2] if args.quick else SIZES
    print_heading(f"Growth with n, d = {N_FEATURES}, degree {DEGREE}, partial_fit", args)
    measured = {
        (n, solver): in_new_process(stream, n, solver, threads=args.threads)
        for solver in SOLVERS
        for n in sizes
    }
    header = ["rows", "solver", "s", "s a million", "MiB at start", "peak MiB"]
    header += ["MiB of the expanded table", "R² on new rows"]
    print_table(header, [row(*key, values) for key, values in measured.items()])
    rates = [
        measured[sizes[-1], s][0] / measured[sizes[0], s][0] * sizes[0] / sizes[-1] for s in SOLVERS
    ]
    grown = max(measured[sizes[-1], s][2] - measured[sizes[0], s][2] for s in SOLVERS)
    print_target(
        f"seconds a row at {sizes[-1]:,} rows at most 1.25 times those at {sizes[0]:,} "
        f"(seen {max(rates):.2f}), peak memory flat to 10 MiB (grew by {grown:.1f})",
        max(rates) <= 1.25 and grown <= 10,
        args.quick,
    )


if __name__ == "__main__":
    main()
