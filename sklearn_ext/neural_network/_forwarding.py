"""scikit-learn's callbacks of a meta-estimator, told of the epochs of the estimator inside."""

import functools
from contextlib import contextmanager

from sklearn_ext._validation import AutoPropagatedCallback

__all__ = ["forwarded_callbacks"]


@contextmanager
def forwarded_callbacks(outer, inner, fitted_copy):
    """Let the callbacks of `outer` hear of the tasks of `inner` inside the block.

    Those that scikit-learn propagates by itself are left to it. The others are shown `outer`, as
    if it had been fitted so far, in the place of `inner`.

    Parameters
    ----------
    outer, inner : estimator
        Meta-estimator and the estimator that it fits.
    fitted_copy : callable
        From a copy of `inner` that is fitted so far to one of `outer`.
    """
    of_outer = [
        _Forwarded(callback, outer, fitted_copy)
        for callback in getattr(outer, "_skl_callbacks", [])
        if not isinstance(callback, AutoPropagatedCallback)
    ]
    if not of_outer or not hasattr(inner, "set_callbacks"):
        yield
        return
    own = getattr(inner, "_skl_callbacks", [])
    inner.set_callbacks(*own, *of_outer)
    try:
        yield
    finally:
        inner.set_callbacks(*own)


class _Forwarded:
    """A callback of the outer estimator that listens to the inner one."""

    def __init__(self, callback, outer, fitted_copy):
        self._outer, self._fitted_copy = outer, fitted_copy
        self.on_fit_task_begin = self._forward(callback.on_fit_task_begin)
        self.on_fit_task_end = self._forward(callback.on_fit_task_end)

    def setup(self, estimator, context):
        """Do nothing: the outer estimator has set it up."""

    def teardown(self, estimator, context):
        """Do nothing: the outer estimator does it."""

    def _forward(self, hook):
        @functools.wraps(hook)  # scikit-learn passes on what the signature asks for
        def forward(estimator, context, **given):
            if context.source_task_name is not None:
                return None  # the whole fit, of which the outer estimator tells itself
            if given.get("fitted_estimator") is not None:
                given["fitted_estimator"] = self._fitted_copy(given["fitted_estimator"])
            return hook(self._outer, context, **given)

        return forward
