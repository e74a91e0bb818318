"""Scores of an estimator, of reference models and of corrections to it, on the same folds."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import cross_validate
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state

from sklearn_ext._validation import _safe_indexing
from sklearn_ext.inspection._fit_statistics import explained_share, gamma_test, skill
from sklearn_ext.inspection._fit_weights import asking_for_weights, routing, weighted_scorer
from sklearn_ext.inspection._fixed_predictions import fixed, one_hot, outputs
from sklearn_ext.inspection._reference_models import (
    constant_model,
    default_references,
    residual_models,
)

__all__ = ["Task"]

# Shares of a training fold for the learning curve, next to the whole of it.
_TRAIN_SHARES = (0.5, 0.75)
# Rows that the estimate of noise by neighbours looks at.
_MOST_ROWS_OF_GAMMA_TEST = 20_000


@dataclass(frozen=True, eq=False)
class Task:
    """Data, folds and scores that everything is measured on.

    What is measured has a last axis of `n_scores`: one for the score of the whole, and one for the
    R² of each output where there are several.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Rows.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets.
    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.
    splits : list of tuple of ndarray
        Training and test rows of each fold.
    scorer : callable
        ``scorer(estimator, X, y)``, or also with `sample_weight`.
    classes : ndarray of shape (n_classes,) or None
        Labels; None for regression.
    table : ndarray of shape (n_samples, n_columns) or None
        The numbers of X, for the default reference models.
    n_jobs : int or None
        Parallel jobs over folds.
    """

    X: object
    y: np.ndarray
    weight: np.ndarray | None
    splits: list
    scorer: object
    classes: np.ndarray | None
    table: np.ndarray | None
    n_jobs: int | None

    @property
    def n_train(self):
        """Mean number of training rows of a fold."""
        return round(np.mean([len(train) for train, _ in self.splits]))

    @property
    def test_ratio(self):
        """Test rows for each training row."""
        size = len if self.weight is None else lambda rows: self.weight[rows].sum()
        return float(np.mean([size(test) / size(train) for train, test in self.splits]))

    @property
    def n_outputs(self):
        """Number of columns of the targets; 1 where they are no matrix."""
        return 1 if self.y.ndim == 1 else self.y.shape[1]

    @property
    def scorers(self):
        """Scorers by name: of the whole, and of each output where there are several."""
        scorers = {"whole": self.scorer}
        if self.n_outputs > 1:
            scorers |= {str(j): make_scorer(_r2_of, output=j) for j in range(self.n_outputs)}
        if self.weight is None:
            return scorers
        return {name: weighted_scorer(scorer) for name, scorer in scorers.items()}

    @property
    def targets(self):
        """Values, or certain probabilities of labels."""
        return self.y if self.classes is None else one_hot(self.y, self.classes)

    def weights(self, rows=slice(None)):
        """Keyword with the weights of some rows; none where there are no weights."""
        return {} if self.weight is None else {"sample_weight": self.weight[rows]}

    def perfect_score(self):
        """Score of predictions without an error."""
        return float(self.score(fixed(self.targets, self.classes), self.X)[0])

    def score(self, estimator, X, rows=slice(None)):
        """Scores (n_scores,) of a fitted estimator on `rows`, whose features are X."""
        with routing(self.weight):
            return np.array(
                [
                    scorer(estimator, X, self.y[rows], **self.weights(rows))
                    for scorer in self.scorers.values()
                ]
            )

    def cross_validate(self, estimator, X=None, *, splits=None, error_score="raise"):
        """Fit clones of an estimator, on X or on other columns of the same rows.

        Parameters
        ----------
        estimator : estimator
            It asks for weights where it shall have them.
        X : array-like of shape (n_samples, ...), default=None
            Other columns.
        splits : list of tuple of ndarray, default=None
            Other folds.
        error_score : "raise" or float, default="raise"
            What a fit that fails scores.

        Returns
        -------
        train, test : ndarray of shape (n_splits, n_scores)
            Scores.
        estimators : list of estimator
            The fitted clones.
        """
        with routing(self.weight):
            found = cross_validate(
                estimator,
                self.X if X is None else X,
                self.y,
                cv=self.splits if splits is None else splits,
                scoring=self.scorers,
                params=self.weights(),
                n_jobs=self.n_jobs,
                return_train_score=True,
                return_estimator=True,
                error_score=error_score,
            )
        train, test = (
            np.column_stack([found[f"{rows}_{name}"] for name in self.scorers])
            for rows in ("train", "test")
        )
        return train, test, found["estimator"]

    def reference_scores(self, references, seed):
        """Scores of each fold of the constant and of the reference models, by name."""
        classification, rows = self.classes is not None, self.X
        if references is None:
            references = default_references(classification, self.n_train, seed, self.n_outputs)
            rows = self.table
        models = {"constant": (constant_model(classification), np.zeros((len(self.y), 1)))}
        models |= {name: (model, rows) for name, model in references.items()}
        if self.weight is not None:
            models = {n: (asking_for_weights(m, anew=True), X) for n, (m, X) in models.items()}
        return {name: self._reference_score(name, *pair) for name, pair in models.items()}

    def _reference_score(self, name, model, X):
        """Scores of each fold of one reference model."""
        try:
            return self.cross_validate(model, X)[1]
        except ValueError as error:
            raise ValueError(
                f"The reference model {name!r} cannot be fitted or scored: {error} Take another "
                "score, or pass references that can be."
            ) from error

    def corrected_scores(self, estimators, seed):
        """Scores of the estimator of each fold plus a model of its training residuals.

        Parameters
        ----------
        estimators : list of estimator
            Fitted on the training rows of each fold.
        seed : int
            For the models of the residuals.

        Returns
        -------
        scores : dict of str to ndarray of shape (n_folds, n_scores)
            By the name of the model of the residuals.
        shares : dict of str to ndarray of shape (n_scores,)
            Share of the squared residuals on the test rows that it explains: the mean over outputs,
            and of each where there are several.
        """
        models = residual_models(self.classes is not None, seed)
        folds = Parallel(n_jobs=self.n_jobs)(
            delayed(_correct)(self, estimator, models, *split)
            for estimator, split in zip(estimators, self.splits, strict=True)
        )
        scores = {name: np.array([fold[name][0] for fold in folds]) for name in models}
        shares = {name: self._shares([fold[name][1:] for fold in folds]) for name in models}
        return scores, shares

    def _shares(self, folds):
        """Explained shares (n_scores,) of the pairs of true and predicted residuals of folds."""
        left, guess = (np.concatenate(parts) for parts in zip(*folds, strict=True))
        rows = np.concatenate([test for _, test in self.splits])
        share = partial(explained_share, **self.weights(rows))
        if self.n_outputs == 1:
            return np.array([share(left, guess)])
        each = [share(*columns) for columns in zip(left.T, guess.T, strict=True)]
        return np.array([np.mean(each), *each])

    def learning_curve(self, estimator, seed):
        """Scores on parts of the training rows.

        Parameters
        ----------
        estimator : estimator
            It asks for weights where it shall have them.
        seed : int
            For the order of the rows.

        Returns
        -------
        sizes : ndarray of shape (n_sizes,)
            Numbers of training rows below the whole folds.
        train, test : ndarray of shape (n_sizes, n_folds, n_scores)
            Scores; nan where a fit on so few rows fails.
        """
        sizes = np.unique([max(int(len(self.splits[0][0]) * s), 1) for s in _TRAIN_SHARES])
        rng = check_random_state(seed)
        orders = [(rng.permutation(train), test) for train, test in self.splits]
        splits = [(train[:size], test) for size in sizes for train, test in orders]
        train, test, _ = self.cross_validate(estimator, splits=splits, error_score=np.nan)
        shape = (len(sizes), len(orders), -1)
        return sizes, train.reshape(shape), test.reshape(shape)

    def noise_ceiling(self):
        """R² (n_scores,) that the noise leaves, by near neighbours in standardised columns."""
        if self.classes is not None:
            return np.array([np.nan])
        weight = np.ones(len(self.y)) if self.weight is None else self.weight
        rows = np.flatnonzero(weight)
        rows = rows[:: -(-len(rows) // _MOST_ROWS_OF_GAMMA_TEST)]
        table, y, weight = self.table[rows], self.y[rows].reshape(len(rows), -1), weight[rows]
        noise = gamma_test(StandardScaler().fit_transform(table, sample_weight=weight), y, weight)
        variance = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, 0, weight)
        each = np.clip(skill(noise, variance, 0.0), 0.0, 1.0)
        return each if len(each) == 1 else np.array([each.mean(), *each])


def _r2_of(y, predictions, *, output, sample_weight=None):
    """R² of one of several outputs."""
    return r2_score(y[:, output], predictions[:, output], sample_weight=sample_weight)


def _correct(task, estimator, models, train, test):
    """Scores, true and predicted residuals on the test rows of one fold, by model of residuals."""
    X_test = _safe_indexing(task.X, test)
    seen = outputs(estimator, _safe_indexing(task.X, train), task.classes)
    new = outputs(estimator, X_test, task.classes)
    targets, weights = task.targets, task.weights(train)
    result = {}
    for name, model in models.items():
        model = clone(model).fit(task.table[train], targets[train] - seen, **weights)
        guess = model.predict(task.table[test]).reshape(new.shape)
        scores = task.score(fixed(new + guess, task.classes), X_test, test)
        result[name] = scores, targets[test] - new, guess
    return result
