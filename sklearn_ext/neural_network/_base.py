"""What all estimators around a net share: from rows and targets to a trained net."""

import warnings
from contextlib import nullcontext
from copy import deepcopy

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_consistent_length, get_tags

from sklearn_ext._dask import is_dask
from sklearn_ext._documentation import DocumentationLinkMixin
from sklearn_ext._optional import import_optional
from sklearn_ext._validation import _check_sample_weight, all_or_nothing, check_is_fitted
from sklearn_ext.neural_network._net_state import NetState
from sklearn_ext.neural_network._partitions import PartitionedFit
from sklearn_ext.neural_network._plan import TrainingPlan

__all__ = ["BaseNet", "checked_weights", "drop_weightless"]


class BaseNet(
    TrainingPlan,
    PartitionedFit,
    NetState,
    DocumentationLinkMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    """Training plan, fitting, prediction and state of an estimator around one net.

    It knows neither tables nor sequences nor kinds of targets. A subclass tells of its samples:

    - ``_read_rows(X, reset=)`` validates X and gives rows: an object with `len`, `dtype` and
      indexing by a slice or a mask.
    - ``_learn_inputs(rows, y, weights, constant_scale)`` sets what the module needs to know of
      training rows; weights are positive. `constant_scale` is the scale of what is constant in
      them.
    - ``_build_module(generator)`` makes the module from these attributes and from
      ``_watches_rows``, which tells whether a run watches validation rows. It maps what
      ``_prediction_inputs`` gives to raw outputs of shape (n_samples, n_members, n_outputs).
    - ``_training_inputs(rows, device, dtype)`` turns a list of rows (training rows and, where
      there are some, validation rows) into the inputs of :class:`sklearn_ext._torch.batches.Rows`,
      and gives the function from a batch of them to inputs of the module's method ``members``,
      which makes raw outputs of them, (n_members, n, n_outputs).
    - ``_prediction_inputs(rows, device)`` turns a few rows into inputs of the module.
    - ``_add_raw_outputs(graph, module, arrays)`` does all of this in a graph of ONNX; only where
      :class:`sklearn_ext._onnx.export.OnnxExportMixin` is another base.

    One of the classes `RegressionTargets` and `ClassificationTargets`, or another with these
    methods, tells of the targets:

    - ``_read_target(y, reset=)``, ``_learn_target(y, weights, dtype)`` and ``_encode_target(y)``
      validate, learn from and encode y, for rows of a dtype; ``_row_weights(y, weights)`` gives the
      weights of rows or None.
    - ``_plain_target(y)`` and ``_plain_prediction(responses)`` give what callbacks compare.
    - ``_build_loss()`` makes the loss, ``_validation_score(raw, rows)`` the score of an epoch.
    - ``_add_outputs(graph, raw, shares)`` adds the outputs of such a graph, from raw ones of
      members.
    - ``_strata(y)`` gives the labels that every fold needs its share of, or None.
    """

    # Names of parameters that the net is made of; those of all bases count.
    _makes_net = ()
    # What :class:`LoRAAdapter` adapted the net by: fields of `sklearn_ext._torch.low_rank`'s
    # `LoRASettings`, or None for a plain net.
    _adaptation = None
    # Names of layers of the net that pre-trained weights do not come with.
    _new_layers = ()
    # Whether it then computes what lies below all trained layers only once.
    _caches_frozen = False

    def _fit_rows(self, X, y, sample_weight, validation_set, *, partial=False):
        """Fit all of it, with the attributes of before if anything fails."""
        for module in ("torch", "skorch"):
            import_optional(module, extra="torch", purpose=type(self).__name__)
        context = self._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        if is_dask(X):
            self._fit_partitions(context, (X, y, sample_weight), validation_set, partial)
        else:
            with all_or_nothing(self):
                self._fit_checked(context, X, y, sample_weight, validation_set, partial)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _fit_checked(self, context, X, y, sample_weight, validation_set, partial):
        going_on = (partial or self.warm_start) and hasattr(self, "net_")
        if y is None and get_tags(self).target_tags.required:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        if going_on:
            self._check_net_parameters()
        else:
            self._parameters_of_net = self._net_parameters()
        given = X, y  # what callbacks score
        rows = self._read_rows(X, reset=not going_on)
        data = rows, y, weights = self._weighted_rows(rows, y, sample_weight, reset=not going_on)
        if not going_on:
            ones = np.ones(len(y)) if weights is None else weights
            # What is constant in the first rows of several calls may vary in later ones.
            self._learn_inputs(rows, y, ones, constant_scale=float(partial))
            self._learn_target(y, ones, rows.dtype)
        valid = self._read_validation(validation_set)
        if not going_on:
            self._watches_rows = valid is not None or self._holds_out(rows, partial)
        self._train(context, given, data, valid, partial=partial, going_on=going_on)

    # Parameters that the net is made of: it keeps them, whatever is set afterwards

    def _net_parameters(self):
        """Parameters that some class of this estimator names in `_makes_net`."""
        classes = type(self).__mro__
        names = (name for base in classes for name in vars(base).get("_makes_net", ()))
        return {name: deepcopy(getattr(self, name)) for name in names}

    def _of_net(self, name):
        """One of them, as the net has it; before there is a net, as it is set."""
        return vars(self).get("_parameters_of_net", vars(self))[name]

    def _check_net_parameters(self):
        """Raise an error for a run that is to go on with another net than there is."""
        for name, value in self._other_parameters(self).items():
            raise ValueError(
                f"The net that training goes on with has {name}={self._of_net(name)!r}, not "
                f"{value!r}. Set {name} back, or call fit with warm_start=False for a new net."
            )

    def _other_parameters(self, estimator):
        """Find what an estimator would make another net of than the one that is here."""
        return {
            name: value
            for name, value in estimator._net_parameters().items()
            if value is not (before := self._of_net(name)) and not np.array_equal(value, before)
        }

    def _weighted_rows(self, rows, y, sample_weight, *, reset):
        """Validate targets and weights; rows, targets and weights without those of weight 0."""
        check_consistent_length(rows, y)  # first: a y of another length may lack classes too
        y = self._read_target(y, reset=reset)
        weights = self._row_weights(y, checked_weights(sample_weight, len(rows)))
        return drop_weightless(rows, y, weights)

    def _read_validation(self, validation_set):
        """Check a user's own validation rows."""
        if validation_set is None:
            return None
        if not isinstance(validation_set, tuple) or len(validation_set) not in (2, 3):
            raise ValueError(
                "validation_set must be a tuple (X, y) or (X, y, sample_weight), got "
                f"{type(validation_set).__name__!r}."
            )
        try:
            return self._validation_rows(*(*validation_set, None)[:3])
        except ValueError as error:
            raise ValueError(f"validation_set: {error}") from error

    def _validation_rows(self, X, y, sample_weight):
        """Rows, targets and weights of a validation set."""
        rows = self._read_rows(X, reset=False)
        check_consistent_length(rows, y)
        y = self._read_target(y, reset=False)
        weights = self._row_weights(y, checked_weights(sample_weight, len(rows)))
        if weights is not None and not np.any(weights):
            raise ValueError("all its rows have the weight 0 by class_weight.")
        return rows, y, weights

    # Training

    def _train(self, context, given, data, valid, *, partial, going_on):
        """Build or take the net, train it, and read its history."""
        import torch

        from sklearn_ext._torch.parameters import set_dtype
        from sklearn_ext._torch.random import make_generator
        from sklearn_ext._torch.threads import one_thread
        from sklearn_ext.neural_network._net import check_callbacks, given_back_on_failure

        check_callbacks(self.callbacks)
        rows = data[0]
        generator = make_generator(self.random_state, self.t_ if going_on else 0)
        with one_thread(), torch.inference_mode(False), torch.enable_grad():
            if not going_on:
                self._build_net(generator)
            elif self.net_.callbacks is not self.callbacks:
                self.net_.callbacks = self.callbacks
                self.net_.initialize_callbacks()
            keeps = partial and self._keeps_moments()
            given_back = given_back_on_failure(self.net_, with_moments=keeps)
            with given_back if going_on else nullcontext():
                run, n_before = self._run_to_the_end(
                    context, given, data, valid, generator, partial
                )
            if not partial:  # the moments, twice the size of the weights, serve partial_fit only
                self.net_.optimizer_.forget()
            exact = torch.float64 if rows.dtype == np.float64 else torch.float32
            set_dtype(self.net_.module_, self.net_.optimizer_, exact)
        self._read_history(run, n_before, going_on=going_on, partial=partial)

    def _run_to_the_end(self, context, given, data, valid, generator, partial):
        """Train the net that is there; the run, and the number of epochs before it."""
        from sklearn_ext._torch.dropout import dropout_from

        run, epochs = self._plan(data, valid, generator, partial)
        n_before = len(self.net_.history)
        run.on_epoch = self._epoch_hook(context, *given, n_before + epochs)
        module, whole = self.net_.module_, run.batch_size >= len(data[0])
        dropout = dropout_from(generator, module, shared_by_rows=whole)
        with dropout, self._while_training(module):
            self.net_.partial_fit(run, None, epochs=epochs)
        if len(self.net_.history) == n_before:  # interrupted before there is anything to keep
            raise KeyboardInterrupt
        if run.valid is not None or run.interrupted:
            run.best.check()
            if not self.net_.loads_best:
                run.best.restore()
            if self._adaptation is None:  # an adapter changes its matrices, and nothing else
                self._weigh_members(run)
        return run, n_before

    def _while_training(self, module):
        """Hook: a context around the training of a module."""
        return nullcontext()

    def _weigh_members(self, run):
        """Hook: give members shares in the mean, once their weights are final."""

    def _member_shares(self, dtype):
        """Shares of members in the mean; None where all have the same."""
        shares = getattr(self._live_net().module_, "shares", None)
        return None if shares is None else shares.cpu().numpy().astype(dtype)

    def _member_mean(self, values):
        """Average arrays of members, (n_members, ...), by their shares where they have some."""
        return self._mean_by(values, self._member_shares(values.dtype))

    @staticmethod
    def _mean_by(values, shares):
        """Average arrays of members by shares that sum to 1; None for equal ones."""
        return values.mean(axis=0) if shares is None else np.tensordot(shares, values, axes=1)

    def _build_net(self, generator):
        """Make a new net of what was learned about inputs and targets."""
        from sklearn_ext._torch.device import resolve_device
        from sklearn_ext.neural_network._net import wrapped_module

        self._adaptation = self._fold_state = None
        self.net_ = wrapped_module(
            self._build_module(generator),
            self._build_loss(),
            resolve_device(self.device),
            callbacks=self.callbacks,
            compile=self.compile,
        )

    # After training

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

    def _print_epoch(self, n_epochs, epochs):
        last = self.net_.history[-1]
        shown = {name: last[name] for name in ("train_loss", "valid_loss") if name in last}
        text = ", ".join(f"{name} {value:.6f}" for name, value in shown.items())
        print(f"Epoch {n_epochs} of {epochs}: {text}")

    def _read_history(self, run, n_before, *, going_on, partial):
        """Set the public attributes that tell of the training."""
        history = self.net_.history
        self.loss_curve_ = [float(row["train_loss"]) for row in history]
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ = len(self.loss_curve_)
        n_seen = len(run.train) * (len(history) - n_before)
        self.t_ = n_seen + (self.t_ if going_on else 0)
        self.validation_loss_curve_ = None
        self.validation_scores_, self.best_validation_score_ = None, None
        self.best_loss_ = min(self.loss_curve_)
        if run.valid is not None:  # earlier runs may have watched none
            self.validation_loss_curve_ = [float(row.get("valid_loss", np.nan)) for row in history]
            self.validation_scores_ = [float(row.get("valid_score", np.nan)) for row in history]
            self.best_loss_ = run.best.loss
            self.best_validation_score_ = self.validation_scores_[: run.best.epoch][-1]
        self.n_parameters_ = sum(p.numel() for p in self.net_.module_.parameters())
        self._goes_on = partial
        if run.interrupted:
            warnings.warn(
                "Training interrupted by user: the weights of the best epoch so far are kept.",
                ConvergenceWarning,
                stacklevel=5,
            )

    # Prediction

    def _some_row(self, shape):
        return np.zeros(shape)

    def _responses(self, X):
        """What the loss makes of the raw outputs of new rows, (n_members, n, ...)."""
        check_is_fitted(self)
        return self._member_responses(self._read_rows(X, reset=False))

    def _member_responses(self, rows):
        """Responses of each member as an array in the dtype of the rows."""
        import torch

        from sklearn_ext._torch.threads import one_thread

        net = self._live_net()
        device = next(net.module_.parameters()).device
        found = None
        with torch.no_grad(), one_thread():
            for part in self._prediction_parts(rows):
                inputs = self._prediction_inputs(rows[part], device)
                raw = net.module_(inputs).transpose(0, 1)
                # In the middle of a run weights may be single: probabilities have to sum to 1.
                raw = raw.double() if rows.dtype == np.float64 else raw
                response = net.criterion_.response(raw).cpu().numpy()
                if found is None:
                    shape = len(response), len(rows), *response.shape[2:]
                    found = np.empty(shape, dtype=rows.dtype)
                found[:, part] = response
        return found

    def _prediction_parts(self, rows):
        """Slices or row numbers of what is predicted in one go."""
        size = self._rows_at_once(rows)
        return [slice(start, start + size) for start in range(0, len(rows), size)]

    def _prediction_inputs(self, rows, device):
        import torch

        return torch.from_numpy(np.array(rows)).to(device)

    def _add_to_graph(self, graph):
        """Add the nodes for :meth:`to_onnx`."""
        from sklearn_ext._torch.parameters import module_arrays

        module = self._plain_module()
        arrays = module_arrays(module)
        raw = self._add_raw_outputs(graph, module, arrays)
        equal = np.full(module.n_members, 1.0 / module.n_members)
        return self._add_outputs(graph, raw, arrays.get("shares", equal))

    def summary(self):
        """Describe the net: layers, shapes, parameters and memory.

        Returns
        -------
        text : str
            One line a layer.
        """
        check_is_fitted(self)
        lines = [f"{type(self).__name__}: {self._member_count()} member(s)"]
        total = 0
        for name, parameter in self.net_.module_.named_parameters():
            total += parameter.numel() * parameter.element_size()
            shape = " x ".join(map(str, parameter.shape))
            lines.append(f"  {name:<18} {shape:<20} {parameter.numel():>10,}")
        lines.append(f"  {'parameters':<39} {self.n_parameters_:>10,}  ({total / 2**20:.2f} MiB)")
        return "\n".join(lines)


def checked_weights(sample_weight, n_rows):
    """Validate the weights of so many rows; None stays None."""
    if sample_weight is None:
        return None
    return _check_sample_weight(
        sample_weight,
        np.empty(n_rows),
        dtype=np.float64,
        ensure_non_negative=True,
        copy=True,  # those of a Series are read-only, of which torch warns
    )


def drop_weightless(rows, y, weights):
    """Leave out rows of weight 0."""
    if weights is None:
        return rows, y, None
    kept = weights > 0
    if not kept.any():
        raise ValueError("sample_weight must hold a positive weight, got zeros only.")
    return (rows, y, weights) if kept.all() else (rows[kept], y[kept], weights[kept])
