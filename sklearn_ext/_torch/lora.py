"""A module whose weights change by low-rank products while its own stay as they are."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import deepcopy
from functools import cached_property
from inspect import ismethod
from typing import Any, cast

import torch
from torch import nn

from sklearn_ext._torch.added_changes import add_change, can_add, freeze_product
from sklearn_ext._torch.frozen_weights import FrozenWeights
from sklearn_ext._torch.low_rank import LoRASettings, LowRank
from sklearn_ext._torch.quantization import StoredWeight
from sklearn_ext._torch.quantized_base import checksum, quantize_base
from sklearn_ext._torch.quantized_layers import restore_layer, stored_weight
from sklearn_ext._torch.recomputation import blocks_of, recomputed_blocks
from sklearn_ext._torch.shared_change import SharedChange
from sklearn_ext._torch.shared_copies import (
    all_names,
    key_of,
    name_of,
    places_of,
    shared_copy,
)
from sklearn_ext._torch.targets import chosen_weights, whole_weights
from sklearn_ext._torch.weight_files import loaded

__all__ = ["LoRAModule"]

Tensor = torch.Tensor


class LoRAModule(nn.Module):
    """A base with low-rank changes of some of its weights [1]_.

    Every method of the base can be called; it sees the changed weights. The base that was given
    is never touched: this module works with a copy of its structure and buffers that shares the
    memory of its parameters. `parameters` are the trained ones only, so that optimizers, changes
    of precision and so on have nothing to do with frozen ones; where the trained ones have another
    dtype, the frozen ones are rounded for use, not in place. In a base of several dtypes each
    weight has its own, as there.

    While training, the change of a plain linear layer is added to its outputs,
    W_0 x + s B (A x), which costs less than a new weight. All others, and all layers at inference,
    have changed weights in the place of their own. What reads the weight of a layer past its
    `forward` as an attribute, as attention and torch's fast paths do, sees the changed one always.
    A tied weight is changed in all its places.

    Threads that predict share the changed weights while they are in place; whoever wants others,
    as a training step does, waits for them.

    Parameters
    ----------
    base : torch.nn.Module
        Base.
    settings : LoRASettings
        What is adapted, and how.
    generator : torch.Generator
        Draws the start.

    Attributes
    ----------
    base : torch.nn.Module
        The copy.
    low_rank : torch.nn.ModuleDict
        A :class:`LowRank` for each adapted weight, by the key of its name, with "/" for ".".
    whole : torch.nn.ParameterDict
        Parameters that are trained whole, by the same kind of name.
    is_merged : bool
        Whether the changed weights lie in the base now.

    Notes
    -----
    A `forward` of the base that goes through its own ``parameters()``, ``named_parameters()`` or
    ``state_dict()``, as for a penalty, gets changed weights at inference, but while training the
    frozen ones of layers whose change is added to outputs; quantised weights are never among them.
    ``get_parameter`` raises an AttributeError for every adapted weight, as a changed one is a
    tensor and no `torch.nn.Parameter`. The attribute, such as ``self.layer.weight``, is the changed
    weight in all these cases.

    Changed weights are in place until `forward` is left. A `torch.utils.checkpoint` of the base's
    own computes again after that, with frozen weights: with ``use_reentrant=False`` torch raises
    its CheckpointError, with ``use_reentrant=True`` gradients are wrong, and lack what went through
    it. Take it out and set `gradient_checkpointing`, which knows of the changes.

    References
    ----------
    .. [1] E. J. Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022,
       arXiv:2106.09685; section 4.1.
    .. [2] S. Hayou, N. Ghosh and B. Yu, "LoRA+: Efficient low rank adaptation of large models",
       ICML 2024, arXiv:2402.12354; section 4.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ext._torch.lora import LoRAModule
    >>> from sklearn_ext._torch.low_rank import LoRASettings
    >>> base = torch.nn.Linear(30, 20)
    >>> module = LoRAModule(base, LoRASettings(r=2), torch.Generator().manual_seed(0))
    >>> [tuple(parameter.shape) for parameter in module.parameters()]
    [(2, 30), (20, 2)]
    >>> inputs = torch.ones(1, 30)
    >>> torch.equal(module(inputs), base(inputs))
    True
    """

    def __init__(self, base: nn.Module, settings: LoRASettings, generator: torch.Generator) -> None:
        super().__init__()
        self.base = shared_copy(base)
        given = dict(base.named_parameters())
        self._frozen = FrozenWeights(dict(self.base.named_parameters()))
        self._names = list(self._frozen)
        self._learning = {name for name, parameter in given.items() if parameter.requires_grad}
        self._names_of = all_names(base)
        self._members = base.parameter_members() if hasattr(base, "parameter_members") else []  # type: ignore[operator]
        self._is_mixed = len({p.dtype for p in given.values() if p.is_floating_point()}) > 1
        adapted = chosen_weights(base, settings)
        self.low_rank = nn.ModuleDict(
            {
                key_of(name): LowRank(loaded(given[name]), weight.layout, settings, generator)
                for name, weight in adapted.items()
            }
        )
        names = whole_weights(base, settings, adapted.values())
        # Pairs keep their order, a dict would be sorted.
        self.whole = nn.ParameterDict(
            [(key_of(name), nn.Parameter(loaded(given[name]).clone())) for name in names]
        )
        self._quantized: dict[str, list[nn.Module]] = {}
        if settings.quantization is not None:
            self._quantize(settings, given)
        self._places = places_of(self.base)
        _check_dense({name: self._places[name] for name in adapted if name in self._places})
        self._recurrent = [m for m in self.base.modules() if isinstance(m, nn.RNNBase)]
        owned = ((n, owner) for n, places in self._places.items() for owner, _ in places)
        self._of_recurrent = {name for name, owner in owned if owner in self._recurrent}
        self._load(given)
        self._parallel = set() if settings.use_dora else {n for n in adapted if self._adds(n)}
        changed = {*adapted, *map(name_of, self.whole)}
        self._constant = [n for n in self._frozen if n.endswith("weight") and n not in changed]
        self._ratio_of_B = settings.loraplus_lr_ratio or 1.0
        self._recomputed = blocks_of(self.base) if settings.gradient_checkpointing else []
        self.is_merged = False
        self._change = SharedChange()

    def _load(self, given: dict[str, nn.Parameter]) -> None:
        """Read the frozen parameters that are still in files."""
        in_files = [name for name, frozen in self._frozen.items() if frozen.is_meta]
        read = {name: nn.Parameter(loaded(given[name]), False) for name in in_files}
        self._frozen = FrozenWeights({**self._frozen, **read})
        self._put(self._frozen)

    def _quantize(self, settings: LoRASettings, given: dict[str, nn.Parameter]) -> None:
        """Quantise what is frozen and can be."""
        changes = {name_of(key): cast(LowRank, change) for key, change in self.low_rank.items()}
        kept = {name_of(key) for key in self.whole}
        found = quantize_base(self.base, settings, changes, kept, given)
        self._quantized = found.layers
        kept_whole = {n: p for n, p in self._frozen.items() if n not in found.layers}
        self._frozen = FrozenWeights(kept_whole)
        self.register_buffer("quantization_error", found.error)

    def _adds(self, name: str) -> bool:
        """Whether a change can be added to the outputs of the one layer that has the weight."""
        if name in self._quantized:
            return True
        places = self._places[name]
        return len(places) == 1 and can_add(*places[0])

    # The module seen from outside

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the base with changed weights."""
        with self._changed():
            return self.base(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Find what this module has not in the base; its methods see changed weights."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if "base" not in self.__dict__.get("_modules", {}):
                raise
        value = getattr(self.base, name)
        if not (ismethod(value) and value.__self__ is self.base):
            return value

        def method(*args: Any, **kwargs: Any) -> Any:
            with self._changed():
                return value(*args, **kwargs)

        return method

    def _apply(self, fn: Any, recurse: bool = True) -> "LoRAModule":
        """Move all; what has moved does not share the memory of the base any more."""
        self._frozen.check()
        memory = {name: frozen.data_ptr() for name, frozen in self._frozen.items()}
        super()._apply(fn, recurse)
        self._frozen = self._frozen.moved(memory)
        if not self.is_merged:
            self._put(self._frozen)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Give the state, with the own weights of the base even while other threads predict."""
        with self._change.made(ExitStack):
            return super().state_dict(*args, **kwargs)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load; nothing is written to the memory of the base."""
        of_base = {n: state_dict[key] for n in self._frozen if (key := f"base.{n}") in state_dict}
        done = {f"base.{path}" for name in of_base for path in self._names_of[name]}
        rest = {key: value for key, value in state_dict.items() if key not in done}
        found = super().load_state_dict(rest, strict=False, assign=assign)
        missing = sorted(set(found.missing_keys) - done)
        if strict and (missing or found.unexpected_keys):
            raise RuntimeError(f"Missing: {missing}; unexpected: {found.unexpected_keys}.")
        self._frozen = self._frozen.replaced(of_base)
        self._put(self._frozen)
        return type(found)(missing, found.unexpected_keys)

    def __deepcopy__(self, memo: dict[int, Any]) -> "LoRAModule":
        """Copy the layers as they are when no thread predicts."""
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        with self._change.made(ExitStack):
            vars(copied).update(deepcopy(vars(self), memo))
        return copied

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the trained parameters; the frozen ones are those of `base`."""
        front = f"{prefix}." if prefix else ""
        for part in ("low_rank", "whole") if recurse else ():
            own = cast(nn.Module, self._modules[part])
            yield from own.named_parameters(front + part, True, remove_duplicate)

    @property
    def parameter_members(self) -> Callable[[], list[slice]]:
        """Members that each parameter belongs to, if the base has members."""
        if not self._members:
            raise AttributeError("The base has no members.")
        of_base = dict(zip(self._names, self._members, strict=True))
        found = [
            of_base[name_of(key)]
            for key, change in self.low_rank.items()
            for _ in change.parameters()
        ]
        found += [of_base[name_of(key)] for key in self.whole]
        return lambda: found

    def rate_ratio(self, name: str) -> float:
        """Learning rate of a parameter over that of A: B has its own [2]_, a new head may too."""
        part, _, key = name.partition(".")
        if part == "whole" and hasattr(self.base, "rate_ratio_of_whole"):
            return float(self.base.rate_ratio_of_whole(name_of(key)))  # type: ignore[operator]
        return self._ratio_of_B if name.endswith(".weight_B") else 1.0

    # In two parts, for :mod:`sklearn_ext._torch.frozen_states`

    @cached_property
    def cut(self) -> Any:
        """Where nothing below is trained; None if nothing is computed there."""
        if not hasattr(self.base, "cut_for"):
            return None
        names = [name for first in self._trained() for name in self._names_of[first]]
        return self.base.cut_for(names)  # type: ignore[operator]

    def _trained(self) -> list[str]:
        """First names of changed weights, in the order of the base."""
        trained = {name_of(key) for part in (self.low_rank, self.whole) for key in part.keys()}
        return [name for name in self._names if name in trained]

    @property
    def first_trained(self) -> str:
        """Name of the first changed weight, in the order of the base."""
        return self._trained()[0]

    @torch.no_grad()
    def below(self, inputs: Any) -> Any:
        """What the base gives below the cut, always the same: there is no dropout."""
        training, cut = self.training, self.cut  # the base is asked for it with its own weights
        with self.frozen_in_place():
            self.train(False)
            try:
                return self.base.below(inputs, cut)  # type: ignore[operator]
            finally:
                self.train(training)

    def frozen_in_place(self) -> AbstractContextManager[Any]:
        """Make the context in which the base has its own weights, in the common precision."""
        return self._change.made(self._place_frozen)

    def _place_frozen(self) -> ExitStack:
        """Let the base have its own weights, in the precision of the trained ones."""
        if self.is_merged:
            return ExitStack()
        return self._replaced(self._rounded())

    def above(self, inputs: Any, states: Any) -> Tensor:
        """Raw outputs of inputs and what `below` gives for them."""
        cut = self.cut
        with self._changed():
            return self.base.above(inputs, states, cut)  # type: ignore[operator, no-any-return]

    def in_parts(self, inputs: Any) -> Tensor:
        """Raw outputs; what lies below the cut has neither dropout nor gradients."""
        return self.above(inputs, self.below(inputs))

    # Changed weights

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the trained parameters, in which everything is computed."""
        return next(self.parameters()).dtype

    def _rounded(self) -> dict[str, Tensor]:
        """Give the frozen parameters in the precision of the trained ones, if they share one."""
        if self._is_mixed:
            return {name: frozen.detach() for name, frozen in self._frozen.items()}
        dtype = self.dtype
        for layer in (layer for layers in self._quantized.values() for layer in layers):
            layer.__dict__["dtype"] = dtype
        return {name: self._frozen.rounded(name, dtype) for name in self._frozen}

    def check_base(self) -> None:
        """Raise an error if the base was written to since this module was made of it."""
        self._frozen.check()

    def weights(self) -> dict[str, Tensor]:
        """Give all parameters of the base by name, the changed ones in the place of their own."""
        self.check_base()
        found = self._rounded()
        for name, layers in self._quantized.items():
            found[name] = stored_weight(layers[0]).dequantized(self.dtype)
        for key, change in self.low_rank.items():
            found[name_of(key)] = change(found[name_of(key)])
        return found | {name_of(key): parameter for key, parameter in self.whole.items()}

    def frozen_weights(self) -> dict[str, nn.Parameter | StoredWeight]:
        """Give what is kept of the base, by name, in the order of its parameters."""
        stored = {name: stored_weight(layers[0]) for name, layers in self._quantized.items()}
        return {name: stored.get(name) or self._frozen[name] for name in self._names}

    def keeps(self, name: str, weight: Tensor) -> bool:
        """Tell whether a weight is the one of this name that the module was made of."""
        self.check_base()
        if name in self._quantized:
            return int(stored_weight(self._quantized[name][0]).checksum) == checksum(weight)
        frozen = self._frozen[name]
        return frozen.data_ptr() == weight.data_ptr() or torch.equal(frozen, weight)

    @contextmanager
    def _changed(self) -> Iterator[None]:
        """Let the base see changed weights inside the block."""
        if self.is_merged:
            yield
            return
        self.check_base()
        if self.training or torch.is_grad_enabled():
            with self._changed_alone():
                yield
        else:
            with self._change.made(lambda: self._place(self._weights_at_inference()), self._seen()):
                yield

    @contextmanager
    def _changed_alone(self) -> Iterator[None]:
        """Let the base see weights that gradients go through, in this thread only."""
        weights = self._weights_in_place()

        def placed() -> AbstractContextManager[None]:
            return self._change.made(lambda: self._place(weights))

        with placed(), recomputed_blocks(self._recomputed, self, placed):
            yield

    def _seen(self) -> tuple[object, ...]:
        """What changed weights without gradients depend on."""
        kind = next(self.parameters()).device.type
        autocast = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind)
        trained = [p for p in self.parameters() if not p.is_inference()]  # those have no counter
        return self.dtype, autocast, *(parameter._version for parameter in trained)

    def _place(self, weights: dict[str, Tensor]) -> ExitStack:
        """Let the base have these weights, and layers that add changes, until it is closed."""
        stack = self._replaced(weights)
        for name in self._added():
            change = cast(LowRank, self.low_rank[key_of(name)])
            for layer in self._quantized.get(name) or [self._places[name][0][0]]:
                stack.callback(add_change(layer, change))
        if self.training:
            for layer in (layer for name in self._constant for layer, _ in self._places[name]):
                stack.callback(freeze_product(layer))
        return stack

    def _replaced(self, weights: dict[str, Tensor]) -> ExitStack:
        stack = ExitStack()
        stack.callback(self._put, self._frozen)
        self._put(weights)
        return stack

    def _added(self) -> list[str]:
        """Names of weights whose changes are added to outputs."""
        added = self._parallel if self.training else self._quantized
        return [name for name in map(name_of, self.low_rank.keys()) if name in added]

    def _weights_in_place(self) -> dict[str, Tensor]:
        """Give the weights to put in; the changes that are added to outputs are not among them."""
        found = self._rounded()
        added = set(self._added())
        for key, change in self.low_rank.items():
            if name_of(key) not in added:
                found[name_of(key)] = change(found[name_of(key)])
        return found | {name_of(key): parameter for key, parameter in self.whole.items()}

    def _weights_at_inference(self) -> dict[str, Tensor]:
        """Give the weights to put in where there are no gradients.

        There too torch chooses the kernel of a recurrent layer by whether its weights ask for some,
        and are no tensors of its inference mode: they are as those of the base are, or the outputs
        would be others in the last bits.
        """
        with torch.inference_mode(False), torch.no_grad():
            found = self._weights_in_place()
        for name in self._learning & self._of_recurrent:
            found[name] = found[name].detach().requires_grad_()
        return found

    def _put(self, weights: dict[str, Any]) -> None:
        """Set the parameters of the base, in all places of each."""
        for name, places in self._places.items():
            for owner, local in places:
                owner._parameters[local] = weights[name]
        for module in self._recurrent:
            module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]

    # Merging

    @torch.no_grad()
    def merge(self) -> "LoRAModule":
        """Put the changed weights into the base: the same outputs, nothing to compute any more."""
        if self._quantized:
            raise ValueError("A quantised base cannot be merged in place: use merged_copy.")
        if not self.is_merged:
            weights = self.weights()
            self._put({n: nn.Parameter(w.detach().clone(), False) for n, w in weights.items()})
            self._frozen.forget_rounded()
            self.is_merged = True
        return self

    def unmerge(self) -> "LoRAModule":
        """Take them out again; the weights of the base are the very ones of before."""
        if self.is_merged:
            self._put(self._frozen)
            self.is_merged = False
        return self

    @torch.no_grad()
    def merged_copy(self) -> nn.Module:
        """Give a plain module with the changed weights that shares no memory with anything."""
        with self._change.made(ExitStack):  # no other thread has its weights in the base
            merged = shared_copy(self.base)
        modules, names = dict(merged.named_modules()), dict(self.base.named_modules())
        path_of = {id(module): path for path, module in names.items()}
        places = places_of(merged)
        for name, weight in self.weights().items():
            parameter = nn.Parameter(weight.detach().clone(), name in self._learning)
            for layer in self._quantized.get(name, ()):
                restore_layer(modules[path_of[id(layer)]], parameter)
            for owner, local in places.get(name, ()):
                setattr(owner, local, parameter)
        return merged


def _check_dense(places: dict[str, list[tuple[nn.Module, str]]]) -> None:
    """Raise an error for adapted tables with sparse gradients, which torch cannot multiply."""
    for name, owners in places.items():
        if any(getattr(owner, "sparse", False) for owner, _ in owners):
            path = name.rpartition(".")[0]
            raise ValueError(
                f"{path!r} has sparse=True, but a table that is adapted needs sparse=False. Set "
                "its attribute `sparse`, or leave it out of target_modules."
            )
