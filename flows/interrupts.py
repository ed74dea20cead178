"""Ctrl-C and SIGTERM end a run cleanly; a second Ctrl-C ends it at once, and what is paid for is still resumable."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.stopping import StopReason, StopSignal


@contextmanager
def stop_on_signals(stop: StopSignal) -> Iterator[None]:
    """Sets the signal to stop; afterwards the handlers are what they were before."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def interrupt(number: int) -> None:
        stop.set(StopReason.INTERRUPTED)
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)

    for number in before:
        loop.add_signal_handler(number, interrupt, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
