"""The configuration of an adapter: what PEFT makes of it, and what is known here."""

import re
from collections.abc import Sequence
from math import sqrt
from typing import Any

from torch import nn

from sklearn_ext._torch.adaptable import is_transposed_linear
from sklearn_ext._torch.low_rank import LoRASettings

__all__ = [
    "OF_PEFT",
    "config_of",
    "exact_targets",
    "full_names",
    "is_targeted",
    "settings_in",
    "tied_whole",
    "unlike_peft",
]

# Types of a configuration: PEFT refuses the second, as it would compute something else.
OF_PEFT, OF_OURS = "LORA", "LORA_OF_SKLEARN_EXT"

# Fields of PEFT's that change what is computed, and that are not known here.
UNKNOWN_FIELDS = (
    "rank_pattern",
    "alpha_pattern",
    "lora_bias",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
)
# Starts of PEFT's that leave the weights of the base as they are.
PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal", "mica")


def config_of(settings: LoRASettings, *, is_of_peft: bool) -> dict[str, Any]:
    """Give the configuration of an adapter, without the names of layers, as plain values."""
    r, alpha = int(settings.r), float(settings.lora_alpha)
    if settings.init_lora_weights == "pissa":
        r *= 2
        alpha *= sqrt(2.0) if settings.use_rslora else 2.0
    # That start makes up for what quantising loses, which a whole base has not lost.
    is_of_peft &= settings.init_lora_weights != "loftq"
    return {
        "peft_type": OF_PEFT if is_of_peft else OF_OURS,
        "task_type": None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": r,
        "lora_alpha": alpha,
        "lora_dropout": float(settings.lora_dropout),
        "bias": str(settings.bias),
        "use_rslora": bool(settings.use_rslora),
        "use_dora": bool(settings.use_dora),
        "init_lora_weights": True,
    }


def exact_targets(module: nn.Module, names: Sequence[str]) -> list[str] | str:
    """Name layers, or weights, so that a name, which PEFT takes for an end of names, is no other's.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_ext._torch.adapter_config import exact_targets
    >>> module = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2))
    >>> exact_targets(module, ["1"]), exact_targets(module, ["0"])
    (['1'], '0')
    """
    ends = tuple(f".{name}" for name in names)
    paths = [path for path, _ in (*module.named_modules(), *module.named_parameters())]
    if any(path.endswith(ends) for path in paths if path not in names):
        return "|".join(map(re.escape, names))
    return list(names)


def full_names(module: nn.Module, names: Sequence[str] | None) -> list[str] | None:
    """Find the layers of a module that are trained whole, by the ends of their names."""
    found = [
        path
        for path, _ in module.named_modules()
        if any(path == name or path.endswith(f".{name}") for name in names or ())
    ]
    return found or None


def is_targeted(config: dict[str, Any], layer: str) -> bool:
    """Tell whether PEFT adapts a layer of this name, if it is of a kind that it adapts at all.

    Examples
    --------
    >>> from sklearn_ext._torch.adapter_config import is_targeted
    >>> config = {"target_modules": ["query"], "exclude_modules": ["0.query"]}
    >>> [is_targeted(config, f"block.{layer}") for layer in ("0.query", "1.query", "1.subquery")]
    [False, True, False]
    """
    if _is_named(config.get("exclude_modules"), layer):
        return False
    saved = config.get("modules_to_save") or ()
    if any(re.match(rf"(^|.*\.){name}($|\..*)", layer) for name in saved):
        return False
    targets = config.get("target_modules")
    is_named = targets != "all-linear" and _is_named(targets, layer)
    return is_named and (isinstance(targets, str) or _is_in_layers(config, layer))


def _is_named(names: str | Sequence[str] | None, layer: str) -> bool:
    """Tell whether a regular expression, or an end of names, is that of a layer."""
    if isinstance(names, str):
        return re.fullmatch(names, layer) is not None
    return any(layer == name or layer.endswith(f".{name}") for name in names or ())


