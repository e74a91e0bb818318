"""Low-rank adaptation of a fitted estimator: an adapted copy, its training, and its merging.

`LoRAAdapter` speaks to its base through one object with the methods of :class:`NetAdaptation`,
which is that of all estimators derived from :class:`BaseNet`. An estimator that wants to be a base
needs to be a `BaseNet` and

- to make its net by ``_build_module(generator)`` and ``_build_loss()`` and keep it in ``net_``;
- to go through ``_adapted_module`` where it makes the net anew, as ``BaseNet._rebuilt_net`` does,
  and through ``_plain_module()`` where it needs a net with nothing around it;
- to take ``warm_start=True`` in ``fit(X, y, sample_weight=, validation_set=)`` as "go on from
  ``net_``", and to train those parameters only that ``net_.module_.named_parameters()`` yields;
- to have a module that can be cut, see :mod:`sklearn_ext._torch.frozen_states`, where what lies
  below all trained layers is to be computed once;
- to let methods of its module that are called from outside be methods, not attributes: the adapted
  module puts the changed weights in place around each call of one;
- to keep all that `fit` learns besides in attributes that are replaced, never changed in place: the
  adapted copy of an estimator is a shallow one.

Optional: ``_peft_root``, the name of the part of its module that PEFT would be given, such as the
model of another library inside; the names in the files of adapters are those inside of it.

What an adapter changes in the training is in `TRAINING` of `_adapter_fit.py`; every base has
parameters of these names.
"""

from sklearn_ext.neural_network._base import BaseNet

__all__ = ["NetAdaptation", "shallow_copy"]

# What scikit-learn's callbacks leave on an estimator while it is fitted.
OF_CALLBACKS = "_skl_callbacks", "_callback_fit_ctx", "_skl_callbacks_to_teardown"
# Equal values of these may be one object, but those of its own runs are not those of the base.
OF_RUNS = "t_", "_goes_on"
OF_TRAINING = "_of_training"


