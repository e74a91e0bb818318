"""Setting the container of what is put out, where that is not always a table."""

__all__ = ["TableOutputMixin"]


class TableOutputMixin:
    """`set_output` that is always there; comes before `TransformerMixin`.

    That of scikit-learn is missing where columns have no names, and a pipeline with such a step
    cannot set the output of the others.
    """

    def set_output(self, *, transform=None):
        """Choose the container of the tables that `transform` puts out.

        Tensors and lists of arrays are put out as they are.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            Container; None changes nothing.

        Returns
        -------
        self : object
            This estimator.
        """
        if transform is not None:
            # The name is scikit-learn's, whose wrapper of `transform` and whose `clone` read it.
            self._sklearn_output_config = {"transform": transform}
        return self
