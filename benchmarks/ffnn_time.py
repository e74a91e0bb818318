"""How long a net trains until it is as good as MLPRegressor is at its end.

Measured, on tables of more than 5,000 rows (first split of ``ffnn_quality.py``, at most 10,000
rows): CPU seconds and test R² of ``MLPRegressor`` with scaled columns and target, and CPU seconds
of ``FFNNRegressor()``, from the call of `fit`, until the mean of its members first reaches that
R². The time that looking at the test rows takes is left out; nothing is chosen by them.
"""

import statistics
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
from ffnn_quality import MOST_ROWS, QUICK_ROWS, REGRESSORS, load
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

from sklearn_ext import FFNNRegressor

LARGE = "kin8nm powerplant elevators bike california deliveries cps1988".split()


class Watch(Callback):
    """Notes time and test R² after each epoch."""

    def start(self, model, X, y):
        self.model, self.X, self.y = model, X, y
        self.curve, self.begin = [], time.process_time()

    def on_epoch_end(self, net, **kwargs):
        now = time.process_time()
        net.module_.train(False)
        rows = torch.from_numpy(self.model._read_rows(self.X, reset=False).copy())
        with torch.no_grad():
            standardised = net.module_(rows)[:, : self.model.n_members, 0].mean(dim=1).numpy()
        predicted = standardised * self.model._y_scale + self.model._y_center
        self.curve.append((now - self.begin, r2_score(self.y, predicted)))
        self.begin += time.process_time() - now


def time_to_reach(score, X, X_test, y, y_test):
    """CPU seconds until the score, seconds of the whole fit, and the final score."""
    watch = Watch()
    model = FFNNRegressor(random_state=0, callbacks=[watch])
    watch.start(model, X_test, y_test)
    model.fit(X, y)
    whole = time.process_time() - watch.begin
    reached = [seconds for seconds, found in watch.curve if found >= score]
    return (reached[0] if reached else np.nan), whole, model.score(X_test, y_test)


def rows(folder, most_rows, ratios):
    for name in LARGE:
        X, X_test, y, y_test = train_test_split(
            *load(folder, "reg", name, most_rows), test_size=0.25, random_state=0
        )
        start = time.process_time()
        peer = REGRESSORS["MLP"](0).fit(X, y)
        seconds = time.process_time() - start
        score = peer.score(X_test, y_test)
        reached, whole, final = time_to_reach(score, X, X_test, y, y_test)
        ratios.append(reached / seconds)
        yield [
            name,
            f"{score:.4f}",
            f"{seconds:.1f}",
            f"{reached:.1f}",
            f"{reached / seconds:.2f}",
            f"{final:.4f}",
            f"{whole:.1f}",
        ]


def main():
    parser = argument_parser(__doc__)
    add_data_argument(parser)
    args = parser.parse_args()
    folder = data_folder(args, "tabular")
    warnings.simplefilter("ignore")  # MLPRegressor does not converge in 200 epochs
    with limit_threads(args.threads):
        torch.set_num_threads(args.threads)
        print_heading("Time to the score of MLPRegressor", args, ("torch", "skorch"))
        FFNNRegressor(max_iter=1).fit(np.eye(9), np.arange(9.0))  # imports
        header = ["set", "R² of MLP", "its s", "ours reaches it in", "ratio", "our R²", "in s"]
        ratios = []
        print_table(header, rows(folder, QUICK_ROWS if args.quick else MOST_ROWS, ratios))
        median = statistics.median(ratios)
        print(f"median ratio {median:.2f}\n")
        print_target("median ratio at most 1 (aim 1/3)", median <= 1.0, args.quick)


if __name__ == "__main__":
    main()
