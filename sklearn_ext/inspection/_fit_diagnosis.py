"""Underfit, overfit, good, or limited by noise: measure a fit and give a verdict."""

from numbers import Integral

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import check_scoring, get_scorer
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils import check_random_state, indexable

from sklearn_ext._validation import _safe_indexing
from sklearn_ext.inspection._fit_measurements import Task
from sklearn_ext.inspection._fit_report import FitDiagnosis
from sklearn_ext.inspection._fit_targets import checked_target, output_names
from sklearn_ext.inspection._fit_weights import (
    asking_for_weights,
    checked_weights,
    takes_weights,
    weighted_scorer,
)
from sklearn_ext.inspection._reference_models import numeric_table

__all__ = ["diagnose_fit"]

_SEEDS = np.iinfo(np.int32).max
_SEVERAL_COLUMNS = (
    "estimator predicts several columns for one target, as several quantiles are, and a diagnosis "
    "compares one with one. Diagnose one quantile at a time, with "
    "scoring=make_scorer(d2_pinball_score, alpha=...)."
)


def diagnose_fit(
    estimator,
    X,
    y,
    *,
    cv=5,
    scoring=None,
    sample_weight=None,
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
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets. Several columns are for regression only; the verdict is that of their mean score,
        and each column gets a diagnosis by R² of its own.
    cv : int, cross-validation generator or iterable, default=5
        A number of folds, at least 2, is of shuffled rows, stratified for a classifier; other
        splitters of scikit-learn are used as they are; of one that needs groups, give
        ``list(cv.split(X, y, groups))``. Each fold takes part in the tests.
    scoring : str or callable, default=None
        Score where larger is better. None takes R², or the accuracy of a classifier.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, in all fits and scores: a row of weight 2 counts as two rows, one of
        weight 0 as none. In a pipeline or a search every part gets them whose `fit` or `score`
        takes them, or those that ask for them where scikit-learn's metadata routing is enabled.
        Reference models that take no weights are fitted without.
    random_state : int, RandomState instance or None, default=None
        For the shuffling and the reference models. The estimator keeps its own.
    n_jobs : int, default=None
        Number of parallel jobs, over folds.
    references : dict of str to estimator, default=None
        Reference models that take X as it is, by names other than "constant". None takes trees,
        nearest neighbours, an automatic polynomial, or kernel logistic regression, on the table's
        numbers, and models of the residuals besides. A constant always takes part.

    Returns
    -------
    diagnosis : FitDiagnosis
        Verdict, evidence, advice, and all numbers.

    Raises
    ------
    TypeError
        If the estimator is neither a classifier nor a regressor, or if there are weights, and it or
        `scoring` takes none.
    ValueError
        If y has a column of one value only, or several columns of labels, if a score is not finite,
        if X is no table and there are no `references`, if `cv` cannot split these rows, or if the
        estimator predicts several quantiles.

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
    _check_references(references)
    names = output_names(y)
    X, y, sample_weight = _counted_rows(X, y, sample_weight, cv)
    y = checked_target(y, classification)
    X, y = indexable(X, y)
    scorer, score_name = _scorer(estimator, scoring, classification)
    seeds = [int(seed) for seed in check_random_state(random_state).randint(_SEEDS, size=3)]
    weight = checked_weights(sample_weight, X)
    splits = _splits(cv, X, y, classification, seeds[0])
    classes = np.unique(y) if classification else None
    table = numeric_table(X) if references is None else None
    model = estimator
    if weight is not None:
        model, scorer = _weighted(estimator), weighted_scorer(scorer)
    splits = _counted(splits, weight, len(y))
    task = Task(X, y, weight, splits, scorer, classes, table, n_jobs)
    perfect = _perfect_score(task, score_name)
    found = _measured(task, model, references, score_name, seeds[1:])
    _check_scale(found["reference_scores"]["constant"][:, 0].mean(), perfect)
    labels = {"estimator_name": _name(estimator), "test_ratio": task.test_ratio}
    return FitDiagnosis(
        scoring=score_name,
        perfect_score=perfect,
        outputs={
            name: FitDiagnosis(
                scoring="R²", perfect_score=1.0, outputs={}, **labels, **_at(found, j)
            )
            for j, name in enumerate(names, start=1)
        },
        **labels,
        **_at(found, 0),
    )


def _measured(task, estimator, references, score_name, seeds):
    """Numbers of a diagnosis by field, with a last axis for the whole and the outputs."""
    train, validation, fitted = _cross_validated(task, estimator)
    _check_finite(score_name, train, validation)
    scores, structure = task.reference_scores(references, seeds[0]), {}
    noise_ceiling = np.full(train.shape[1], np.nan)
    if task.table is not None:
        corrected, structure = task.corrected_scores(fitted, seeds[0])
        scores |= corrected
        noise_ceiling = task.noise_ceiling()
    sizes, train_curve, validation_curve = task.learning_curve(estimator, seeds[1])
    return {
        "train_scores": train,
        "validation_scores": validation,
        "reference_scores": scores,
        "residual_structure": structure,
        "train_sizes": np.append(sizes, task.n_train)[:, None],
        "train_curve": np.concatenate([train_curve, train[None]]),
        "validation_curve": np.concatenate([validation_curve, validation[None]]),
        "noise_ceiling": noise_ceiling,
    }


def _cross_validated(task, estimator):
    """Scores and fitted clones of an estimator that predicts one column a target."""
    try:
        found = task.cross_validate(estimator)
    except ValueError as error:
        if "different number of output" not in str(error):
            raise
        raise ValueError(_SEVERAL_COLUMNS) from error
    if task.table is not None and task.classes is None:  # residuals have to be differences
        row = _safe_indexing(task.X, [0])
        if np.size(found[2][0].predict(row)) != task.n_outputs:
            raise ValueError(_SEVERAL_COLUMNS)
    return found


def _at(found, column):
    """Numbers of the whole (column 0) or of one output."""
    if isinstance(found, dict):
        return {name: _at(values, column) for name, values in found.items()}
    values = found[..., min(column, found.shape[-1] - 1)]
    return values if values.ndim else float(values)


def _is_classification(estimator):
    """Tell classifiers from regressors."""
    if hasattr(estimator, "fit") and (is_classifier(estimator) or is_regressor(estimator)):
        return is_classifier(estimator)
    raise TypeError(
        f"estimator must be a classifier or a regressor, got {type(estimator).__name__}."
    )


def _check_references(references):
    if not (references is None or isinstance(references, dict)):
        raise TypeError(
            "references must be a dict of names to estimators or None, got "
            f"{type(references).__name__}."
        )
    if "constant" in (references or ()):
        raise ValueError(
            "references must not have the name 'constant': that is the best constant prediction, "
            "which takes part always. Give another name."
        )


def _scorer(estimator, scoring, classification):
    """Scorer and its name."""
    if scoring is None:
        scoring = "accuracy" if classification else "r2"
    if not (isinstance(scoring, str) or callable(scoring)):
        raise TypeError(f"scoring must be one score, a str or a callable, got {scoring!r}.")
    if isinstance(scoring, str):
        return get_scorer(scoring), "R²" if scoring == "r2" else scoring
    return check_scoring(estimator, scoring), getattr(scoring, "__name__", "score")


def _splitter(cv, y, classification, seed):
    """Splitter of rows: shuffled for a number of folds."""
    if isinstance(cv, Integral):
        kind = StratifiedKFold if classification else KFold
        return kind(cv, shuffle=True, random_state=seed)
    return check_cv(cv, y, classifier=classification)


def _splits(cv, X, y, classification, seed):
    """Training and test rows of each fold."""
    splitter = _splitter(cv, y, classification, seed)
    try:
        return list(splitter.split(X, y))
    except ValueError as error:
        remedy = "Take fewer folds, or give a list of pairs of row numbers."
        if "groups" in str(error):
            remedy = f"Give cv=list({cv}.split(X, y, groups))."
        raise ValueError(f"cv={cv} cannot split these rows: {error} {remedy}") from error


def _counted_rows(X, y, weight, cv):
    """Leave out rows of weight 0, unless splits may name them."""
    if weight is None or y is None or not isinstance(cv, Integral):
        return X, y, weight
    X, y = indexable(X, y)
    checked = checked_weights(weight, X)
    if checked is None:  # all the same
        return X, y, weight
    rows = np.flatnonzero(checked)
    return _safe_indexing(X, rows), _safe_indexing(y, rows), checked[rows]


def _counted(splits, weight, n_rows):
    """Folds as numbers of rows, without those of weight 0."""
    if len(splits) < 2:
        raise ValueError(f"cv must give at least 2 folds, got {len(splits)}: spread is needed.")
    rows = np.arange(n_rows)
    splits = [(rows[train], rows[test]) for train, test in splits]  # they may be masks
    if weight is None:
        return splits
    return [tuple(part[weight[part] > 0] for part in split) for split in splits]


def _weighted(estimator):
    """Clone of the estimator that asks for weights."""
    model = asking_for_weights(estimator)
    if takes_weights(model):
        return model
    raise TypeError(
        f"sample_weight is given, and fit of {_name(estimator)} takes none. Leave the weights out, "
        "or repeat the rows."
    )


def _check_finite(name, *scores):
    if not np.isfinite(scores).all():
        raise ValueError(
            f"scoring gave {name} values that are not finite on some fold. Take fewer folds (cv), "
            "or another score."
        )


def _perfect_score(task, name):
    """Score of predictions without an error: the first that meets the weights."""
    try:
        return task.perfect_score()
    except TypeError as error:
        if task.weight is None or "sample_weight" not in str(error):
            raise
        raise TypeError(f"sample_weight is given, and scoring={name!r} takes none.") from error
    except ValueError as error:
        raise ValueError(
            f"scoring={name!r} cannot score predictions that are all right, as a diagnosis has to: "
            f"{error} Take another score."
        ) from error


def _check_scale(constant, perfect):
    if not perfect > constant:
        raise ValueError(
            f"scoring gives a constant prediction {constant:.3g} and a perfect one {perfect:.3g}. "
            "Take a score that is larger for better predictions."
        )


def _name(estimator):
    """Class of the estimator, or of the last step of a pipeline."""
    steps = getattr(estimator, "steps", None)
    return type(steps[-1][1] if steps else estimator).__name__
