"""Nets that transform: their pooled states, for use in another estimator."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

__all__ = ["PooledStates"]


class PooledStates(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Pooled states of rows; comes before :class:`BaseNet` among the bases of an estimator.

    Its module gives them by ``pooled(inputs)``, in ``_n_features_out`` columns.
    """

    def _pooled_states(self, rows):
        """Pooled states in the dtype of the rows, (n, n_features_out)."""
        import torch

        from sklearn_ext._torch.threads import one_thread

        module = self._live_net().module_
        device = next(module.parameters()).device
        found = np.empty((len(rows), self._n_features_out), dtype=rows.dtype)
        with torch.no_grad(), one_thread():
            for part in self._prediction_parts(rows):
                inputs = self._prediction_inputs(rows[part], device)
                found[part] = module.pooled(inputs).cpu().numpy()
        return found

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
