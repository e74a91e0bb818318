"""Low-rank adaptation of a net that a user built with skorch: its own loss, data and loop stay."""

from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from inspect import signature
from threading import RLock

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.classifier import NeuralNetClassifier
from skorch.helper import predefined_split
from skorch.history import History

from sklearn_ext._torch.dropout import dropout_from
from sklearn_ext._torch.lora import LoRAModule
from sklearn_ext._torch.low_rank import LoRASettings
from sklearn_ext._torch.parameters import plain_state, tensor_state, uncompiled
from sklearn_ext._torch.random import make_generator
from sklearn_ext._torch.shared_copies import name_in_base
from sklearn_ext.neural_network._net import given_back_on_failure

__all__ = ["SkorchAdaptation"]

_TURN = RLock()
GROUPS = "optimizer__param_groups"
# What a group of the optimizer has besides: the learning rate that the adapter asked for last.
ASKED = "asked_lr"


class SkorchAdaptation:
    """How a :class:`skorch.NeuralNet` is adapted; see :class:`NetAdaptation` for the methods."""

    @staticmethod
    def module(net):
        """Give the module of a fitted net, adapted or not."""
        if list(net._modules) != ["module"]:
            raise ValueError(
                f"A skorch net with the modules {list(net._modules)} cannot be adapted: only one "
                "that is called 'module' is. Put the others into it."
            )
        return uncompiled(net.module_)

    def adapted(self, base, settings, generator):
        """Copy a fitted net around an adapted module, with a history of its own."""
        base = self.merged(base)
        if settings["modules_to_save"] == "auto":  # nobody knows what is new in it
            settings = {**settings, "modules_to_save": None}
        module = LoRAModule(self.module(base), LoRASettings(**settings), generator)
        net = _copy_with(base, module)
        vars(net)["_adaptation"] = settings
        # Or the next y decides, as it does where a net was initialised and has loaded its weights.
        if isinstance(base, NeuralNetClassifier) and hasattr(base, "classes_"):
            vars(net)["classes"] = list(base.classes_)
        return net

    def merged(self, net):
        """Copy an adapted net around a plain module; one that is not adapted is returned."""
        if getattr(net, "_adaptation", None) is None:
            return net
        merged = _copy_with(net, self.module(net).merged_copy().train(net.module_.training))
        del vars(merged)["_adaptation"]
        return merged

    def ready(self, adapted, plan):
        """Copy an adapted net for its training; see :class:`NetAdaptation`."""
        _check_plan(plan, adapted.optimizer)
        net = _shallow_copy(adapted)
        return net, _put(net, {**_changes(net, plan), "_seed": plan["random_state"]})

    @staticmethod
    def fit(net, data, partial):
        """Fit a net to ``(X, y, None, validation_set)``, or go once through it."""
        X, y, sample_weight, validation_set = data
        if sample_weight is not None:
            raise TypeError(
                "A skorch net knows no sample_weight. Repeat rows, or weigh them in its criterion."
            )
        if getattr(net, "_adaptation", None) is None:
            with _seeded(net), _telling(net):
                net.fit(X, y)
            return
        epochs = 1 if partial else net.max_epochs
        goes_on = partial and bool(net.history)
        given_back = given_back_on_failure(net, with_moments=goes_on)
        with given_back, _validated(net, validation_set), ExitStack() as stack:
            if goes_on:
                _take_rates(net)
            else:
                _start(net)
            stack.enter_context(_reproducible(net))
            net.notify("on_train_begin", X=X, y=y)
            with suppress(KeyboardInterrupt):  # by which skorch's callbacks end a run
                net.fit_loop(X, y, epochs=epochs)
            net.notify("on_train_end", X=X, y=y)

    def fit_new(self, base, data, classes):
        """Fit a base; `classes` are those that it will know."""
        if classes is not None and isinstance(base, NeuralNetClassifier):
            base.set_params(classes=list(np.unique(classes)))
        self.fit(base, data, False)

    @staticmethod
    def makes_such(estimator, adapted):
        """Tell whether an estimator is one that makes such a net as an adapted one has."""
        return type(estimator) is type(adapted) and estimator.module is adapted.module

    @staticmethod
    def has_rates(adapted):
        """Tell whether parameters may have learning rates of their own."""
        return not isinstance(adapted.optimizer_, torch.optim.LBFGS)

    @staticmethod
    def seed(net, random_state):
        """Let a new net, which has no seed, be made and fitted by one."""
        vars(net)["_seed"] = random_state

    @staticmethod
    def attributes(adapted, base):
        """Give what an adapted net has learned besides its module, without objects of torch."""
        learned = getattr(adapted.criterion_, "state_dict", dict)  # a function has none
        found = {"history_": adapted.history.to_list(), "criterion_": plain_state(learned())}
        if adapted.history:  # before the first run there is nothing to go on from
            found["optimizer_"] = plain_state(adapted.optimizer_.state_dict())
        return found

    @staticmethod
    def restore(adapted, attributes):
        """Give a new adapted net its history and loss, and an optimizer that goes on as then."""
        vars(adapted)["history_"] = History(attributes["history_"])
        if attributes["criterion_"]:
            adapted.criterion_.load_state_dict(tensor_state(attributes["criterion_"]))
        if "optimizer_" in attributes:
            done = _put(adapted, {GROUPS: _rate_groups(adapted, adapted.lr)})
            adapted.initialize_optimizer()
            done()
            adapted.optimizer_.load_state_dict(tensor_state(attributes["optimizer_"]))

    @staticmethod
    def losses(adapted):
        """Give the training losses of the last run."""
        return [float(row["train_loss"]) for row in adapted.history if "train_loss" in row]


