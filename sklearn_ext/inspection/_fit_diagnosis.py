"""Underfit, overfit, good, or limited by noise: measure a fit and give a verdict."""

from numbers import Integral

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import check_scoring, get_scorer
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils import check_random_state, column_or_1d, indexable
from sklearn.utils.multiclass import check_classification_targets

from sklearn_ext.inspection._fit_measurements import Task
from sklearn_ext.inspection._fit_report import FitDiagnosis
from sklearn_ext.inspection._reference_models import numeric_table

__all__ = ["diagnose_fit"]

_SEEDS = np.iinfo(np.int32).max


def diagnose_fit(
    estimator,
    X,
    y,
    *,
    cv=5,
    scoring=None,
    random_state=None,
    n_jobs=None,
    references=None,
):
    r"""Say whether an estimator underfits, overfits, is good, or is limited by noise.

    A low score alone does not tell a model that is too stiff from a target that is noise, and a
    gap of training and validation score does not tell a harmless from a harmful one (a random
    forest has a gap, and nothing to be won by closing it). So the estimator is cross-validated
    side by side with models of other kinds; the best score on new rows that any of them reaches
    is a lower bound of what is attainable. What is missing splits into two parts:

    .. math:: \underbrace{s_{ceiling} - s_{validation}}_{missing} =
              \underbrace{s_{ceiling} - s_{train}}_{bias} +
              \underbrace{s_{train} - s_{validation}}_{variance} .

    Parameters
    ----------
    estimator : estimator
        Classifier or regressor, also a pipeline or a search. It is cloned and stays as it is.
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,)
        Targets.
    cv : int, cross-validation generator or iterable, default=5
        A number of folds, at least 2, is of shuffled rows, stratified for a classifier; other
        splitters of scikit-learn are used as they are. Each fold takes part in the tests.
    scoring : str or callable, default=None
        Score where larger is better. None takes R², or the accuracy of a classifier.
    random_state : int, RandomState instance or None, default=None
        For the shuffling and the reference models. The estimator keeps its own.
    n_jobs : int, default=None
        Number of parallel jobs, over folds.
    references : dict of str to estimator, default=None
        Reference models that take X as it is. None takes trees, nearest neighbours, an automatic
        polynomial, or kernel logistic regression, on the table's numbers. A constant, and
        models of the residuals where X is a table, always take part.

    Returns
    -------
    diagnosis : FitDiagnosis
        Verdict, evidence, advice, and all numbers.

    Raises
    ------
    TypeError
        If the estimator is neither a classifier nor a regressor.
    ValueError
        If y has more than one column or one value only, if a score is not finite, or if X is no
        table and there are no `references`.

    See Also
    --------
    FitDiagnosisDisplay : Draw it.
    sklearn.model_selection.learning_curve : Scores by the number of rows.

    Notes
    -----
    With skills (0 for the best constant, 1 for perfect predictions) the verdict is

    - *good* or *noise-limited* if the best model's skill is less than 0.02 above the estimator's,
      or if less than 15 % of the estimator's error goes away with it, or if the difference may be
      luck of the folds (one-sided corrected t test [1]_, p > 0.2): *noise-limited* if the best
      skill is below 0.5, *good* otherwise;
    - else *overfit* if more is lost between training and new rows than on the training rows;
    - else *underfit*.

    The ceiling is what these models reach, not what is possible: where all of them fail, "good"
    and "noise-limited" mean that nothing better is known. Fits: K of the estimator on the whole
    training folds and 2 K on parts of them, and about 5 K of reference models.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52,
       239-281, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from sklearn_ext.inspection import diagnose_fit
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-3, 3, size=(200, 1))
    >>> y = np.sin(X[:, 0]) + 0.5 * rng.normal(size=200)
    >>> diagnosis = diagnose_fit(DecisionTreeRegressor(random_state=0), X, y, random_state=0)
    >>> diagnosis.verdict
    'overfit'
    >>> diagnosis.next_step.partition(":")[0]
    'Take freedom away'
    """
    classification = _is_classification(estimator)
    X, y = indexable(X, _checked_target(y, classification))
    scorer, score_name = _scorer(estimator, scoring, classification)
    seeds = [int(seed) for seed in check_random_state(random_state).randint(_SEEDS, size=3)]
    splits = list(_splitter(cv, y, classification, seeds[0]).split(X, y))
    _check_splits(splits)
    classes = np.unique(y) if classification else None
    table = numeric_table(X) if references is None else None
    task = Task(X, y, splits, scorer, classes, table, n_jobs)
    fits = task.cross_validate(estimator, return_train_score=True, return_estimator=True)
    _check_finite(score_name, fits["train_score"], fits["test_score"])
    scores, structure = task.reference_scores(references, seeds[1]), {}
    noise_ceiling = np.nan
    if table is not None:
        corrected, structure = task.corrected_scores(fits["estimator"], seeds[1])
        scores |= corrected
        noise_ceiling = np.nan if classification else task.noise_ceiling()
    perfect = task.perfect_score()
    _check_scale(scores["constant"], perfect)
    sizes, train_curve, validation_curve = task.learning_curve(estimator, seeds[2])
    return FitDiagnosis(
        estimator_name=_name(estimator),
        scoring=score_name,
        train_scores=fits["train_score"],
        validation_scores=fits["test_score"],
        reference_scores=scores,
        perfect_score=perfect,
        residual_structure=structure,
        train_sizes=np.append(sizes, task.n_train),
        train_curve=np.vstack([train_curve, fits["train_score"]]),
        validation_curve=np.vstack([validation_curve, fits["test_score"]]),
        noise_ceiling=noise_ceiling,
        test_ratio=task.test_ratio,
    )


