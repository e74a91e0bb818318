"""What the benchmarks of training steps share: a step of each way, and the table of all."""

from contextlib import nullcontext

import torch
from _measure import in_new_process, limit_threads, median_times, print_table

from sklearn_ext._torch.optimizers import AdamW


def training_step(module, loss, way, dropout=nullcontext):
    """Function that takes one training step, in which `loss` is called; the first is taken here.

    Ways that begin with "ours" have our AdamW, others torch's, with "fused" in their names fused.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    is_ours = way.startswith("ours")
    if is_ours:
        optimizer = AdamW([{"params": trained}], lr=1e-4)
    else:
        optimizer = torch.optim.AdamW(trained, lr=1e-4, fused="fused" in way or None)

    def step():
        with dropout():
            found = loss()
        if not is_ours:
            optimizer.zero_grad()
            found.backward()
            optimizer.step()
        else:
            optimizer.step(list(torch.autograd.grad(found, trained)))
        return float(found.detach())

    step.n_trained = sum(p.numel() for p in trained)
    step()
    return step


def measure_steps(ways, make_step, peak, args, repeats):
    """Print a table of all ways, the first of which others are compared with; seconds and MiB."""
    with limit_threads(args.threads):
        torch.set_num_threads(args.threads)
        steps = {way: make_step(way) for way in ways}
        seconds, losses = median_times(steps, repeats)
    memory = {way: in_new_process(peak, way, threads=args.threads) for way in ways}
    print_table(
        ["way", "ms a step", "over full", "trained parameters", "peak MiB", "loss"],
        (
            (
                way,
                f"{1000 * seconds[way]:.0f}",
                f"{seconds[way] / seconds[ways[0]]:.2f}",
                f"{steps[way].n_trained:,}",
                f"{memory[way]:.0f}",
                f"{losses[way]:.4f}",
            )
            for way in ways
        ),
    )
    return seconds, memory