def _is_in_layers(config: dict[str, Any], layer: str) -> bool:
    """Tell whether a layer is in one of the numbered blocks that are asked for, if any are.

    Of several numbers in a name PEFT's versions have taken the first or the last: all have to be
    among those that are asked for.
    """
    asked = config.get("layers_to_transform")
    if asked is None or asked == []:
        return True
    lists = config.get("layers_pattern") or r"[^.]*\.[^.]*"
    lists = [lists] if isinstance(lists, str) else lists
    numbers = {int(part) for part in layer.split(".") if part.isdigit()}
    return numbers <= set([asked] if isinstance(asked, int) else asked) and any(
        re.match(rf"(?:^|.*\.){name}\.\d+\.", layer) for name in lists
    )


def unlike_peft(base: nn.Module, name: str, *, use_dora: bool) -> str | None:
    """Tell why PEFT computes something else with the same change of a weight; None if not."""
    path, _, local = name.rpartition(".")
    owner = base.get_submodule(path)
    kinds = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d)
    # Attention reads this weight past its layer, and with it past what PEFT puts around.
    is_of_attention = isinstance(owner, nn.modules.linear.NonDynamicallyQuantizableLinear)
    is_known = isinstance(owner, kinds) or is_transposed_linear(owner)
    if local != "weight" or is_of_attention or not is_known:
        return f"it has no change of a weight of {type(owner).__name__} of this form"
    if getattr(owner, "groups", 1) != 1:
        return "the layer is a convolution in groups, of which only the second matrix is there"
    if use_dora and isinstance(owner, nn.Embedding):
        return "use_dora=True learns the norms of the columns of a table there, of its rows here"
    if _is_tied(base, name):
        return "the weight is tied, and is changed in one of its places there, in all here"
    return None


def tied_whole(base: nn.Module, name: str) -> str | None:
    """Tell why PEFT computes something else with a parameter that is trained whole."""
    if _is_tied(base, name):
        return "the weight is tied, and is trained in one of its places there, in all here"
    return None


def _is_tied(base: nn.Module, name: str) -> bool:
    """Tell whether several layers have a parameter, or what is stored of it where it is quantised.

    Buffers, which a file may hold too, are none.
    """
    path, _, local = name.rpartition(".")
    owner = base.get_submodule(path)
    kept: Any = owner._parameters.get(local)
    if local == "weight":
        kept = getattr(owner, "stored", kept)
    parts = ((*m._parameters.values(), *m._modules.values()) for m in base.modules())
    return kept is not None and sum(part is kept for of_one in parts for part in of_one) > 1


def settings_in(config: dict[str, Any]) -> dict[str, Any]:
    """Read the fields of `LoRASettings` that a configuration has.

    Raises
    ------
    ValueError
        If it asks for what is not known here.
    """
    if config.get("peft_type") not in (OF_PEFT, OF_OURS):
        raise ValueError(f"peft_type must be {OF_PEFT!r}, got {config.get('peft_type')!r}.")
    for name in UNKNOWN_FIELDS:
        if config.get(name):
            raise ValueError(
                f"{name}={config[name]!r} of adapter_config.json is not known here: all layers "
                "have one r, one lora_alpha and no bias of their own."
            )
    for name in ("r", "lora_alpha"):
        value = config.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ValueError(f"{name} of adapter_config.json must be a number > 0, got {value!r}.")
    fields = ("r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "bias")
    settings = {name: config[name] for name in fields if name in config}
    start = config.get("init_lora_weights", True)
    if start == "pissa":
        settings["init_lora_weights"] = start
    elif start not in PLAIN_STARTS:
        raise ValueError(
            f"init_lora_weights={start!r} of adapter_config.json has changed the weights of the "
            "base, which are not in the files. Save the adapter with PEFT's "
            "save_pretrained(..., path_initial_model_for_weight_conversion=...), which makes a "
            "plain one of it."
        )
    return settings
