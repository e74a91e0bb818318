"""MultilinearPCA on NATOPS: accuracy on few features, against all of them and against PCA.

Measured: test accuracy of three linear classifiers behind all 51 x 24 values of a gesture, behind
MultilinearPCA that keeps 99 % of the variation of each axis, and behind PCA of the flat gestures
with as many components; the numbers that each reduction stores; seconds to fit it. The split into
training and test set is the archive's own.

Last run: 2026-11-24, 2 cores AMD EPYC, one thread.
14 x 11 = 154 of 1,224 features: ridge 0.883 (0.861 on all, 0.856 by PCA), logistic 0.922 (0.906,
0.911), shrunk LDA 0.844 (0.872, 0.894): components by variance do not suit every classifier. 2,202
numbers stored, PCA 189,720.
"""

import numpy as np
from _measure import (
    add_data_argument,
    argument_parser,
    data_folder,
    limit_threads,
    median_times,
    print_heading,
    print_table,
    print_target,
)
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV

from sklearn_ext.preprocessing import MultilinearPCA

ENERGY = 0.99
CLASSIFIERS = {
    "ridge": RidgeClassifierCV(),
    "logistic": LogisticRegression(max_iter=5000),
    "shrunk LDA": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
}


def flat(X):
    return X.reshape(len(X), -1)


def accuracies(train, y_train, test, y_test):
    return {
        name: clone(classifier).fit(train, y_train).score(test, y_test)
        for name, classifier in CLASSIFIERS.items()
    }


def stored(reduction):
    components = reduction.components_
    return sum(np.size(basis) for basis in components) + np.size(reduction.mean_)


def main():
    parser = argument_parser(__doc__)
    add_data_argument(parser)
    args = parser.parse_args()
    with np.load(data_folder(args, "sequences") / "NATOPS.npz") as data:
        X, y, X_test, y_test = (
            data[f"{name}_{part}"] for part in ("train", "test") for name in "Xy"
        )
    with limit_threads(args.threads):
        ours = MultilinearPCA(ENERGY).fit(X)
        n_features = int(np.prod(ours.n_components_))
        pca = PCA(n_features).fit(flat(X))
        seconds, _ = median_times(
            {
                "MultilinearPCA": lambda: clone(ours).fit(X),
                "PCA": lambda: clone(pca).fit(flat(X)),
            },
            args.repeats,
        )
        found = {
            "all values": accuracies(flat(X), y, flat(X_test), y_test),
            "MultilinearPCA": accuracies(ours.transform(X), y, ours.transform(X_test), y_test),
            "PCA": accuracies(pca.transform(flat(X)), y, pca.transform(flat(X_test)), y_test),
        }
    report(args, X, ours, pca, found, seconds)


def report(args, X, ours, pca, found, seconds):
    print_heading("Gestures of NATOPS on few features", args)
    sizes = {"all values": X[0].size, "MultilinearPCA": int(np.prod(ours.n_components_))}
    sizes["PCA"] = sizes["MultilinearPCA"]
    storage = {"all values": 0, "MultilinearPCA": stored(ours), "PCA": stored(pca)}
    rows = [
        [
            name,
            sizes[name],
            *(f"{score:.3f}" for score in scores.values()),
            f"{storage[name]:,}",
            f"{seconds[name]:.3f}" if name in seconds else "-",
        ]
        for name, scores in found.items()
    ]
    print_table(["features", "number", *CLASSIFIERS, "numbers stored", "s to fit"], rows)
    share = ours.explained_variance_ratio_
    print(f"{' x '.join(map(str, ours.n_components_))} components hold {share:.3f}.\n")
    seen, whole = found["MultilinearPCA"]["ridge"], found["all values"]["ridge"]
    n_features = sizes["MultilinearPCA"]
    print_target(
        f"ridge at least 0.850 on at most 154 of {X[0].size} features (seen {seen:.3f} on "
        f"{n_features}, {whole:.3f} on all)",
        seen >= 0.85 and n_features <= 154,
    )


if __name__ == "__main__":
    main()
