"""Two dask workers, each a process of its own."""

from contextlib import contextmanager

import pytest


@contextmanager
def two_workers(threads_per_worker=1):
    """Give the client of two worker processes of this machine."""
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=threads_per_worker,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # any free port: test processes run at once
    )
    with cluster, distributed.Client(cluster) as client:
        yield client
