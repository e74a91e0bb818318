"""Recurrent cells: one layer in one direction, with initial weights that remember.

All take inputs of shape (n_steps, n, n_inputs) and a state, and give outputs of shape
(n_steps, n, width) and the state after the last step. A state is a tuple of tensors of shape
(n, width); the outputs are its first tensor at each step.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any, cast

import torch
from torch import nn

from sklearn_ext._torch.gru_walk import gru_walk
from sklearn_ext._torch.initialization import chrono_logits, orthogonal, uniform
from sklearn_ext._torch.scan import gated_scan

__all__ = ["CELLS", "Cell", "GateProjection", "MinGRU", "State", "TorchCell", "make_cell"]

Tensor = torch.Tensor
State = tuple[Tensor, ...]

CELLS = ("rnn", "lstm", "gru", "mingru")

_LAYERS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
# How many matrices lie one upon another in the weights of torch's layers, which of them belongs
# to the gate that keeps the state, and which (if any) to one that lets in new input.
_BLOCKS = {"rnn": 1, "lstm": 4, "gru": 3}
_KEEPS = {"lstm": 1, "gru": 1}
_ADMITS = {"lstm": 0}


class Cell(nn.Module):
    """What all cells can do."""

    def initial_state(self, inputs: Tensor) -> State:
        """Give the state before the first step for each sequence of a batch."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Walk through all steps; outputs of all of them and the state behind the last."""
        raise NotImplementedError

    def initialize(
        self,
        generator: torch.Generator,
        *,
        recurrent_init: str,
        gate_bias: str | float,
        longest: int,
    ) -> None:
        """Draw the weights; see :func:`make_cell`."""
        raise NotImplementedError


class TorchCell(Cell):
    """One of torch's recurrent layers, which are fused where there is a kernel.

    Parameters
    ----------
    kind : {"rnn", "lstm", "gru"}
        Which.
    n_inputs, width : int
        Sizes of inputs and of the state.
    nonlinearity : {"tanh", "relu"}
        Of the kind "rnn".

    Attributes
    ----------
    layer : torch.nn.RNN, torch.nn.LSTM or torch.nn.GRU
        The layer, time first.
    """

    def __init__(self, kind: str, n_inputs: int, width: int, nonlinearity: str = "tanh") -> None:
        super().__init__()
        self.kind = kind
        settings: dict[str, Any] = {"device": "meta", "dtype": torch.float64}
        if kind == "rnn":
            settings["nonlinearity"] = nonlinearity
        # Weights on no device are drawn from no generator: the global one is left alone.
        layer = _LAYERS[kind](n_inputs, width, **settings)
        self.layer = layer.to_empty(device="cpu")

    def initial_state(self, inputs: Tensor) -> State:
        """Give zeros for each sequence of a batch."""
        zeros = inputs.new_zeros(inputs.shape[1], self.layer.hidden_size)
        return (zeros, zeros) if self.kind == "lstm" else (zeros,)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Walk through all steps."""
        if self.kind == "gru" and inputs.device.type == "cpu":
            return self._walk_on_cpu(inputs, state)
        before = tuple(part.unsqueeze(0) for part in state)
        if self.kind != "lstm":
            outputs, after = self.layer(inputs, before[0])
            return outputs, (after.squeeze(0),)
        if inputs.device.type == "cpu":  # whose kernel knows half precision on few machines only
            dtype = cast(Tensor, self.layer.weight_ih_l0).dtype
            inputs, before = inputs.to(dtype), tuple(part.to(dtype) for part in before)
            with torch.autocast("cpu", enabled=False):
                outputs, after = self.layer(inputs, before)
        else:
            outputs, after = self.layer(inputs, before)
        return outputs, tuple(part.squeeze(0) for part in after)

    def _walk_on_cpu(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Do what torch's layer does, which has no kernel for a GRU there, in half its time."""
        weights = [self.layer.weight_ih_l0, self.layer.weight_hh_l0]
        of_inputs, recurrent = cast(list[Tensor], weights)
        bias = torch.cat(cast(list[Tensor], [self.layer.bias_ih_l0, self.layer.bias_hh_l0]))
        # Under autocast both have the lower precision of the layers below.
        inputs, initial = inputs.to(of_inputs.dtype), state[0].to(of_inputs.dtype)
        states = gru_walk(inputs, of_inputs, recurrent, bias, initial)
        return states, (states[-1],)

    @torch.no_grad()
    def initialize(
        self,
        generator: torch.Generator,
        *,
        recurrent_init: str,
        gate_bias: str | float,
        longest: int,
    ) -> None:
        """Draw the weights; see :func:`make_cell`."""
        width, blocks = self.layer.hidden_size, _BLOCKS[self.kind]
        weights = cast(list[Tensor], self.layer._flat_weights)
        of_inputs, recurrent, bias, bias_2 = weights
        bound = 1.0 / sqrt(width)
        if recurrent_init == "uniform":
            for weight in weights:
                weight.copy_(uniform(tuple(weight.shape), bound, generator))
        else:
            n_inputs = self.layer.input_size
            glorot = sqrt(6.0 / (n_inputs + width))
            of_inputs.copy_(uniform((blocks * width, n_inputs), glorot, generator))
            matrices = [_recurrent(recurrent_init, width, generator) for _ in range(blocks)]
            recurrent.copy_(torch.cat(matrices))
            bias.zero_()
            bias_2.zero_()
        if self.kind in _KEEPS and gate_bias != 0.0:
            keeping = _keeping_bias(width, gate_bias, longest, generator)
            _part(bias, _KEEPS[self.kind], width).copy_(keeping)
            _part(bias_2, _KEEPS[self.kind], width).zero_()
            if self.kind in _ADMITS and gate_bias == "chrono":
                _part(bias, _ADMITS[self.kind], width).copy_(-keeping)


