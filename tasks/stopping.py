"""How a run ends early: one signal that every wait, and every step that costs money, listens to."""

import asyncio
from enum import StrEnum

from blocks.errors import Stopped


class StopReason(StrEnum):
    INTERRUPTED = "interrupted"
    ACCOUNT_REFUSED = "the account refuses"


class StopSignal:
    """An interrupt ends all work at once; a refusing account only ends new spending: what is paid for is collected.

    The first reason stays, except that an interrupt outranks a refusing account.
    """

    def __init__(self) -> None:
        self.interrupted = asyncio.Event()
        self.reason: StopReason | None = None
        self._detail = ""

    def set(self, reason: StopReason, detail: str = "") -> None:
        if self.reason is None or reason is StopReason.INTERRUPTED:
            self.reason, self._detail = reason, detail
        if reason is StopReason.INTERRUPTED:
            self.interrupted.set()

    def check(self) -> None:
        """Raises Stopped where the run was interrupted."""
        if self.interrupted.is_set():
            self.check_spending()

    def check_spending(self) -> None:
        """Raises Stopped where nothing more is to be paid for."""
        if self.reason is not None:
            detail = f": {self._detail}" if self._detail else ""
            raise Stopped(f"{self.reason}{detail}; run the command again to continue")

    async def sleep(self, seconds: float) -> None:
        """Sleeps, unless the run is interrupted: then raises Stopped at once."""
        self.check()  # a wait of no length would not notice
        try:
            await asyncio.wait_for(self.interrupted.wait(), max(0.0, seconds))
        except TimeoutError:
            return
        self.check()
