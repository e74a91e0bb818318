"""How an adapter comes to its adapted estimator: by fitting, from a stored state, or a new base."""

import copy
import sys
from contextlib import nullcontext

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator

from sklearn_ext._dask import is_dask
from sklearn_ext._optional import import_optional
from sklearn_ext._validation import all_or_nothing, check_is_fitted
from sklearn_ext.neural_network._adaptation import NetAdaptation
from sklearn_ext.neural_network._adapter_state import (
    MissingBase,
    adapted_from,
    adapter_state,
    check_same_base,
    check_same_classes,
    missing_base,
)
from sklearn_ext.neural_network._base import BaseNet
from sklearn_ext.neural_network._ffnn import FFNNRegressor
from sklearn_ext.neural_network._forwarding import forwarded_callbacks

__all__ = ["TRAINING", "WATCHED", "AdapterFit"]

# Parameters that decide what is adapted, and those of the training.
ADAPTATION = (
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "use_rslora",
    "use_dora",
    "init_lora_weights",
    "modules_to_save",
    "bias",
    "loraplus_lr_ratio",
    "quantization",
    "gradient_checkpointing",
)
# Learning rate of "auto", chosen on held-out rows of shifted tables; pre-trained models of texts
# have their own.
RATE = 0.008
TRAINING = (
    "alpha",
    "batch_size",
    "early_stopping",
    "learning_rate_init",
    "max_iter",
    "random_state",
    "validation_fraction",
    "verbose",
)
# What an adapted estimator that watches rows tells of them.
WATCHED = (
    "best_loss_",
    "best_validation_score_",
    "validation_loss_curve_",
    "validation_scores_",
)
# What it knows of the data.
OF_DATA = ("classes_", "n_features_in_", "feature_names_in_")


def _is_of_skorch(estimator):
    """Tell whether an estimator is a skorch net; without skorch there is none."""
    skorch = sys.modules.get("skorch")
    return skorch is not None and isinstance(estimator, skorch.NeuralNet)


def _check_classes(classes, adapted):
    """Raise an error for classes that the net does not have."""
    if classes is not None and not is_classifier(adapted):
        raise ValueError(
            f"classes={classes!r} are for classifiers, but the base is a "
            f"{type(adapted).__name__}. Leave them out."
        )
    known = getattr(adapted, "classes_", None)  # a base that is not fitted knows none
    is_asked = classes is not None and known is not None
    if is_asked and not np.array_equal(np.unique(classes), known):
        raise ValueError(f"classes={classes!r}, but the base knows {known!r}.")


