"""The worker processes that render, so that the service goes on answering."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from simulator.worker import Made, Order, fulfil, start

_WORKERS = 2
_TRIES = 3


class Renderer(Protocol):
    """Whoever turns orders into outputs."""

    async def render(self, order: Order) -> list[Made]: ...

    def close(self) -> None: ...


class Studio:
    """Two processes, started when the first order comes; they end with this process, however it ends."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._worker_end, self._own_end = self._context.Pipe(duplex=False)
        self._pool = self._new_pool()
        self._closed = False

    async def render(self, order: Order) -> list[Made]:
        """Raises MediaRejected where an input is not what the model takes. A worker that dies is replaced."""
        for remaining in reversed(range(_TRIES)):
            pool = self._pool
            try:
                return await asyncio.get_running_loop().run_in_executor(pool, fulfil, order)
            except BrokenProcessPool:
                if self._closed or not remaining:
                    raise
                if self._pool is pool:
                    pool.shutdown(wait=False)
                    self._pool = self._new_pool()
        raise AssertionError("the loop above returns or raises")

    def close(self) -> None:
        """Stops the workers at once; what they were rendering is rendered again by the next service."""
        self._closed = True
        self._own_end.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._worker_end.close()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            _WORKERS, mp_context=self._context, initializer=start, initargs=(self._worker_end,)
        )