class NetAdaptation:
    """How estimators derived from :class:`BaseNet` are adapted."""

    @staticmethod
    def module(estimator):
        """Give the module of a fitted estimator, adapted or not."""
        from sklearn_ext._torch.parameters import uncompiled

        return uncompiled(estimator.net_.module_)

    def adapted(self, base, settings, generator):
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
        base = self.merged(base)
        settings = {**settings, "modules_to_save": _whole(base, settings)}
        if getattr(base, "gradient_checkpointing", False):
            settings = {**settings, "gradient_checkpointing": True}
        adapted = shallow_copy(base)
        adapted._adaptation, adapted.t_, adapted._fold_state = settings, 0, None
        module = adapted._adapted_module(self.module(base), generator)
        # Weights that are changed in place around each call are nothing for a compiler.
        adapted.net_ = _wrapped(base, module, compiles=False)
        return adapted

    def merged(self, estimator):
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
        merged = shallow_copy(estimator)
        merged._adaptation = None
        merged.net_ = _wrapped(estimator, estimator._plain_module(), compiles=estimator.compile)
        merged.n_parameters_ = sum(p.numel() for p in merged.net_.module_.parameters())
        return merged

    def ready(self, adapted, plan):
        """Copy an adapted estimator for its training.

        Parameters
        ----------
        adapted : BaseNet
            Made by `adapted`. Its net is trained in place.
        plan : dict
            Parameters of the training; the others are those of the estimator.

        Returns
        -------
        copied : BaseNet
            Its `fit` goes on from the net.
        done : callable
            Gives it the parameters of before.
        """
        caches = plan["cache_frozen"]
        if caches:
            _check_something_below(self.module(adapted))
        copied = shallow_copy(adapted)
        plan = {name: value for name, value in plan.items() if name != "cache_frozen"}
        before = {name: getattr(copied, name) for name in (*plan, "warm_start")}
        vars(copied).update(plan, warm_start=True, _caches_frozen=caches)

        def done():
            vars(copied).update(before)
            del copied._caches_frozen

        return copied, done

    @staticmethod
    def fit(estimator, data, partial):
        """Fit an estimator to ``(X, y, sample_weight, validation_set)``, or go once through it."""
        X, y, sample_weight, validation_set = data
        if partial:
            estimator.partial_fit(X, y, sample_weight=sample_weight)
        else:
            estimator.fit(X, y, sample_weight=sample_weight, validation_set=validation_set)

    def fit_new(self, base, data, classes):
        """Fit a base; where `classes` are given, to these, whether or not they are in y."""
        if classes is None:
            self.fit(base, data, False)
            return
        base.partial_fit(*data[:2], classes=classes, sample_weight=data[2])
        before = base.warm_start
        self.fit(base.set_params(warm_start=True), data, False)
        base.set_params(warm_start=before)

    @staticmethod
    def makes_such(estimator, adapted):
        """Tell whether an estimator is one that makes such a net as an adapted one has."""
        return type(estimator) is type(adapted) and not adapted._other_parameters(estimator)

    @staticmethod
    def has_rates(adapted):
        """Tell whether the training has learning rates, which L-BFGS has not."""
        return getattr(adapted, "solver", None) != "lbfgs"

    @staticmethod
    def seed(estimator, random_state):
        """Give a new base that has no seed one."""
        if estimator.random_state is None:
            estimator.set_params(random_state=random_state)

    def attributes(self, adapted, base):
        """Give what an adapted estimator has learned besides its net."""
        known, own = vars(self.merged(base)), vars(adapted)
        skipped = {"net_", *OF_CALLBACKS}
        found = {
            name: value
            for name, value in own.items()
            if name not in skipped
            and (name in OF_RUNS or name not in known or known[name] is not value)
        }
        return {**found, OF_TRAINING: adapted._training_state()}

    @staticmethod
    def restore(adapted, attributes):
        """Give a new adapted estimator these attributes."""
        attributes = dict(attributes)
        of_training = attributes.pop(OF_TRAINING)
        vars(adapted).update(attributes)
        adapted._go_on_from(of_training)

    @staticmethod
    def losses(adapted):
        """Give the training losses of the last run."""
        return adapted.loss_curve_


def _whole(base, settings):
    """Names of what is trained whole; "auto" stands for layers that are new in a base."""
    asked = settings["modules_to_save"]
    if asked != "auto":
        return asked
    from sklearn_ext._torch.low_rank import LoRASettings
    from sklearn_ext._torch.targets import left_out

    targets = LoRASettings(target_modules=settings["target_modules"])
    return left_out(base._plain_module(), targets, base._new_layers) or None


def _check_something_below(module):
    """Raise an error if there is nothing that could be computed once."""
    if module.cut is None:
        raise ValueError(
            "cache_frozen=True needs layers below all those that are trained, but "
            f"{module.first_trained} is trained, and nothing that is worth "
            "keeping is known to be computed before it. Name upper layers only in target_modules "
            "and modules_to_save, with bias='none' or 'lora_only', or set cache_frozen=False."
        )


def shallow_copy(estimator):
    """Copy an estimator with its net, which `copy.copy` would build anew, without callbacks."""
    found = BaseNet.__new__(type(estimator))
    vars(found).update({k: v for k, v in vars(estimator).items() if k not in OF_CALLBACKS})
    return found


def _wrapped(estimator, module, *, compiles):
    """Put a module into a net of its own, where the module of an estimator is."""
    from sklearn_ext._torch.device import resolve_device
    from sklearn_ext.neural_network._net import wrapped_module

    net = estimator.net_
    device = next(net.module_.parameters()).device
    if device.type == "meta":  # its weights are still in files
        device = resolve_device(estimator.device)
    return wrapped_module(
        module.train(False),
        estimator._build_loss(),
        device,
        callbacks=estimator.callbacks,
        compile=compiles,
    )
