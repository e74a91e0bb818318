"""Cases of known truth for `fit_diagnosis.py`: planted functions, and estimators that suit or not.

The targets of a case are drawn around a function that is known, so the score of the best possible
predictor (Bayes) is known, and so are, on a large sample, the scores of the estimator. Two sets of
functions and seeds: thresholds were chosen on "development", figures are those of "benchmark".
"""

from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklearn_ext import PolynomialRegressor

N_LARGE = 20_000
N_DRAWS = 5
SEEDS = {"benchmark": 20_000, "development": 50_000}

# Functions of columns uniform on [-1, 1]; all are scaled to variance 1.
CURVES = {
    "benchmark": (
        lambda X: np.sin(5 * X[:, 0]),
        lambda X: np.sin(7 * X[:, 0]) * np.exp(-X[:, 0]),
        lambda X: np.abs(X[:, 0] - 0.2) * 2 + np.cos(6 * X[:, 0]),
    ),
    "development": (
        lambda X: np.cos(6 * X[:, 0]) + X[:, 0],
        lambda X: np.arctan(8 * X[:, 0]) * np.cos(4 * X[:, 0]),
        lambda X: np.exp(-20 * (X[:, 0] - 0.3) ** 2) - np.exp(-20 * (X[:, 0] + 0.4) ** 2),
    ),
}
SURFACES = {
    "benchmark": (
        lambda X: X[:, 0] * X[:, 1] + 0.3 * X[:, 2],
        lambda X: np.exp(-3 * (X[:, 0] ** 2 + X[:, 1] ** 2)),
        lambda X: np.sin(3 * X[:, 0]) + X[:, 1] ** 2,
    ),
    "development": (
        lambda X: np.cos(3 * X[:, 0]) * X[:, 1],
        lambda X: X[:, 0] ** 2 - X[:, 1] ** 2 + 0.3 * X[:, 2],
        lambda X: np.maximum(X[:, 0], X[:, 1]),
    ),
}
BORDERS = {
    "benchmark": (
        lambda X: 0.64 - X[:, 0] ** 2 - X[:, 1] ** 2,
        lambda X: 2 * X[:, 0] * X[:, 1],
        lambda X: X[:, 1] - 0.8 * np.sin(4 * X[:, 0]),
    ),
    "development": (
        lambda X: 0.3 - X[:, 0] ** 2,
        lambda X: np.cos(4 * X[:, 0]) * np.sign(X[:, 1]) * 0.5,
        lambda X: 0.8 - np.abs(X[:, 0]) - np.abs(X[:, 1]),
    ),
}


@dataclass(frozen=True)
class Problem:
    """A distribution of rows and targets.

    ``mean(X)`` are the expected targets, or for labels the probabilities of the classes.
    """

    mean: object
    n_columns: int
    noise: float = 0.0
    labels: bool = False

    def draw(self, n_samples, rng):
        X = rng.uniform(-1, 1, size=(n_samples, self.n_columns))
        mean = self.mean(X)
        if not self.labels:
            return X, mean + self.noise * rng.normal(size=n_samples)
        return X, np.sum(rng.random((n_samples, 1)) > np.cumsum(mean, axis=1)[:, :-1], axis=1)

    def best(self, X):
        """Predictions of the best possible predictor."""
        return np.argmax(self.mean(X), axis=1) if self.labels else self.mean(X)

    @property
    def score(self):
        return accuracy_score if self.labels else r2_score


@dataclass(frozen=True)
class Case:
    """An estimator on a problem, and what it was built to be."""

    family: str
    intended: str
    estimator: object
    problem: Problem
    n_samples: int
    seed: int

    def data(self):
        return self.problem.draw(self.n_samples, np.random.default_rng(self.seed))


def true_skills(case):
    """Skills of the estimator on training rows and on a large sample (medians), and of Bayes."""
    problem, rng = case.problem, np.random.default_rng(case.seed + 10_000_000)
    X_large, y_large = problem.draw(N_LARGE, rng)
    fits = [case.data(), *(problem.draw(case.n_samples, rng) for _ in range(N_DRAWS - 1))]
    train, new = [], []
    for X, y in fits:
        model = clone(case.estimator).fit(X, y)
        train.append(problem.score(y, model.predict(X)))
        new.append(problem.score(y_large, model.predict(X_large)))
    chance = np.max(np.bincount(y_large)) / N_LARGE if problem.labels else 0.0
    bayes = problem.score(y_large, problem.best(X_large))
    return tuple((float(np.median(s)) - chance) / (1 - chance) for s in (train, new, bayes))


def true_verdict(train, new, bayes):
    """The right word, and whether the case is clear-cut."""
    missing = max(bayes - new, 0.0)
    share = missing / (1 - new)
    if missing < 0.02 or share < 0.15:
        clear = (missing < 0.02 or share < 0.1) and abs(bayes - 0.5) > 0.1
        return "good" if bayes >= 0.5 else "noise-limited", clear
    lost, lacking = train - new, bayes - train
    clear = missing > 0.03 and share > 0.25 and abs(lost - lacking) > 0.2 * missing
    return "overfit" if lost > lacking else "underfit", clear


def unit_variance(function, n_columns):
    X = np.random.default_rng(0).uniform(-1, 1, size=(N_LARGE, n_columns))
    values = function(X)
    mean, scale = values.mean(), values.std()
    return lambda X: (function(X) - mean) / scale


def polynomial(degree, rng):
    coefficients = rng.normal(size=degree + 1)
    coefficients[-1] = 2.0
    return lambda X: np.polynomial.legendre.legval(X[:, 0], coefficients)


