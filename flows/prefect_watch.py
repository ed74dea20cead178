"""Notices when the Prefect server behind a run is gone, or hangs: nobody waits for it as long as Prefect would."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prefect import get_client
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

# A server that leaves three questions in a row unanswered, each for so long, is gone. One that is only busy is not: it
# answers this question without its database.
ASK_SECONDS = 7.0
ASKS = 3
_PAUSE_SECONDS = 2.0


class PrefectWatch:
    """What is known of the server. Once it is gone, it stays so: a run does not come back to it."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def unless_gone(self, work: asyncio.Future[Any]) -> bool:
        """Waits for ``work``, which may end in an error; False where the server is gone before it has ended."""
        gone = asyncio.create_task(self.gone.wait())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        return work.done()


@asynccontextmanager
async def watched_server() -> AsyncIterator[PrefectWatch]:
    """Asks the server of ``PREFECT_API_URL`` again and again, while the context lasts, whether it is there."""
    watch = PrefectWatch()
    looking = asyncio.create_task(_look(watch))
    try:
        yield watch
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look(watch: PrefectWatch) -> None:
    once = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: ASK_SECONDS}
    with temporary_settings(once):
        async with get_client() as client:
            unanswered = 0
            while unanswered < ASKS:
                asked = time.monotonic()
                problem = await client.api_healthcheck()
                if problem is None or isinstance(problem, httpx.HTTPStatusError):
                    unanswered = 0
                    await asyncio.sleep(_PAUSE_SECONDS)
                else:
                    unanswered += 1
                    # One that refuses connections may be starting anew: it is given the time of one that is silent.
                    await asyncio.sleep(max(0.0, asked + ASK_SECONDS - time.monotonic()))
    watch.gone.set()
