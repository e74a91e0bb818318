"""Adapters in the files of PEFT: `adapter_config.json` and `adapter_model.safetensors`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from sklearn_ext._torch.adaptable import adaptable_weights, is_transposed_linear
from sklearn_ext._torch.adapter_config import (
    OF_PEFT,
    config_of,
    exact_targets,
    full_names,
    is_targeted,
    settings_in,
    tied_whole,
    unlike_peft,
)
from sklearn_ext._torch.lora import LoRAModule
from sklearn_ext._torch.low_rank import LoRASettings, LowRank
from sklearn_ext._torch.parameters import set_dtype
from sklearn_ext._torch.shared_copies import name_of

__all__ = ["StoredAdapter", "read_adapter", "tensors_into", "write_adapter"]

Tensor = torch.Tensor

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
OWN = "sklearn_ext"  # key of what PEFT has no place for, in the metadata of the weights

# How each kind of layer has A and B in PEFT's files: ends of the names, and what is stored of our
# A (r, n_in), B (n_out, r) and the shape of the weight.
_LINEAR = ".lora_A.weight", ".lora_B.weight"
_EMBEDDING = ".lora_embedding_A", ".lora_embedding_B"
WRAPPED = ".base_layer."  # what PEFT puts between an adapted layer and what it has of its own
COPIED = f"{WRAPPED}weight"  # its weight, where PEFT takes it for a changed one
MAGNITUDE = ".lora_magnitude_vector"
# Between the name of a layer that PEFT trains whole and what is in it: the trained and the old one.
SAVED, REPLACED = ".modules_to_save.", ".original_module."


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
    PiSSA's change, B A - B_start A_start, is written as a plain one of twice the rank. Where PEFT
    would compute something else, the configuration has a type that it refuses; see
    :func:`~sklearn_ext._torch.adapter_config.unlike_peft`.
    """
    tensors: dict[str, Tensor] = {}
    targets, transposed, reasons = [], False, set()
    for name, change in _changes(module):
        path, owner = _owner(module.base, name)
        targets.append(_outside(path, root))
        transposed |= is_transposed_linear(owner)
        reasons.add(unlike_peft(module.base, name, use_dora=settings.use_dora))
        for end, tensor in _stored(change, owner).items():
            tensors[targets[-1] + end] = tensor
    for key, parameter in module.whole.items():
        reasons.add(tied_whole(module.base, name_of(key)))
        path, _, local = _outside(name_of(key), root).rpartition(".")
        tensors[f"{path}{WRAPPED if path in targets else '.'}{local}".lstrip(".")] = parameter
    tensors |= {_outside(name, root): tensor for name, tensor in buffers.items()}
    inner = module.base.get_submodule(root)
    config = config_of(settings, is_of_peft=reasons == {None}) | {
        "target_modules": exact_targets(inner, targets),
        "modules_to_save": full_names(inner, settings.modules_to_save),
        "fan_in_fan_out": transposed,
    }
    _write(directory, tensors, json.dumps(config, indent=2) + "\n", json.dumps(notes))


def _write(directory: Path, tensors: dict[str, Tensor], config: str, notes: str) -> None:
    """Write both files, or neither."""
    stored = {PREFIX + name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=directory) as new:
        save_file(stored, Path(new) / WEIGHTS, {"format": "pt", OWN: notes})
        (Path(new) / CONFIG).write_text(config, "utf-8")
        for name in (WEIGHTS, CONFIG):
            (Path(new) / name).replace(directory / name)


