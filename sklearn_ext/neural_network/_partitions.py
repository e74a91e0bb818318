"""Nets learn from dask collections: their partitions stream by, one at a time."""

from math import ceil

import numpy as np
from sklearn.base import is_classifier

from sklearn_ext._dask import aligned_partitions
from sklearn_ext._optional import import_optional
from sklearn_ext._validation import all_or_nothing

__all__ = ["PartitionedFit"]

SAMPLE_ROWS = 10_000  # rows that the encoding of inputs and targets is learned from
AUTO_PASSES = 10  # what max_iter="auto" stands for; the epochs of any table of 1.5 million rows


class PartitionedFit:
    """What `fit` and `partial_fit` of a net do with dask collections.

    The first steps are taken on up to 10,000 rows, the same number from the head of each
    partition: scales, bins, categories and the size of the net come from them. Then every pass
    goes through all partitions in their order, each by one `partial_fit`. Only one partition is
    in the memory of the process that calls `fit`; rows of a partition are shuffled, partitions
    are not, so the same collection and the same `random_state` give the same net.
    """

    def _fit_partitions(self, context, collections, validation_set, partial):
        """Fit X, y and weights that are dask collections."""
        self._refuse_what_sees_all_rows(validation_set)
        dask = import_optional("dask", extra="dask", purpose="Fitting dask collections")
        parts = aligned_partitions(*collections)
        with all_or_nothing(self):
            if not (partial or self.warm_start):
                for name in ("net_", "_goes_on"):
                    vars(self).pop(name, None)
            if not partial:  # whose caller has said which classes will come
                self._count_classes(dask, parts, collections[1])
            if not hasattr(self, "net_"):
                self._step_through(context, _heads(dask, parts), partial or self._passes() > 0)
            passes = 1 if partial else self._passes()
            for part in parts * passes:
                self._step_through(context, dask.compute(*part))
            vars(self).pop("_class_sums", None)
            if not partial:  # whose next call alone goes on from the moments
                self.net_.optimizer_.forget()
                self._goes_on = False

    def _refuse_what_sees_all_rows(self, validation_set):
        """Raise an error for what needs more than one partition at a time."""
        if validation_set is not None:
            raise ValueError(
                "validation_set cannot be watched while partitions of dask collections stream by: "
                "leave it out, or give arrays."
            )
        if self.solver == "lbfgs":
            raise ValueError(
                "solver='lbfgs' needs all rows at once, but X is a dask collection: take 'adam'."
            )
        if self.early_stopping is True:
            raise ValueError(
                "early_stopping=True needs rows that are held out of all passes, but partitions of "
                "dask collections stream by: take early_stopping='auto', which holds out none then."
            )

    def _passes(self):
        return AUTO_PASSES if self.max_iter == "auto" else self.max_iter

    def _step_through(self, context, rows, partial=True):
        """Go once through some rows; where that is not asked for, only learn what they are like."""
        weights = rows[2]
        if len(rows[0]) and (weights is None or np.any(weights)):
            self._fit_checked(context, *rows, None, partial)

    def _count_classes(self, dask, parts, y):
        """Learn the classes of a classifier of one label a row, and what the rows of each weigh."""
        if not is_classifier(self):
            return
        if getattr(y, "ndim", 1) != 1:
            if self.class_weight == "balanced":
                raise ValueError(
                    "class_weight='balanced' of several labels needs all rows at once, but y is a "
                    "dask collection: give a list of dicts, one a label."
                )
            return
        counted = dask.delayed(_class_sums, pure=False)
        found = dask.compute(*(counted(part[1], part[2]) for part in parts))
        labels, sums = (np.concatenate(values) for values in zip(*found, strict=True))
        classes, sums = _class_sums(labels, sums)
        self._class_sums = dict(zip(classes.tolist(), sums, strict=True))
        if not hasattr(self, "net_"):
            self._known_classes = classes


def _class_sums(labels, weights):
    """Different labels, and the weight of the rows of each."""
    classes, codes = np.unique(labels, return_inverse=True)
    return classes, np.bincount(codes, weights=weights, minlength=len(classes))


def _heads(dask, parts):
    """First rows of each partition, joined: X, y and weights or None."""
    head = dask.delayed(_head, pure=False)
    size = ceil(SAMPLE_ROWS / len(parts))
    found = dask.compute(*([head(values, size) for values in part] for part in parts))
    return [_joined(values) for values in zip(*found, strict=True)]


def _head(values, size):
    return None if values is None else values[:size]


def _joined(values):
    if values[0] is None:
        return None
    if not hasattr(values[0], "iloc"):
        return np.concatenate(values)
    return import_optional("pandas", extra="pandas", purpose="dask DataFrames").concat(values)