def two_classes(border, steepness):
    def probabilities(X):
        ones = 1 / (1 + np.exp(-steepness * border(X)))
        return np.column_stack([1 - ones, ones])

    return probabilities


def linear(n_columns, rng):
    weights = rng.normal(size=n_columns) + 0.5
    return lambda X: X @ weights


def three_classes(rng, steepness):
    weights = 3 * np.eye(3)[:, :2] - 1 + 0.3 * rng.normal(size=(3, 2))

    def probabilities(X):
        power = np.exp(steepness * X[:, :2] @ weights.T)
        return power / power.sum(axis=1, keepdims=True)

    return probabilities


def _pick(rng, things):
    return things[rng.integers(len(things))]


def regression_families(split, rng, seed):
    """Yield (family, intended verdict, estimator, problem, number of rows)."""
    n = int(rng.integers(150, 500))
    curve = unit_variance(_pick(rng, CURVES[split]), 1)
    surface = unit_variance(_pick(rng, SURFACES[split]), 4)
    plane = unit_variance(linear(6, rng), 6)
    degree = int(rng.integers(2, 6))
    quiet, loud = rng.uniform(0.1, 0.5), rng.uniform(0.6, 1.0)
    right = unit_variance(polynomial(degree, rng), 1)
    nothing = Problem(lambda X: np.zeros(len(X)), 4, 1.0)
    yield "line through a curve", "underfit", LinearRegression(), Problem(curve, 1, quiet), n
    yield "polynomial too low", "underfit", PolynomialRegressor(2), Problem(curve, 1, quiet), n
    yield "polynomial right", "good", PolynomialRegressor(degree), Problem(right, 1, quiet), n
    yield (
        "polynomial too high",
        "overfit",
        PolynomialRegressor(int(rng.integers(16, 22)), extrapolation="linear"),
        Problem(right, 1, loud),
        int(rng.integers(45, 75)),
    )
    tree = DecisionTreeRegressor(random_state=seed)
    yield "deep tree", "overfit", tree, Problem(surface, 4, loud), n
    yield "deep tree on noise", "overfit", tree, nothing, n
    near = KNeighborsRegressor(1)
    yield "1 neighbour", "overfit", near, Problem(curve, 1, loud), n
    yield "12 neighbours", "good", KNeighborsRegressor(12), Problem(curve, 1, quiet), n
    stiff = make_pipeline(StandardScaler(), Ridge(alpha=n * rng.uniform(2, 10)))
    yield "strong ridge", "underfit", stiff, Problem(plane, 6, quiet), n
    yield "weak ridge", "good", Ridge(alpha=0.1), Problem(plane, 6, quiet), n
    net = MLPRegressor(hidden_layer_sizes=(1,), solver="lbfgs", max_iter=2000, random_state=seed)
    yield "net of one unit", "underfit", net, Problem(curve, 1, quiet), n
    forest = RandomForestRegressor(100, min_samples_leaf=20, random_state=seed)
    yield "line on noise", "noise-limited", LinearRegression(), nothing, n
    yield "forest on noise", "noise-limited", forest, nothing, n
    weak = rng.uniform(1.6, 2.2)
    yield "line in noise", "noise-limited", Ridge(1.0), Problem(plane, 6, weak), n


def classification_families(split, rng, seed):
    """Yield (family, intended verdict, estimator, problem, number of rows)."""
    n = int(rng.integers(250, 600))
    border = _pick(rng, BORDERS[split])
    plane = linear(4, rng)
    sharp, blurred = rng.uniform(10, 20), rng.uniform(2.5, 4.0)
    winding = Problem(two_classes(border, sharp), 2, labels=True)
    straight = Problem(two_classes(plane, rng.uniform(4, 8)), 4, labels=True)
    vague = Problem(two_classes(border, blurred), 2, labels=True)
    coin = Problem(two_classes(lambda X: np.zeros(len(X)), 1.0), 4, labels=True)
    weak = Problem(two_classes(plane, rng.uniform(0.3, 0.5)), 4, labels=True)
    triple = Problem(three_classes(rng, rng.uniform(1.2, 2.0)), 3, labels=True)
    line, tree = LogisticRegression(), DecisionTreeClassifier(random_state=seed)
    yield "line through a winding border", "underfit", line, winding, n
    yield "line at a straight border", "good", line, straight, n
    yield "stump", "underfit", DecisionTreeClassifier(max_depth=1), winding, n
    yield "deep tree, blurred border", "overfit", tree, vague, n
    yield "1 neighbour, blurred border", "overfit", KNeighborsClassifier(1), vague, n
    yield "kernel machine", "good", SVC(C=10.0), winding, n
    yield "line on coin tosses", "noise-limited", line, coin, n
    yield "line in noise, labels", "noise-limited", line, weak, n
    yield "three classes, line", "good", line, triple, n
    yield "three classes, deep tree", "overfit", tree, triple, n
    net = MLPClassifier(
        hidden_layer_sizes=(1,), solver="lbfgs", alpha=0.1, max_iter=2000, random_state=seed
    )
    yield "net of one unit, labels", "underfit", net, winding, n


def planted_cases(split, n_repeats=8):
    """List the cases: 25 families, each `n_repeats` times."""
    cases = []
    for repeat in range(n_repeats):
        for number, families in enumerate((regression_families, classification_families)):
            seed = SEEDS[split] + 100 * repeat + 50 * number
            drawn = families(split, np.random.default_rng(seed), seed)
            cases += [Case(*parts, seed=seed + i) for i, parts in enumerate(drawn)]
    return cases
