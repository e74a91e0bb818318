"""How a net is trained: the training parameters, and what a run makes of them."""

from dataclasses import replace
from math import ceil
from numbers import Integral, Real

import numpy as np

from sklearn_ext._torch.schedules import SCHEDULES, UNTIMED
from sklearn_ext._validation import Interval, StrOptions

__all__ = ["TrainingPlan"]

LBFGS_ITERATIONS = 200  # as many as MLPRegressor takes

# Up to so many rows a fit takes full batches in the dtype of X, without a validation split: then
# a weight of 2 is exactly a row given twice.
FULL_BATCH_ROWS = 64


class TrainingPlan:
    """The training parameters of :class:`BaseNet`, and its decisions before a run.

    What "auto" stands for depends on the number of rows; a subclass with a recipe of its own
    overrides `_batch_size`, `_epochs` and `_most_rows_seen_to_the_end`.
    """

    # Up to so many rows `early_stopping="auto"` holds none out.
    _most_rows_seen_to_the_end = FULL_BATCH_ROWS
    # State of the generator from which a net's folds were drawn first; None before.
    _fold_state = None
    # So many full batches; after more, nets on few rows are too sure where there is noise.
    _full_batches = 24

    _parameter_constraints = {
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
        "validation_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="neither")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "gradient_accumulation_steps": [Interval(Integral, 1, None, closed="left")],
        "precision": [StrOptions({"auto", "float32", "float64", "bf16-mixed"})],
        "device": "no_validation",
        "compile": ["boolean"],
        "callbacks": [list, None],
    }

    def _plan(self, data, valid, generator, partial):
        """Decide on everything of a run; the run and its number of epochs."""
        import torch

        from sklearn_ext._torch.parameters import set_dtype
        from sklearn_ext.neural_network._net import Run, as_datasets

        rows, y, _ = data
        n_rows, net = len(rows), self.net_
        batch_size = self._batch_size(n_rows)
        device = torch.device(net.device)
        dtype = self._training_dtype(rows.dtype, n_rows, batch_size, device)
        set_dtype(net.module_, net.optimizer_, dtype)
        holds_out = valid is None and self._holds_out(rows, partial)
        folds = self._folds(rows, y, generator) if holds_out else None
        train, watched, forward = self._rows_of_run(data, valid, folds, device, dtype)
        steps_an_epoch = ceil(len(train) / batch_size)
        epochs = 1 if partial else self._epochs(rows, steps_an_epoch)
        if not (partial and self._keeps_moments()):
            weights = np.ones(n_rows) if data[2] is None else data[2]
            net.optimizer_ = self._build_optimizer(float(weights.sum()))
        net.optimizer_.set_rate(self._initial_rate())
        run = Run(
            train,
            watched,
            self._gradient_steps(train, forward, epochs * steps_an_epoch, device, partial),
            generator,
            batch_size,
            self._patience(watched, epochs),
            self._best_weights(watched),
            self.shuffle,
            self._meets_by_length(rows, y),
            score=self._validation_score,
            datasets=as_datasets(self.callbacks, *self._callback_data(data, valid), folds),
            predictors=self._callback_predictors(),
            rows_at_once=max(batch_size, self._rows_at_once(rows)),
            classes=self._plain_classes(),
        )
        return run, epochs

    def _keeps_moments(self):
        """Whether the last run was of `partial_fit`, by the optimizer of the net that is there."""
        return getattr(self, "_goes_on", False) and bool(self.net_.optimizer_.parameters)

    def _callback_data(self, data, valid):
        """Rows and targets of both, in the form that callbacks see."""
        return [part and (part[0], self._plain_target(part[1])) for part in (data, valid)]

    def _plain_classes(self):
        """Classes in the form that callbacks see; None where rows have no single label."""
        return None

    def _callback_predictors(self):
        """Predictions of such rows by the net as it is, in the form of these targets."""

        def by(plain):
            return lambda rows: plain(self._member_responses(rows))

        plain = self._plain_prediction
        return {"predict": by(plain), "predict_proba": by(getattr(self, "_probability", plain))}

    def _best_weights(self, watched):
        """Watch each member's loss where there are validation rows, else the mean."""
        from sklearn_ext._torch.best_weights import BestWeights

        net, members = self.net_, None
        if watched is not None and hasattr(net.module_, "parameter_members"):
            owners = zip(net.module_.parameters(), net.module_.parameter_members(), strict=True)
            owner_of = {id(parameter): members for parameter, members in owners}
            members = [owner_of[id(parameter)] for parameter in net.optimizer_.parameters]
        counted = getattr(net.module_, "n_nets", None)
        return BestWeights(net.optimizer_.parameters, members, self.tol, counted)

    def _gradient_steps(self, train, forward, n_steps, device, partial):
        """Set up the steps; those of partial_fit keep to the initial rate."""
        from sklearn_ext._torch.device import autocast_dtype
        from sklearn_ext._torch.training import GradientSteps

        if self.net_.has_scheduler:
            self._leave_rates(partial)
        return GradientSteps(
            forward,
            self.net_.criterion_,
            self.net_.optimizer_,
            n_steps,
            schedule="constant" if partial or self.solver == "lbfgs" else self.learning_rate,
            warmup=0.0 if partial else self.warmup_fraction,
            power_t=self.power_t,
            max_grad_norm=self.max_grad_norm,
            slices=self.gradient_accumulation_steps,
            autocast=autocast_dtype(self._precision(device)),
            mean_weight=1.0 if train.weights is None else float(train.weights.mean()),
            n_counted=getattr(self.net_.module_, "n_nets", None),
            names=self._parameter_names(),
        )

    def _leave_rates(self, partial):
        """Refuse a schedule of our own beside that of a callback."""
        if self.solver == "lbfgs":
            raise ValueError("callbacks holds LRScheduler, but solver='lbfgs' has no rate to move.")
        if not partial and (self.learning_rate not in UNTIMED or self.warmup_fraction):
            raise ValueError(
                f"callbacks holds LRScheduler, but learning_rate={self.learning_rate!r} with "
                f"warmup_fraction={self.warmup_fraction} sets the rate of every step. Give "
                "learning_rate='constant' and warmup_fraction=0.0 beside it."
            )

    def _parameter_names(self):
        """Names of the optimizer's parameters, in its order; those in the base of adapted ones."""
        from sklearn_ext._torch.shared_copies import name_in_base

        named = self.net_.module_.named_parameters()
        names = {id(parameter): name_in_base(name) for name, parameter in named}
        return [names[id(parameter)] for parameter in self.net_.optimizer_.parameters]

    def _rows_of_run(self, data, valid, folds, device, dtype):
        """Training rows, watched rows or None, and the function from inputs to raw outputs."""
        parts = [part for part in (data, valid) if part is not None]
        rows = [part[0] for part in parts]
        inputs, prepare = self._training_inputs(rows, device, dtype)
        inputs, forward = self._forward(rows, inputs, prepare)
        train, *watched = [
            self._to_rows(values, *part[1:], device, dtype)
            for values, part in zip(inputs, parts, strict=True)
        ]
        if folds is not None:
            seen, held_out = folds
            return replace(train, of_members=seen), replace(train, of_members=held_out), forward
        return train, watched[0] if watched else None, forward

    def _forward(self, rows, inputs, prepare):
        """Inputs and the function from a batch of them to raw outputs, (n_members, n, n_outputs).

        Where only upper layers of an adapted net learn, the others are a function that does not
        change: without dropout or gradients, and where that is asked for computed only once.
        """
        import torch

        from sklearn_ext._torch.frozen_states import frozen_states

        module = self.net_.module_
        if getattr(module, "cut", None) is None:
            compiles = self.compile and self._adaptation is None
            members = torch.compile(module.members) if compiles else module.members
            return inputs, lambda batch: members(prepare(batch))
        if not self._caches_frozen:
            return inputs, lambda batch: module.in_parts(prepare(batch))

        def with_states(own, inputs):
            parts = self._prediction_parts(own)
            numbers = np.arange(len(own))
            index = [torch.from_numpy(numbers[part]).to(self.net_.device) for part in parts]
            states = frozen_states(inputs, lambda batch: module.below(prepare(batch)), index)
            return {"inputs": inputs, "states": states}

        inputs = [with_states(*pair) for pair in zip(rows, inputs, strict=True)]
        return inputs, lambda batch: module.above(prepare(batch["inputs"]), batch["states"])

    def _to_rows(self, inputs, y, weights, device, dtype):
        """Put tensors of targets and weights beside the inputs."""
        import torch

        from sklearn_ext._torch.batches import Rows

        targets = torch.from_numpy(self._encode_target(y))
        targets = (targets.to(dtype) if targets.is_floating_point() else targets).to(device)
        if weights is not None:
            # Divided by a power of 2 near their mean: no unit of theirs is too large or small then.
            weights = np.ldexp(weights, -np.frexp(np.mean(weights))[1])
            weights = torch.from_numpy(weights).to(device, dtype)
        return Rows(inputs, targets, weights)

    def _build_lbfgs(self, groups, weight):
        """Full batches; the penalty is that of MLPRegressor."""
        from sklearn_ext._torch.quasi_newton import LBFGS

        return LBFGS(groups, self.alpha / weight, self.tol, self.max_fun)

    def _build_optimizer(self, weight):
        """Choose the solver; only weight matrices decay. `weight` is that of all rows."""
        from sklearn_ext._torch.optimizers import SGD, AdamW

        found, rate = {}, self._initial_rate()
        ratio_of = getattr(self.net_.module_, "rate_ratio", _same_rate)
        for name, parameter in self.net_.module_.named_parameters():
            kind = ratio_of(name), not _decays(name)
            found.setdefault(kind, []).append(parameter)
        groups = [
            {"params": found[ratio, spared], "lr": ratio * rate, "initial_lr": ratio * rate}
            | ({"weight_decay": 0.0} if spared else {})
            for ratio, spared in sorted(found)
        ]
        settings = {"lr": rate, "weight_decay": self.alpha}
        if self.solver == "lbfgs":
            return self._build_lbfgs(groups, weight)
        if self.solver == "sgd":
            return SGD(groups, momentum=self.momentum, nesterov=self.nesterovs_momentum, **settings)
        return AdamW(groups, betas=(self.beta_1, self.beta_2), eps=self.epsilon, **settings)

    # Decisions that depend on the number of rows

    def _initial_rate(self):
        return self.learning_rate_init

    def _rows_at_once(self, rows):
        """Rows that are predicted in one go: what a layer gives for them stays in the cache."""
        return 2048

    def _batch_size(self, n_rows):
        if self.solver == "lbfgs":
            return n_rows
        if self.batch_size != "auto":
            return min(self.batch_size, n_rows)
        if n_rows <= FULL_BATCH_ROWS:
            return n_rows
        return int(min(512, max(64, n_rows / 40)))

    def _epochs(self, rows, steps_an_epoch):
        """A number of full batches, or 1160 / n^(1/3) epochs within 10 and 64."""
        if self.max_iter != "auto":
            return self.max_iter
        if self.solver == "lbfgs":
            return LBFGS_ITERATIONS
        n_rows = len(rows)
        if n_rows <= FULL_BATCH_ROWS:
            return self._full_batches
        return min(64, max(10, ceil(1160.0 / n_rows ** (1.0 / 3.0))))

    def _meets_by_length(self, rows, y):
        """Whether sequences of about the same length make a batch."""
        return True

    def _holds_out(self, rows, partial):
        """Whether a run without validation rows of the user's holds some out."""
        return not partial and self._stops_early(self._n_samples(rows))

    def _n_samples(self, rows):
        """Hook: the number of what is held out as a whole."""
        return len(rows)

    def _stops_early(self, n_rows):
        if self.solver == "lbfgs":
            return False
        if self.early_stopping == "auto":
            return n_rows > self._most_rows_seen_to_the_end
        return self.early_stopping

    def _patience(self, watched, epochs):
        """Epochs to wait; without validation rows "auto" waits only where the rate stays."""
        if self.n_iter_no_change != "auto":
            return self.n_iter_no_change
        if self.solver == "lbfgs":
            return None if watched is None else 10
        if self.learning_rate == "adaptive":  # has to fall several times within a run
            return min(10, max(2, ceil(0.1 * epochs)))
        if watched is None and self.learning_rate not in ("constant", "invscaling"):
            return None
        return max(10, ceil(0.3 * epochs))

    def _precision(self, device):
        if self.precision != "auto":
            return self.precision
        if self.solver == "lbfgs" and device.type != "mps":  # which has no double precision
            return "float64"
        return "bf16-mixed" if device.type == "cuda" else "auto"

    def _training_dtype(self, dtype, n_rows, batch_size, device):
        """Mini-batch steps are noisy far beyond single precision; full batches are not."""
        import torch

        exact = torch.float64 if dtype == np.float64 else torch.float32
        if self._precision(device) == "float64":
            return torch.float64
        single = self.precision in ("float32", "bf16-mixed") or device.type != "cpu"
        return torch.float32 if single or batch_size < n_rows else exact

    def _folds(self, rows, y, generator):
        """Rows of each member and rows it leaves out."""
        from sklearn_ext._torch.folds import member_folds

        if len(y) < 2:
            raise ValueError(
                f"early_stopping={self.early_stopping!r} holds rows out, but there is 1 row. Set "
                "early_stopping=False, or give a validation_set."
            )
        turns, device = self._member_turns(), self.net_.device
        generator = self._fold_generator(generator)
        folds = member_folds(len(y), self._strata(y), self._fraction(len(y)), turns, generator)
        return tuple(rows.to(device) for rows in folds)

    def _fold_generator(self, generator):
        """Draw the folds of a net always alike: what one fit has learned none shall watch."""
        from sklearn_ext._torch.random import generator_at, generator_state

        if self._fold_state is None:
            self._fold_state = generator_state(generator)
            return generator
        return generator_at(self._fold_state)

    def _fraction(self, n_rows):
        """Share of held-out rows: 1/8, for few rows 60 of them up to 1/4."""
        if self.validation_fraction != "auto":
            return self.validation_fraction
        return max(0.125, min(0.25, 60.0 / n_rows))

    def _member_count(self):
        return self._of_net("n_members") if hasattr(self, "n_members") else 1

    def _member_turns(self):
        """Fold that each member holds out."""
        return range(self._member_count())

    def _strata(self, y):
        return None


def _same_rate(name):
    return 1.0


def _decays(name):
    """Whether a parameter is a weight and no bias: `weight`, or torch's `weight_hh_l0`."""
    return name.replace("/", ".").rpartition(".")[2].startswith("weight")
