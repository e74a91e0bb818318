"""The one skorch net under every estimator: skorch's callbacks and history, a faster epoch."""

from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import skorch
import torch
from sklearn.utils import ClassifierTags
from skorch.callbacks import BatchScoring, Callback, EarlyStopping, LRScheduler
from skorch.dataset import Dataset

from sklearn_ext._torch.batches import Rows
from sklearn_ext._torch.best_weights import BestWeights
from sklearn_ext._torch.epoch_order import epoch_indices
from sklearn_ext._torch.evaluation import evaluate
from sklearn_ext._torch.optimizers import AdamW
from sklearn_ext._torch.quantization import StoredWeight
from sklearn_ext._torch.training import GradientSteps

__all__ = [
    "Net",
    "Run",
    "as_datasets",
    "check_callbacks",
    "given_back_on_failure",
    "wrapped_module",
]

GRADIENT_EVENT = "on_grad_computed"
BATCH_EVENTS = "on_batch_begin", "on_batch_end", GRADIENT_EVENT


@dataclass
class Run:
    """One training run: rows that are tensors already, and when to stop.

    Attributes
    ----------
    train, valid : Rows
        Rows; valid may be None.
    steps : GradientSteps
        Takes the steps.
    generator : torch.Generator
        Draws the order of rows.
    batch_size : int
        Rows a step.
    patience : int or None
        Epochs without a better loss after which the run ends or "adaptive" rates fall; None waits
        for ever.
    best : BestWeights
        Watches the validation loss, or the training loss where there are no validation rows.
    shuffle : bool
        Whether there is a new order every epoch.
    by_length : bool
        Whether sequences of about the same length meet in a batch then.
    score : callable or None
        Raw outputs and rows to the validation score.
    on_epoch : callable
        Called with the number of epochs so far behind each of them; a true value ends the run.
    datasets : tuple
        Training and validation data as skorch's callbacks see them.
    predictors : dict
        Functions from rows of these data to predictions, by the method of the net that calls them.
    rows_at_once : int
        Validation rows that are looked at in one go.
    classes : ndarray or None
        Classes of one label a row, as callbacks see them.
    """

    train: Rows
    valid: Rows | None
    steps: GradientSteps
    generator: torch.Generator
    batch_size: int
    patience: int | None
    best: BestWeights
    shuffle: bool = True
    by_length: bool = True
    score: Any = None
    on_epoch: Any = None
    datasets: tuple = (None, None)
    predictors: dict = field(default_factory=dict)
    rows_at_once: int = 4096
    classes: Any = None
    interrupted: bool = False

    def knows(self, row):
        """Tell whether a row of the history is that of a complete epoch."""
        last = "train_loss" if self.valid is None or self.score is None else "valid_score"
        return last in row

    def is_over(self):
        """Tell whether the loss has not fallen for too long; "adaptive" rates are lowered first."""
        if self.patience is None or self.best.n_without < self.patience:
            return False
        self.best.n_without = 0
        return not self.steps.lower_rates()


