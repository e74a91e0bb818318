"""Files of pre-trained models of the package transformers: configuration, tokenizer, weights.

What is pickled of a model is its configuration, as JSON, and its weights. What transformers prints
is left as it was.
"""

import inspect
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_ext._optional import import_optional
from sklearn_ext._torch.weight_files import dequantized_rows, leave_in_files, safetensors_readers

__all__ = ["copy_weights", "leave_weights", "left_out_layers", "quiet_transformers", "read_model"]

Tensor = torch.Tensor

_lock = threading.Lock()


def _transformers() -> Any:
    return import_optional("transformers", extra="transformers", purpose="A pre-trained model")


@contextmanager
def quiet_transformers() -> Iterator[Any]:
    """Keep transformers from printing inside the block; its settings are those of before after."""
    transformers = _transformers()
    logging = transformers.utils.logging
    with _lock:
        level = logging.get_verbosity()
        logging.set_verbosity_error()
        # The reader of GGUF has a bar of its own, which the switch of the others does not reach.
        # The function that turns that switch turns the hub's too, and none tells how that was.
        reader = import_module("transformers.modeling_gguf_pytorch_utils")
        no_bar = _replaced(reader, tqdm=lambda items, *args, **options: items)
        try:
            with no_bar, _replaced(logging, _tqdm_active=False):
                yield transformers
        finally:
            logging.set_verbosity(level)


@contextmanager
def _replaced(module: Any, **functions: Any) -> Iterator[None]:
    """Put functions in the place of those of a module inside the block."""
    before = {name: vars(module)[name] for name in functions if name in vars(module)}
    vars(module).update(functions)
    try:
        yield
    finally:
        for name in functions:
            del vars(module)[name]
        vars(module).update(before)


@contextmanager
def _reading(model: Any) -> Iterator[Any]:
    """Be quiet, and parse a file in GGUF only once inside the block.

    transformers parses it, and lists the names of its tensors, for each thing that it wants to
    know: that took 22 s for a model of 135 million parameters, and takes 12 s so.
    """
    with quiet_transformers() as transformers:
        if not Path(model).is_file() or find_spec("gguf") is None:
            yield transformers
            return
        gguf = import_module("gguf")
        parts = {name: cache(vars(gguf)[name]) for name in ("GGUFReader", "get_tensor_name_map")}
        with _replaced(gguf, **parts):
            yield transformers


def _source(model: Any) -> tuple[str, dict[str, Any]]:
    """Arguments of ``from_pretrained`` for a folder, a GGUF file or a name."""
    path = Path(model)
    if path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    if not path.is_dir() and (not isinstance(model, str) or _is_no_name(model)):
        raise ValueError("it is neither a folder nor a file in GGUF.")
    return str(model), {}


def _is_no_name(model: str) -> bool:
    """Tell paths from names on the hub, such as "owner/name": nobody is to wait for a network."""
    starts = model.startswith((".", "~", "/")) or Path(model).is_absolute()
    return starts or model.count("/") > 1 or "\\" in model or model.endswith(".gguf")


def read_model(model: Any) -> tuple[str, dict[str, Any]]:
    """Read the configuration of a model, all of its dropout set to 0, and its tokenizer.

    Parameters
    ----------
    model : str or os.PathLike
        Folder, file in GGUF, or name.

    Returns
    -------
    config : str
        JSON.
    found : dict
        "definition" of the tokenizer, JSON of the package tokenizers; "n_tokens", those that the
        model knows; "start" and "end", tokens of both ends of a text, None where the tokenizer
        names none; "most", the tokens that the model can see at once.
    """
    where, options = _source(model)
    with _reading(model) as transformers:
        settings = transformers.AutoConfig.from_pretrained(where, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
    if not tokenizer.is_fast:
        raise ValueError("it has no fast tokenizer, a file tokenizer.json.")
    # Without its files, transformers makes one that knows the special tokens, at most a space too.
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens) - {"▁"}) == 0:
        raise ValueError("it has no vocabulary: files of the tokenizer are missing.")
    found = _described(tokenizer)
    # A tokenizer may have got tokens that the model did not.
    known = getattr(settings.get_text_config(), "vocab_size", len(tokenizer))
    found["n_tokens"] = min(len(tokenizer), known)
    positions = getattr(settings, "max_position_embeddings", None)  # whatever the file calls it
    if isinstance(positions, int) and positions > 0:
        found["most"] = min(found["most"], positions)
    return _without_dropout(settings.to_dict()), found


