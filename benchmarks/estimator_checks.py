"""All of scikit-learn's estimator checks, over and over, with other seeds, sizes and dtypes.

Measured: how many checks of ``check_estimator`` pass, and CPU seconds of a run. scikit-learn gives
every estimator the seed 0 in its checks; here run i of an estimator gives seed i, and takes the
next of its variants: widths and precision of the feed-forward nets, cells of the recurrent ones.
``precision="float32"`` is not among them: the checks of sample weights compare to 7 digits.
A check that passes by luck shows up. The first row of each estimator is its default with seed 0 in
a process of its own, as a user would run it. For contrast: a plain skorch net, and RealMLP where
pytabkit is installed, one run each. Checks of array API input are skipped by scikit-learn unless
the environment variable ``SCIPY_ARRAY_API`` is 1.

``--estimators`` names some of them; "peers" are the others.
"""

import importlib.util
import statistics
import time
import warnings
from functools import partial
from itertools import cycle, islice
from unittest import SkipTest, mock

import torch
from _measure import (
    argument_parser,
    in_new_process,
    limit_threads,
    print_heading,
    print_table,
    print_target,
)
from sklearn.utils import estimator_checks
from skorch import NeuralNetRegressor

import sklearn_ext

FEED_FORWARD = [
    {},
    {"hidden_layer_sizes": (100,)},
    {"hidden_layer_sizes": (33, 7)},
    {"precision": "float64"},
]
RECURRENT = [{"cell": cell} for cell in ("mingru", "gru", "lstm", "rnn")]
VARIANTS = {
    "FFNNRegressor": FEED_FORWARD,
    "FFNNClassifier": FEED_FORWARD,
    "RNNRegressor": RECURRENT,
    "RNNClassifier": RECURRENT,
    "LoRAAdapter": [{}, {"r": 2}, {"use_dora": True}, {"init_lora_weights": "pissa"}],
}


class Linear(torch.nn.Module):
    """A module for skorch's net."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.LazyLinear(1)

    def forward(self, X):
        return self.layer(X.float()).squeeze(-1)


def peers():
    """Estimators of others by their names."""
    yield "skorch `NeuralNetRegressor`", NeuralNetRegressor(Linear, verbose=0)
    if importlib.util.find_spec("pytabkit") is not None:
        from pytabkit import RealMLP_TD_Regressor

        model = RealMLP_TD_Regressor(device="cpu", n_threads=1, verbosity=0, random_state=0)
        yield "pytabkit `RealMLP_TD_Regressor`", model


def run_checks(estimator, seed):
    """Number of checks, messages of those that failed, number of skipped ones, CPU seconds."""
    seeded = partial(_set_seed, estimator_checks.set_random_state, seed)
    n_checks, failed, n_skipped, start = 0, [], 0, time.process_time()
    with mock.patch.object(estimator_checks, "set_random_state", seeded):
        for model, check in estimator_checks.estimator_checks_generator(estimator):
            n_checks += 1
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    check(model)
            except SkipTest:
                n_skipped += 1
            except Exception as error:
                failed.append(f"{check.func.__name__}: {str(error)[:80]}")
    return n_checks, failed, n_skipped, time.process_time() - start


def _set_seed(set_random_state, seed, estimator, random_state=0):
    set_random_state(estimator, seed)


def one_run(name, settings, seed, n_threads):
    """Run the checks of one variant of ours."""
    torch.set_num_threads(n_threads)
    return run_checks(getattr(sklearn_ext, name)(**settings), seed)


def table(args, names, failures):
    """One row for the default, one for all runs."""
    for name in names:
        default = in_new_process(one_run, name, {}, 0, args.threads, threads=args.threads)
        yield _row(f"`{name}()`", [default], failures)
        n_runs = 2 if args.quick else args.repeats
        variants = enumerate(islice(cycle(VARIANTS[name]), n_runs))
        runs = [one_run(name, settings, seed, args.threads) for seed, settings in variants]
        yield _row(f"`{name}`, {len(VARIANTS[name])} variants", runs, failures)


def _row(title, runs, failures):
    checks, failed, skipped, seconds = zip(*runs, strict=True)
    failures += [f"{title}: {text}" for texts in failed for text in texts]
    n_failed, seconds = sum(map(len, failed)), f"{statistics.median(seconds):.1f}"
    return title, len(runs), sum(checks), n_failed, sum(skipped), seconds


def main():
    parser = argument_parser(__doc__, repeats=20)
    parser.add_argument(
        "--estimators", nargs="*", default=[*VARIANTS, "peers"], help="default: all"
    )
    args = parser.parse_args()
    header = ["estimator", "runs", "checks", "failed", "skipped", "CPU seconds a run"]
    failures = []
    with limit_threads(args.threads):
        print_heading("scikit-learn's checks", args, ("torch", "skorch", "pytabkit"))
        print_table(header, table(args, [n for n in args.estimators if n in VARIANTS], failures))
        if "peers" in args.estimators:
            print_table(header, (_row(name, [run_checks(peer, 0)], []) for name, peer in peers()))
    print("\n".join(failures))
    print_target("no check of ours fails in any run", not failures, args.quick)


if __name__ == "__main__":
    main()
