"""Sessions with a PostgreSQL server end: it is restarted, somebody ends them, the network drops.

What had certainly not been committed by then is done again on a fresh session, within some patience. Where the answer
to COMMIT was lost, the server is asked what became of the transaction.
"""

import functools
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from blocks.errors import LedgerUnusable

# A server that is restarted is back within that, and long before a run's patience with it is used up.
RECONNECT_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
# The server ended the session, or never began one: class 08, shut down, starting up, idle for too long, full.
_ENDED = ("08", "57P01", "57P02", "57P03", "57P05", "25P03", "53300")

_Result = TypeVar("_Result")
_Method = TypeVar("_Method", bound=Callable[..., Any])


class SessionEnded(LedgerUnusable):
    """Nothing of the transaction was committed, and nothing of it ever will be."""


def is_end_of_session(error: DBAPIError) -> bool:
    """Tell whether the session is gone, rather than the statement refused."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(_ENDED)


def pauses() -> Iterator[float]:
    """Seconds between tries, longer each time."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


class Patience:
    """Does work again whose session ended, for ``seconds`` from the first end on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._here = threading.local()

    def committed(self) -> None:
        """To be told of each commit: work of which a part is written is not done again."""
        self._here.committed = True

    def work(self, work: Callable[[], _Result]) -> _Result:
        """Return what ``work`` does. Work within other work is done again with that, as one."""
        if getattr(self._here, "at_work", False):
            return work()
        self._here.at_work, self._here.committed = True, False
        ends: float | None = None
        try:
            for pause in pauses():
                try:
                    return work()
                except SessionEnded:
                    now = time.monotonic()
                    ends = now + self.seconds if ends is None else ends
                    if self._here.committed or now + pause > ends:
                        raise
                time.sleep(pause)
            raise AssertionError("pauses have no end")
        finally:
            self._here.at_work = False


def on_fresh_sessions(method: _Method) -> _Method:
    """A method of one transaction, done again where its session ended and nothing of it was committed."""

    @functools.wraps(method)
    def patiently(self: Any, *arguments: Any, **keywords: Any) -> Any:
        # What can be read once only is needed again.
        listed = [list(one) if isinstance(one, Iterator) else one for one in arguments]
        named = {name: list(one) if isinstance(one, Iterator) else one for name, one in keywords.items()}
        return self.patience.work(lambda: method(self, *listed, **named))

    return patiently  # type: ignore[return-value] # the same signature, which TypeVars do not say


def make_patient(part: type) -> None:
    """Wrap every public method that the class itself has."""
    for name, method in list(vars(part).items()):
        if not name.startswith("_") and inspect.isfunction(method):
            setattr(part, name, on_fresh_sessions(method))
