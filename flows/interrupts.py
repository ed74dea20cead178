"""Ctrl-C and SIGTERM end a run cleanly; a second one ends it at once, and what is paid for is still resumable."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from flows.end_at_once import SIGNALS, end_at_once_on_signals
from tasks.stopping import StopReason, StopSignal


@contextmanager
def stop_on_signals(stop: StopSignal) -> Iterator[None]:
    """Sets the signal to stop; afterwards the handlers are what they were before."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def interrupt() -> None:
        stop.set(StopReason.INTERRUPTED)
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        end_at_once_on_signals()

    for number in SIGNALS:
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
