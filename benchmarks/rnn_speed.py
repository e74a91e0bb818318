"""Speed of recurrent nets: an epoch, the minGRU against torch's cells, length buckets.

Measured: CPU seconds of an epoch of ``RNNClassifier(cell="lstm")`` without convolutions against a
loop written by hand for the same net and batches (aim 1.2); forward and backward of the minGRU at
batch 32 and width 64 against ``nn.LSTM`` (T = 400, aim 0.30) and ``nn.GRU`` (T = 1000, aim a
fifth); an epoch over sequences of 8 to 400 steps in buckets against padding to the longest (aim a
third), with the share of padded steps. Medians of alternating repeats.
"""

import time
from functools import partial

import numpy as np
import torch
from _measure import argument_parser, limit_threads, median_times, print_heading, print_target

from sklearn_ext import RNNClassifier
from sklearn_ext._torch.batches import Ragged, Rows
from sklearn_ext._torch.cells import make_cell
from sklearn_ext._torch.epoch_order import epoch_indices
from sklearn_ext._torch.optimizers import AdamW

cpu_times = partial(median_times, clock=time.process_time)

WIDTH, BATCH = 64, 32
PLAIN = {
    "cell": "lstm",
    "hidden_size": WIDTH,
    "n_members": 1,
    "bidirectional": False,
    "pooling": "mean",
    "stem_channels": 0,
    "dropout": 0.0,
    "learning_rate": "constant",
    "label_smoothing": 0.0,
    "max_grad_norm": None,
    "random_state": 0,
}


class ByHand(torch.nn.Module):
    def __init__(self, n_channels):
        super().__init__()
        self.lstm = torch.nn.LSTM(n_channels, WIDTH)
        self.output = torch.nn.Linear(WIDTH, 1)

    def forward(self, X):
        return self.output(self.lstm(X.transpose(0, 1))[0].mean(0))[:, 0]


def epochs_by_hand(X, y, epochs):
    net = ByHand(X.shape[2])
    optimizer = AdamW(net.parameters(), lr=0.002)
    X, y = torch.from_numpy(X), torch.from_numpy(y.astype(np.float32))
    for _ in range(epochs):
        for index in torch.randperm(len(X)).split(BATCH):
            raw = net(X[index])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(raw, y[index])
            optimizer.step(torch.autograd.grad(loss, list(net.parameters())))


def compare_epoch(args):
    rng = np.random.default_rng(0)
    n_rows, epochs = (128, 2) if args.quick else (1024, 4)
    X, y = rng.normal(size=(n_rows, 100, 8)).astype(np.float32), rng.integers(0, 2, n_rows)
    ours = RNNClassifier(batch_size=BATCH, max_iter=epochs, **PLAIN)
    fits = {"ours": lambda: ours.fit(X, y), "hand": lambda: epochs_by_hand(X, y, epochs)}
    fits["ours"](), fits["hand"]()
    seconds, _ = cpu_times(fits, args.repeats)
    ratio = seconds["ours"] / seconds["hand"]
    print(f"epoch {seconds['ours'] / epochs:.3f} s, by hand {seconds['hand'] / epochs:.3f} s")
    print_target(f"an epoch at most 1.2 of one by hand ({ratio:.2f})", ratio <= 1.2, args.quick)


def both_ways(layer, inputs, gradient):
    parameters = [inputs, *layer.parameters()]
    return lambda: torch.autograd.grad(layer(inputs), parameters, gradient)


class Outputs(torch.nn.Module):
    """A layer without its state."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, inputs):
        if hasattr(self.layer, "initial_state"):
            return self.layer(inputs, self.layer.initial_state(inputs))[0]
        return self.layer(inputs)[0]


def compare_cells(args):
    for n_steps, peer, aim in ((400, torch.nn.LSTM, 0.30), (1000, torch.nn.GRU, 0.20)):
        inputs = torch.randn(n_steps, BATCH, WIDTH, requires_grad=True)
        gradient = torch.randn(n_steps, BATCH, WIDTH)
        cell = make_cell("mingru", WIDTH, WIDTH, torch.Generator(), longest=n_steps).float()
        layers = {"minGRU": Outputs(cell), "peer": Outputs(peer(WIDTH, WIDTH))}
        calls = {name: both_ways(layer, inputs, gradient) for name, layer in layers.items()}
        for call in calls.values():
            call()
        seconds, _ = cpu_times(calls, 3 * args.repeats)
        ratio = seconds["minGRU"] / seconds["peer"]
        name = f"nn.{peer.__name__}"
        print(f"T={n_steps}: minGRU {seconds['minGRU']:.4f} s, {name} {seconds['peer']:.4f} s")
        text = f"minGRU at most {aim:.2f} of {name} at T = {n_steps} ({ratio:.2f})"
        print_target(text, ratio <= aim, args.quick)


def padded_share(lengths):
    """Padded steps over all steps of an epoch in buckets, and of padding to the longest."""
    ragged = Ragged(torch.zeros(int(lengths.sum()), 1), torch.from_numpy(lengths))
    rows = Rows(ragged, torch.zeros(len(lengths)))
    batches = epoch_indices(rows, BATCH, torch.Generator(), members=1, shuffle=True)
    computed = sum(int(ragged.lengths[index].max()) * len(index) for index in batches)
    return 1 - lengths.sum() / computed, 1 - lengths.sum() / (lengths.max() * len(lengths))


def compare_buckets(args):
    rng = np.random.default_rng(0)
    lengths = np.r_[np.exp(rng.uniform(np.log(8), np.log(400), 255 if args.quick else 1023)), 400]
    lengths = lengths.astype(np.int64)
    X = [rng.normal(size=(n, 8)).astype(np.float32) for n in lengths]
    longest = np.full((len(X), lengths.max(), 8), 0.0, dtype=np.float32)
    for row, steps in zip(longest, X, strict=True):
        row[: len(steps)] = steps
    y = rng.integers(0, 2, len(X))
    fits = {
        "buckets": lambda: RNNClassifier(batch_size=BATCH, max_iter=2, **PLAIN).fit(X, y),
        "padded": lambda: RNNClassifier(batch_size=BATCH, max_iter=2, **PLAIN).fit(longest, y),
    }
    fits["buckets"]()
    seconds, _ = cpu_times(fits, args.repeats)
    ratio = seconds["padded"] / seconds["buckets"]
    shares = padded_share(lengths)
    print(f"padded steps: buckets {shares[0]:.1%}, to the longest {shares[1]:.1%}")
    print_target(f"buckets at least 3 times faster ({ratio:.1f})", ratio >= 3, args.quick)


def main():
    args = argument_parser(__doc__).parse_args()
    with limit_threads(args.threads):
        torch.set_num_threads(args.threads)
        print_heading("Speed of recurrent nets", args, ("torch",))
        compare_epoch(args)
        compare_cells(args)
        compare_buckets(args)


if __name__ == "__main__":
    main()
