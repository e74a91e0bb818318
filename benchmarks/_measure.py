"""Time, memory and tables for the benchmarks: both sides under the same conditions.

Times are wall seconds, or CPU seconds where a script says so, the median over repeats in the order
A B A B, so that a busy moment of the machine falls on both sides. Memory is the peak of a fresh
process above what it held before the measured call. Both run under one limit on the threads of BLAS
and OpenMP.
"""

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import scipy.linalg  # noqa: F401  loads the BLAS of scipy before its threads are limited
import sklearn.ensemble  # noqa: F401  and this the OpenMP runtime
from threadpoolctl import threadpool_limits

import sklearn_ext

MIB = 2**20


def argument_parser(description, repeats=3):
    """Command line with what every benchmark has."""
    parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="of BLAS and OpenMP (default: 1)")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"(default: {repeats})")
    parser.add_argument("--quick", action="store_true", help="smaller, to see that it runs")
    return parser


def add_data_argument(parser):
    """Let the folder with the real data be named."""
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("SKLEARN_EXT_DATA"),
        help="folder of real data, see README.md (default: what SKLEARN_EXT_DATA names)",
    )


def data_folder(args, name):
    """Subfolder of the real data, or an exit that says how to name it."""
    folder = Path(args.data, name) if args.data else None
    if folder is None or not folder.is_dir():
        missing = "no folder was named" if folder is None else f"{folder} is not a folder"
        sys.exit(
            f"This benchmark reads real data from {name}/, but {missing}. Name the folder that "
            f"holds {name}/ by --data DIR or by the environment variable SKLEARN_EXT_DATA."
        )
    return folder


def limit_threads(threads):
    """Limit BLAS and OpenMP in this process from now on."""
    return threadpool_limits(threads)


def timed(function, clock=time.perf_counter):
    """Seconds that a call takes, and what it returns."""
    start = clock()
    result = function()
    return clock() - start, result


def median_times(functions, repeats, clock=time.perf_counter):
    """Median seconds of each function of a dict, called in turn (A B A B), and last results."""
    seconds, results = {name: [] for name in functions}, {}
    for _ in range(repeats):
        for name, function in functions.items():
            results.pop(name, None)  # a result that is kept would be memory on one side only
            elapsed, results[name] = timed(function, clock)
            seconds[name].append(elapsed)
    return {name: statistics.median(values) for name, values in seconds.items()}, results


def in_new_process(function, *args, threads=1):
    """Call a function of the benchmark's own module in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_limited, threads, function, args).result()


def _limited(threads, function, args):
    with threadpool_limits(threads):
        return function(*args)


def extra_memory(build, prepare, run, *args):
    """Peak MiB that ``run`` needs above its data; call it by :func:`in_new_process`.

    Parameters
    ----------
    build : callable
        ``build(*args)`` makes the data.
    prepare : callable
        ``prepare(data)`` calls the same code on little data, so that imports, compiled kernels
        and BLAS buffers are not counted.
    run : callable
        ``run(data)`` is what is measured.
    """
    data = build(*args)
    prepare(data)
    before = reset_peak()
    result = run(data)
    after = peak_memory()
    del result
    return max(after - before, 0.0)


def peak_memory():
    """Peak resident MiB of this process."""
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB
    # ru_maxrss of a child starts at the peak of its parent on Linux; VmHWM does not.
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / MIB


def reset_peak():
    """Forget the peak so far where the system can; return what then counts as the start."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # then a peak that the data's construction left behind hides an equal part of ours
    return peak_memory()


def print_heading(title, args, packages=()):
    """Say what is measured, by which versions and on how many threads."""
    names = ("numpy", "scipy", "scikit-learn", *packages)
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    print(f"## {title}\n")
    print(f"sklearn_ext {sklearn_ext.__version__}, Python {platform.python_version()}, {versions};")
    print(
        f"{args.threads} thread(s) of {os.cpu_count()} cores, {platform.machine()}.\n", flush=True
    )


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def print_table(header, rows):
    """Print a Markdown table; rows may be a generator, each is shown when it is ready."""
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header), flush=True)
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print()


def print_target(text, reached, quick=False):
    """Last line of a benchmark: the target and whether it was reached."""
    verdict = "reached" if reached else "NOT reached"
    note = " (quick settings: not the sizes of the target)" if quick else ""
    print(f"Target: {text}: **{verdict}**{note}.", flush=True)


def digits(found, exact):
    """Smallest number of correct significant digits over coefficients, at most 15."""
    found, exact = np.asarray(found, dtype=np.float64), np.asarray(exact, dtype=np.float64)
    error = np.abs(found - exact) / np.abs(exact)
    with np.errstate(divide="ignore"):
        return float(np.clip(-np.log10(error), 0.0, 15.0).min())
