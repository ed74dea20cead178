"""The account's limits, kept in this process: so many at a time, so many started in any minute."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

from blocks.errors import InvalidInput

Kind = Literal["image", "video"]

# The service counts when a request arrives, not when it leaves; a start that travelled slowly must not share
# its minute with one that travelled fast.
WINDOW_SECONDS = 60.5


class AccountLimits:
    """Shared by everything that submits in one event loop, first come, first served.

    ``max_concurrent`` generations at a time, pictures and clips together; ``images_per_minute`` and
    ``videos_per_minute`` starts in any 60 s. Raises InvalidInput where one of them is below 1.
    """

    def __init__(
        self,
        max_concurrent: int,
        images_per_minute: int,
        videos_per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        for name, value in (
            ("CAMPAIGN_MAX_CONCURRENT", max_concurrent),
            ("CAMPAIGN_IMAGES_PER_MINUTE", images_per_minute),
            ("CAMPAIGN_VIDEOS_PER_MINUTE", videos_per_minute),
        ):
            if value < 1:
                raise InvalidInput(f"{name} is {value}; it has to be at least 1.")
        self._places = asyncio.Semaphore(max_concurrent)
        self._turns: dict[Kind, _Minute] = {
            "image": _Minute(images_per_minute, clock, sleep),
            "video": _Minute(videos_per_minute, clock, sleep),
        }
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Generations that hold a place now."""
        return self._in_flight

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold one of the places for generations at a time, from before the submit until the prediction has
        ended.
        """
        async with self._places:
            self._in_flight += 1
            try:
                yield
            finally:
                self._in_flight -= 1

    async def turn(self, kind: Kind) -> None:
        """Wait until one more generation of this kind may start; returning is the start."""
        await self._turns[kind].turn()

    def pause(self, kind: Kind, seconds: float) -> None:
        """Let nobody of this kind start for so many seconds, those who wait already included."""
        self._turns[kind].pause(seconds)

    def pause_left(self, kind: Kind) -> float:
        """Return for how many seconds nobody of this kind may start; 0 where there is no pause."""
        return self._turns[kind].pause_left()


class _Minute:
    def __init__(
        self, most: int, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._started: deque[float] = deque(maxlen=most)
        self._paused_until = float("-inf")
        # asyncio's lock is fair: whoever came first holds it, the others queue behind.
        self._queue = asyncio.Lock()
        self._clock = clock
        self._sleep = sleep

    async def turn(self) -> None:
        async with self._queue:
            while (wait := self._wait()) > 0:
                await self._sleep(wait)
            self._started.append(self._clock())

    def _wait(self) -> float:
        now = self._clock()
        full = len(self._started) == self._started.maxlen
        window_opens = self._started[0] + WINDOW_SECONDS if full else now
        return max(window_opens, self._paused_until) - now

    def pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def pause_left(self) -> float:
        return max(0.0, self._paused_until - self._clock())
