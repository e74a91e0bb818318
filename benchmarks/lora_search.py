"""A search over ranks on a frozen text encoder: with `cache_frozen`, without, and by PEFT.

`GridSearchCV` over four ranks and five folds, 20 fits of three epochs, adapts the top two layers of
MiniLM to questions of TREC-6 and trains the head. PEFT is what one would write with skorch: a net
around a PEFT model, loaded by every fit, on arrays padded to the longest question. CPU seconds of a
search, scoring included, imports not; the mean accuracy over folds of the best rank.
"""

import time
import warnings

import numpy as np
import torch
from _measure import (
    add_data_argument,
    argument_parser,
    data_folder,
    limit_threads,
    print_heading,
    print_table,
    print_target,
)
from _text_models import MINILM, PlainClassifier, questions, require, token_table, weights_of
from sklearn.model_selection import GridSearchCV

from sklearn_ext import LoRAAdapter, TransformerClassifier

N_ROWS, EPOCHS, BATCH, RATE = 400, 3, 32, 0.002
RANKS, FOLDS = (2, 4, 8, 16), 5
TOP = r"encoder\..*layer\.[45]\..*(query|key|value|dense)"


def ours(texts, labels, cache_frozen):
    """A search over the rank of an adapter."""
    # The rate is constant, as it is in skorch.
    base = TransformerClassifier(
        weights_of(MINILM), learning_rate="constant", max_iter=0, random_state=0
    ).fit(texts, labels)
    settings = {"max_iter": EPOCHS, "batch_size": BATCH, "learning_rate_init": RATE}
    adapter = LoRAAdapter.from_fitted(
        base,
        target_modules=TOP,
        modules_to_save=["head"],
        cache_frozen=cache_frozen,
        random_state=0,
        **settings,
    )
    return GridSearchCV(adapter, {"r": RANKS}, cv=FOLDS, refit=False), texts, labels


class Adapted(torch.nn.Module):
    """PEFT around MiniLM, as a module that skorch can make."""

    def __init__(self, r=8):
        super().__init__()
        import peft

        config = peft.LoraConfig(r=r, lora_alpha=16, target_modules=TOP, modules_to_save=["head"])
        self.model = peft.get_peft_model(PlainClassifier(), config)

    def forward(self, tokens):
        return self.model(tokens)


def peft(texts, labels):
    """The same search with skorch and PEFT."""
    import skorch

    net = skorch.NeuralNetClassifier(
        Adapted,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        lr=RATE,
        batch_size=BATCH,
        max_epochs=EPOCHS,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    numbers = np.unique(labels, return_inverse=True)[1]
    search = GridSearchCV(net, {"module__r": RANKS}, cv=FOLDS, refit=False)
    return search, token_table(texts), numbers


WAYS = {
    "PEFT and skorch": peft,
    "LoRAAdapter": lambda *data: ours(*data, False),
    "LoRAAdapter, cache_frozen": lambda *data: ours(*data, True),
}


def searched(way, data):
    """CPU seconds and best mean accuracy of a search."""
    search, X, y = WAYS[way](*data)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT's and skorch's
        search.fit(X, y)
    return time.process_time() - start, search.best_score_


def main():
    parser = argument_parser(__doc__)
    add_data_argument(parser)
    args = parser.parse_args()
    require("transformers", "peft", MINILM)
    print_heading("20 fits of a search over ranks", args, ("torch", "transformers", "peft"))
    texts, labels = questions(data_folder(args, "text"), "train")
    n_rows = 60 if args.quick else N_ROWS
    rows = np.random.default_rng(0).permutation(len(texts))[:n_rows]
    with limit_threads(args.threads):
        torch.set_num_threads(args.threads)
        found = {way: searched(way, (texts[rows], labels[rows])) for way in WAYS}
    least = found["LoRAAdapter, cache_frozen"][0]
    print_table(
        ("way", "CPU s", "over cached", "accuracy"),
        ((way, f"{s:.0f}", f"{s / least:.2f}", f"{a:.3f}") for way, (s, a) in found.items()),
    )
    over = found["PEFT and skorch"][0] / least
    text = f"with cache_frozen at least 3.5 times less CPU than PEFT ({over:.1f} times)"
    print_target(text, over >= 3.5, args.quick)


if __name__ == "__main__":
    main()
