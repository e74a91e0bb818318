"""What nets for classification share: labels, class weights, probabilities and scores."""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_array

from sklearn_ext._dask import each_in_memory, over_partitions
from sklearn_ext._onnx.responses import add_labels, add_probabilities
from sklearn_ext._validation import Interval, StrOptions

__all__ = ["ClassificationTargets"]


class ClassificationTargets(ClassifierMixin):
    """Labels as targets; comes before :class:`BaseNet` among the bases of an estimator."""

    _parameter_constraints = {
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    _makes_net = ("label_smoothing",)

    # Classes announced to `partial_fit`; a `fit` takes those of y.
    _known_classes = None
    # Weight of the rows of each class, where a `fit` sees only some of them at a time.
    _class_sums = None

    @over_partitions
    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels.
        """
        return self._labels(self.predict_proba(X))

    def _labels(self, probability):
        codes = self._codes(probability)
        return codes if self._kind == "multilabel" else self.classes_[codes]

    def _codes(self, probability):
        """Positions of the labels in `classes_`, or the indicator matrix."""
        if self._kind == "multilabel":
            return (probability > 0.5).astype(np.int64)
        return probability.argmax(axis=1)

    def _add_outputs(self, graph, raw, shares):
        """Predict labels and probabilities in a graph."""
        probabilities = add_probabilities(graph, raw, shares, self._kind)
        classes = None if self._kind == "multilabel" else self.classes_
        labels = add_labels(graph, probabilities, classes)
        return {"label": labels, "probabilities": probabilities}

    def _plain_prediction(self, responses):
        """Predict in the form of `_plain_target`."""
        return self._codes(self._probability(responses))

    def _plain_target(self, y):
        """Labels as numbers, which tensors can hold."""
        return y.astype(np.int64)

    def _plain_classes(self):
        """The numbers that `_plain_target` gives."""
        return None if self._kind == "multilabel" else np.arange(len(self.classes_))

    @over_partitions
    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; for multilabel y the probability of each label.
        """
        return self._probability(self._responses(X))

    def score(self, X, y, sample_weight=None):
        """Return the accuracy; for multilabel y the share of rows with all labels right.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            In [0, 1].
        """
        y, predicted, weights = each_in_memory(y, self.predict(X), sample_weight)
        return float(accuracy_score(y, predicted, sample_weight=weights))

    def _log_mean_exp(self, members):
        """Logarithm of the members' mean of what the values are logarithms of."""
        shares = self._member_shares(members.dtype)
        if shares is not None:  # a member that does not count may have the highest value
            members, shares = members[shares > 0], shares[shares > 0]
        highest = members.max(axis=0)
        return highest + np.log(self._mean_by(np.exp(members - highest), shares))

    def _probability(self, responses):
        found = np.exp(self._log_mean_exp(responses))
        if self._kind == "multilabel":
            return found[..., 1]
        return found[:, 0] if self._kind == "binary" else found

    @over_partitions
    def predict_log_proba(self, X):
        """Predict logarithms of probabilities.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes)
            Logarithms of what `predict_proba` gives; -inf where that rounds to 0.
        """
        with np.errstate(divide="ignore"):  # a probability may round to 0
            return np.log(self.predict_proba(X))

    @over_partitions
    def decision_function(self, X):
        """Compute log-odds of two classes and of labels, log-probabilities of several classes.

        Parameters
        ----------
        X : array-like
            Samples, in a form that `fit` takes.

        Returns
        -------
        decision : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            Above 0 for the second class, or for a label; the largest is the class.
        """
        # Log of the members' mean probabilities, (n, n_classes) or (n, n_labels, 2).
        found = self._log_mean_exp(self._responses(X))
        if self._kind == "multiclass":
            return found
        odds = found[..., 1] - found[..., 0]
        return odds[:, 0] if self._kind == "binary" else odds

    def _announce_classes(self, classes):
        """Keep all classes that will ever come, which the first `partial_fit` has to know."""
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which sees some of the "
                "rows only. Set class_weight to a dict, such as one of the weights that "
                "sklearn.utils.class_weight.compute_class_weight('balanced', ...) gives for all "
                "of them."
            )
        if classes is None and not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        known = None if classes is None else np.unique(classes)
        before = getattr(self, "classes_", known)
        if known is not None and not np.array_equal(known, before):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{before!r}"
            )
        self._known_classes = known

    def _forget_announced_classes(self):
        """Let `fit` take the classes of y, whatever an earlier `partial_fit` was told."""
        vars(self).pop("_known_classes", None)

    def _read_target(self, y, *, reset):
        y = y.toarray() if issparse(y) else y
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=self)
        check_classification_targets(y)
        multilabel = type_of_target(y) == "multilabel-indicator"
        if not multilabel:
            y = column_or_1d(y, warn=True)
        if reset:
            self._learn_classes(y, multilabel)
        self._check_labels(y, multilabel)
        if self._kind == "multilabel":
            return _checked_indicators(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y holds classes {unknown.tolist()[:5]}, which are not in classes_: "
                f"{self.classes_.tolist()[:5]}. What numbers the classes, such as "
                "VotingClassifier and cross_val_predict of probabilities, needs a base that was "
                "fitted on numbers from 0."
            )
        return np.searchsorted(self.classes_, y)

    def _learn_classes(self, y, multilabel):
        """Set classes and the kind of the problem."""
        known = self._known_classes
        if multilabel:
            self.classes_, self._kind = np.arange(y.shape[1]), "multilabel"
            if known is not None and not np.array_equal(known, self.classes_):
                raise ValueError(
                    f"classes of an indicator matrix of {y.shape[1]} labels are the numbers from "
                    f"0 to {y.shape[1] - 1}, got {known.tolist()}."
                )
            self._n_targets = self.n_outputs_ = y.shape[1]
            return
        self.classes_ = unique_labels(y) if known is None else known
        self._kind = "multiclass" if len(self.classes_) > 2 else "binary"
        self._n_targets = self.n_outputs_ = len(self.classes_) if len(self.classes_) > 2 else 1
        if len(self.classes_) < 2:
            raise ValueError(
                f"Classifier can't train when only one class is present: {self.classes_.tolist()}"
            )

    def _check_labels(self, y, multilabel):
        """Raise an error for targets of another form than those of the net."""
        n_labels = y.shape[1] if multilabel else None
        if n_labels == (self._n_targets if self._kind == "multilabel" else None):
            return
        raise ValueError(
            f"y has {_form(n_labels)}, but the net was fitted to "
            f"{_form(self._n_targets if self._kind == 'multilabel' else None)}."
        )

    def _learn_target(self, y, weights, dtype):
        if self._kind != "multilabel" and len(np.unique(y)) < 2 and self._known_classes is None:
            raise ValueError(
                "Classifier can't train when only one class is present after rows of zero "
                "sample_weight or class_weight were left out."
            )

    def _encode_target(self, y):
        if self._kind == "multiclass":
            return y.astype(np.int64)
        return y.reshape(len(y), -1).astype(np.float64)

    def _row_weights(self, y, weights):
        """Weights of the rows times those of their classes."""
        if self.class_weight is None:
            return weights
        if self._kind == "multilabel":
            of_class = self._weights_of_labels(y.astype(np.int64), weights)
        else:
            of_class = self._weights_of_classes(y, weights)[y]
        if not np.all((of_class >= 0) & (of_class < np.inf)):
            raise ValueError(
                f"class_weight must hold finite numbers >= 0, got {self.class_weight!r}."
            )
        return of_class if weights is None else of_class * weights

    def _counted_classes(self, y, weights):
        """Weight of the rows of each class."""
        if self._class_sums is not None:
            return np.array([self._class_sums.get(c, 0.0) for c in self.classes_.tolist()])
        return np.bincount(y, weights=weights, minlength=len(self.classes_))

    def _weights_of_classes(self, y, weights):
        """Weight of each class, whether or not these rows have it."""
        if isinstance(self.class_weight, list):
            raise ValueError(
                "class_weight must be a dict, 'balanced' or None where every row has one label, "
                f"got {self.class_weight!r}."
            )
        if self.class_weight != "balanced":
            return _given_weights(self.class_weight, self.classes_)
        return _balanced(self._counted_classes(y, weights))

    def _weights_of_labels(self, y, weights):
        """Product of the weights that each row has by its labels."""
        if self.class_weight == "balanced":
            counted = (np.bincount(labels, weights=weights, minlength=2) for labels in y.T)
            pairs = zip(map(_balanced, counted), y.T, strict=True)
            return np.prod([of_label[labels] for of_label, labels in pairs], axis=0)
        if not isinstance(self.class_weight, list) or len(self.class_weight) != y.shape[1]:
            raise ValueError(
                f"class_weight must be 'balanced', None or a list of {y.shape[1]} dicts, one a "
                f"label, with the keys 0 and 1, got {self.class_weight!r}."
            )
        pairs = zip(self.class_weight, y.T, strict=True)
        return np.prod([_given_weights(given, np.arange(2))[labels] for given, labels in pairs], 0)

    def _build_loss(self):
        from sklearn_ext._torch import losses

        kind = losses.CrossEntropy if self._kind == "multiclass" else losses.BinaryCrossEntropy
        return kind(self._of_net("label_smoothing"))

    def _strata(self, y):
        return None if self._kind == "multilabel" else y

    def _validation_score(self, raw, rows):
        """Accuracy of the validation rows, the mean over members."""
        from sklearn_ext._torch.evaluation import weighted_mean

        target = rows.seen_targets
        if self._kind == "multiclass":
            hits = raw.argmax(-1) == target
        else:
            hits = ((raw > 0) == (target > 0.5)).all(-1)
        return float(weighted_mean(hits.to(raw.dtype), rows.seen_weights).mean())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _checked_indicators(y):
    """Floats of an indicator matrix."""
    y = y.astype(np.float64)
    values = np.unique(y)
    if not np.isin(values, (0.0, 1.0)).all():
        raise ValueError(
            "y with several labels a row must hold 0 and 1 only, an indicator matrix, got "
            f"{values.tolist()}. Give y == {values[-1]:g}, for instance."
        )
    return y


def _balanced(sums):
    """Weights of classes of such sums of weights, that make all that there are weigh the same."""
    return sums.sum() / (np.count_nonzero(sums) * np.maximum(sums, 1e-300))


def _given_weights(class_weight, classes):
    """Weights of classes by a dict; those that it does not hold have 1."""
    return compute_class_weight(class_weight, classes=classes, y=classes)


def _form(n_labels):
    """Say what targets look like."""
    return "one label a row" if n_labels is None else f"an indicator matrix of {n_labels} labels"
