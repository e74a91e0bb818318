"""Transformers whose input is sequences: how they read them."""

from sklearn.base import TransformerMixin

from sklearn_ext._sequences import validate_sequences
from sklearn_ext._validation import check_is_fitted
from sklearn_ext.preprocessing._table_output import TableOutputMixin

__all__ = ["SequenceTransformerMixin"]


class SequenceTransformerMixin(TableOutputMixin, TransformerMixin):
    """Reading sequences by the parameter `axis_order`; comes before `BaseEstimator`."""

    def _read(self, X, *, reset=False, min_timesteps=1):
        """Check X, and hold it to what was seen in fit unless it is fit that reads."""
        if not reset:
            check_is_fitted(self)
        return validate_sequences(
            self, X, reset=reset, axis_order=self.axis_order, min_timesteps=min_timesteps
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