class Net(skorch.NeuralNet):
    """A :class:`skorch.NeuralNet` whose epoch works on tensors instead of a DataLoader."""

    _run = None  # the run under way

    @property
    def _default_callbacks(self):
        return []

    def __getstate__(self):
        # A callback may store the net in the middle of a run: without the rows.
        return super().__getstate__() | {"_run": None}

    def fit(self, X, y=None, **fit_params):
        """Refuse to start anew: the estimator makes the net of what it has learned of the data."""
        raise _learns_elsewhere()

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train on the rows of a `Run`."""
        if not isinstance(X, Run):
            raise _learns_elsewhere()
        self._run, epochs = X, self.max_epochs if epochs is None else epochs
        try:
            if hasattr(self.optimizer_, "minimize"):
                self._minimize(X, epochs)
            else:
                any(self._run_epoch(X, self._train_epoch) for _ in range(epochs))
        except KeyboardInterrupt:
            X.interrupted = not _stopped_early(self.callbacks_)
            if self.history and not X.knows(self.history[-1]):
                del self.history[-1]
        finally:
            self._run = None
        self.module_.train(False)
        return self

    @property
    def classes_(self):
        """Classes of the targets that callbacks see, in the middle of a run only."""
        classes = None if self._run is None else self._run.classes
        if classes is None:
            raise AttributeError("classes_")
        return classes

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if hasattr(self, "classes_"):  # scorers ask for it
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags

    @property
    def loads_best(self):
        """Whether a callback of skorch brings back the weights that it found best."""
        callbacks = [callback for _, callback in self.callbacks_]
        return any(getattr(c, "load_best", False) and c.monitor is not None for c in callbacks)

    @property
    def has_scheduler(self):
        """Whether a callback of skorch moves the learning rate."""
        return any(isinstance(callback, LRScheduler) for _, callback in self.callbacks_)

    def predict(self, X):
        """Predict; in the middle of a run as the estimator would, for callbacks."""
        return super().predict(X) if self._run is None else self._predicted("predict", X)

    def predict_proba(self, X):
        """Predict probabilities as `predict` predicts."""
        if self._run is None:
            return super().predict_proba(X)
        return self._predicted("predict_proba", X)

    def _predicted(self, method, X):
        training = self.module_.training
        self.module_.train(False)
        try:
            return self._run.predictors[method](X.X if isinstance(X, Dataset) else X)
        finally:
            self.module_.train(training)

    def _minimize(self, run, epochs):
        """Let the optimizer walk by itself; every iteration is an epoch. Dropout is off."""
        self.module_.train(False)
        batch, members = run.train.batch(None), getattr(self.module_, "n_members", 1)
        self.optimizer_.minimize(
            lambda: run.steps.loss_and_gradients(batch),
            epochs,
            lambda loss: self._run_epoch(run, lambda run: loss / members),
        )

    def _run_epoch(self, run, train):
        """Train for one epoch; tell whether the run is over."""
        train_set, valid_set = run.datasets
        self.notify("on_epoch_begin", dataset_train=train_set, dataset_valid=valid_set)
        loss = train(run)
        if not self.history[-1]["batches"]:
            self.history.new_batch()  # which skorch's Checkpoint looks for
        self._record_loss("train_loss", loss)
        watched = torch.tensor(loss)
        if loss != loss or loss in (float("inf"), -float("inf")):
            raise _divergence(loss, run.steps, len(self.history))
        if run.valid is not None:
            watched = self._validate(run)
        run.best.look(watched, len(self.history))
        self._end_epoch(run)
        stop = run.on_epoch is not None and run.on_epoch(len(self.history))
        return stop or run.is_over()

    def _end_epoch(self, run):
        """Tell callbacks; one that looks for what is not watched is told why it is not there."""
        train_set, valid_set = run.datasets
        try:
            self.notify("on_epoch_end", dataset_train=train_set, dataset_valid=valid_set)
        except KeyError as error:
            if run.valid is None and "valid_" in str(error):
                error.add_note(
                    "No validation rows are watched. Set early_stopping=True, give a "
                    "validation_set, or let the callback monitor 'train_loss'."
                )
            raise

    def _train_epoch(self, run):
        """Take the steps of an epoch; its mean loss, read from the device once."""
        self.module_.train(True)  # parts may be as they are for predictions where the whole is not
        listened, sees_gradients = self._listens(BATCH_EVENTS), self._listens([GRADIENT_EVENT])
        # One running sum: small tensors kept between large ones would tear the heap apart.
        total, n_steps = 0.0, 0
        indices = epoch_indices(
            run.train,
            run.batch_size,
            run.generator,
            members=getattr(self.module_, "n_members", 1),
            shuffle=run.shuffle,
            by_length=run.by_length,
        )
        for batch in run.train.batches(indices):
            if listened:
                self.notify("on_batch_begin", batch=(batch.inputs, batch.targets), training=True)
            show = partial(self._show_gradients, batch) if sees_gradients else None
            loss, raw = run.steps.step(batch, show)
            total = total + loss
            n_steps += 1
            if listened:
                self._tell_of_batch(batch, loss, raw)
        return float(total) / n_steps

    def _validate(self, run):
        """Losses of the validation rows; their mean and the score go into the history."""
        self.module_.train(False)
        rows, forward = run.rows_at_once, run.steps.forward
        losses, raw = evaluate(forward, self.criterion_, run.valid, rows)
        counted = run.best.n_counted
        self._record_loss("valid_loss", float(losses[..., :counted].mean()))
        if run.score is not None:
            seen = run.valid.of_first_members(counted)
            self.history.record("valid_score", run.score(raw[:counted], seen))
        return losses

    def _record_loss(self, name, loss):
        """Put a loss into the history, and whether it is the smallest so far, as skorch does."""
        before = [row[name] for row in self.history[:-1] if name in row]
        self.history.record(f"{name}_best", all(loss < other for other in before))
        self.history.record(name, loss)

    def _show_gradients(self, batch):
        """Call those who want to see the gradients of a training batch."""
        pair, named = (batch.inputs, batch.targets), list(self.module_.named_parameters())
        self.notify(GRADIENT_EVENT, named_parameters=named, batch=pair, training=True)

    def _tell_of_batch(self, batch, loss, raw):
        """Call the listeners behind a training batch."""
        pair = batch.inputs, batch.targets
        self.history.record_batch("train_loss", float(loss))
        self.history.record_batch("train_batch_size", batch.targets.shape[-2:][0])
        self.notify("on_batch_end", batch=pair, training=True, loss=loss, y_pred=raw)

    def _listens(self, events):
        """Whether a callback wants to hear of one of these events."""
        return any(
            getattr(type(callback), event, None) is not getattr(Callback, event)
            for _, callback in self.callbacks_
            for event in events
        )


def _learns_elsewhere():
    return TypeError(
        "This net learns through its estimator, which encodes rows and targets: call fit or "
        "partial_fit of that. A training loop of your own can take net_.module_."
    )


def _stopped_early(callbacks):
    """Tell whether skorch's EarlyStopping ended the run: it does so by a KeyboardInterrupt."""
    return any(
        isinstance(callback, EarlyStopping) and callback.misses_ >= callback.patience
        for _, callback in callbacks
    )


