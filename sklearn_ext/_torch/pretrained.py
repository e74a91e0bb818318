"""Pre-trained models of the package transformers as bodies of our nets.

The only module that imports transformers, inside its functions. What is pickled of a model is its
configuration, as JSON, and its weights; neither torch's global generator nor what transformers
prints is left changed.
"""

import inspect
import json
import threading
from collections.abc import Iterator
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


class PretrainedEncoder(nn.Module):
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

    def forward(self, tokens: Tensor, inside: Tensor) -> Tensor:
        """Compute states (n, length, width) of tokens (n, length), of which some are `inside`."""
        found = self.model(input_ids=tokens, attention_mask=inside.long())
        states: Tensor = found.last_hidden_state
        return states


class PretrainedCausal(nn.Module):
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

    def forward(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Compute logits (n, length, n_tokens) of what follows each of the tokens (n, length)."""
        packed = {} if positions is None else {"position_ids": positions}
        logits: Tensor = self.model(input_ids=tokens, use_cache=False, **packed).logits
        return logits

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
