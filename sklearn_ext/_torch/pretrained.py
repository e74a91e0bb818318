"""Pre-trained models of the package transformers as bodies of our nets.

Torch's global generator is left as it was.
"""

import json
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_ext._torch.divided_model import DividedModel
from sklearn_ext._torch.dropout import SharedDropout
from sklearn_ext._torch.pretrained_files import left_out_layers, quiet_transformers

__all__ = [
    "PretrainedCausal",
    "PretrainedEncoder",
    "has_dropout",
    "hides_padding",
    "is_causal",
    "keeps_apart",
    "most_positions",
]

Tensor = torch.Tensor


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
    with quiet_transformers() as transformers, torch.random.fork_rng(devices=[]):
        settings = transformers.AutoConfig.for_model(**json.loads(config))
        auto = _class_for(transformers, kind, settings)
        with torch.device("meta"):
            cls = type(auto.from_config(settings))
            options = left_out_layers(cls)
            shapes = cls._from_config(settings, **options).state_dict(keep_vars=True)
        # Weights that are given are not drawn, which would be from the global generator. A tied one
        # is given once: under two names it would become two. Zeros of numpy take no memory before
        # they are written to.
        once = {id(tensor): name for name, tensor in reversed(shapes.items())}
        weights = {
            name: torch.from_numpy(np.zeros(shapes[name].shape, dtype=np.float32))
            for name in once.values()
        }
        model: nn.Module = cls.from_pretrained(
            None, config=settings, state_dict=weights, dtype=torch.float32, **options
        )
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(parent, name, SeededDropout(dropout))
    return model.train(False)


def _class_for(transformers: Any, kind: str, settings: Any) -> Any:
    """Choose the class that finds the model; of a pair like T5 the encoder alone."""
    encoders = transformers.AutoModelForTextEncoding
    is_pair = kind == "AutoModel" and getattr(settings, "is_encoder_decoder", False)
    if is_pair and type(settings) in encoders._model_mapping:
        return encoders
    return getattr(transformers, kind)


class PretrainedEncoder(DividedModel):
    """An encoder of transformers.

    Parameters
    ----------
    config : str
        The first that :func:`~sklearn_ext._torch.pretrained_files.read_model` gives.
    dropout : float
        Probability of dropout.
    hides_padding : bool
        Whether texts of unequal length can be side by side.
    """

    def __init__(self, config: str, dropout: float, hides_padding: bool = True) -> None:
        super().__init__()
        self.hides_padding = hides_padding
        self.model = _empty(config, "AutoModel", dropout)
        settings: Any = self.model.config
        self.width = int(settings.hidden_size)
        self._freeze_unused()

    @torch.enable_grad()
    def _freeze_unused(self) -> None:
        """Freeze what the states do not depend on, such as weights of a second kind of tokens."""
        tokens = torch.zeros(1, 2, dtype=torch.int64)
        used = _leaves_of(self(tokens, self._some_further(tokens)))
        for parameter in self.parameters():
            parameter.requires_grad_(id(parameter) in used)

    def _called(self, tokens: Tensor, inside: Tensor) -> Tensor:
        """Compute states (n, length, width) of tokens (n, length), of which some are `inside`."""
        found = self.model(input_ids=tokens, attention_mask=inside.long())
        states: Tensor = found.last_hidden_state
        return states

    def _some_further(self, tokens: Tensor) -> Tensor:
        return torch.ones_like(tokens, dtype=torch.bool)


def _leaves_of(outputs: Tensor) -> set[int]:
    """Find the parameters that outputs were computed from."""
    found, seen, open_nodes = set(), set(), [outputs.grad_fn]
    while open_nodes:
        node = open_nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found.add(id(getattr(node, "variable", None)))
        open_nodes += [other for other, _ in node.next_functions]
    return found


class PretrainedCausal(DividedModel):
    """A language model of transformers.

    Parameters
    ----------
    config : str
        The first that :func:`~sklearn_ext._torch.pretrained_files.read_model` gives.
    dropout : float
        Probability of dropout.
    packs : bool
        Whether positions that start anew keep texts in one row apart.
    """

    def __init__(self, config: str, dropout: float, packs: bool) -> None:
        super().__init__()
        self.model = _empty(config, "AutoModelForCausalLM", dropout)
        # No token is padding here; of one that could be transformers warns.
        self.model.config.pad_token_id = None  # type: ignore[union-attr]
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
        """Read further tokens (n, new) of texts; logits (n, n_tokens) of what follows the last.

        The memory of a model that has none of its kind are all tokens so far.
        """
        if isinstance(memory, Tensor):
            tokens = torch.cat([memory, tokens], dim=1)
            return self(tokens)[:, -1], tokens
        found = self.model(input_ids=tokens, past_key_values=memory, use_cache=True)
        past = getattr(found, "past_key_values", None)
        return found.logits[:, -1], tokens if past is None else past


def has_dropout(body: nn.Module) -> bool:
    """Tell whether a model was written with layers of dropout."""
    return any(isinstance(layer, SeededDropout) for layer in body.modules())


def most_positions(body: nn.Module) -> float:
    """Tokens of the longest text that a model has positions for, where some are no text's."""
    tables = [
        module
        for name, module in body.named_modules()
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
    ]
    taken = [t.num_embeddings - t.padding_idx - 1 for t in tables if t.padding_idx is not None]
    return min(taken, default=float("inf"))


@torch.no_grad()
def hides_padding(body: PretrainedEncoder) -> bool:
    """Try whether padding has no part in the states of a text, which not all models promise."""
    tokens = torch.tensor([[1, 2, 3, 0, 0]], device=next(body.parameters()).device)
    inside = torch.arange(5, device=tokens.device).unsqueeze(0) < 3
    padded, alone = body(tokens, inside)[:, :3], body(tokens[:, :3], inside[:, :3])
    return bool(torch.allclose(padded, alone, rtol=0.0, atol=1e-5 * float(alone.abs().max())))


@torch.no_grad()
def is_causal(body: PretrainedCausal) -> bool:
    """Try whether a token has no part in what is computed for those before it."""
    tokens = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 0]], device=next(body.parameters()).device)
    first, second = body(tokens)[:, :-1]
    return bool(torch.allclose(first, second, rtol=0.0, atol=1e-5 * float(first.abs().max())))


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
