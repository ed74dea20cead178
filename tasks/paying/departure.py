"""From the intent on disk to the first byte of the request: a process that was held up there sends nothing any more.

A laptop sleeps, a process is stopped: meanwhile another one may have taken the work over, seen that the account's
history shows nothing of it, and sent it. So the request's whole time counts from its intent, as others count it, and
right before the first byte leaves it is looked whether it is still early enough, and the work still this process's.
"""

import time

from blocks.errors import Unreachable
from blocks.ledger import LEASE_SECONDS, AttemptRow
from tasks.paying.workbench import Workbench

# What is younger than this need not ask the ledger: the intent has renewed the lease, which lasts many times longer.
FRESH_SECONDS = 1.0


class Departure:
    """One request, from ``begin``, which is called where its intent is written."""

    def __init__(self, bench: Workbench, attempt: AttemptRow) -> None:
        self._bench = bench
        self._attempt = attempt
        self._timeout = bench.settings.request_timeout
        self._wall = self._monotonic = 0.0

    def begin(self) -> None:
        self._wall, self._monotonic = time.time(), time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the intent. One clock stands still while the machine sleeps, the other one may be set."""
        return max(time.time() - self._wall, time.monotonic() - self._monotonic)

    @property
    def seconds_left(self) -> float:
        """How long the exchange may take, so that it has ended when others take it for ended."""
        return max(0.001, self._timeout - self.age)

    async def check(self) -> None:
        """Raise Unreachable, as nothing was sent, where the request must not leave any more."""
        mine = self.age < FRESH_SECONDS or await self._bench.ask(
            self._bench.ledger.may_send, self._attempt.id
        )
        # Last, since the question itself may have taken a while.
        age = self.age
        if not mine or age > min(self._timeout, LEASE_SECONDS) / 2:
            raise Unreachable(
                f"the request was held back: its process stood still for {age:.0f} s after it was written down, so "
                "that another one may have sent it; it is looked at again"
            )