class GateProjection(nn.Linear):
    """Linear layer that is never called: a scan reads its weights.

    It has a type of its own so that :mod:`sklearn_ext._torch.lora` puts its changes into the
    weight, where it would add them to the outputs of a plain linear layer.
    """


class MinGRU(Cell):
    r"""Minimal gated recurrent unit [1]_: gate and candidate see the input only.

    .. math::
        z_t = \sigma(W_z x_t + b_z), \qquad h_t = (1 - z_t) h_{t-1} + z_t (W_c x_t + b_c)

    Parameters
    ----------
    n_inputs, width : int
        Sizes of inputs and of the state.

    Attributes
    ----------
    projection : GateProjection
        W_z above W_c.

    References
    ----------
    .. [1] L. Feng, F. Tung, M. O. Ahmed, Y. Bengio and H. Hajimirsadeghi, "Were RNNs all we
       needed?", arXiv:2410.01201, 2024; section 3.1.2.
    """

    def __init__(self, n_inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.projection: GateProjection = nn.utils.skip_init(
            GateProjection, n_inputs, 2 * width, dtype=torch.float64
        )

    def initial_state(self, inputs: Tensor) -> State:
        """Give zeros for each sequence of a batch."""
        return (inputs.new_zeros(inputs.shape[1], self.width),)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Walk through all steps."""
        states = gated_scan(inputs, self.projection.weight, self.projection.bias, state[0])
        return states, (states[-1],)

    @torch.no_grad()
    def initialize(
        self,
        generator: torch.Generator,
        *,
        recurrent_init: str,
        gate_bias: str | float,
        longest: int,
    ) -> None:
        """Draw the weights; see :func:`make_cell`. There are no recurrent ones."""
        weight, bias = self.projection.weight, self.projection.bias
        # Weights that keep the variance of their inputs.
        weight.copy_(uniform(tuple(weight.shape), sqrt(3.0 / weight.shape[1]), generator))
        bias.zero_()
        # The gate admits where others keep.
        bias[: self.width] = -_keeping_bias(self.width, gate_bias, longest, generator)


def make_cell(
    kind: str,
    n_inputs: int,
    width: int,
    generator: torch.Generator,
    *,
    nonlinearity: str = "tanh",
    recurrent_init: str = "orthogonal",
    gate_bias: str | float = "chrono",
    longest: int = 1,
) -> Cell:
    """Build a cell and draw its weights.

    Parameters
    ----------
    kind : {"rnn", "lstm", "gru", "mingru"}
        Which.
    n_inputs, width : int
        Sizes of inputs and of the state.
    generator : torch.Generator
        Draws the weights.
    nonlinearity : {"tanh", "relu"}, default="tanh"
        Of the kind "rnn".
    recurrent_init : {"orthogonal", "identity", "uniform"}, default="orthogonal"
        Recurrent matrices. "identity" is for relu [1]_; "uniform" is the start of torch, for all
        weights of its layers.
    gate_bias : "chrono" or float, default="chrono"
        Biases of the gates that keep the state; "chrono" draws them by
        :func:`~sklearn_ext._torch.initialization.chrono_logits`.
    longest : int, default=1
        Length of the longest training sequence, for "chrono".

    Returns
    -------
    cell : Cell
        In float64.

    References
    ----------
    .. [1] Q. V. Le, N. Jaitly and G. E. Hinton, "A simple way to initialize recurrent networks of
       rectified linear units", arXiv:1504.00941, 2015; section 2.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.cells import make_cell
    >>> cell = make_cell("lstm", 3, 5, torch.Generator().manual_seed(0), longest=100)
    >>> inputs = torch.zeros(7, 2, 3, dtype=torch.float64)
    >>> outputs, state = cell(inputs, cell.initial_state(inputs))
    >>> outputs.shape, len(state)
    (torch.Size([7, 2, 5]), 2)
    """
    cell = (
        MinGRU(n_inputs, width)
        if kind == "mingru"
        else TorchCell(kind, n_inputs, width, nonlinearity)
    )
    cell.initialize(generator, recurrent_init=recurrent_init, gate_bias=gate_bias, longest=longest)
    return cell


def _recurrent(kind: str, width: int, generator: torch.Generator) -> Tensor:
    if kind == "identity":
        return torch.eye(width, dtype=torch.float64)
    return orthogonal(width, generator)


def _keeping_bias(
    width: int, gate_bias: str | float, longest: int, generator: torch.Generator
) -> Tensor:
    if isinstance(gate_bias, str):
        return chrono_logits(width, longest, generator)
    return torch.full((width,), float(gate_bias), dtype=torch.float64)


def _part(bias: Tensor, block: int, width: int) -> Tensor:
    return bias[block * width : (block + 1) * width]
