"""Ctrl-C and SIGTERM where nothing listens: the command ends as by ``kill -9``, with a sentence and exit status 130.

That is safe at any moment: nothing that was paid for is lost, and nothing has to be cleared up that a later run does
not clear up itself. A run that makes something ends more gently: see ``flows.interrupts``.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_INTERRUPTED = 130
_SENTENCE = b"interrupted; run the same command again to continue. Nothing that was paid for is lost\n"


def end_at_once_on_signals() -> None:
    """From now on, until something else listens."""
    for number in SIGNALS:
        signal.signal(number, _end)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """For a while; afterwards the handlers are what they were before."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    end_at_once_on_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(_number: int, _frame: FrameType | None) -> None:
    with suppress(OSError, ValueError, AttributeError):
        # Not through sys.stderr itself, whose lock may be held by what was interrupted.
        os.write(sys.stderr.fileno(), _SENTENCE)
    os._exit(_INTERRUPTED)