def _divergence(loss, steps, epoch):
    remedy = "" if steps.max_grad_norm else ", or set max_grad_norm=1.0"
    return ValueError(
        f"The training loss became {loss} in epoch {epoch} with learning_rate_init="
        f"{steps.optimizer.defaults['lr']}. Lower learning_rate_init{remedy}."
    )


@contextmanager
def given_back_on_failure(net, *, with_moments):
    """Give a net its weights, buffers, loss and history back if training it further fails.

    Parameters
    ----------
    net : skorch.NeuralNet
        Net. Its tensors keep their memory, which others may share.
    with_moments : bool
        Whether the training goes on with the optimizer that is there, and so writes to it.
    """
    module, optimizer, history = net.module_, net.optimizer_, net.history_
    n_epochs = len(history)
    # A user's criterion may learn, or be a function.
    learning = [part for part in (module, net.criterion_) if isinstance(part, torch.nn.Module)]
    tensors = [t for part in learning for t in (*part.parameters(), *_small_buffers(part))]
    before = [(tensor, tensor.data, tensor.detach().clone()) for tensor in tensors]
    moments = deepcopy(optimizer.state_dict()) if with_moments else None
    try:
        yield
    except BaseException:
        for tensor, memory, kept in before:
            tensor.data = memory.copy_(kept)
        if moments is not None:
            optimizer.load_state_dict(moments)
        del history[n_epochs:]
        vars(net).update(optimizer_=optimizer, history_=history)
        module.train(False)
        raise


def _small_buffers(module):
    """Buffers that a training may write to, such as running means; quantised weights are none."""
    parts = (part for part in module.modules() if not isinstance(part, StoredWeight))
    return [buffer for part in parts for buffer in part.buffers(recurse=False)]


def check_callbacks(callbacks):
    """Raise an error for callbacks that are not skorch's."""
    for entry in callbacks or ():
        callback = entry[1] if isinstance(entry, tuple) and len(entry) == 2 else entry
        kind = callback if isinstance(callback, type) else type(callback)
        if issubclass(kind, BatchScoring):
            raise TypeError(
                "BatchScoring has no rows to score: batches are encoded, and hold other rows for "
                "each member. Take EpochScoring, with on_train=True for training rows."
            )
        if not issubclass(kind, Callback):
            raise TypeError(
                f"callbacks must hold callbacks of skorch, got {callback!r}. Those of scikit-learn "
                "are given to set_callbacks."
            )


def _no_optimizer(*args, **kwargs):
    """Stand in until the first run builds the optimizer."""
    return AdamW([])


def wrapped_module(module, loss, device, **settings):
    """Put a module and its loss into an initialized skorch net.

    Parameters
    ----------
    module : torch.nn.Module
        Module.
    loss : sklearn_ext._torch.losses.Loss
        Loss.
    device : torch.device
        Where it will be.
    **settings : object
        Further parameters of :class:`skorch.NeuralNet`.

    Returns
    -------
    net : Net
        Without an optimizer.
    """
    return Net(
        module,
        criterion=loss,
        optimizer=_no_optimizer,
        train_split=None,
        use_caching=False,  # validation rows do not come in batches of skorch's
        device=str(device),
        verbose=0,
        **settings,
    ).initialize()


def as_datasets(callbacks, data, valid, folds):
    """Training and validation data as skorch's callbacks see it, where there are any.

    Parameters
    ----------
    callbacks : list or None
        Callbacks.
    data : tuple of (rows, y)
        Training rows, those that are held out included.
    valid : tuple of (rows, y) or None
        The user's own validation rows.
    folds : tuple of (seen, held_out) or None
        Row numbers, (n_members, n), that members are trained on and hold out.

    Returns
    -------
    train, valid : skorch.dataset.Dataset or None
        Rows that some member is trained on, and rows that some member holds out.
    """
    if not callbacks:
        return None, None
    if folds is None:
        return Dataset(*data), None if valid is None else Dataset(*valid)
    return tuple(Dataset(*(part[_mask(rows, len(part))] for part in data)) for rows in folds)


def _mask(rows, n_rows):
    """Mark the rows of any member."""
    mask = torch.zeros(n_rows, dtype=torch.bool)
    mask[rows.flatten().cpu()] = True
    return mask.numpy()
