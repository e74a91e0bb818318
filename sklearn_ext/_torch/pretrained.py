"""Pre-trained models of the package transformers as bodies of our nets.

The only module that imports transformers, inside its functions. What is pickled of a model is its
configuration, as JSON, and its weights; neither torch's global generator nor what transformers
prints is left changed.
"""

import inspect
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sklearn_ext._optional import import_optional
from sklearn_ext._torch.dropout import SharedDropout

__all__ = [
    "PretrainedCausal",
    "PretrainedEncoder",
    "copy_weights",
    "keeps_apart",
    "read_config",
    "read_tokenizer",
]

Tensor = torch.Tensor

_lock = threading.Lock()


def _transformers() -> Any:
    return import_optional("transformers", extra="transformers", purpose="A pre-trained model")


@contextmanager
def _quiet() -> Iterator[Any]:
    """Keep transformers from printing inside the block; its settings are those of before after."""
    transformers = _transformers()
    logging = transformers.utils.logging
    with _lock:
        level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        # The reader of GGUF has a bar of its own, which that does not reach.
        reader = import_module("transformers.modeling_gguf_pytorch_utils")
        bar = vars(reader).get("tqdm")
        vars(reader)["tqdm"] = lambda items, *args, **options: items
        try:
            yield transformers
        finally:
            vars(reader)["tqdm"] = bar
            logging.set_verbosity(level)
            if bars:
                logging.enable_progress_bar()


def _source(model: Any) -> tuple[str, dict[str, str]]:
    """Arguments of ``from_pretrained`` for a folder, a GGUF file or a name."""
    path = Path(model)
    if path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    if not path.is_dir() and (path.is_absolute() or not isinstance(model, str)):
        raise ValueError("it is neither a folder nor a file in GGUF.")
    return str(model), {}


def read_config(model: Any) -> str:
    """Read the configuration of a model as JSON, all of its dropout set to 0.

    Parameters
    ----------
    model : str or os.PathLike
        Folder, file in GGUF, or name.

    Returns
    -------
    config : str
        JSON.
    """
    where, options = _source(model)
    with _quiet() as transformers:
        config = transformers.AutoConfig.from_pretrained(where, **options).to_dict()
    # Theirs draws from the global generator; a SeededDropout takes its place.
    config = {
        key: 0.0 if "drop" in key and isinstance(value, float) else value
        for key, value in config.items()
        if key != "_name_or_path"
    }
    return json.dumps(config)


def read_tokenizer(model: Any) -> dict[str, Any]:
    """Read the tokenizer of a model.

    Parameters
    ----------
    model : str or os.PathLike
        Folder, file in GGUF, or name.

    Returns
    -------
    found : dict
        "definition", JSON of the package tokenizers; "n_tokens"; "start" and "end", tokens of both
        ends of a text; "most", the tokens that the model can see at once.
    """
    where, options = _source(model)
    with _quiet() as transformers:
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
    if not tokenizer.is_fast:
        raise ValueError(f"model={str(model)!r} has no fast tokenizer, a file tokenizer.json.")
    names = ("bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id")
    ids = [getattr(tokenizer, name) for name in names]
    start = next((number for number in ids if number is not None), 0)
    end = next((number for number in (ids[2], ids[3], start) if number is not None), 0)
    return {
        "definition": tokenizer.backend_tokenizer.to_str(),
        "n_tokens": len(tokenizer),
        "start": start,
        "end": end,
        "most": tokenizer.model_max_length,
    }


class SeededDropout(nn.Module):
    """Dropout of single tokens from the generator of a fit, in a model of transformers.

    `p` is what torch's fused attention reads for the dropout of its shares, which would come from
    the global generator: there is none.

    Parameters
    ----------
    p : float
        Probability, in [0, 1), that a unit is set to 0.
    """

    p = 0.0

    def __init__(self, p: float) -> None:
        super().__init__()
        self.shared = SharedDropout(p)

    def forward(self, states: Tensor) -> Tensor:
        """Zero units while training."""
        found: Tensor = self.shared(states.reshape(-1, states.shape[-1]))
        return found.view_as(states)


