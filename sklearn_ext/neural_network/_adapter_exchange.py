"""Adapters to files of PEFT's and back."""

from pathlib import Path

from sklearn_ext._optional import import_optional
from sklearn_ext._validation import all_or_nothing
from sklearn_ext.neural_network._adapter_fit import ADAPTATION, WATCHED
from sklearn_ext.neural_network._adapter_state import check_same_base, fingerprint_of

__all__ = ["load_adapter", "save_adapter"]

START = "init_lora_weights"
# What the files need not tell: how the base is kept, and how a further fit goes on.
NOT_IN_FILES = "quantization", "gradient_checkpointing", "loraplus_lr_ratio"


def save_adapter(adapter, path):
    """Write the changes of a fitted adapter; see `LoRAAdapter.save_adapter`."""
    import_optional("safetensors", extra="lora", purpose="save_adapter")
    from sklearn_ext._torch.adapter_files import write_adapter
    from sklearn_ext._torch.adapter_state import changed_buffers
    from sklearn_ext._torch.low_rank import LoRASettings

    model, adaptation = adapter._fitted_estimator(), adapter._adaptation()
    module, base = adaptation.module(model), adapter._frozen_base()
    of_base = None if base is None else adaptation.module(adaptation.merged(base))
    write_adapter(
        module,
        LoRASettings(**model._adaptation),
        Path(path),
        root=getattr(model, "_peft_root", ""),
        buffers=changed_buffers(module, of_base),
        notes={
            "loss_curve": [float(loss) for loss in adapter.loss_curve_],
            **{name: model._adaptation[name] for name in ("quantization", START)},
            "fingerprint": fingerprint_of(module, _trained_whole(module)),
        },
    )


def _trained_whole(module):
    """Names of parameters whose values are in the files: those of the base do not matter."""
    from sklearn_ext._torch.shared_copies import name_of

    return [name_of(key) for key in module.whole]


def load_adapter(adapter, path, params):
    """Make a new adapter of a frozen base fitted; see `LoRAAdapter.load_adapter`.

    `params` are those that were given for it by name.
    """
    import_optional("safetensors", extra="lora", purpose="load_adapter")
    import torch

    from sklearn_ext._torch.adapter_files import read_adapter, tensors_into

    base, adaptation = adapter._frozen_base(), adapter._adaptation()
    root = getattr(base, "_peft_root", "")
    _check_not_given(params)
    stored = read_adapter(Path(path), adaptation.module(adaptation.merged(base)), root=root)
    if stored.notes.get(START) == "loftq":
        _check_quantization(adapter, stored.notes["quantization"])
        stored.settings[START] = "loftq"
    with all_or_nothing(adapter), torch.inference_mode(False):
        adapter.set_params(**stored.settings)
        settings = {name: getattr(adapter, name) for name in ADAPTATION}
        adapter.estimator_ = adaptation.adapted(base, settings, adapter._generator())
        if "fingerprint" in stored.notes:
            whole = _trained_whole(adaptation.module(adapter.estimator_))
            check_same_base(stored.notes["fingerprint"], base, adaptation, whole)
        tensors_into(adaptation.module(adapter.estimator_), stored.tensors, root=root)
        adapter._read(adaptation)
        adapter.loss_curve_ = stored.notes.get("loss_curve", [])
        adapter.n_iter_ = len(adapter.loss_curve_)
        for name in WATCHED:  # here they tell of the fit of the base
            vars(adapter).pop(name, None)
    return adapter


def _check_not_given(params):
    """Raise an error if a parameter that the files tell is given besides."""
    told = [f"{k}={v!r}" for k, v in params.items() if k in ADAPTATION and k not in NOT_IN_FILES]
    if told:
        raise ValueError(
            f"{', '.join(told)} cannot be chosen here: the files of the adapter tell it. Leave it "
            "out; use set_params before another fit."
        )


def _check_quantization(adapter, expected):
    """Raise an error if a start that makes up for quantising would meet another base."""
    if adapter.quantization != expected:
        raise ValueError(
            "The adapter was fitted with init_lora_weights='loftq', which belongs to a base of "
            f"quantization={expected!r}, got {adapter.quantization!r}. Pass that."
        )