def _shallow_copy(net):
    """Copy a net, which `copy.copy` would initialize anew."""
    copied = object.__new__(type(net))
    vars(copied).update(vars(net))
    return copied


def _put(net, values):
    """Give a net attributes; return what gives it those of before."""
    before = {name: vars(net)[name] for name in values if name in vars(net)}
    vars(net).update(values)

    def done():
        for name in values:
            vars(net).pop(name, None)
        vars(net).update(before)

    return done


def _copy_with(net, module):
    """Copy a fitted net around another module; callbacks, criterion and history are its own."""
    copied = _shallow_copy(net)
    own = {"module_": module, "history_": History()}
    for name in ("callbacks", "criterion_"):
        own[name] = deepcopy(getattr(net, name))
    vars(copied).update(own)
    copied.initialize_callbacks()
    copied.initialize_optimizer()
    return copied


def _check_plan(plan, optimizer):
    """Raise an error for what only nets of this library can do, or the optimizer can not."""
    if plan["alpha"] and "weight_decay" not in signature(optimizer).parameters:
        raise ValueError(
            f"alpha={plan['alpha']!r} is a weight decay, which {optimizer!r} does not have. "
            "Set alpha=0.0, or give the net another optimizer."
        )
    for name in ("early_stopping", "validation_fraction"):
        if plan[name] != "auto":
            raise ValueError(
                f"{name}={plan[name]!r} is not for a skorch net: it has its own train_split, and "
                "skorch's EarlyStopping among its callbacks. Leave it at 'auto'."
            )
    if plan["cache_frozen"]:
        raise ValueError(
            "cache_frozen=True is not for a skorch net, whose loop feeds it rows of its own data "
            "set. Set cache_frozen=False, or train on what its lower layers give."
        )


def _changes(net, plan):
    """Parameters of the net that stand for those of the adapter."""
    changes = {"lr": plan["learning_rate_init"], "verbose": int(plan["verbose"])}
    changes["optimizer__lr"] = plan["learning_rate_init"]
    if plan["max_iter"] != "auto":
        changes["max_epochs"] = plan["max_iter"]
    if plan["batch_size"] != "auto":
        changes["batch_size"] = plan["batch_size"]
    if plan["alpha"]:
        changes["optimizer__weight_decay"] = plan["alpha"]
    changes[GROUPS] = _rate_groups(net, plan["learning_rate_init"])
    return changes


