"""Fit, predict and memory of a cubic on large tables, against the scikit-learn pipelines.

Measured: seconds of fit and of predict on the training rows, peak memory of fit above the data,
and R² on the training rows, for ``make_pipeline(StandardScaler(), PolynomialFeatures(3,
include_bias=False), LinearRegression())`` and the same with ``Ridge()``. Ratios are peer over
ours: above 1 is faster or smaller than the peer.

Last run: 2026-11-22, 2 cores AMD EPYC, one thread.
1,000,000 x 5: fit 18.9 and 5.1 times, predict 7.3 and 7.4 times, memory 777 and 515 times
(LinearRegression and Ridge); 200,000 x 10: 23.6 and 5.4, 11.2 and 11.0, 239 and 160.
"""

import numpy as np
from _measure import (
    argument_parser,
    extra_memory,
    in_new_process,
    limit_threads,
    median_times,
    print_heading,
    print_table,
    print_target,
)
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sklearn_ext import PolynomialRegressor

CASES = ((1_000_000, 5), (200_000, 10))
DEGREE = 3
OURS, PLAIN, RIDGE = "PolynomialRegressor", "LinearRegression", "Ridge"


def pipeline(linear):
    return make_pipeline(StandardScaler(), PolynomialFeatures(DEGREE, include_bias=False), linear)


MODELS = {
    OURS: lambda: PolynomialRegressor(DEGREE),
    PLAIN: lambda: pipeline(LinearRegression()),
    RIDGE: lambda: pipeline(Ridge()),
}


def build(n_samples, n_features, model):
    """A cubic of normal columns with noise, and the model to fit to it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features))
    y = rng.standard_normal(n_samples)
    y += X[:, 0] - 2.0 * X[:, 1] * X[:, 2] + 0.5 * X[:, 3] ** 3
    return X, y, model


def prepare(data):
    X, y, model = data
    MODELS[model]().fit(X[:2000], y[:2000])


def run(data):
    X, y, model = data
    return MODELS[model]().fit(X, y)


def memory(n_samples, n_features, model):
    return extra_memory(build, prepare, run, n_samples, n_features, model)


def times(n_samples, n_features, repeats):
    """Median seconds of fit and predict, and R², by model."""
    X, y, _ = build(n_samples, n_features, OURS)
    for make in MODELS.values():
        make().fit(X[:2000], y[:2000]).predict(X[:2000])
    fits = {name: lambda make=make: make().fit(X, y) for name, make in MODELS.items()}
    fit_seconds, fitted = median_times(fits, repeats)
    predictions = {name: lambda model=model: model.predict(X) for name, model in fitted.items()}
    predict_seconds, predicted = median_times(predictions, repeats)
    return fit_seconds, predict_seconds, {m: r2_score(y, p) for m, p in predicted.items()}


def measure(args, n_samples, n_features):
    """One row a model, and the ratios of each peer."""
    used = {
        model: in_new_process(memory, n_samples, n_features, model, threads=args.threads)
        for model in MODELS
    }
    fit, predict, r2 = times(n_samples, n_features, args.repeats)
    ratios = {
        peer: {
            "fit": fit[peer] / fit[OURS],
            "predict": predict[peer] / predict[OURS],
            "memory": used[peer] / max(used[OURS], 0.1),  # the system counts no finer
            "r2": abs(r2[peer] - r2[OURS]),
        }
        for peer in (PLAIN, RIDGE)
    }
    rows = []
    for model in MODELS:
        cost = f"{fit[model]:.3f}", f"{predict[model]:.3f}", f"{used[model]:,.1f}"
        against = written(ratios.get(model))
        rows.append([f"{n_samples:,} x {n_features}", model, *cost, f"{r2[model]:.10f}", *against])
    return rows, ratios


def written(ratio):
    if ratio is None:
        return ["-"] * 4
    speeds = [f"{ratio[name]:.1f}x" for name in ("fit", "predict")]
    return [*speeds, f"{ratio['memory']:,.0f}x", f"{ratio['r2']:.1e}"]


def reaches(ratios):
    plain, ridge = ratios[PLAIN], ratios[RIDGE]
    return (
        plain["fit"] >= 10
        and ridge["fit"] >= 4
        and plain["r2"] <= 1e-9
        and all(peer["predict"] >= 5 and peer["memory"] >= 100 for peer in (plain, ridge))
    )


HEADER = "rows|model|fit s|predict s|extra MiB|R²|fit|predict|memory|R² differs by".split("|")


def main():
    args = argument_parser(__doc__).parse_args()
    cases = [(n // 10, d) for n, d in CASES] if args.quick else CASES
    print_heading(f"Degree {DEGREE} on large tables", args)
    with limit_threads(args.threads):
        measured = [measure(args, n, d) for n, d in cases]
    print_table(HEADER, [row for rows, _ in measured for row in rows])
    print_target(
        "fit at least 10x faster than LinearRegression and 4x than Ridge, predict at least 5x, "
        "100x less memory, the same R² to 1e-9 as LinearRegression",
        all(reaches(ratios) for _, ratios in measured),
        args.quick,
    )


if __name__ == "__main__":
    main()
