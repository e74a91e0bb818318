"""Twenty real tables: default nets of ours against boosting, scikit-learn's nets and RealMLP.

Measured: mean test score over 3 splits 75/25 (tables of more than 10,000 rows are cut to 10,000
random ones), every model with its defaults, and mean CPU seconds of fit. Regression: R² of
``FFNNRegressor()``, ``LinearRegression``, ``HistGradientBoostingRegressor()``, ``MLPRegressor``
with scaled columns and target (its defaults, and ``(256, 256)`` with early stopping) and pytabkit's
``RealMLP_TD_Regressor``. Classification: accuracy and log-loss of ``FFNNClassifier()``,
``HistGradientBoostingClassifier()`` and ``MLPClassifier`` with scaled columns. Categorical columns
reach boosting, RealMLP and ours as pandas categoricals, the others one-hot encoded. RealMLP needs
``pip install pytabkit`` and takes most of the time; it is left out where it is not installed.

``--results FILE`` keeps every fit in a file of JSON lines and takes from it what is already there,
so that a run can be interrupted, or one model measured again (``--again NAME``).
"""

import importlib
import importlib.util
import json
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _measure import (
    add_data_argument,
    argument_parser,
    data_folder,
    limit_threads,
    print_heading,
    print_table,
)
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import sklearn_ext

REGRESSION = (
    "diabetes concrete energy kin8nm powerplant winered airfoil elevators bike california "
    "deliveries cps1988"
).split()
CLASSIFICATION = "breast_cancer wine digits phoneme magic segment german penguins".split()
SEEDS = range(3)
MOST_ROWS = 10_000
QUICK_ROWS = 1_000


def numeric_table(model):
    """Put scaling and one-hot encoding in front of a model that takes numbers only."""
    columns = make_column_transformer(
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_include="category"),
        ),
        remainder=StandardScaler(),
    )
    return make_pipeline(columns, model)


def scaled_target(model):
    return TransformedTargetRegressor(numeric_table(model), transformer=StandardScaler())


def real_mlp(seed):
    module = importlib.import_module("pytabkit")
    return module.RealMLP_TD_Regressor(device="cpu", random_state=seed, n_threads=1, verbosity=0)


REGRESSORS = {
    "ours": lambda seed: sklearn_ext.FFNNRegressor(random_state=seed),
    "linear": lambda seed: numeric_table(LinearRegression()),
    "HGB": lambda seed: HistGradientBoostingRegressor(random_state=seed),
    "MLP": lambda seed: scaled_target(MLPRegressor(random_state=seed)),
    "MLP 256": lambda seed: scaled_target(
        MLPRegressor(hidden_layer_sizes=(256, 256), early_stopping=True, random_state=seed)
    ),
    "RealMLP": real_mlp,
}
CLASSIFIERS = {
    "ours": lambda seed: sklearn_ext.FFNNClassifier(random_state=seed),
    "HGB": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "MLP": lambda seed: numeric_table(MLPClassifier(random_state=seed)),
    "MLP 256": lambda seed: numeric_table(
        MLPClassifier(hidden_layer_sizes=(256, 256), early_stopping=True, random_state=seed)
    ),
}


def load(folder, task, name, most_rows):
    with np.load(folder / f"{task}_{name}.npz", allow_pickle=True) as file:
        X, y = pd.DataFrame(file["X"]).add_prefix("c"), file["y"]
        for column in np.flatnonzero(file["categorical"]) if "categorical" in file else ():
            X[f"c{column}"] = X[f"c{column}"].astype(int).astype("category")
    kept = np.random.RandomState(0).permutation(len(y))[:most_rows]
    return X.iloc[kept], y[kept]


def measure(make, split, seed, task):
    """Fit one model on one split; its scores and CPU seconds."""
    X_train, X_test, y_train, y_test = split
    start = time.process_time()
    model = make(seed).fit(X_train, y_train)
    seconds = time.process_time() - start
    if task == "reg":
        return {"r2": r2_score(y_test, np.ravel(model.predict(X_test))), "seconds": seconds}
    probability = model.predict_proba(X_test)
    return {
        "accuracy": accuracy_score(y_test, model.predict(X_test)),
        "log_loss": log_loss(y_test, probability, labels=model.classes_),
        "seconds": seconds,
    }


def read_results(path):
    if path is None or not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {(row["task"], row["set"], row["model"], row["seed"]): row for row in rows}


def run(args, folder, task, names, models):
    """Measure all models of one task, split by split, and return what was found."""
    known = read_results(args.results)
    for name in names:
        X, y = load(folder, task, name, QUICK_ROWS if args.quick else MOST_ROWS)
        for seed in SEEDS[:1] if args.quick else SEEDS:
            split = train_test_split(X, y, test_size=0.25, random_state=seed)
            for model, make in models.items():
                key = task, name, model, seed
                if key in known and model not in args.again:
                    continue
                known[key] = measure(make, split, seed, task)
                row = dict(zip(("task", "set", "model", "seed"), key, strict=True)) | known[key]
                if args.results is not None:
                    with args.results.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    return known


def table(known, task, names, models, measure_name):
    """Rows of means over the seeds, one row a set."""
    rows = []
    for name in names:
        row = [name]
        for model in models:
            values = [
                row_[measure_name] for key, row_ in known.items() if key[:3] == (task, name, model)
            ]
            row.append(statistics.fmean(values) if values else np.nan)
        rows.append(row)
    return rows


def available(models):
    """Leave out RealMLP where it is not installed."""
    has_peer = importlib.util.find_spec("pytabkit") is not None
    return {name: make for name, make in models.items() if has_peer or name != "RealMLP"}


def report(known, task, names, models, measure_name):
    rows = table(known, task, names, models, measure_name)
    print_table(
        ["set", *models], [[row[0], *(f"{value:.4f}" for value in row[1:])] for row in rows]
    )
    means = np.array([row[1:] for row in rows]).mean(axis=0)
    shown = ", ".join(f"{name} {mean:.4f}" for name, mean in zip(models, means, strict=True))
    print(f"\nmean {measure_name}: {shown}\n", flush=True)


def main():
    parser = argument_parser(__doc__)
    add_data_argument(parser)
    parser.add_argument("--results", type=Path, default=None, help="file to keep fits in")
    parser.add_argument("--again", nargs="*", default=(), help="models to measure anew")
    parser.add_argument("--models", nargs="*", default=None, help="models (default: all)")
    args = parser.parse_args()
    folder = data_folder(args, "tabular")
    warnings.simplefilter("ignore")  # convergence of the peers at their defaults, and the like
    with limit_threads(args.threads):
        print_heading("Default nets on real tables", args, ("torch", "skorch", "pytabkit"))
        for task, names, models, kinds in (
            ("reg", REGRESSION, REGRESSORS, ("r2", "seconds")),
            ("clf", CLASSIFICATION, CLASSIFIERS, ("accuracy", "log_loss", "seconds")),
        ):
            chosen = available(models)
            if args.models:
                chosen = {name: chosen[name] for name in args.models if name in chosen}
            known = run(args, folder, task, names, chosen)
            for kind in kinds:
                report(known, task, names, chosen, kind)


if __name__ == "__main__":
    main()