def _rate_groups(net, rate):
    """Parameters with learning rates of their own; those of the user's have names of the base."""
    ratio = net._adaptation["loraplus_lr_ratio"]
    return [] if ratio is None else [("*.weight_B", {"lr": ratio * rate})]


def _start(net):
    """Forget the last run; watch the gradients of the first step."""
    vars(net)["history_"] = History()
    net.initialize_callbacks()
    net.callbacks_ += [("reached", _Reached()), ("told", _Told())]
    net.initialize_optimizer()
    for group in net.optimizer_.param_groups:
        group[ASKED] = group["lr"]


def _take_rates(net):
    """Let the optimizer that goes on hear of another learning rate or weight decay.

    What a schedule has made of a rate goes on too, in its ratio to the initial one.
    """
    new = _shallow_copy(net)  # what is initialized there does not replace anything here
    new.initialize_optimizer()
    groups = zip(net.optimizer_.param_groups, new.optimizer_.param_groups, strict=True)
    for group, asked in groups:
        before, group[ASKED] = group[ASKED], asked["lr"]
        for name in {"lr", "initial_lr"} & group.keys() if before != asked["lr"] else ():
            group[name] = group[name] / before * asked["lr"]
        if "weight_decay" in asked:
            group["weight_decay"] = asked["weight_decay"]


@contextmanager
def _reproducible(net):
    """Let order, dropout and validation rows come from the seed of the adapter."""
    generator = make_generator(net._seed, len(net.history))
    seed = int(torch.randint(2**31, (), generator=generator))
    own = "iterator_train__generator"
    chosen = own not in vars(net) and issubclass(net.iterator_train, torch.utils.data.DataLoader)
    if chosen:
        vars(net)[own] = generator
    try:
        with dropout_from(generator, net.module_, shared_by_rows=False), _global_seed(seed):
            yield
    finally:
        if chosen:
            del vars(net)[own]


@contextmanager
def _seeded(net):
    """Let all of a new net come from the seed that it was given; None leaves it to the user."""
    seed = vars(net).pop("_seed", None)
    if seed is None:
        yield
        return
    with _global_seed(int(torch.randint(2**31, (), generator=make_generator(seed)))):
        yield


@contextmanager
def _global_seed(seed):
    """Seed torch's global generator, from which a user's module may draw otherwise.

    All threads share it, so they take turns.
    """
    with _TURN, torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _validated(net, validation_set):
    """Let the net watch the rows that the user gives."""
    if validation_set is None:
        yield
        return
    if not isinstance(validation_set, tuple) or len(validation_set) != 2:
        raise ValueError("validation_set of a skorch net must be a tuple (X, y).")
    before = net.train_split
    vars(net)["train_split"] = predefined_split(net.get_dataset(*validation_set))
    try:
        yield
    finally:
        vars(net)["train_split"] = before


@contextmanager
def _telling(net):
    """Let a new net tell the callbacks of the adapter of its epochs."""
    before = net.callbacks
    if before == "disable":
        yield
        return
    vars(net)["callbacks"] = [*(before or []), ("told", _Told())]
    try:
        yield
    finally:
        vars(net)["callbacks"] = before
        net.callbacks_ = [pair for pair in net.callbacks_ if not isinstance(pair[1], _Told)]


class _Told(Callback):
    """Tell the callbacks of the adapter of an epoch; they may end the run."""

    def on_epoch_end(self, net, **kwargs):
        """Call what the adapter has left in the net."""
        on_epoch = vars(net).get("_on_epoch")
        if on_epoch is not None and on_epoch(net):
            raise KeyboardInterrupt


class _Reached(Callback):
    """Raise an error if no gradient reaches a trained parameter in the first step."""

    def __init__(self):
        self.looks = True

    def on_grad_computed(self, net, named_parameters, **kwargs):
        """Look at the gradients."""
        if not self.looks:
            return
        self.looks = False
        named = net.module_.named_parameters()
        missing = dict.fromkeys(name_in_base(n) for n, p in named if p.grad is None)
        if missing:
            raise ValueError(
                f"No gradient reaches {', '.join(missing)}: the loss does not "
                "depend on it. Leave it out of target_modules."
            )