def _changes(module: LoRAModule) -> Iterator[tuple[str, LowRank]]:
    for key, change in module.low_rank.items():
        assert isinstance(change, LowRank)
        yield name_of(key), change


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
        If the configuration asks for what is not known here or not in the file, or a name is not
        one of the base.
    """
    _check_files(directory)
    config = _read_config(directory / CONFIG)
    settings = settings_in(config)
    tensors, notes = _stored_tensors(directory, root)
    prefix = _prefix(base, root, tensors)
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    names = dict(base.named_parameters(remove_duplicate=False)) | dict(base.named_buffers())
    tensors = _without_copies(tensors, names, root)
    inner = base.get_submodule(root)
    tensors = {name: t for name, t in tensors.items() if not _is_left_out(inner, name)}
    targets, whole = _what_is_changed(tensors, names, root)
    if config["peft_type"] == OF_PEFT and not notes:
        _check_alike(base, targets, whole, settings)
    _check_complete(config, inner, {_outside(name, root) for name in targets}, prefix)
    buffers = dict(base.named_buffers())
    owners = {name.rpartition(".")[0] for name in targets}
    bias = settings.get("bias", "none")
    if bias == "all" and not set(_biases(base)) <= set(whole):  # PEFT saw a part of the base only
        bias = settings["bias"] = "none"
    whole = [n for n in whole if n not in buffers and not _is_bias_of(n, bias, owners)]
    settings |= {"target_modules": targets, "modules_to_save": whole or None}
    return StoredAdapter(settings, tensors, notes)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as error:  # of JSON, or of UTF-8
        raise ValueError(f"{str(path)!r} cannot be read: {error}. Write it again.") from error
    if not isinstance(config, dict):
        raise ValueError(f"{str(path)!r} must hold the fields of a LoraConfig, got {config!r}.")
    return config


def _without_copies(
    tensors: dict[str, Tensor], names: dict[str, Any], root: str
) -> dict[str, Tensor]:
    """Leave out the weights of adapted layers, which PEFT writes again for tables and heads."""
    kept = {}
    for name, tensor in tensors.items():
        layer = name.removesuffix(COPIED)
        if layer == name:
            kept[name] = tensor
        elif not torch.equal(names[_inside(layer, names, root)].to(tensor), tensor):
            raise ValueError(
                f"The adapter has other weights of {layer!r} than the base. Give the base that it "
                "was made for."
            )
    return kept


def _is_left_out(inner: nn.Module, name: str) -> bool:
    """Tell what is in a layer that a model can do without, and is without here: a pooler."""
    found: Any = inner
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
        if found is None:
            return True
    return False


def _biases(base: nn.Module) -> list[str]:
    return [n for n, _ in base.named_parameters() if "bias" in n.rpartition(".")[2]]


def _is_bias_of(name: str, bias: str, owners: set[str]) -> bool:
    """Whether `bias` asks for a parameter already."""
    owner, _, local = name.rpartition(".")
    return "bias" in local and (bias == "all" or (bias == "lora_only" and owner in owners))


def _prefix(base: nn.Module, root: str, names: Iterable[str]) -> str:
    """What stands in front of the names of a headless model of transformers inside another."""
    inner = base.get_submodule(root)
    prefix = f"{getattr(inner, 'base_model_prefix', '')}."
    is_inside = not hasattr(inner, prefix[:-1]) and any(name.startswith(prefix) for name in names)
    return prefix if is_inside else ""


def _stored_tensors(directory: Path, root: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of a file by their names inside `root`, and notes."""
    tensors = {}
    try:
        with safe_open(directory / WEIGHTS, framework="pt") as file:
            notes = json.loads((file.metadata() or {}).get(OWN, "{}"))
            for name in file.keys():
                if REPLACED in name:
                    continue
                own = name.removeprefix(PREFIX).replace(SAVED, ".")
                if not own.endswith(COPIED):
                    own = own.replace(WRAPPED, ".")
                # A tensor of the file is a view of its map, which one survivor would keep open.
                tensors[_outside(own, root)] = file.get_tensor(name).clone()
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{str(directory / WEIGHTS)!r} cannot be read: {error}. Write the adapter again."
        ) from error
    return tensors, notes


def _check_alike(
    base: nn.Module, targets: list[str], whole: list[str], settings: dict[str, Any]
) -> None:
    """Raise an error where PEFT computes something else with the same tensors."""
    reasons = {n: unlike_peft(base, n, use_dora=settings.get("use_dora", False)) for n in targets}
    reasons |= {name: tied_whole(base, name) for name in whole}
    for name, reason in reasons.items():
        if reason is not None:
            raise ValueError(
                f"PEFT's change of {name!r} cannot be read: {reason}. Leave it out of "
                "target_modules and modules_to_save there, or adapt it here."
            )


