"""A step of low-rank adaptation of SmolLM2 against PEFT's and against full fine-tuning.

Milliseconds of a training step (forward, backward, AdamW) on 8 random texts of 25 tokens, all
linear layers of SmolLM2-135M adapted with r = 8, and the peak memory of two steps in a fresh
process above what it held with the model loaded. Ours runs the module of `LoRAAdapter`; all have
the same model, batch and loss, -log P of each next token. Full fine-tuning and PEFT take
`torch.optim.AdamW` as it comes, and once more in its fused form, which is what ours has.
"""

import torch
from _lora_steps import measure_steps, training_step
from _measure import argument_parser, extra_memory, print_heading, print_target
from _text_models import SMOLLM2, require, weights_of

from sklearn_ext._torch.lora import LoRAModule
from sklearn_ext._torch.low_rank import LoRASettings
from sklearn_ext._torch.random import make_generator

BATCH, LENGTH, R = 8, 25, 8
LAYERS = [f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")]
WAYS = "full", "peft", "full, fused", "peft, fused", "ours", "ours, nf4", "ours, int8"


class Model(torch.nn.Module):
    """SmolLM2 with its loss."""

    def __init__(self):
        super().__init__()
        from transformers import AutoModelForCausalLM

        path = weights_of(SMOLLM2)
        self.model = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32
        )

    def forward(self, tokens):
        return self.model(input_ids=tokens, labels=tokens, use_cache=False).loss


def adapted(model, way):
    """The module to train."""
    if way.startswith("full"):
        return model
    if way.startswith("peft"):
        import peft

        return peft.get_peft_model(model, peft.LoraConfig(r=R, target_modules=LAYERS))
    kind = next((kind for kind in ("nf4", "int8") if kind in way), None)
    settings = LoRASettings(r=R, target_modules=LAYERS, quantization=kind)
    return LoRAModule(model, settings, make_generator(0))


def stepper(model, way):
    """Function that takes one training step; the first one is taken here."""
    module = adapted(model, way).train()
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1000, 20000, (BATCH, LENGTH), generator=generator)
    return training_step(module, lambda: module(tokens), way)


def build(way):
    if way.startswith("peft"):
        import peft  # noqa: F401 - imports do not count
    return Model(), way


def two_steps(model, way):
    return stepper(model, way)()


def peak(way):
    return extra_memory(build, lambda data: None, lambda data: two_steps(*data), way)


def main():
    args = argument_parser(__doc__, repeats=5).parse_args()
    require("transformers", "gguf", "peft", SMOLLM2)
    repeats = 1 if args.quick else args.repeats
    print_heading("A step of LoRA on SmolLM2", args, ("torch", "transformers", "peft"))
    seconds, memory = measure_steps(WAYS, lambda way: stepper(Model(), way), peak, args, repeats)
    full, peft, full_fused, peft_fused = (seconds["ours"] / seconds[way] for way in WAYS[:4])
    quantised = seconds["ours, nf4"] / seconds["ours"]
    print_target(
        f"a step at most 0.60 of full ({full:.2f}; fused {full_fused:.2f}) and 0.85 of PEFT's "
        f"({peft:.2f}; fused {peft_fused:.2f}), NF4 at most 1.10 of without ({quantised:.2f}), "
        "peak memory at most PEFT's",
        full <= 0.60 and peft <= 0.85 and quantised <= 1.10 and memory["ours"] <= memory["peft"],
        args.quick,
    )


if __name__ == "__main__":
    main()