def _empty(config: str, kind: str, dropout: float) -> nn.Module:
    """Build a model of any weights."""
    with _quiet() as transformers:
        auto = getattr(transformers, kind)
        settings = transformers.AutoConfig.for_model(**json.loads(config))
        settings._attn_implementation = "sdpa"
        with torch.device("meta"):
            cls = type(auto.from_config(settings))
            options = _options(cls)
            shapes = cls._from_config(settings, **options).state_dict(keep_vars=True)
        # Weights that are given are not drawn, which would be from the global generator. A tied one
        # is given once: under two names it would become two.
        once = {id(tensor): name for name, tensor in reversed(shapes.items())}
        weights = {n: torch.empty(shapes[n].shape, dtype=torch.float32) for n in once.values()}
        model: nn.Module = cls.from_pretrained(
            None, config=settings, state_dict=weights, dtype=torch.float32, **options
        )
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(parent, name, SeededDropout(dropout))
    return model.train(False)


def _options(cls: Any) -> dict[str, bool]:
    """Leave out the layer behind an encoder that nothing here uses."""
    known = inspect.signature(cls.__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in known else {}


@torch.no_grad()
def copy_weights(body: nn.Module, model: Any) -> None:
    """Read the weights of a pre-trained model into a body of its configuration.

    Parameters
    ----------
    body : PretrainedCausal or PretrainedEncoder
        Its parameters are changed in place.
    model : str or os.PathLike
        Folder, file in GGUF, or name.
    """
    where, options = _source(model)
    inner: Any = body.model
    with _quiet():
        cls = type(inner)
        source = cls.from_pretrained(where, dtype=torch.float32, **_options(cls), **options)
    inner.load_state_dict(source.state_dict())


class _InTwoParts(nn.Module):
    """A model of transformers whose lower and upper layers can be computed apart.

    For :mod:`sklearn_ext._torch.frozen_states`. A subclass has `model` and calls it in ``_called``.
    """

    model: nn.Module

    def _called(self, *inputs: Any) -> Tensor:
        """What `forward` gives."""
        raise NotImplementedError

    def _called_inside(self, *inputs: Any) -> None:
        """Go through the layers; what lies behind them need not be computed."""
        self._called(*inputs)

    def forward(self, tokens: Tensor, further: Tensor | None = None) -> Tensor:
        """Compute states, or logits, of tokens (n, length)."""
        return self._called(tokens, further)

    def cut_for(self, trained: Iterable[str]) -> int:
        """Lowest layer with a trained parameter, at most the last one; 0 where layers are no chain.

        The embeddings are below all layers, and so is everything that this cannot tell of.
        """
        found = _layers(self.model)
        if found is None:
            return 0
        path, n_layers = found
        names = [name for name, _ in self.named_parameters(remove_duplicate=False)]
        behind = _behind(self, names, f"model.{path}.")
        cut = n_layers - 1
        for name in trained:
            if name.startswith(f"model.{path}."):
                cut = min(cut, int(name.removeprefix(f"model.{path}.").partition(".")[0]))
            elif name not in behind:
                return 0
        return cut if cut and self._is_chain(cut) else 0

    def below(self, tokens: Tensor, further: Tensor | None, cut: int) -> Tensor:
        """States that go into layer `cut`, (n, length, width)."""
        found: list[Tensor] = []

        def keep(layer: nn.Module, args: Any, outputs: Any) -> None:
            found.append(outputs[0] if isinstance(outputs, tuple) else outputs)

        with self._only(slice(cut)) as layers, _hook(layers[-1].register_forward_hook(keep)):
            self._called_inside(tokens, further)
        return found[0]

    def above(self, tokens: Tensor, further: Tensor | None, states: Tensor, cut: int) -> Tensor:
        """What `forward` gives, of what `below` gives."""

        def replace(layer: nn.Module, args: Any, options: dict[str, Any]) -> tuple[Any, Any]:
            if args:
                return (states, *args[1:]), options
            return args, {**options, "hidden_states": states}

        with self._only(slice(cut, None)) as layers:
            hook = layers[0].register_forward_pre_hook(replace, with_kwargs=True)
            with _hook(hook):
                return self._called(tokens, further)

    @contextmanager
    def _only(self, chosen: slice) -> Iterator[nn.ModuleList]:
        """Let the model have some of its layers only."""
        path, _ = _layers(self.model)  # type: ignore[misc]
        parent, _, name = path.rpartition(".")
        owner = self.model.get_submodule(parent)
        whole: Any = owner._modules[name]
        owner._modules[name] = whole[chosen]
        try:
            yield whole[chosen]
        finally:
            owner._modules[name] = whole

    @torch.no_grad()
    def _is_chain(self, cut: int) -> bool:
        """Try whether both parts give what the whole gives; not all layers are a plain chain."""
        tokens = torch.tensor([[1, 2, 3, 4]], device=next(self.parameters()).device)
        further = self._some_further(tokens)
        training = self.training
        self.train(False)
        try:
            whole = self(tokens, further)
            parts = self.above(tokens, further, self.below(tokens, further, cut), cut)
        except (IndexError, KeyError, TypeError, ValueError):
            return False
        finally:
            self.train(training)
        return bool(torch.allclose(whole, parts, atol=1e-4 * float(whole.abs().max())))

    def _some_further(self, tokens: Tensor) -> Tensor | None:
        return None


@contextmanager
def _hook(handle: Any) -> Iterator[None]:
    """Take a hook away behind the block."""
    try:
        yield
    finally:
        handle.remove()


def _layers(model: nn.Module) -> tuple[str, int] | None:
    """Path and number of all layers, if there is one list of so many as the model says."""
    settings: Any = model.config
    n_layers = getattr(settings, "num_hidden_layers", None)
    paths = [
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    ]
    return (paths[0], n_layers) if len(paths) == 1 and n_layers is not None else None


def _behind(module: nn.Module, names: Sequence[str], layers: str) -> set[str]:
    """Names of parameters that come into play behind the layers only.

    These are registered behind them, and are no tables, which a model may look into anywhere.
    """
    last = max(number for number, name in enumerate(names) if name.startswith(layers))
    first = set(names[: last + 1])
    tied = {id(module.get_parameter(name)) for name in first}
    return {
        name
        for name in names[last + 1 :]
        if id(module.get_parameter(name)) not in tied
        and not isinstance(module.get_submodule(name.rpartition(".")[0]), nn.Embedding)
    }


class PretrainedEncoder(_InTwoParts):
    """An encoder of transformers.

    Parameters
    ----------
    config : str
        Of :func:`read_config`.
    dropout : float
        Probability of dropout.
    """

    def __init__(self, config: str, dropout: float) -> None:
        super().__init__()
        self.model = _empty(config, "AutoModel", dropout)
        settings: Any = self.model.config
        self.width = int(settings.hidden_size)

    def _called(self, tokens: Tensor, inside: Tensor) -> Tensor:
        """Compute states (n, length, width) of tokens (n, length), of which some are `inside`."""
        found = self.model(input_ids=tokens, attention_mask=inside.long())
        states: Tensor = found.last_hidden_state
        return states

    def _some_further(self, tokens: Tensor) -> Tensor:
        return torch.ones_like(tokens, dtype=torch.bool)


class PretrainedCausal(_InTwoParts):
    """A language model of transformers.

    Parameters
    ----------
    config : str
        Of :func:`read_config`.
    dropout : float
        Probability of dropout.
    packs : bool
        Whether positions that start anew keep texts in one row apart.
    """

    def __init__(self, config: str, dropout: float, packs: bool) -> None:
        super().__init__()
        self.model = _empty(config, "AutoModelForCausalLM", dropout)
        self.packs = packs

    def _called(self, tokens: Tensor, positions: Tensor | None) -> Tensor:
        """Compute logits (n, length, n_tokens) of what follows each of the tokens (n, length)."""
        packed = {} if positions is None else {"position_ids": positions}
        logits: Tensor = self.model(input_ids=tokens, use_cache=False, **packed).logits
        return logits

    def _called_inside(self, tokens: Tensor, positions: Tensor | None) -> None:
        packed = {} if positions is None else {"position_ids": positions}
        self.model.base_model(input_ids=tokens, use_cache=False, **packed)  # type: ignore[operator]

    def step(self, tokens: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Read further tokens (n, new) of texts; logits (n, n_tokens) of what follows the last."""
        found = self.model(input_ids=tokens, past_key_values=memory, use_cache=True)
        return found.logits[:, -1], found.past_key_values


@torch.no_grad()
def keeps_apart(body: PretrainedCausal) -> bool:
    """Try whether texts in one row do not see each other, which not all models promise."""
    tokens = torch.tensor([[1, 2, 3, 4, 4, 3, 2, 1]], device=next(body.parameters()).device)
    positions = torch.arange(4, device=tokens.device).repeat(2).view(1, -1)
    alone = body(tokens[:, 4:])
    try:
        packed = body(tokens, positions)[:, 4:]
    except TypeError:  # no argument of that name
        return False
    return bool(torch.allclose(packed, alone, atol=1e-3 * float(alone.abs().max())))