def _is_classification(estimator):
    """Tell classifiers from regressors."""
    if is_classifier(estimator) or is_regressor(estimator):
        return is_classifier(estimator)
    raise TypeError(
        f"estimator must be a classifier or a regressor, got {type(estimator).__name__}."
    )


def _checked_target(y, classification):
    """Targets as an array of one dimension that can be learned from."""
    y = column_or_1d(y)
    if classification:
        check_classification_targets(y)
    else:
        y = np.asarray(y, dtype=float)
        if not np.isfinite(y).all():
            raise ValueError("y contains NaN or infinity. Leave those rows out.")
    if len(np.unique(y)) < 2:
        raise ValueError(f"y holds the one value {y[0]} only: there is nothing to learn.")
    return y


def _scorer(estimator, scoring, classification):
    """Scorer and its name."""
    if scoring is None:
        scoring = "accuracy" if classification else "r2"
    if isinstance(scoring, str):
        return get_scorer(scoring), "R²" if scoring == "r2" else scoring
    return check_scoring(estimator, scoring), getattr(scoring, "__name__", "score")


def _splitter(cv, y, classification, seed):
    """Splitter of rows: shuffled for a number of folds."""
    if isinstance(cv, Integral):
        kind = StratifiedKFold if classification else KFold
        return kind(cv, shuffle=True, random_state=seed)
    return check_cv(cv, y, classifier=classification)


def _check_splits(splits):
    if len(splits) < 2:
        raise ValueError(f"cv must give at least 2 folds, got {len(splits)}: spread is needed.")


def _check_finite(name, *scores):
    if not np.isfinite(scores).all():
        raise ValueError(
            f"scoring gave {name} values that are not finite on some fold. Take fewer folds (cv), "
            "or another score."
        )


def _check_scale(constant, perfect):
    if not perfect > constant.mean():
        raise ValueError(
            f"scoring gives a constant prediction {constant.mean():.3g} and a perfect one "
            f"{perfect:.3g}. Take a score that is larger for better predictions."
        )


def _name(estimator):
    """Class of the estimator, or of the last step of a pipeline."""
    steps = getattr(estimator, "steps", None)
    return type(steps[-1][1] if steps else estimator).__name__