def _without_dropout(config: dict[str, Any]) -> str:
    # Theirs draws from the global generator; a SeededDropout takes its place.
    config = {
        key: 0.0 if "drop" in key and isinstance(value, float) else value
        for key, value in config.items()
        if key != "_name_or_path"
    }
    return json.dumps(config)


def _described(tokenizer: Any) -> dict[str, Any]:
    names = ("bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id")
    ids = [getattr(tokenizer, name) for name in names]
    start = next((number for number in ids if number is not None), None)
    end = next((number for number in (ids[2], ids[3], start) if number is not None), None)
    return {
        "definition": tokenizer.backend_tokenizer.to_str(),
        "start": start,
        "end": end,
        "most": tokenizer.model_max_length,
    }


def left_out_layers(cls: Any) -> dict[str, bool]:
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

    Raises
    ------
    ValueError
        If some weights are not there.
    """
    where, options = _source(model)
    inner: Any = body.model
    cls = type(inner)
    options |= {"dtype": torch.float32, "output_loading_info": True, **left_out_layers(cls)}
    # What is missing is drawn from the global generator.
    with _reading(model), _torn_files(), torch.random.fork_rng(devices=[]):
        source, found = cls.from_pretrained(where, **options)
    missing = set(found["missing_keys"])
    needed = sorted(name for name in missing if "pooler" not in name)  # nothing here uses that
    if needed:
        raise ValueError(
            f"its weights {', '.join(needed[:5])}{' and more' * (len(needed) > 5)} are not in the "
            "files; a language model needs its head, an encoder is for TransformerClassifier."
        )
    kept = {name: weight for name, weight in source.state_dict().items() if name not in missing}
    inner.load_state_dict(kept, strict=False)


@contextmanager
def _torn_files() -> Iterator[None]:
    """Tell of files that are damaged as of any that cannot be read."""
    from safetensors import SafetensorError

    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (SafetensorError, RuntimeError, UnpicklingError) as error:
        raise ValueError(f"its weights are torn, or those of another model: {error}") from error


def leave_weights(
    body: nn.Module, model: Any, around: Callable[[], AbstractContextManager[None]]
) -> bool:
    """Let the weights of a body stay in the files of a pre-trained model until they are needed.

    Parameters
    ----------
    body : PretrainedCausal or PretrainedEncoder
        Its parameters get no memory; :func:`sklearn_ext._torch.weight_files.loaded` reads them.
    model : str or os.PathLike
        Folder, or file in GGUF. Only the first with weights in safetensors can do that.
    around : callable
        Makes a context in which each weight is read.

    Returns
    -------
    are_left : bool
        False, and nothing is changed, where single weights cannot be read.
    """
    inner: Any = body.model
    path = Path(model)
    with _torn_files():
        readers = _gguf_readers(path, inner) if path.is_file() else safetensors_readers(path)
    within = {name: partial(_read_within, around, read) for name, read in readers.items()}
    return leave_in_files(inner, within, ("", f"{inner.base_model_prefix}."))


def _read_within(
    around: Callable[[], AbstractContextManager[None]], read: Callable[[], Tensor]
) -> Tensor:
    with around(), _torn_files():
        return read()


def _gguf_readers(path: Path, inner: Any) -> dict[str, Any]:
    """Find the weights of a file in GGUF by the names that they have in a model."""
    with _reading(path):
        known = import_module("transformers.modeling_gguf_pytorch_utils")
        file = import_module("gguf").GGUFReader(path)
        (kind,) = known.read_field(file, "general.architecture")
        processor = known.TENSOR_PROCESSORS.get(kind, known.TensorProcessor)(
            config=inner.config.to_dict()
        )
        names = known.get_gguf_hf_weights_map(inner, processor)

    def read(tensor: Any) -> Tensor:
        found = processor.process(
            weights=dequantized_rows(_stored_values(path, tensor), tensor.tensor_type),
            name=tensor.name,
            tensor_key_mapping=names,
            parsed_parameters={"tensors": {}},
        )
        return torch.from_numpy(np.ascontiguousarray(found.weights))

    return {names[t.name]: partial(read, t) for t in file.tensors if t.name in names}


def _stored_values(path: Path, tensor: Any) -> np.ndarray:
    """Read a tensor of a file in GGUF as it is stored.

    What has been read of the mapped file, which the reader gives, would stay resident.
    """
    mapped: np.ndarray = tensor.data
    found = np.fromfile(path, mapped.dtype, mapped.size, offset=int(tensor.data_offset))
    return found.reshape(mapped.shape)
