"""Nets for texts: reading, tokens, architecture and the parts of a batch."""

import os
import struct
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from sklearn_ext._validation import Interval, StrOptions
from sklearn_ext.neural_network._base import BaseNet
from sklearn_ext.neural_network._padded_parts import padded_parts
from sklearn_ext.neural_network._texts import read_texts
from sklearn_ext.neural_network._tokenizer import (
    ByteTokenizer,
    StoredTokenizer,
    trained_tokenizer,
)

__all__ = ["BaseText"]

# Up to so many texts a fit takes full batches: then a weight of 2 is exactly a text given twice.
FULL_BATCH_TEXTS = 64
TOKENS_AT_ONCE = 2**13  # padded tokens that are predicted in one go


@contextmanager
def _naming(model):
    """Say which model cannot be read, and what can be, where reading fails inside."""
    try:
        yield
    except (OSError, ValueError, LookupError, struct.error) as error:
        # What is looked up in a file, and not there, is all that such an error says.
        told = f"{error!r}" if isinstance(error, LookupError) else str(error)
        reason = told.strip().partition("\n")[0].rstrip(".")
        if isinstance(error, OSError) and not Path(model).exists():  # it was taken for a name
            reason = f"there is no such folder or file here, and {reason}"
        raise ValueError(
            f"model={str(model)!r} cannot be read: {reason}. Pass a local folder with config.json, "
            "tokenizer and weights, a .gguf file, or a name on the Hugging Face hub, which needs a "
            "network."
        ) from error