def _check_complete(
    config: dict[str, Any], inner: nn.Module, changed: set[str], prefix: str
) -> None:
    """Raise an error if a layer that the configuration asks for has no tensors in the file.

    PEFT writes such files too: its conversion of PiSSA leaves out tables of embeddings.
    """
    able = adaptable_weights(inner).values()
    layers = [_owner(inner, w.name)[0] for w in able if changed.isdisjoint(w.paths)]
    try:
        missing = [layer for layer in layers if is_targeted(config, prefix + layer)]
    except re.error as error:
        raise ValueError(
            f"{CONFIG} names layers by what is no regular expression: {error}. Write it again."
        ) from error
    if missing:
        raise ValueError(
            f"{WEIGHTS} has no change of {', '.join(missing[:30])}, but target_modules of {CONFIG} "
            "asks for it: the file is not complete, or is that of another base. Save the adapter "
            "again."
        )


def _check_files(directory: Path) -> None:
    missing = [name for name in (CONFIG, WEIGHTS) if not (directory / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"path={str(directory)!r} has no {' and no '.join(missing)}. Give the folder that "
            "save_adapter, or PEFT's save_pretrained, wrote; weights in other files are not read."
        )


def _what_is_changed(
    tensors: dict[str, Tensor], names: dict[str, Any], root: str
) -> tuple[list[str], list[str]]:
    """Names of the weights with a low-rank change, and of those that are stored whole."""
    targets, whole = [], []
    for name in tensors:
        for end in (*_LINEAR, *_EMBEDDING, MAGNITUDE):
            if name.endswith(end):
                targets.append(_inside(name.removesuffix(end), names, root))
                break
        else:
            whole.append(_inside(name, names, root))
    return list(dict.fromkeys(targets)), whole


def _inside(name: str, names: dict[str, Any], root: str) -> str:
    """Full name of the parameter that PEFT calls `name`, by its layer or itself."""
    for front in (f"{root}.", "") if root else ("",):
        for full in (f"{front}{name}.weight", f"{front}{name}"):
            if full in names:
                return full
    raise ValueError(
        f"The adapter has a change of {name!r}, which is not in the base. Give the base that it "
        "was made for; a head that it has besides, such as 'classifier' or 'score', has no place "
        f"here. There are: {', '.join(list(names)[:30])}."
    )


@torch.no_grad()
def tensors_into(module: LoRAModule, tensors: dict[str, Tensor], *, root: str = "") -> None:
    """Put the tensors of a file into a module with these settings.

    Raises
    ------
    ValueError
        If one is missing or has another shape.
    """
    if any(tensor.dtype == torch.float64 for tensor in tensors.values()):
        set_dtype(module, None, torch.float64)  # of a float64 table; that of the base may differ
    for name, change in _changes(module):
        path, owner = _owner(module.base, name)
        path = _outside(path, root)
        ends = _EMBEDDING if isinstance(owner, nn.Embedding) else _LINEAR
        A, B = (_found(tensors, path + end).to(change.weight_A) for end in ends)
        if isinstance(owner, nn.Embedding):
            A, B = B.mT, A.mT
        elif isinstance(owner, nn.Conv1d | nn.Conv2d):
            A, B = A.flatten(1), B.flatten(1)
        _copy(change.weight_A, A, name)
        _copy(change.weight_B, B, name)
        if change.magnitude is not None:
            magnitude = _found(tensors, path + MAGNITUDE)
            if magnitude.numel() == change.magnitude.numel():  # else `_copy` tells
                magnitude = magnitude.reshape(change.magnitude.shape)
            _copy(change.magnitude, magnitude, name)
    for key, parameter in module.whole.items():
        name = name_of(key)
        _copy(parameter, _found(tensors, _outside(name, root)), name)
    for name, buffer in module.base.named_buffers():
        if _outside(name, root) in tensors:
            _copy(buffer, tensors[_outside(name, root)], name)


def _found(tensors: dict[str, Tensor], name: str) -> Tensor:
    if name not in tensors:
        raise ValueError(f"{WEIGHTS} has no {name!r}, which {CONFIG} asks for. Save it again.")
    return tensors[name]


def _copy(parameter: Tensor, tensor: Tensor, name: str) -> None:
    if parameter.shape != tensor.shape:
        raise ValueError(
            f"{name} has the shape {tuple(tensor.shape)} in the file, but "
            f"{tuple(parameter.shape)} is needed here: it is that of another base, or of another "
            f"r than that of {CONFIG}."
        )
    parameter.copy_(tensor)
