"""What a fitted estimator tells of its last call."""

from sklearn_ext.text._run_log import RunLog

__all__ = ["LastCallMixin"]


class LastCallMixin:
    """Attributes read from `_run_log`, a :class:`RunLog` that `fit` makes and each call refills.

    It is not pickled: a loaded estimator begins with an empty one.
    """

    @property
    def failures_(self):
        """Documents of the last call that failed."""
        return self._log().failures

    @property
    def usage_(self):
        """Requests, tokens, cached answers and cost of the last call."""
        return self._log().usage

    @property
    def warnings_(self):
        """Summaries of the last call that say what their texts do not."""
        return self._log().warnings

    def _log(self):
        if "_run_log" not in vars(self):  # an AttributeError, as for any fitted attribute
            raise AttributeError(f"This {type(self).__name__} instance is not fitted yet.")
        return self._run_log

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_run_log", None)
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "n_features_in_" in state:  # fitted
            self._run_log = RunLog()
