"""One adapted module that several threads use at the same time."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier, Event, Thread

import pytest

torch = pytest.importorskip("torch")

from lora_bases import (  # noqa: E402
    VARIANTS,
    adapt,
    bits,
    every_kind,
    every_variant,
    make_base,
    shake,
)
from torch import nn  # noqa: E402

from sklearn_ext._torch.shared_change import SharedChange  # noqa: E402

TIMEOUT = 20


class Pause(nn.Module):
    """Does something else in the middle of a forward pass."""

    def __init__(self):
        super().__init__()
        self.what = []

    def forward(self, inputs):
        for what in self.what:
            what()
        return inputs

    def __deepcopy__(self, memo):
        return self


def paused(kind):
    """A module of a kind behind a pause, its inputs, and what pauses."""
    base, inputs = make_base(kind)
    pause = Pause()
    return nn.Sequential(pause, base), inputs, pause


@every_kind
@every_variant
@torch.no_grad()
def test_threads_that_predict_at_once_see_the_changed_weights(kind, variant):
    base, inputs, pause = paused(kind)
    module = shake(adapt(base, **VARIANTS[variant])).eval()
    expected, before = module(inputs), bits(module)
    meeting = Barrier(2, timeout=TIMEOUT)
    pause.what.append(meeting.wait)  # both are in the middle at the same time

    def predicted(_):
        with torch.no_grad():
            return module(inputs)

    with ThreadPoolExecutor(2) as threads:
        assert all(torch.equal(found, expected) for found in threads.map(predicted, range(8)))
    assert all(torch.equal(value, before[name]) for name, value in bits(module).items())


@every_kind
def test_a_gradient_waits_for_a_prediction(kind):
    base, inputs, pause = paused(kind)
    module = shake(adapt(base)).eval()
    with torch.no_grad():
        outputs = module(inputs)
    expected = torch.autograd.grad(module(inputs).sum(), list(module.parameters()))
    inside, asked = Event(), Event()

    def predicted():
        pause.what[:] = [inside.set, lambda: asked.wait(TIMEOUT), lambda: asked.wait(0.05)]
        with torch.no_grad():
            return module(inputs)

    def gradients():
        inside.wait(TIMEOUT)
        pause.what.clear()
        asked.set()
        return torch.autograd.grad(module(inputs).sum(), list(module.parameters()))

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(predicted), threads.submit(gradients)
        assert torch.equal(first.result(TIMEOUT), outputs)
        assert all(map(torch.equal, second.result(TIMEOUT), expected))


@torch.no_grad()
def test_a_thread_that_comes_later_sees_weights_that_moved_meanwhile():
    base, inputs, pause = paused("linear")
    module = adapt(base).eval()
    inside, moved = Event(), Event()
    pause.what[:] = [inside.set, lambda: moved.wait(TIMEOUT)]

    def predicted():
        with torch.no_grad():
            return module(inputs)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(predicted)
        inside.wait(TIMEOUT)
        shake(module)
        second = threads.submit(predicted)
        moved.set()
        assert torch.equal(first.result(TIMEOUT), base(inputs))
        found = second.result(TIMEOUT)
    assert torch.equal(found, module(inputs))
    assert not torch.equal(found, base(inputs))


def test_a_thread_that_waits_to_be_alone_gets_in_while_others_keep_coming():
    shared, over = SharedChange(), Event()
    begun = Barrier(4)

    def keeps_coming():
        begun.wait()
        while not over.is_set():
            with shared.made(ExitStack, "same"):
                time.sleep(0.001)

    def gets_in():
        for _ in range(20):
            with shared.made(ExitStack):
                pass

    threads = [Thread(target=keeps_coming) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    alone = Thread(target=gets_in, daemon=True)
    alone.start()
    alone.join(TIMEOUT)
    got_in = not alone.is_alive()
    over.set()
    for thread in threads:
        thread.join(TIMEOUT)
    assert got_in


def test_a_thread_does_not_wait_for_itself():
    shared = SharedChange()
    with shared.made(ExitStack, "same"):
        with shared.made(ExitStack, "same"):
            pass
        with (
            pytest.raises(RuntimeError, match="in the middle of a prediction"),
            shared.made(ExitStack),
        ):
            pass
    with shared.made(ExitStack), shared.made(ExitStack), shared.made(ExitStack, "other"):
        pass
