"""Low-rank adaptation of a fitted estimator: an adapted copy, its training, and its merging."""

from sklearn_ext.neural_network._base import BaseNet

__all__ = ["adapted_copy", "merged_copy", "trained"]


def adapted_copy(base, settings, generator):
    """Copy a fitted estimator around an adapted net.

    Parameters
    ----------
    base : BaseNet
        Fitted. It is not changed, and the copy shares the memory of its weights.
    settings : dict
        Fields of :class:`sklearn_ext._torch.low_rank.LoRASettings`.
    generator : torch.Generator
        Draws the start.

    Returns
    -------
    adapted : BaseNet
        Of the class of `base`, with equal predictions.
    """
    base = merged_copy(base)
    adapted = _shallow_copy(base)
    adapted._adaptation = settings
    adapted.net_ = _wrapped(base, adapted._adapted_module(base.net_.module_, generator))
    return adapted


def trained(adapted, plan, fit):
    """Copy an adapted estimator and train the copy.

    Parameters
    ----------
    adapted : BaseNet
        Made by :func:`adapted_copy`. Its net is trained in place.
    plan : dict
        Parameters of the training; the others are those of the estimator.
    fit : callable
        Takes the copy and calls its method `fit`.

    Returns
    -------
    trained : BaseNet
        With the parameters of before.
    """
    found = _shallow_copy(adapted)
    before = {name: getattr(found, name) for name in (*plan, "warm_start")}
    vars(found).update(plan, warm_start=True)
    fit(found)
    vars(found).update(before)
    return found


def merged_copy(estimator):
    """Copy an adapted estimator around a plain net with the changed weights.

    Parameters
    ----------
    estimator : BaseNet
        Fitted. One that is not adapted is returned as it is.

    Returns
    -------
    merged : BaseNet
        With equal predictions, to rounding.
    """
    if estimator._adaptation is None:
        return estimator
    merged = _shallow_copy(estimator)
    merged._adaptation = None
    merged.net_ = _wrapped(estimator, estimator._plain_module())
    merged.n_parameters_ = sum(p.numel() for p in merged.net_.module_.parameters())
    return merged


def _shallow_copy(estimator):
    """Copy an estimator with its net, which `copy.copy` would build anew, without callbacks."""
    found = BaseNet.__new__(type(estimator))
    of_fits = "_skl_callbacks", "_callback_fit_ctx", "_skl_callbacks_to_teardown"
    vars(found).update({k: v for k, v in vars(estimator).items() if k not in of_fits})
    return found


def _wrapped(estimator, module):
    """Put a module into a net of its own, where the module of an estimator is."""
    from sklearn_ext.neural_network._net import wrapped_module

    net = estimator.net_
    device = next(net.module_.parameters()).device
    return wrapped_module(
        module.train(False),
        estimator._build_loss(),
        device,
        callbacks=estimator.callbacks,
        compile=estimator.compile,
    )
