"""Adapters in the files of PEFT: `adapter_config.json` and `adapter_model.safetensors`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from sklearn_ext._torch.adaptable import is_transposed_linear
from sklearn_ext._torch.lora import LoRAModule
from sklearn_ext._torch.low_rank import LoRASettings, LowRank

__all__ = ["StoredAdapter", "read_adapter", "tensors_into", "write_adapter"]

Tensor = torch.Tensor

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
OWN = "sklearn_ext"  # key of what PEFT has no place for, in the metadata of the weights

# How each kind of layer has A and B in PEFT's files: ends of the names, and what is stored of our
# A (r, n_in), B (n_out, r) and the shape of the weight.
_LINEAR = ".lora_A.weight", ".lora_B.weight"
_EMBEDDING = ".lora_embedding_A", ".lora_embedding_B"
WRAPPED = ".base_layer."  # what PEFT puts between an adapted layer and its bias
MAGNITUDE = ".lora_magnitude_vector"

# Fields of PEFT's configuration that change what is computed, and that are not known here.
UNKNOWN_FIELDS = ("rank_pattern", "alpha_pattern", "lora_bias", "layer_replication")


@dataclass
class StoredAdapter:
    """What the files of an adapter hold.

    Attributes
    ----------
    settings : dict
        Fields of :class:`LoRASettings`.
    tensors : dict of str to torch.Tensor
        By PEFT's names without their common beginning.
    notes : dict
        What this library wrote besides; empty for files of PEFT's.
    """

    settings: dict[str, Any]
    tensors: dict[str, Tensor]
    notes: dict[str, Any]


# Writing


def write_adapter(
    module: LoRAModule,
    settings: LoRASettings,
    directory: Path,
    *,
    root: str = "",
    buffers: Mapping[str, Tensor],
    notes: dict[str, Any],
) -> None:
    """Write an adapter that PEFT can read, as far as it knows the kinds of layers.

    Parameters
    ----------
    module : LoRAModule
        Adapted module.
    settings : LoRASettings
        Its settings.
    directory : pathlib.Path
        Made where it is missing.
    root : str, default=""
        Name of the part of the base that PEFT sees.
    buffers : dict of str to torch.Tensor
        Buffers of the base that have changed.
    notes : dict
        Kept in the metadata of the weights.

    Notes
    -----
    PiSSA's change, B A - B_start A_start, is written as a plain one of twice the rank.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    targets, transposed = [], False
    for name, change in _changes(module):
        path, owner = _owner(module.base, name)
        targets.append(_outside(path, root))
        transposed |= is_transposed_linear(owner)
        for end, tensor in _stored(change, owner).items():
            tensors[targets[-1] + end] = tensor
    for key, parameter in module.whole.items():
        path, _, local = _outside(key.replace("/", "."), root).rpartition(".")
        tensors[f"{path}{WRAPPED if path in targets else '.'}{local}".lstrip(".")] = parameter
    tensors |= {_outside(name, root): tensor for name, tensor in buffers.items()}
    stored = {PREFIX + name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
    save_file(stored, directory / WEIGHTS, {"format": "pt", OWN: json.dumps(notes)})
    config = _config(settings, targets, transposed)
    (directory / CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def _config(settings: LoRASettings, targets: list[str], transposed: bool) -> dict[str, Any]:
    r, alpha = settings.r, float(settings.lora_alpha)
    if settings.init_lora_weights == "pissa":
        r *= 2
        alpha *= sqrt(2.0) if settings.use_rslora else 2.0
    whole = settings.modules_to_save
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": r,
        "lora_alpha": alpha,
        "lora_dropout": settings.lora_dropout,
        "target_modules": targets,
        "modules_to_save": None if whole is None else list(whole),
        "bias": settings.bias,
        "use_rslora": settings.use_rslora,
        "use_dora": settings.use_dora,
        "fan_in_fan_out": transposed,
        "init_lora_weights": True,
    }


def _changes(module: LoRAModule) -> Iterator[tuple[str, LowRank]]:
    for key, change in module.low_rank.items():
        assert isinstance(change, LowRank)
        yield key.replace("/", "."), change


def _owner(base: nn.Module, name: str) -> tuple[str, nn.Module]:
    """PEFT's name of a weight, that of its layer where it is the only one, and the layer."""
    path, _, local = name.rpartition(".")
    owner = base.get_submodule(path)
    return (path if local == "weight" else name), owner


def _outside(name: str, root: str) -> str:
    """Name a part as it is called inside `root`."""
    return name.removeprefix(f"{root}.") if root else name


def _stored(change: LowRank, owner: nn.Module) -> dict[str, Tensor]:
    """Tensors of a change in PEFT's shapes, by the ends of their names."""
    A: Tensor = change.weight_A
    B: Tensor = change.weight_B
    if change.is_shifted:
        A = torch.cat([A, change.get_buffer("start_A").to(A)], dim=-2)
        B = torch.cat([B, -change.get_buffer("start_B").to(B)], dim=-1)
    if isinstance(owner, nn.Embedding):
        found = dict(zip(_EMBEDDING, (B.mT, A.mT), strict=True))
    elif isinstance(owner, nn.Conv1d | nn.Conv2d):
        sides = owner.weight.shape[1:]
        B = B.reshape(*B.shape, *(1 for _ in sides[1:]))
        found = dict(zip(_LINEAR, (A.reshape(-1, *sides), B), strict=True))
    else:
        found = dict(zip(_LINEAR, (A, B), strict=True))
    if change.magnitude is not None:
        found[MAGNITUDE] = _stored_magnitude(change.magnitude, owner)
    return found


def _stored_magnitude(magnitude: Tensor, owner: nn.Module) -> Tensor:
    if isinstance(owner, nn.Conv1d | nn.Conv2d):
        return magnitude.reshape(1, -1, *(1 for _ in owner.weight.shape[2:]))
    return magnitude.flatten() if magnitude.ndim == 2 else magnitude


# Reading


def read_adapter(directory: Path, base: nn.Module, *, root: str = "") -> StoredAdapter:
    """Read the files of an adapter of `base`.

    Parameters
    ----------
    directory : pathlib.Path
        With both files.
    base : torch.nn.Module
        Base.
    root : str, default=""
        Name of the part of the base that PEFT saw.

    Returns
    -------
    stored : StoredAdapter
        What is adapted is told by the names of the tensors.

    Raises
    ------
    FileNotFoundError
        If there is not such a file.
    ValueError
        If the configuration asks for what is not known here, or a name is not one of the base.
    """
    _check_files(directory)
    config = json.loads((directory / CONFIG).read_text("utf-8"))
    _check_config(config)
    tensors, notes = {}, {}
    with safe_open(directory / WEIGHTS, framework="pt") as file:
        notes = json.loads((file.metadata() or {}).get(OWN, "{}"))
        for name in file.keys():
            # A tensor of the file is a view of its map, which one survivor would keep open.
            own = name.removeprefix(PREFIX).replace(WRAPPED, ".")
            tensors[own] = file.get_tensor(name).clone()
    names = dict(base.named_parameters(remove_duplicate=False)) | dict(base.named_buffers())
    targets, whole = _what_is_changed(tensors, names, root)
    fields = ("r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "bias")
    settings = {name: config[name] for name in fields if name in config}
    buffers = dict(base.named_buffers())
    whole = [name for name in whole if name not in buffers]
    if settings.get("bias", "none") != "none":
        whole = [name for name in whole if not name.rpartition(".")[2].startswith("bias")]
    settings |= {"target_modules": targets, "modules_to_save": whole or None}
    return StoredAdapter(settings, tensors, notes)


def _check_files(directory: Path) -> None:
    missing = [name for name in (CONFIG, WEIGHTS) if not (directory / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"path={str(directory)!r} has no {' and no '.join(missing)}. Give the folder that "
            "save_adapter, or PEFT's save_pretrained, wrote; weights in other files are not read."
        )


def _check_config(config: dict[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise ValueError(f"peft_type must be 'LORA', got {config.get('peft_type')!r}.")
    for name in UNKNOWN_FIELDS:
        if config.get(name):
            raise ValueError(
                f"{name}={config[name]!r} of {CONFIG} is not known here: all layers have one r, "
                "one lora_alpha and no bias of their own."
            )


def _what_is_changed(
    tensors: dict[str, Tensor], names: dict[str, Any], root: str
) -> tuple[list[str], list[str]]:
    """Names of the weights with a low-rank change, and of those that are stored whole."""
    targets, whole = [], []
    for name in tensors:
        for end in (*_LINEAR, *_EMBEDDING, MAGNITUDE):
            if name.endswith(end):
                if end in (_LINEAR[0], _EMBEDDING[0]):
                    targets.append(_inside(name.removesuffix(end), names, root))
                break
        else:
            whole.append(_inside(name, names, root))
    return targets, whole


def _inside(name: str, names: dict[str, Any], root: str) -> str:
    """Full name of the parameter that PEFT calls `name`, by its layer or itself."""
    for front in (f"{root}.", "") if root else ("",):
        for full in (f"{front}{name}.weight", f"{front}{name}"):
            if full in names:
                return full
    raise ValueError(
        f"The adapter has a change of {name!r}, which is not in the base. There are: "
        f"{', '.join(list(names)[:30])}."
    )


@torch.no_grad()
def tensors_into(module: LoRAModule, tensors: dict[str, Tensor], *, root: str = "") -> None:
    """Put the tensors of a file into a module with these settings.

    Raises
    ------
    ValueError
        If one is missing or has another shape.
    """
    for name, change in _changes(module):
        path, owner = _owner(module.base, name)
        path = _outside(path, root)
        ends = _EMBEDDING if isinstance(owner, nn.Embedding) else _LINEAR
        A, B = (tensors[path + end].to(change.weight_A) for end in ends)
        if isinstance(owner, nn.Embedding):
            A, B = B.mT, A.mT
        elif isinstance(owner, nn.Conv1d | nn.Conv2d):
            A, B = A.flatten(1), B.flatten(1)
        _copy(change.weight_A, A, name)
        _copy(change.weight_B, B, name)
        if change.magnitude is not None:
            magnitude = tensors[path + MAGNITUDE].reshape(change.magnitude.shape)
            _copy(change.magnitude, magnitude, name)
    for key, parameter in module.whole.items():
        name = key.replace("/", ".")
        _copy(parameter, tensors[_outside(name, root)], name)
    for name, buffer in module.base.named_buffers():
        if _outside(name, root) in tensors:
            _copy(buffer, tensors[_outside(name, root)], name)


def _copy(parameter: Tensor, tensor: Tensor, name: str) -> None:
    if parameter.shape != tensor.shape:
        raise ValueError(
            f"{name} has the shape {tuple(tensor.shape)} in the file, but "
            f"{tuple(parameter.shape)} is needed here: it is that of another base."
        )
    parameter.copy_(tensor)