class AdapterFit:
    """Fitting, state and copies of an adapter.

    A subclass has the parameters `estimator`, `store_base`, `warm_start`, `cache_frozen`, and those
    above.
    """

    # The base

    def _inner(self):
        """Give the estimator that is adapted, without its frame."""
        found = self.estimator
        if found is None:
            return FFNNRegressor(random_state=self.random_state)
        if isinstance(found, FrozenEstimator):
            found = found.estimator
            # An adapter that is frozen is a base like any other: its changes are merged.
            return found.estimator_ if isinstance(found, AdapterFit) else found
        return found

    def _adaptation(self):
        """Give the way in which this kind of base is adapted."""
        inner = self._inner()
        if isinstance(inner, MissingBase):
            raise inner.not_here()
        if isinstance(inner, BaseNet):
            return NetAdaptation()
        if _is_of_skorch(inner):
            from sklearn_ext.neural_network._skorch_adaptation import SkorchAdaptation

            return SkorchAdaptation()
        is_class = isinstance(inner, type)
        if hasattr(inner, "steps"):
            raise TypeError(
                "estimator is a Pipeline. Put the adapter in the place of its last step instead: "
                "make_pipeline(..., LoRAAdapter(net))."
            )
        raise TypeError(
            "estimator must be a net, such as FFNNRegressor(), RNNClassifier() or a "
            "skorch.NeuralNet, or a FrozenEstimator of one, got "
            f"{f'the class {inner.__name__}' if is_class else type(inner).__name__}."
        )

    def _frozen_base(self):
        """Give the fitted estimator to start from; None if it has to be fitted first."""
        if not isinstance(self.estimator, FrozenEstimator):
            return None
        check_is_fitted(self.estimator)
        return self._inner()

    def _known_estimator(self):
        """Give the adapted estimator, or what it will be made of."""
        return getattr(self, "estimator_", None) or self._inner()

    def _fitted_estimator(self):
        """Give the adapted estimator."""
        if isinstance(self.estimator, MissingBase):
            raise self.estimator.not_here()
        check_is_fitted(self)
        return self.estimator_

    # Fitting

    def _fit_data(self, data, *, partial=False, classes=None):
        """Fit to ``(X, y, sample_weight, validation_set)``, or change nothing."""
        for module in ("torch", "skorch"):
            import_optional(module, extra="torch", purpose=type(self).__name__)
        X, y = data[:2]
        context = self._init_callback_context(max_subtasks=2)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        import torch

        with all_or_nothing(self), torch.inference_mode(False):
            self._fit_checked(context, data, partial, classes)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _fit_checked(self, context, data, partial, classes):
        """Adapt what was adapted already, the frozen base, or a new one."""
        if self.init_lora_weights is False:
            raise ValueError(
                "init_lora_weights=False would start away from the base. Use True, 'gaussian' or "
                "'pissa'."
            )
        if self.init_lora_weights == "loftq" and self.quantization is None:
            raise ValueError("init_lora_weights='loftq' needs quantization='nf4' or 'int8'.")
        if isinstance(self.r, bool):
            raise ValueError(f"r={self.r} is no rank. Give an integer, such as r=8.")
        adaptation = self._adaptation()
        if not hasattr(self._inner(), "classes_"):  # or these are compared further down
            _check_classes(classes, self._inner())
        if (partial or self.warm_start) and hasattr(self, "estimator_"):
            self._check_goes_on("partial_fit" if partial else "warm_start=True")
            adapted = self.estimator_
        else:
            # A new base has no name here: it is gone when its changes are trained.
            adapted = adaptation.adapted(
                self._frozen_base() or self._new_base(adaptation, context, data, classes),
                self._settings(),
                self._generator(),
            )
        _check_classes(classes, adapted)
        self._check_ratio(adaptation.has_rates(adapted))
        plan = {name: getattr(self, name) for name in (*TRAINING, "cache_frozen")}
        plan["learning_rate_init"] = self._rate(adapted)
        model, done = adaptation.ready(adapted, plan)
        self._run(context, "adaptation", model, lambda: adaptation.fit(model, data, partial), data)
        done()
        self.estimator_ = model
        self._read(adaptation)

    def _check_ratio(self, has_rates):
        """Raise an error for a learning rate of B where the training has none at all."""
        if self.loraplus_lr_ratio is not None and not has_rates:
            raise ValueError(
                f"loraplus_lr_ratio={self.loraplus_lr_ratio!r} is a ratio of learning rates, but "
                "the base is trained by L-BFGS, which has one step for all parameters. Set it to "
                "None, or give the base another solver or optimizer."
            )

    def _check_goes_on(self, how):
        """Raise an error if other changes are asked for than those to go on from."""
        model = self.estimator_
        if not self._is_of_estimator(model):
            raise ValueError(
                f"{how} goes on from changes of another base than estimator={self.estimator!r}. "
                "Set that back, or fit anew with warm_start=False."
            )
        kept, asked = model._adaptation, self._settings()
        if asked["modules_to_save"] == "auto":
            new = set(kept["modules_to_save"] or ()) <= set(getattr(model, "_new_layers", ()))
            asked["modules_to_save"] = kept["modules_to_save"] if new else "auto"
        asked["gradient_checkpointing"] |= getattr(model, "gradient_checkpointing", False)
        for name in ADAPTATION:
            if asked[name] != kept[name]:
                raise ValueError(
                    f"{how} goes on from changes with {name}={kept[name]!r}, but now "
                    f"{name}={asked[name]!r}. Set it back, or fit anew with warm_start=False."
                )

    def _is_of_estimator(self, model):
        """Tell whether an adapted estimator was made of the frozen base, or of such a new one."""
        from sklearn_ext._torch.adapter_state import base_is

        base, adaptation = self._frozen_base(), self._adaptation()
        if base is None:
            return adaptation.makes_such(self._inner(), model)
        return base_is(adaptation.module(model), adaptation.module(adaptation.merged(base)))

    def _rate(self, adapted):
        """Learning rate that the training starts from."""
        if self.learning_rate_init != "auto":
            return self.learning_rate_init
        return adapted._adapter_rate if getattr(adapted, "_is_pretrained", False) else RATE

    def _new_base(self, adaptation, context, data, classes):
        """Clone the estimator and fit it; without a seed of its own it has that of the adapter.

        A pre-trained model is a base as it is: to train all of it first is not what adapters are
        for.
        """
        if not self.store_base:
            raise ValueError(
                "store_base=False needs a base that is there without the adapter. Fit the base "
                "first and use LoRAAdapter.from_fitted."
            )
        base = clone(self._inner())
        adaptation.seed(base, self.random_state)
        if getattr(base, "_is_pretrained", False):
            base.set_params(max_iter=0)
            # What is quantised is read one weight after the other: never all of it is there.
            base._leaves_weights = (
                self.quantization is not None and classes is None and not is_dask(data[0])
            )
        self._run(context, "base", base, lambda: adaptation.fit_new(base, data, classes), data)
        vars(base).pop("_leaves_weights", None)
        return base

    def _run(self, context, task_name, model, fit, data):
        """Fit an estimator as a task of its own, whose steps the callbacks hear of."""
        X, y = data[:2]
        tells = hasattr(model, "set_callbacks")  # of its epochs, as tasks below a root of its own
        task = context.subcontext(task_name=task_name, max_subtasks=0 if tells else None)
        task.call_on_fit_task_begin(estimator=self, X=X, y=y)
        forwarded = forwarded_callbacks(self, model, self._copy_with)
        if tells:
            told = task.propagate_callback_context(model)
        else:  # would be warned of, but the hook tells in its place
            told, vars(model)["_on_epoch"] = nullcontext(), self._epoch_hook(task, X, y)
        with told, forwarded:
            fit()
        vars(model).pop("_on_epoch", None)
        task.call_on_fit_task_end(estimator=self, X=X, y=y)

    def _epoch_hook(self, task, X, y):
        """Make what tells callbacks of an epoch of a net that does not do so itself."""

        def hook(net):
            epoch = task.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(estimator=self, X=X, y=y)
            return epoch.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=lambda: self._as_of(net)
            )

        return hook if getattr(self, "_skl_callbacks", []) else None

    def _as_of(self, net):
        """Attributes of an adapter that stopped now."""
        copied = self._copy_with(copy.deepcopy(net))
        return {
            name: vars(copied)[name] for name in ("estimator_", *OF_DATA) if name in vars(copied)
        }

    def _settings(self):
        """Fields of `LoRASettings`, as plain values that the fitted estimator can keep."""
        settings = {name: getattr(self, name) for name in ADAPTATION}
        for name, value in settings.items():
            if isinstance(value, np.generic):
                settings[name] = value.item()
        for name in ("target_modules", "modules_to_save"):
            if settings[name] is not None and not isinstance(settings[name], str):
                settings[name] = [str(value) for value in settings[name]]
        return settings

    def _generator(self):
        from sklearn_ext._torch.random import make_generator

        return make_generator(self.random_state)

    def _read(self, adaptation):
        """Set the attributes that tell of the adapted estimator."""
        model = self.estimator_
        module = adaptation.module(model)
        self.n_trainable_params_ = sum(p.numel() for p in module.parameters())
        n_frozen = sum(kept.shape.numel() for kept in module.frozen_weights().values())
        self.trainable_fraction_ = self.n_trainable_params_ / (self.n_trainable_params_ + n_frozen)
        self.loss_curve_ = adaptation.losses(model)
        self.n_iter_ = len(self.loss_curve_)
        self._take(model, *OF_DATA, *WATCHED)
        if hasattr(self, "_sklearn_output_config"):
            model.set_output(**self._sklearn_output_config)

    def _take(self, model, *names):
        """Set the attributes of an adapted estimator that it has, and no others of these."""
        for name in names:
            vars(self).pop(name, None)
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))

    # State and copies

    def _state(self, store_base):
        """Give the state; that of a frozen base, where it is there, holds its weights once."""
        state = super().__getstate__().copy()
        base = self._frozen_base() if "estimator_" in state else None
        if base is None:
            return state
        adaptation = self._adaptation()
        of_adapter = adapter_state(adaptation, self.estimator_, base)
        if of_adapter is None and not store_base:
            raise ValueError(
                "The frozen base is not any more what this adapter was fitted on, so "
                "store_base=False would lose it. Set store_base=True, or fit again."
            )
        if of_adapter is not None:
            del state["estimator_"]
            state["_of_adapter"] = {**of_adapter, "settings": self.estimator_._adaptation}
            if not store_base:
                state["estimator"] = missing_base(adaptation, base)
        return state

    def __getstate__(self):
        return self._state(self.store_base)

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_of_adapter" in vars(self) and not isinstance(self.estimator, MissingBase):
            self._rebuild()

    def _rebuild(self):
        """Make the adapted estimator of the base and the stored state."""
        import torch

        state = vars(self).pop("_of_adapter")
        base, adaptation = self._frozen_base(), self._adaptation()
        with torch.inference_mode(False):
            self.estimator_ = adapted_from(adaptation, base, state["settings"], state)

    def _attach(self, base):
        """Put a base in the place of the one that was not stored."""
        check_is_fitted(base)
        base = base.estimator if isinstance(base, FrozenEstimator) else base
        missing = self.estimator
        if not isinstance(missing, MissingBase):
            raise ValueError("attach_base is for an adapter that was stored without its base.")
        with all_or_nothing(self):
            self.estimator = FrozenEstimator(base)
            check_same_base(missing.fingerprint, self._inner(), self._adaptation())
            check_same_classes(self, self._inner())
            self._rebuild()
        return self

    def __copy__(self):
        return self._copy_with(None)

    def _copy_with(self, model):
        """Copy the adapter, around another adapted estimator where one is given."""
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        if model is not None:
            copied.estimator_ = model
            copied._take(model, *OF_DATA)
        return copied

    def __deepcopy__(self, memo):
        if isinstance(self.estimator, FrozenEstimator):
            memo[id(self.estimator)] = self.estimator  # it is never changed
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__setstate__(copy.deepcopy(self._state(store_base=True), memo))
        return copied