class BaseText(BaseNet):
    """What both estimators of texts do with them.

    A subclass tells what a net makes of tokens. Rows are
    :class:`~sklearn_ext.neural_network._token_rows.TokenRows`. It also has

    - ``_own_epochs`` and ``_own_rate``, how long and how fast a net of our own is trained, the rate
      times `hidden_size`;
    - ``_adapter_rate``, the learning rate of low-rank changes of a pre-trained model;
    - ``_learn_texts(texts)`` to call, before it cuts texts into tokens for a new net;
    - ``_frames_texts``, whether the tokenizer of a pre-trained model puts its special tokens around
      texts;
    - ``_body_name``, the part of the net that a pre-trained model is;
    - ``_trait``, an argument and attribute of that part that only its weights tell, and
      ``_found_trait(body)``, which tries it out, or raises an error for a model of no use.
    """

    _most_rows_seen_to_the_end = 2000
    _parameter_constraints = {
        **{k: v for k, v in BaseNet._parameter_constraints.items() if k != "n_members"},
        "model": [str, os.PathLike, None],
        "tokenizer": [StrOptions({"byte", "bpe"})],
        "vocab_size": [Interval(Integral, 257, None, closed="left")],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "num_layers": [Interval(Integral, 1, None, closed="left")],
        "num_heads": [Interval(Integral, 1, None, closed="left")],
        "gradient_checkpointing": ["boolean"],
        "positions": [StrOptions({"rotary", "learned"})],
        "max_length": [Interval(Integral, 2, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    }

    _makes_net = (
        "model",
        "tokenizer",
        "vocab_size",
        "hidden_size",
        "num_layers",
        "num_heads",
        "positions",
        "max_length",
        "dropout",
    )
    # Whether a net that is built now need not have its weights in memory: an adapter reads them.
    _leaves_weights = False

    @property
    def _is_pretrained(self):
        """Whether `fit` starts from the weights of a pre-trained model."""
        return self.model is not None

    @property
    def _peft_root(self):
        """The model of transformers, which is what PEFT is given."""
        return f"{self._body_name}.model" if self._is_pretrained else ""

    def _read_rows(self, X, *, reset):
        """Give texts as they are; tokens are made of them once the tokenizer is known."""
        texts = read_texts(self, X, reset=reset)
        return replace(texts, dtype=np.dtype(np.float64)) if self.precision == "float64" else texts

    def _learn_texts(self, texts):
        """Set tokenizer and architecture; texts are those of positive weight."""
        self._longest = self.max_length
        if self.model is not None:
            self._read_pretrained()
            return
        if self.tokenizer == "byte":
            self.tokenizer_ = ByteTokenizer()
        else:
            self.tokenizer_ = trained_tokenizer(texts, self.vocab_size)
        self._architecture = self._own_architecture()

    def _learn_inputs(self, rows, y, weights, constant_scale=0.0):
        """All that is to be known was needed for cutting the texts into tokens."""

    def _read_pretrained(self):
        """Set tokenizer and architecture of a pre-trained model."""
        from sklearn_ext._torch.pretrained_files import read_model

        with _naming(self.model):
            config, found = read_model(self.model)
            if found["end"] is None and not self._frames_texts:
                raise ValueError("its tokenizer names no token for the end of a text, eos_token.")
        self._check_sees(found.pop("most"))
        longest = self.max_length if self._frames_texts else None
        self.tokenizer_ = StoredTokenizer(**found, longest=longest, is_framed=self._frames_texts)
        self._architecture = {"config": config, "dropout": self.dropout}

    def _check_sees(self, most):
        if self.max_length > most:
            raise ValueError(
                f"max_length={self.max_length} is more than the {most} tokens that the model "
                "sees at once. Lower it."
            )

    def _build_net(self, generator):
        """Make a new net, and give it the weights of a pre-trained one."""
        super()._build_net(generator)
        if self.model is not None:
            from sklearn_ext._torch.pretrained import most_positions
            from sklearn_ext._torch.pretrained_files import copy_weights, leave_weights

            body = getattr(self.net_.module_, self._body_name)
            self._check_sees(most_positions(body))
            with _naming(self.model):
                around = partial(_naming, self.model)
                if not (self._leaves_weights and leave_weights(body, self.model, around)):
                    copy_weights(body, self.model)
            if not next(body.parameters()).is_meta:
                self._try_out(body)

    def _adapted_module(self, module, generator):
        found = super()._adapted_module(module, generator)
        if "config" in self._architecture and self._trait not in self._architecture:
            with found.frozen_in_place():
                self._try_out(getattr(found, self._body_name))
        return found

    def _try_out(self, body):
        """Find the trait of a pre-trained model, now that its weights are there."""
        found = self._found_trait(body)
        setattr(body, self._trait, found)
        self._architecture = {**self._architecture, self._trait: found}

    def _own_architecture(self):
        """Sizes of a net of our own."""
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} must be a multiple of num_heads={self.num_heads}."
            )
        if self.positions == "rotary" and self.hidden_size // self.num_heads % 2:
            raise ValueError(
                "positions='rotary' needs an even hidden_size / num_heads, got "
                f"{self.hidden_size} / {self.num_heads}. Change these, or set positions='learned'."
            )
        return {
            "n_tokens": self.tokenizer_.n_tokens,
            "width": self.hidden_size,
            "n_layers": self.num_layers,
            "n_heads": self.num_heads,
            "positions": self.positions,
            "longest": self.max_length,
            "dropout": self.dropout,
        }

    def _some_row(self, shape):
        """An empty text, or a row of a table."""
        return np.zeros(shape) if shape else np.array("", dtype=object)

    def _train(self, context, given, data, valid, *, partial, going_on):
        """Train the net, or leave it as it starts where no epoch is asked for."""
        if partial or self.max_iter != 0:
            super()._train(context, given, data, valid, partial=partial, going_on=going_on)
        elif not going_on:
            self._start_only(data[0].dtype)

    def _start_only(self, dtype):
        """Make the net and set the attributes of a run of no epochs."""
        import torch

        from sklearn_ext._torch.parameters import set_dtype
        from sklearn_ext._torch.random import make_generator

        self._build_net(make_generator(self.random_state))
        module = self.net_.module_.train(False)
        set_dtype(module, None, torch.float64 if dtype == np.float64 else torch.float32)
        self.loss_curve_, self.n_iter_, self.t_ = [], 0, 0
        self.loss_ = self.best_loss_ = np.nan
        self.validation_loss_curve_ = self.validation_scores_ = None
        self.best_validation_score_ = None
        self.n_parameters_ = sum(parameter.numel() for parameter in module.parameters())

    def _while_training(self, module):
        """Recompute blocks where that is asked for; an adapted module does so by itself."""
        if not self.gradient_checkpointing or self._adaptation is not None:
            return super()._while_training(module)
        from sklearn_ext._torch.parameters import uncompiled
        from sklearn_ext._torch.recomputation import blocks_of, recomputed_blocks

        plain = uncompiled(module)
        return recomputed_blocks(blocks_of(plain), plain)

    def _training_inputs(self, rows, device, dtype):
        return [part.as_ragged().to(device) for part in rows], lambda batch: batch

    def _prediction_inputs(self, rows, device):
        import torch

        return rows.as_ragged().to(device).take(torch.arange(len(rows), device=device))

    def _tokens_at_once(self):
        """Padded tokens that are looked at in one go."""
        return TOKENS_AT_ONCE

    def _rows_at_once(self, rows):
        return max(1, self._tokens_at_once() // int(rows.lengths.max()))

    def _prediction_parts(self, rows):
        return padded_parts(rows.lengths, self._tokens_at_once())

    def _batch_size(self, n_rows):
        if self.batch_size != "auto":
            return min(self.batch_size, n_rows)
        if n_rows <= FULL_BATCH_TEXTS:
            return n_rows
        return int(min(32, max(8, n_rows / 8)))

    def _epochs(self, rows, steps_an_epoch):
        if self.max_iter != "auto":
            return self.max_iter
        return self._own_epochs if self.model is None else 3

    def _passes(self):
        """As many passes through dask collections as epochs."""
        return self._epochs(None, None)

    def _initial_rate(self):
        if self.learning_rate_init != "auto":
            return self.learning_rate_init
        return self._own_rate / self.hidden_size if self.model is None else 5e-5

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags
