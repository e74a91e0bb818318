"""Which weights are adapted and which are trained whole, by the names a user gives."""

import re
from collections.abc import Iterable, Sequence

from torch import nn

from sklearn_ext._torch.adaptable import Adaptable, adaptable_weights, computed_weights
from sklearn_ext._torch.low_rank import LoRASettings

__all__ = ["chosen_weights", "left_out", "whole_weights"]

MOST_LISTED = 30  # names in an error message


def chosen_weights(module: nn.Module, settings: LoRASettings) -> dict[str, Adaptable]:
    """Find the weights that get a low-rank change.

    Parameters
    ----------
    module : torch.nn.Module
        Base.
    settings : LoRASettings
        Its `target_modules` is "all-linear" for all linear layers, recurrent layers and attention,
        a head whose weight is a table of embeddings excepted; another string for a regular
        expression that has to match the whole name of a module or weight; or a sequence of names. A
        name stands for every weight with it, with it as the end of its name, or inside a module of
        which this holds.

    Returns
    -------
    weights : dict of str to Adaptable
        In the order of the module, without those in `modules_to_save`.

    Raises
    ------
    ValueError
        If nothing is found for `target_modules` or one of its names, or a weight that is no
        parameter.

    Examples
    --------
    >>> from torch import nn
    >>> from sklearn_ext._torch.low_rank import LoRASettings
    >>> from sklearn_ext._torch.targets import chosen_weights
    >>> module = nn.Sequential(nn.Embedding(9, 4), nn.GRU(4, 5), nn.Linear(5, 2))
    >>> list(chosen_weights(module, LoRASettings(target_modules=["0", "weight_hh_l0"])))
    ['0.weight', '1.weight_hh_l0']
    """
    candidates = adaptable_weights(module)
    whole = _inside(module, settings.modules_to_save or (), "modules_to_save")
    computed = computed_weights(module)
    found = _asked_for(settings.target_modules, candidates | computed)
    _check_are_parameters(found & set(computed), computed, settings.modules_to_save or ())
    chosen = {name: candidates[name] for name in candidates if name in found - whole}
    if found and not chosen:
        raise ValueError(
            f"All weights of target_modules={settings.target_modules!r} are those of "
            f"modules_to_save={settings.modules_to_save!r}, which are trained whole. Name others "
            "in one of the two."
        )
    if not chosen:
        raise _nothing(f"target_modules={settings.target_modules!r}", "a weight", candidates)
    return chosen


def _asked_for(targets: str | Sequence[str], candidates: dict[str, Adaptable]) -> set[str]:
    """Names of the candidates that `target_modules` stands for."""
    if targets == "all-linear":
        return {name for name, weight in candidates.items() if weight.is_linear}
    if isinstance(targets, str):
        return {n for n, weight in candidates.items() if _fits(targets, weight.paths)}
    return set().union(*(_named(target, candidates) for target in targets))


def _check_are_parameters(
    found: set[str], computed: dict[str, Adaptable], kept: Sequence[str]
) -> None:
    """Raise an error for computed weights that are not trained whole."""
    for name in sorted(found):
        if not any(_stands_for(target, path) for target in kept for path in computed[name].paths):
            raise ValueError(
                f"{name} is no parameter: the layer computes it of others, as weight_norm, "
                "spectral_norm or pruning lets it, so it cannot have a low-rank change. Take that "
                "off the base, such as by torch.nn.utils.parametrize.remove_parametrizations or "
                "torch.nn.utils.remove_weight_norm, or name other layers in target_modules."
            )


def left_out(module: nn.Module, settings: LoRASettings, layers: Sequence[str]) -> list[str]:
    """Find those of some layers that `target_modules` does not ask for by name.

    Parameters
    ----------
    module : torch.nn.Module
        Base.
    settings : LoRASettings
        With `target_modules`.
    layers : sequence of str
        Their names.

    Returns
    -------
    names : list of str
        All of them for "all-linear".
    """
    if settings.target_modules == "all-linear" or not layers:
        return list(layers)
    chosen = set(chosen_weights(module, settings))
    return [name for name in layers if not chosen & _inside(module, [name], "target_modules")]


def whole_weights(
    module: nn.Module, settings: LoRASettings, adapted: Iterable[Adaptable]
) -> list[str]:
    """Find the parameters that are trained whole: those of `modules_to_save`, and biases.

    Parameters
    ----------
    module : torch.nn.Module
        Base.
    settings : LoRASettings
        With `modules_to_save` and `bias`.
    adapted : iterable of Adaptable
        What gets a low-rank change.

    Returns
    -------
    names : list of str
        In the order of the module.
    """
    adapted = list(adapted)
    whole = _inside(module, settings.modules_to_save or (), "modules_to_save")
    owners = {path.rpartition(".")[0] for weight in adapted for path in weight.paths}
    if settings.bias != "none":
        for name, _ in module.named_parameters():
            owner, _, local = name.rpartition(".")
            if "bias" in local and (settings.bias == "all" or owner in owners):
                whole.add(name)
    return [name for name, _ in module.named_parameters() if name in whole]


def _fits(pattern: str, paths: Sequence[str]) -> bool:
    """Whether a regular expression matches the name of a weight or of its module."""
    names = [name for path in paths for name in (path, path.rpartition(".")[0])]
    try:
        return any(re.fullmatch(pattern, name) for name in names)
    except re.error as error:
        raise ValueError(
            f"target_modules={pattern!r} is no regular expression ({error}). Give names in a list."
        ) from error


def _stands_for(name: str, path: str) -> bool:
    """Whether a name is that of a weight or of a module around it, or the end of one."""
    parts = path.split(".")
    around = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return any(f".{outer}".endswith(f".{name}") for outer in around)


def _named(target: str, candidates: dict[str, Adaptable]) -> set[str]:
    found = {
        name
        for name, weight in candidates.items()
        if any(_stands_for(target, path) for path in weight.paths)
    }
    if not found:
        raise _nothing(f"{target!r} in target_modules", "a weight", candidates)
    return found


def _inside(module: nn.Module, targets: Sequence[str], what: str) -> set[str]:
    """First names of all parameters that names stand for."""
    first = {id(parameter): name for name, parameter in module.named_parameters()}
    found: set[str] = set()
    for target in targets:
        every = module.named_parameters(remove_duplicate=False)
        inside = {first[id(parameter)] for path, parameter in every if _stands_for(target, path)}
        if not inside:
            modules = [path for path, owner in module.named_modules() if path and owner._parameters]
            raise _nothing(f"{target!r} in {what}", "a module with parameters", modules)
        found |= inside
    return found


def _nothing(given: str, what: str, candidates: Iterable[str]) -> ValueError:
    names = list(candidates)
    listed = ", ".join(names[:MOST_LISTED]) + (", ..." if len(names) > MOST_LISTED else "")
    return ValueError(f"{given} does not match {what}. There are: {listed or 'none'}.")
