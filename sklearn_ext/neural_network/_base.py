"""What the feed-forward estimators share: from validated arrays to a trained net."""

import warnings
from dataclasses import replace
from math import ceil
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_consistent_length

from sklearn_ext._optional import import_optional
from sklearn_ext._torch.schedules import SCHEDULES
from sklearn_ext._validation import (
    Interval,
    StrOptions,
    _check_categorical_features,
    _check_sample_weight,
    all_or_nothing,
    check_is_fitted,
    validate_data,
)
from sklearn_ext.neural_network._tables import fit_encoding

__all__ = ["BaseFeedForward"]

# Up to so many rows a fit takes full batches in the dtype of X, without a validation split: then
# a weight of 2 is exactly a row given twice.
FULL_BATCH_ROWS = 200
PREDICTED_ROWS = 4096  # at a time
ENCODED_AT_ONCE = 100_000_000  # numbers; larger tables are encoded batch by batch


class BaseFeedForward(CallbackSupportMixin, BaseEstimator):
    """Parameters, fitting, prediction and state of both feed-forward estimators."""

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [
            StrOptions({"gelu", "gelu_tanh", "relu", "silu", "tanh", "logistic", "identity"})
        ],
        "solver": [StrOptions({"adam", "sgd"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "n_bins": [Interval(Integral, 0, 256, closed="both")],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "gradient_accumulation_steps": [Interval(Integral, 1, None, closed="left")],
        "precision": [StrOptions({"auto", "float32", "float64", "bf16-mixed"})],
        "device": "no_validation",
        "compile": ["boolean"],
        "callbacks": [list, None],
    }

    def _fit_rows(self, X, y, sample_weight, validation_set, *, partial=False):
        """Fit all of it, with the attributes of before if anything fails."""
        for module in ("torch", "skorch"):
            import_optional(module, extra="torch", purpose=type(self).__name__)
        context = self._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with all_or_nothing(self):
            self._fit_checked(context, X, y, sample_weight, validation_set, partial)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _fit_checked(self, context, X, y, sample_weight, validation_set, partial):
        going_on = (partial or self.warm_start) and hasattr(self, "net_")
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        table = self._read_table(X, reset=not going_on)
        y = self._read_target(y, reset=not going_on)
        check_consistent_length(table, y)
        weights = self._row_weights(y, _checked_weights(sample_weight, table))
        rows = table, y, weights = _drop_weightless(table, y, weights)
        if not going_on:
            self._learn_columns(table, y, weights)
        valid = self._read_validation(validation_set)
        self._train(context, X, rows, valid, partial=partial, going_on=going_on)

    # Reading tables and targets

    def _read_table(self, X, *, reset):
        """Validate X and code its categories; a float array with NaN for what is missing."""
        if reset:
            self._categorical = None
            if self.categorical_features is not None:
                self._categorical = _check_categorical_features(X, self.categorical_features)
        if self._categorical is None:
            return validate_data(
                self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
            )
        return self._coded(X, reset)

    def _coded(self, X, reset):
        """Put codes in the place of categories."""
        validate_data(self, X, reset=reset, skip_check_array=True)
        columns = [_column(X, index) for index in range(self.n_features_in_)]
        coded_columns = np.flatnonzero(self._categorical)
        if reset:
            self._categories = [_known(columns[j]) for j in coded_columns]
        coded = np.empty((len(columns[0]), self.n_features_in_), dtype=np.float64)
        for j, known in zip(coded_columns, self._categories, strict=True):
            coded[:, j] = _codes(columns[j], known)
        for j in np.flatnonzero(~self._categorical):
            coded[:, j] = check_array(
                np.asarray(columns[j]), ensure_2d=False, ensure_all_finite="allow-nan", dtype=float
            )
        return coded

    def _learn_columns(self, table, y, weights):
        """Find what encoding and targets need, before the net exists."""
        weights = np.ones(len(y)) if weights is None else weights
        categorical = self._categorical
        if categorical is None:
            categorical = np.zeros(table.shape[1], dtype=bool)
        self._encoding = fit_encoding(table, categorical, weights, self.n_bins)
        self._learn_target(y, weights)

    def _read_validation(self, validation_set):
        """Check a user's own validation rows."""
        if validation_set is None:
            return None
        if not isinstance(validation_set, tuple) or len(validation_set) not in (2, 3):
            raise ValueError(
                "validation_set must be a tuple (X, y) or (X, y, sample_weight), got "
                f"{type(validation_set).__name__!r}."
            )
        X, y, sample_weight = (*validation_set, None)[:3]
        table, y = self._read_table(X, reset=False), self._read_target(y, reset=False)
        check_consistent_length(table, y)
        return table, y, self._row_weights(y, _checked_weights(sample_weight, table))

    # Training

    def _train(self, context, X, rows, valid, *, partial, going_on):
        """Build or take the net, train it, and read its history."""
        import torch

        from sklearn_ext._torch.random import make_generator
        from sklearn_ext._torch.threads import one_thread

        table, y, weights = rows
        generator = make_generator(self.random_state)
        with one_thread():
            if not going_on:
                self._build_net(generator)
            run, epochs = self._plan(table, y, weights, valid, generator, partial)
            run.on_epoch = self._epoch_hook(context, X, y, epochs)
            dropout = self.net_.module_.dropout
            dropout.generator, dropout.shared_by_rows = generator, run.batch_size >= len(table)
            try:
                self.net_.partial_fit(run, None, epochs=epochs)
            finally:
                dropout.generator = None
            if run.valid is not None or run.interrupted:
                run.best.restore()
            self._set_dtype(torch.float64 if table.dtype == np.float64 else torch.float32)
        self._read_history(run, epochs, partial)

    def _build_net(self, generator):
        """Make a new net of the fitted encoding."""
        from sklearn_ext._torch.device import resolve_device

        self.net_ = self._wrapped(
            self._build_module(generator),
            resolve_device(self.device),
            callbacks=self.callbacks,
            compile=self.compile,
        )

    def _wrapped(self, module, device, **settings):
        """Put a module into the skorch net."""
        from sklearn_ext.neural_network._net import Net

        return Net(
            module,
            criterion=self._build_loss(),
            optimizer=_no_optimizer,
            train_split=None,
            device=str(device),
            verbose=0,
            **settings,
        ).initialize()

    def _build_module(self, generator):
        from sklearn_ext._torch.modules import FeedForward, TableEncoding

        return FeedForward(
            TableEncoding(self._encoding),
            _widths(self.hidden_layer_sizes),
            self._build_loss().n_outputs(self._n_targets),
            activation=self.activation,
            dropout=self.dropout,
            n_members=self.n_members,
            generator=generator,
        )

    def _plan(self, table, y, weights, valid, generator, partial):
        """Decide on everything of a run; the run and its number of epochs."""
        import torch

        from sklearn_ext._torch.training import BestWeights
        from sklearn_ext.neural_network._net import Run

        n_rows, net = len(table), self.net_
        batch_size = self._batch_size(n_rows)
        device = torch.device(net.device)
        self._set_dtype(self._training_dtype(table.dtype, n_rows, batch_size, device))
        holds_out = valid is None and not partial and self._stops_early(n_rows)
        folds = self._folds(y, generator) if holds_out else None
        train, watched, forward = self._rows_of_run((table, y, weights), valid, folds, device)
        steps_an_epoch = ceil(len(train) / batch_size)
        epochs = 1 if partial else self._epochs(n_rows, steps_an_epoch)
        if not (partial and getattr(self, "_goes_on", False)):
            net.optimizer_ = self._build_optimizer()
        run = Run(
            train,
            watched,
            self._gradient_steps(forward, epochs * steps_an_epoch, device, partial),
            generator,
            batch_size,
            self._patience(watched, epochs),
            BestWeights(net.optimizer_.parameters, self.tol),
            self.shuffle,
            score=self._validation_score,
            datasets=_datasets(self.callbacks, table, y),
        )
        return run, epochs

    def _gradient_steps(self, forward, n_steps, device, partial):
        """Set up the steps; those of partial_fit keep to the initial rate."""
        from sklearn_ext._torch.device import autocast_dtype
        from sklearn_ext._torch.training import GradientSteps

        return GradientSteps(
            forward,
            self.net_.criterion_,
            self.net_.optimizer_,
            n_steps,
            schedule="constant" if partial else self.learning_rate,
            warmup=0.0 if partial else self.warmup_fraction,
            power_t=self.power_t,
            max_grad_norm=self.max_grad_norm,
            slices=self.gradient_accumulation_steps,
            autocast=autocast_dtype(self._precision(device)),
        )

    def _rows_of_run(self, rows, valid, folds, device):
        """Training rows, watched rows or None, and the function from inputs to raw outputs."""
        module = self.net_.module_
        # One decision for both: the function has to suit the inputs of either.
        longest = max(len(part[0]) for part in (rows, valid) if part is not None)
        encoded = longest * module.encoding.n_outputs <= ENCODED_AT_ONCE
        forward = module.members if encoded else _encoding_forward(module)
        train = self._to_rows(*rows, device, encoded)
        if folds is not None:
            seen, held_out = folds
            return replace(train, of_members=seen), replace(train, of_members=held_out), forward
        watched = None if valid is None else self._to_rows(*valid, device, encoded)
        return train, watched, forward

    def _to_rows(self, table, y, weights, device, encoded):
        """Make tensors of rows, encoded or raw."""
        import torch

        from sklearn_ext._torch.batches import Rows

        module = self.net_.module_
        dtype = next(module.output.parameters()).dtype
        X = torch.from_numpy(np.array(table)).to(device)
        targets = torch.from_numpy(self._encode_target(y))
        targets = (targets.to(dtype) if targets.is_floating_point() else targets).to(device)
        if weights is not None:
            weights = torch.from_numpy(np.asarray(weights)).to(device, dtype)
        if encoded:
            X = torch.cat([module.encode(part).to(dtype) for part in X.split(PREDICTED_ROWS)])
        return Rows(X, targets, weights)

    def _build_optimizer(self):
        """Adam or SGD; only weight matrices decay."""
        from sklearn_ext._torch.optimizers import SGD, AdamW

        named = list(self.net_.module_.named_parameters())
        groups = [
            {"params": [p for name, p in named if name.endswith("weight")]},
            {"params": [p for name, p in named if name.endswith("bias")], "weight_decay": 0.0},
        ]
        settings = {"lr": self.learning_rate_init, "weight_decay": self.alpha}
        if self.solver == "sgd":
            return SGD(groups, momentum=self.momentum, nesterov=self.nesterovs_momentum, **settings)
        return AdamW(groups, betas=(self.beta_1, self.beta_2), eps=self.epsilon, **settings)

    # Decisions that depend on the number of rows

    def _batch_size(self, n_rows):
        if self.batch_size != "auto":
            return min(self.batch_size, n_rows)
        if n_rows <= FULL_BATCH_ROWS:
            return n_rows
        return int(min(512, max(64, n_rows / 16)))

    def _epochs(self, n_rows, steps_an_epoch):
        """60 full batches, or 150 (n / 200)^0.8 steps up to 4000 in at least 10 epochs."""
        if self.max_iter != "auto":
            return self.max_iter
        if n_rows <= FULL_BATCH_ROWS:
            return 60
        steps = min(4000.0, 150.0 * (n_rows / 200.0) ** 0.8)
        return max(10, ceil(steps / steps_an_epoch))

    def _stops_early(self, n_rows):
        if self.early_stopping == "auto":
            return n_rows > FULL_BATCH_ROWS
        return self.early_stopping

    def _patience(self, watched, epochs):
        """Epochs to wait; without validation rows only a rate that stays ends a run early."""
        if watched is None and self.learning_rate not in ("constant", "invscaling"):
            return None
        if self.n_iter_no_change == "auto":
            return max(10, ceil(0.15 * epochs))
        return self.n_iter_no_change

    def _precision(self, device):
        if self.precision != "auto":
            return self.precision
        return "bf16-mixed" if device.type == "cuda" else "auto"

    def _training_dtype(self, dtype, n_rows, batch_size, device):
        """Mini-batch steps are noisy far beyond single precision; full batches are not."""
        import torch

        exact = torch.float64 if dtype == np.float64 else torch.float32
        if self.precision == "float64":
            return torch.float64
        single = self.precision in ("float32", "bf16-mixed") or device.type != "cpu"
        return torch.float32 if single or batch_size < n_rows else exact

    def _folds(self, y, generator):
        """Rows of each member and rows it leaves out; members take turns at the folds."""
        import torch

        n_rows = len(y)
        n_held = max(1, min(n_rows - 1, round(n_rows * self.validation_fraction)))
        n_folds = max(1, n_rows // n_held)
        order = torch.randperm(n_rows, generator=generator)
        labels = self._strata(y)
        if labels is not None:  # equal labels side by side, dealt out in turn
            order = order[torch.from_numpy(np.argsort(labels[order.numpy()], kind="stable"))]
            positions = torch.arange(n_rows)
            order = order[torch.argsort(positions % n_folds, stable=True)]
        held, seen = [], []
        for member in range(self.n_members):
            turned = order.roll(-(member % n_folds) * n_held)
            held.append(turned[:n_held])
            seen.append(turned[n_held:])
        device = self.net_.device
        return torch.stack(seen).to(device), torch.stack(held).to(device)

    # After training

    def _set_dtype(self, dtype):
        for parameter in self.net_.module_.parameters():
            parameter.data = parameter.data.to(dtype)
        for state in getattr(self.net_.optimizer_, "state", []):
            for slot in set(state) - {"step"}:
                state[slot] = [tensor.to(dtype) for tensor in state[slot]]

    def _epoch_hook(self, context, X, y, epochs):
        """Speak to scikit-learn's callbacks and to the terminal behind every epoch."""

        def hook(n_epochs):
            if self.verbose:
                self._print_epoch(n_epochs, epochs)
            if not getattr(self, "_skl_callbacks", []):
                return False
            task = context.subcontext(task_name="epoch")
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            return task.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=self._snapshot
            )

        return hook

    def _snapshot(self):
        """Attributes of an estimator that stopped now."""
        return {"_frozen_net": self._net_arrays()}

    def _print_epoch(self, n_epochs, epochs):
        last = self.net_.history[-1]
        shown = {name: last[name] for name in ("train_loss", "valid_loss") if name in last}
        text = ", ".join(f"{name} {value:.6f}" for name, value in shown.items())
        print(f"Epoch {n_epochs} of {epochs}: {text}")

    def _read_history(self, run, epochs, partial):
        """Set the public attributes that tell of the training."""
        history = self.net_.history
        self.loss_curve_ = [float(row["train_loss"]) for row in history]
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ = len(self.loss_curve_)
        self.t_ = getattr(self, "t_", 0) * partial + len(run.train) * len(self.loss_curve_)
        self.validation_loss_curve_ = None
        self.validation_scores_, self.best_validation_score_ = None, None
        self.best_loss_ = min(self.loss_curve_)
        if run.valid is not None:
            self.validation_loss_curve_ = [float(row["valid_loss"]) for row in history]
            self.validation_scores_ = [float(row["valid_score"]) for row in history]
            best = run.best.epoch - 1
            self.best_loss_ = self.validation_loss_curve_[best]
            self.best_validation_score_ = self.validation_scores_[best]
        self.n_layers_ = len(_widths(self.hidden_layer_sizes)) + 2
        self.n_parameters_ = sum(p.numel() for p in self.net_.module_.parameters())
        self._goes_on = partial
        if run.interrupted:
            warnings.warn("Training interrupted by user.", ConvergenceWarning, stacklevel=5)

    # Prediction

    def _responses(self, X):
        """What the loss makes of the raw outputs of new rows, (n_members, n, ...)."""
        check_is_fitted(self)
        table = self._read_table(X, reset=False)
        return self._member_responses(table)

    def _member_responses(self, table):
        """Responses of each member as an array in the dtype of the table."""
        import torch

        from sklearn_ext._torch.threads import one_thread

        net = self._live_net()
        weights = next(net.module_.parameters())
        parts = []
        with torch.no_grad(), one_thread():
            for start in range(0, len(table), PREDICTED_ROWS):
                X = torch.from_numpy(np.array(table[start : start + PREDICTED_ROWS]))
                raw = net.module_(X.to(weights.device)).transpose(0, 1)
                parts.append(net.criterion_.response(raw).cpu().numpy())
        return np.concatenate(parts, axis=1).astype(table.dtype, copy=False)

    def _live_net(self):
        """The net, or the copy that a callback looks at."""
        frozen = self.__dict__.get("_frozen_net")
        return self.net_ if frozen is None else self._rebuilt_net(frozen)

    # State without torch objects

    def _net_arrays(self):
        tensors = self.net_.module_.state_dict()
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}

    def _rebuilt_net(self, arrays):
        """Make the net of stored arrays, on the device that the parameters ask for."""
        import torch

        from sklearn_ext._torch.device import resolve_device
        from sklearn_ext._torch.random import make_generator

        device = resolve_device(self.device) if self.device == "auto" else torch.device("cpu")
        module = self._build_module(make_generator(0))
        tensors = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
        for name, parameter in module.named_parameters():
            parameter.data = parameter.data.to(tensors[name].dtype)
        module.load_state_dict(tensors)
        return self._wrapped(module.train(False), device)

    def __getstate__(self):
        state = super().__getstate__().copy()
        if "net_" in state:
            state["_net_arrays_"] = self._net_arrays()
            del state["net_"]
        return state

    def __setstate__(self, state):
        state = dict(state)
        arrays = state.pop("_net_arrays_", None)
        super().__setstate__(state)
        if arrays is not None:
            self.net_ = self._rebuilt_net(arrays)
            self._goes_on = False

    def summary(self):
        """Describe the net: layers, shapes, parameters and memory.

        Returns
        -------
        text : str
            One line a layer.
        """
        check_is_fitted(self)
        lines = [f"{type(self).__name__}: {self.n_members} member(s)"]
        total = 0
        for name, parameter in self.net_.module_.named_parameters():
            total += parameter.numel() * parameter.element_size()
            shape = " x ".join(map(str, parameter.shape))
            lines.append(f"  {name:<18} {shape:<20} {parameter.numel():>10,}")
        lines.append(f"  {'parameters':<39} {self.n_parameters_:>10,}  ({total / 2**20:.2f} MiB)")
        return "\n".join(lines)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _strata(self, y):
        return None


class _NoOptimizer:
    """Stands in until the first run builds the optimizer."""

    param_groups: list = []

    def state_dict(self):
        return {}


def _no_optimizer(*args, **kwargs):
    return _NoOptimizer()


def _encoding_forward(module):
    def forward(X):
        if X.ndim == 2:
            return module.members(module.encode(X))
        return module.members(module.encode(X.flatten(0, 1)).unflatten(0, X.shape[:2]))

    return forward


def _datasets(callbacks, table, y):
    """Data as skorch's callbacks see it, where there are any."""
    if not callbacks:
        return None, None
    from skorch.dataset import Dataset

    return Dataset(table, y), None


def _widths(hidden_layer_sizes):
    widths = np.atleast_1d(np.asarray(hidden_layer_sizes))
    if widths.size == 0:
        return []
    if widths.ndim > 1 or not np.issubdtype(widths.dtype, np.integer) or np.any(widths < 1):
        raise ValueError(f"hidden_layer_sizes must hold integers > 0, got {hidden_layer_sizes!r}.")
    return widths.tolist()


def _checked_weights(sample_weight, table):
    if sample_weight is None:
        return None
    return _check_sample_weight(sample_weight, table, dtype=np.float64, ensure_non_negative=True)


def _drop_weightless(table, y, weights):
    """Leave out rows of weight 0."""
    if weights is None:
        return table, y, None
    kept = weights > 0
    if not kept.any():
        raise ValueError("sample_weight must hold a positive weight, got zeros only.")
    return (table, y, weights) if kept.all() else (table[kept], y[kept], weights[kept])


def _column(X, index):
    if hasattr(X, "iloc"):
        return X.iloc[:, index].to_numpy(dtype=object)
    if hasattr(X, "get_column"):
        return X.get_column(X.columns[index]).to_numpy()
    return np.asarray(X)[:, index]


def _is_missing(value):
    return value is None or value != value or str(value) == "<NA>"


def _known(values):
    """Different categories, sorted by text so that mixed types are no error."""
    found = {value for value in values if not _is_missing(value)}
    try:
        return sorted(found)
    except TypeError:
        return sorted(found, key=str)


def _codes(values, known):
    """Position of each value among the known ones; NaN for others."""
    position = {value: float(code) for code, value in enumerate(known)}
    return [np.nan if _is_missing(value) else position.get(value, np.nan) for value in values]
