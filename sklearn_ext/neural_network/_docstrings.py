"""Sections that the docstrings of several estimators share."""

__all__ = ["documented"]


def documented(parameters, attributes, notes):
    """Make a decorator of estimator classes that fills in the shared sections.

    Parameters
    ----------
    parameters : str
        Takes the place of ``<parameters>``; ``{own}`` in it is where the class's own ones go.
    attributes, notes : str
        Take the places of ``<attributes>`` and ``<notes>``.

    Returns
    -------
    decorator : callable
        Called with ``own``, the text of the class's own parameters.
    """

    def with_own(own):
        def fill(cls):
            cls.__doc__ = (
                cls.__doc__.replace("    <parameters>\n", parameters.format(own=own))
                .replace("    <attributes>\n", attributes)
                .replace("    <notes>\n", notes)
            )
            return cls

        return fill

    return with_own
