"""Scores of an estimator, of reference models and of corrections to it, on the same folds."""

from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import cross_validate, learning_curve
from sklearn.preprocessing import StandardScaler

from sklearn_ext._validation import _safe_indexing
from sklearn_ext.inspection._fit_statistics import explained_share, gamma_test, skill
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
    """Data, folds and score that everything is measured on.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Rows.
    y : ndarray of shape (n_samples,)
        Targets.
    splits : list of tuple of ndarray
        Training and test rows of each fold.
    scorer : callable
        ``scorer(estimator, X, y)``.
    classes : ndarray of shape (n_classes,) or None
        Labels; None for regression.
    table : ndarray of shape (n_samples, n_columns) or None
        The numbers of X, for the default reference models.
    n_jobs : int or None
        Parallel jobs over folds.
    """

    X: object
    y: np.ndarray
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
        return float(np.mean([len(test) / len(train) for train, test in self.splits]))

    @property
    def targets(self):
        """Values, or certain probabilities of labels."""
        return self.y if self.classes is None else one_hot(self.y, self.classes)

    def perfect_score(self):
        """Score of predictions without an error."""
        return float(self.scorer(fixed(self.targets, self.classes), self.X, self.y))

    def cross_validate(self, estimator, X=None, **options):
        """Scores of clones of an estimator, on X or on other columns of the same rows."""
        return cross_validate(
            estimator,
            self.X if X is None else X,
            self.y,
            cv=self.splits,
            scoring=self.scorer,
            n_jobs=self.n_jobs,
            error_score="raise",
            **options,
        )

    def reference_scores(self, references, seed):
        """Scores of each fold of the constant and of the reference models, by name."""
        classification, rows = self.classes is not None, self.X
        if references is None:
            references = default_references(classification, self.n_train, seed)
            rows = self.table
        models = {"constant": (constant_model(classification), self.y[:, None])}
        models |= {name: (model, rows) for name, model in references.items()}
        return {
            name: self.cross_validate(model, X)["test_score"] for name, (model, X) in models.items()
        }

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
        scores : dict of str to ndarray of shape (n_folds,)
            By the name of the model of the residuals.
        shares : dict of str to float
            Share of the squared residuals on the test rows that it explains.
        """
        models = residual_models(self.classes is not None, seed)
        folds = Parallel(n_jobs=self.n_jobs)(
            delayed(_correct)(self, estimator, models, *split)
            for estimator, split in zip(estimators, self.splits, strict=True)
        )
        scores = {name: np.array([fold[name][0] for fold in folds]) for name in models}
        shares = {
            name: explained_share(
                *(np.concatenate([fold[name][i] for fold in folds]) for i in (1, 2))
            )
            for name in models
        }
        return scores, shares

    def learning_curve(self, estimator, seed):
        """Numbers of training rows below the whole folds, with training and test scores."""
        sizes, train, test = learning_curve(
            estimator,
            self.X,
            self.y,
            cv=self.splits,
            scoring=self.scorer,
            train_sizes=_TRAIN_SHARES,
            shuffle=True,
            random_state=seed,
            n_jobs=self.n_jobs,
        )
        return sizes, train, test

    def noise_ceiling(self):
        """R² that the noise leaves, as estimated from near neighbours in standardised columns."""
        step = -(-len(self.y) // _MOST_ROWS_OF_GAMMA_TEST)
        table, y = self.table[::step], self.y[::step]
        noise = gamma_test(StandardScaler().fit_transform(table), y)
        return float(np.clip(skill(noise, np.var(y), 0.0), 0.0, 1.0))


def _correct(task, estimator, models, train, test):
    """Score, true and predicted residuals on the test rows of one fold, by model of residuals."""
    X_test = _safe_indexing(task.X, test)
    seen = outputs(estimator, _safe_indexing(task.X, train), task.classes)
    new = outputs(estimator, X_test, task.classes)
    left = task.targets[test] - new
    result = {}
    for name, model in models.items():
        model = clone(model).fit(task.table[train], task.targets[train] - seen)
        guess = model.predict(task.table[test]).reshape(left.shape)
        corrected = fixed(new + guess, task.classes)
        score = task.scorer(corrected, X_test, task.y[test])
        result[name] = score, left, guess
    return result
