"""Nets for sequences: reading, scaling and padding them, pooled states and streams."""

from math import ceil
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone

from sklearn_ext._dask import over_partitions
from sklearn_ext._onnx.export import OnnxExportMixin
from sklearn_ext._onnx.graph import arrays_below
from sklearn_ext._onnx.recurrent import add_sequence_net
from sklearn_ext._onnx.sequences import add_steps
from sklearn_ext._sequences import validate_sequences
from sklearn_ext._validation import Interval, StrOptions, check_is_fitted
from sklearn_ext.neural_network._base import BaseNet
from sklearn_ext.neural_network._padded_parts import padded_parts
from sklearn_ext.neural_network._pooled_states import PooledStates

__all__ = ["BaseRecurrent"]

STEPS, STEPS_WITHOUT_STEM = 450, 1000  # of gradients
STEPS_IN_STEM = 2**13  # of the sequences of a batch
MOST_ROUNDING = 1e-13  # spread over mean of a channel that is constant but for rounding
STEPS_AT_ONCE = 2**16  # padded steps that are predicted in one go


class BaseRecurrent(PooledStates, OnnxExportMixin, BaseNet):
    """What both recurrent estimators do with sequences."""

    _most_rows_seen_to_the_end = 2000
    _parameter_constraints = {
        **BaseNet._parameter_constraints,
        "cell": [StrOptions({"rnn", "lstm", "gru", "mingru"})],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "num_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "pooling": ["array-like", StrOptions({"last", "mean", "max", "attention"})],
        "stem_channels": [Interval(Integral, 0, None, closed="left")],
        "max_steps": [Interval(Integral, 1, None, closed="left"), None],
        "nonlinearity": [StrOptions({"tanh", "relu"})],
        "recurrent_init": [StrOptions({"orthogonal", "identity", "uniform"})],
        "gate_bias": [StrOptions({"chrono"}), Interval(Real, None, None, closed="neither")],
        "axis_order": [StrOptions({"channels_last", "channels_first"})],
    }

    _makes_net = (
        "cell",
        "hidden_size",
        "num_layers",
        "bidirectional",
        "pooling",
        "stem_channels",
        "max_steps",
        "nonlinearity",
        "recurrent_init",
        "gate_bias",
        "dropout",
        "n_members",
    )

    def _read_rows(self, X, *, reset):
        return validate_sequences(self, X, reset=reset, axis_order=self.axis_order)

    def _weighted_rows(self, sequences, y, sample_weight, *, reset):
        """Without weight 0; also without repetitions and sorted, if they are shuffled anyway."""
        data = super()._weighted_rows(sequences, y, sample_weight, reset=reset)
        return _merged(*data) if self.shuffle else data

    def _learn_inputs(self, sequences, y, weights, constant_scale=0.0):
        """Find centre and scale of the channels, and what the module is made of."""
        of_steps = np.repeat(weights, sequences.lengths)
        values = sequences.values.astype(np.float64)
        _check_units(values)
        self._center = np.average(values, axis=0, weights=of_steps)
        spread = np.sqrt(np.average((values - self._center) ** 2, axis=0, weights=of_steps))
        varies = spread > MOST_ROUNDING * np.abs(self._center)
        self._scale = np.where(varies, 1.0 / np.where(varies, spread, 1.0), constant_scale)
        self._n_nets = self.n_members
        self._architecture = self._chosen_architecture(int(sequences.lengths.max()))

    def _chosen_architecture(self, longest):
        """Fields of :class:`~sklearn_ext._torch.sequence_net.Architecture` but the outputs."""
        shortens = self.stem_channels and self.max_steps is not None
        names = "cell", "hidden_size", "num_layers", "bidirectional", "stem_channels"
        names += "dropout", "nonlinearity", "recurrent_init", "gate_bias"
        return {
            **{name: getattr(self, name) for name in names},
            "n_channels": self.n_channels_,
            "pooling": _poolings(self.pooling),
            "window": ceil(longest / self.max_steps) if shortens else 1,
            "longest": longest,
        }

    def _build_module(self, generator):
        import torch

        from sklearn_ext._torch.sequence_ensemble import SequenceEnsemble
        from sklearn_ext._torch.sequence_net import Architecture

        n_outputs = self._build_loss().n_outputs(self._n_targets)
        return SequenceEnsemble(
            Architecture(**self._architecture, n_outputs=n_outputs),
            self._n_nets,
            torch.from_numpy(self._center.copy()),
            torch.from_numpy(self._scale.copy()),
            generator,
        )

    def _training_inputs(self, rows, device, dtype):
        return [_as_ragged(sequences).to(device) for sequences in rows], lambda batch: batch

    def _prediction_inputs(self, sequences, device):
        import torch

        return _as_ragged(sequences).to(device).take(torch.arange(len(sequences), device=device))

    def _add_raw_outputs(self, graph, module, arrays):
        """Add the nodes from the inputs to raw outputs, (n_members, n, n_outputs)."""
        X = graph.input("X", (None, None, self.n_channels_))
        lengths = graph.input("lengths", (None,), np.int64)
        values, steps = add_steps(graph, X, lengths, self._center, self._scale)
        found = [
            add_sequence_net(
                graph, values, steps, arrays_below(arrays, f"nets.{index}"), self._architecture
            )
            for index in range(module.n_members)
        ]
        axis = np.array([0])
        return graph.joined([graph.add("Unsqueeze", raw, axis) for raw in found], axis=0)

    # Decisions that depend on the number of sequences and their lengths

    def _rows_at_once(self, sequences):
        return max(1, STEPS_AT_ONCE // int(sequences.lengths.max()))

    def _prediction_parts(self, sequences):
        return padded_parts(sequences.lengths, STEPS_AT_ONCE)

    def _batch_size(self, n_rows):
        if self.batch_size != "auto":
            return min(self.batch_size, n_rows)
        most = STEPS_IN_STEM / self._architecture["longest"] if self.stem_channels else 64
        return int(min(n_rows, max(8, min(64, most, n_rows / 8))))

    def _epochs(self, sequences, steps_an_epoch):
        """Number of epochs: fewer steps for short sequences, more for many or without stem."""
        if self.max_iter != "auto":
            return self.max_iter
        steps = STEPS * max(1.0, (len(sequences) / 1000) ** 0.5)
        if not self.stem_channels:
            steps = max(steps, STEPS_WITHOUT_STEM)
        # A product or an XOR is no easier for being over 5 steps; few rows are learned by heart.
        least = max(0.15, min(0.5, len(sequences) / 1000))
        steps *= max(least, min(1.0, int(sequences.lengths.max()) / 32))
        return max(5, ceil(steps / steps_an_epoch))

    # The pooled state

    @over_partitions
    def transform(self, X):
        """Give the pooled state of each sequence, for use in another estimator.

        Parameters
        ----------
        X : array-like
            Sequences, in a form that `fit` takes.

        Returns
        -------
        pooled : ndarray of shape (n_samples, n_members * n_pooled)
            What the last linear layer of each member sees.
        """
        check_is_fitted(self)
        return self._pooled_states(self._read_rows(X, reset=False))

    @property
    def _n_features_out(self):
        return sum(net.n_pooled for net in self.net_.module_.nets)

    def stream(self):
        """Follow sequences while they grow: every new step costs the same, however long they are.

        Only a net that walks ahead can do so: fit with ``bidirectional=False``.

        Returns
        -------
        stream : SequenceStream
            At the beginning of all its sequences. It keeps the net as it is now.
        """
        from sklearn_ext.neural_network._stream import SequenceStream

        check_is_fitted(self)
        if self._architecture["bidirectional"]:
            raise ValueError(
                "stream needs a net that walks ahead only, but this one was fitted with "
                "bidirectional=True. Fit with bidirectional=False."
            )
        return SequenceStream(self)

    # Gradients of the states, for :func:`sklearn_ext.inspection.gradient_flow`

    def _state_gradients(self, X, y, *, initial):
        """Norms of the gradients of the loss by the states, and the steps between two of these.

        See :mod:`sklearn_ext.inspection._gradient_flow` for what exactly is given.
        """
        import torch

        from sklearn_ext._torch.threads import one_thread

        with one_thread(), torch.inference_mode(False), torch.enable_grad():
            return self._gradients_of_all(X, y, initial)

    def _gradients_of_all(self, X, y, initial):
        """Do so where gradients are on."""
        import torch

        from sklearn_ext._torch.state_gradients import state_gradient_norms

        model, module = self._untrained(X, y) if initial else (self, self._plain_module())
        sequences, y = model._read_rows(X, reset=False), model._read_target(y, reset=False)
        device = next(module.parameters()).device
        inputs = model._prediction_inputs(sequences, device)
        targets, loss = torch.from_numpy(model._encode_target(y)).to(device), model._build_loss()
        weights = torch.from_numpy(model._weights_or_ones(y)).to(device)
        of_members = [
            state_gradient_norms(
                net,
                module.prepared(inputs),
                inputs["lengths"],
                lambda raw: (loss(raw, targets) * weights).sum() / weights.sum(),
            )
            for net in module.nets
        ]
        norms = {name: _root_mean_square(of_members, name) for name in of_members[0]}
        return norms, model._architecture["window"], int(sequences.lengths.max())

    def _untrained(self, X, y):
        """Copy of the estimator and the module as `fit` would begin with it."""
        from sklearn_ext._torch.random import make_generator

        model = clone(self)
        model._validate_params()
        sequences, y = model._read_rows(X, reset=True), model._read_target(y, reset=True)
        weights = model._weights_or_ones(y)
        model._learn_inputs(sequences, y, weights)
        model._learn_target(y, weights, sequences.dtype)
        return model, model._build_module(make_generator(model.random_state))

    def _weights_or_ones(self, y):
        """Weights of the rows by their classes."""
        weights = self._row_weights(y, None)
        return np.ones(len(y)) if weights is None else weights

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _check_units(values):
    """Raise an error for channels whose squares single precision cannot hold."""
    largest, spread = np.abs(values).max(axis=0), np.ptp(values, axis=0)
    limits = np.finfo(np.float32)
    fits = (largest < limits.max / 100) & ((spread > 100 * limits.tiny) | (spread == 0))
    if not fits.all():
        worst = int(np.argmin(fits))
        raise ValueError(
            f"Channel {worst} of X holds values of up to {largest[worst]:.3g} that vary by "
            f"{spread[worst]:.3g}, beyond what single precision holds. Give it in another unit."
        )


def _root_mean_square(of_members, name):
    """Root of the mean over members of the squares of what each has by a name."""
    return np.sqrt(np.mean([found[name].cpu().numpy() ** 2 for found in of_members], axis=0))


def _merged(sequences, y, weights):
    """Make one row of equal ones, with the sum of their weights, and sort the rows by value.

    Sums in another order differ by rounding, and batches hold other rows. So the fit is the same,
    to the bit, in whatever order, and as repetitions or weights, the rows are given.
    """
    weights = np.ones(len(y)) if weights is None else weights
    found = {}
    for row, steps in enumerate(np.split(_sortable(sequences.values), sequences.starts[1:])):
        found.setdefault((steps.tobytes(), y[row].tobytes()), []).append(row)
    groups = [found[key] for key in sorted(found)]
    first = np.array([rows[0] for rows in groups])
    return sequences[first], y[first], np.array([weights[rows].sum() for rows in groups])


def _sortable(values):
    """Integers whose bytes are in the order of floats: that of sequences survives other units."""
    integers = values.view(f"i{values.itemsize}")
    # The bits of negative numbers grow with their size, and their sign bit is set.
    negative = integers < 0
    ordered = np.where(negative, ~integers, integers ^ np.iinfo(integers.dtype).min)
    return ordered.astype(ordered.dtype.newbyteorder(">"))


def _poolings(pooling):
    """Names of the poolings as a tuple."""
    names = (pooling,) if isinstance(pooling, str) else tuple(pooling)
    known = "last", "mean", "max", "attention"
    if not names or any(name not in known or names.count(name) > 1 for name in names):
        raise ValueError(
            f"pooling must be one of {known}, or several different ones of them, got {pooling!r}."
        )
    return names


def _as_ragged(sequences):
    """Make tensors of sequences."""
    import torch

    from sklearn_ext._torch.batches import Ragged

    values, lengths = np.array(sequences.values), np.array(sequences.lengths)
    return Ragged(torch.from_numpy(values), torch.from_numpy(lengths))
