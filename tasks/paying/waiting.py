"""Waiting for predictions: one watcher for a whole run, quiet at first, then looking often, at many in one
request.

An unknown status and passing errors keep it waiting. A deadline never loses an id: the prediction goes on
at the service and can be collected later.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from blocks.errors import RateLimited, ServiceError, Stopped, Terminal, Transient
from blocks.limits import Kind
from blocks.wavespeed import ClockSkew, Prediction
from tasks.paying.waiting_schedule import after_failure, first_look, shortest_interval
from tasks.paying.waiting_silence import Silence
from tasks.paying.waiting_state import DeadlinePassed, Look, Waiting, Watched

__all__ = ["DeadlinePassed", "PredictionWatch", "Watched"]

_MANY = 5
_PAGE = 100
_MOST_PAGES = 5
_SINGLE_LOOKS_AT_ONCE = 16
_LEAST_HISTORY_GAP_SECONDS = 0.25
_LONGEST_HISTORY_LOOK_SECONDS = 20.0
_HISTORY_FAILURES = 3
_HISTORY_PAUSE_SECONDS = 60.0
# Between our clock at the submit and the service's at the creation lies at most a slow request.
_SUBMIT_SECONDS = 65.0


class Service(Protocol):
    """The part of the client that is needed to look."""

    @property
    def clock(self) -> ClockSkew: ...

    async def result(self, prediction_id: str) -> Prediction: ...

    async def history(
        self,
        *,
        page: int = ...,
        page_size: int = ...,
        model: str | None = ...,
        created_after: datetime | None = ...,
        created_before: datetime | None = ...,
    ) -> list[Prediction]: ...


class PredictionWatch:
    """One for a run, shared by all who wait, in one event loop.

    ``poll_seconds`` is the shortest time between two looks at one image prediction (video: 2.5 times that).
    ``expected_seconds`` gives for a model how long it takes, as learnt: the seconds within which one in ten
    has ended, and one in two; None where nothing is known. ``now`` is the wall clock. ``note`` is told, in a
    line each, that the service has gone silent and that it is back.
    """

    def __init__(
        self,
        client: Service,
        *,
        poll_seconds: float,
        expected_seconds: Callable[[str], tuple[float, float] | None],
        patience_seconds: float = 900.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._silence = Silence(note)
        self._poll_seconds = poll_seconds
        self._expected_seconds = expected_seconds
        self._patience_seconds = patience_seconds
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self._waiting: set[Waiting] = set()
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._single_looks = asyncio.Semaphore(_SINGLE_LOOKS_AT_ONCE)
        self._history_look: asyncio.Task[None] | None = None
        self._history_gap = max(poll_seconds, _LEAST_HISTORY_GAP_SECONDS)
        self._history_not_before = float("-inf")
        self._history_useless_until = float("-inf")
        self._history_failures = 0
        # Whether the history has shown a prediction before it had ended: not every one may.
        self.history_shows_unended = False

    async def wait(
        self,
        prediction_id: str,
        model_id: str,
        *,
        kind: Kind,
        submitted_at_monotonic: float,
        deadline_seconds: float,
        stop: asyncio.Event | None = None,
        created_at: datetime | None = None,
    ) -> Watched:
        """Return when the prediction has ended, in whatever status.

        ``deadline_seconds`` count from the submit; at least one look is made even where they have passed
        already. ``created_at`` of the submit's answer makes looks through the history exact. Raises
        DeadlinePassed, Stopped once ``stop`` is set, AccountRefused, and NotFound or RequestRefused when
        several looks in a row say so.
        """
        if stop is not None and stop.is_set():
            raise _stopped(prediction_id)
        shortest = shortest_interval(kind, self._poll_seconds)
        usual = self._expected_seconds(model_id)
        waiting = Waiting(
            id=prediction_id,
            model=model_id,
            submitted_at=submitted_at_monotonic,
            deadline_seconds=deadline_seconds,
            shortest=shortest,
            usual=usual,
            created_at=created_at,
            next_look=submitted_at_monotonic + min(first_look(shortest, usual), deadline_seconds),
            seen_running_at=submitted_at_monotonic,
            ended=asyncio.get_running_loop().create_future(),
            patience=self._patience_seconds,
        )
        self._waiting.add(waiting)
        self._wake.set()
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        try:
            await _first_of(waiting.ended, stop)
            if not waiting.ended.done():
                raise _stopped(prediction_id)
            return waiting.ended.result()
        finally:
            self._leave(waiting)

    def _leave(self, waiting: Waiting) -> None:
        self._waiting.discard(waiting)
        if not waiting.ended.cancel() and not waiting.ended.cancelled():
            waiting.ended.exception()  # nobody else reads it where the wait itself was cancelled
        if waiting.single_look is not None:
            waiting.single_look.cancel()
        if not self._waiting:
            self._silence.forget()
            if self._history_look is not None:
                self._history_look.cancel()
        self._wake.set()

    async def _run(self) -> None:
        try:
            while self._waiting:
                self._wake.clear()
                seconds = self._until_next(self._start_looks())
                if seconds is None:
                    await self._wake.wait()
                else:
                    sleeper = asyncio.ensure_future(self._sleep(seconds))
                    try:
                        await _first_of(sleeper, self._wake)
                        if sleeper.done():
                            sleeper.result()
                    finally:
                        sleeper.cancel()
        except Exception as error:  # noqa: BLE001 - a defect here must reach those who wait, not leave them waiting
            for waiting in self._waiting:
                waiting.end_with(error)

    def _until_next(self, look: float | None) -> float | None:
        """Return the seconds to whatever is next: a look, or the moment to tell of a silence."""
        now = self._clock()
        told = self._silence.look(now)
        if told is None:
            return look
        return told - now if look is None else min(look, told - now)

    def _start_looks(self) -> float | None:
        """Start every look that is due; return the seconds to the next, None where only a wake-up can bring
        one.
        """
        now = self._clock()
        idle = [waiting for waiting in self._waiting if waiting.idle and not waiting.ended.done()]
        due = [waiting for waiting in idle if waiting.next_look <= now]
        moments = [waiting.next_look for waiting in idle if waiting.next_look > now]
        soon = sum(waiting.next_look <= now + self._history_gap for waiting in idle)
        if soon <= _MANY or now < self._history_useless_until:
            for waiting in due:
                self._look_at(waiting)
        elif due and self._history_look is None:
            if now >= self._history_not_before:
                self._history_not_before = now + self._history_gap
                self._look_through_history(due)
            else:
                moments.append(self._history_not_before)
        return max(0.0, min(moments) - now) if moments else None

    def _look_at(self, waiting: Waiting) -> None:
        if waiting.single_look is None or waiting.single_look.done():
            waiting.polls += 1
            self._silence.asked(self._clock())
            waiting.single_look = self._started(lambda: self._single(waiting), (waiting,))

    def _look_through_history(self, due: list[Waiting]) -> None:
        for waiting in due:
            waiting.in_history_look = True
        self._silence.asked(self._clock())
        self._history_look = self._started(lambda: self._through_history(due), due)
        self._history_look.add_done_callback(lambda _: self._history_looked(due))

    def _history_looked(self, due: Iterable[Waiting]) -> None:
        self._history_look = None
        for waiting in due:
            waiting.in_history_look = False

    def _started(self, look: Callable[[], Awaitable[None]], of: Iterable[Waiting]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await look()
            except Exception as error:  # noqa: BLE001 - a defect must reach those who wait
                for waiting in of:
                    waiting.end_with(error)

        task = asyncio.create_task(guarded())
        # Later than any other callback of the look, so that the runner sees its whole effect.
        task.add_done_callback(lambda _: asyncio.get_running_loop().call_soon(self._wake.set))
        return task

    async def _single(self, waiting: Waiting) -> None:
        async with self._single_looks:
            started = self._clock()
            try:
                prediction = await self._client.result(waiting.id)
            except ServiceError as error:
                self._heard(error)
                waiting.failed(error, self._clock())
            else:
                self._heard()
                waiting.saw(prediction, self._moments(started))

    def _heard(self, error: ServiceError | TimeoutError | None = None) -> None:
        """Take note of what came of a question: an answer, even one that is no help, or nothing."""
        if error is None or isinstance(error, Terminal | RateLimited):
            self._silence.answered(self._clock())

    def _moments(self, started: float) -> Look:
        return Look(started, self._clock(), self._now(), self._client.clock.likely)

    async def _through_history(self, due: list[Waiting]) -> None:
        due = sorted(due, key=self._created)
        for first in range(0, len(due), _PAGE):
            some = due[first : first + _PAGE]
            for waiting in some:
                waiting.polls += 1
            try:
                async with asyncio.timeout(_LONGEST_HISTORY_LOOK_SECONDS):
                    found = await self._search(some)
            except (ServiceError, TimeoutError) as error:
                self._heard(error)
                self._history_failed(some, error)
                continue
            unseen = [waiting for waiting in some if waiting.id not in found]
            self._history_helped(seen=len(some) - len(unseen))
            for waiting in unseen:
                self._look_at(waiting)
            # Whoever else the page shows is served along with those whose turn it was.
            for waiting in list(self._waiting):
                shown = found.get(waiting.id)
                self.history_shows_unended |= shown is not None and not shown[0].ended
                if shown is None or not (waiting in some or shown[0].ended) or waiting.ended.done():
                    continue
                waiting.polls += waiting not in some
                if waiting.saw_in_history(*shown):
                    self._look_at(waiting)

    async def _search(self, some: list[Waiting]) -> dict[str, tuple[Prediction, Look]]:
        """Return what the history shows of the time in which these were created; more pages only where one
        is full.
        """
        skew, models = self._client.clock, {waiting.model for waiting in some}
        known = all(waiting.created_at is not None for waiting in some)
        early, late = (-1.0, 1.0) if known else (skew.low - _SUBMIT_SECONDS, skew.high + _SUBMIT_SECONDS)
        after = self._created(some[0]) + timedelta(seconds=early)
        before = self._created(some[-1]) + timedelta(seconds=late)
        found: dict[str, tuple[Prediction, Look]] = {}
        for page in range(1, _MOST_PAGES + 1):
            started = self._clock()
            self._silence.asked(started)
            items = await self._client.history(
                page=page,
                page_size=_PAGE,
                model=next(iter(models)) if len(models) == 1 else None,
                created_after=after,
                created_before=before,
            )
            self._heard()
            look = self._moments(started)
            found.update((item.id, (item, look)) for item in items)
            if len(items) < _PAGE or sum(waiting.id not in found for waiting in some) <= _MANY:
                break
        return found

    def _created(self, waiting: Waiting) -> datetime:
        """Return when the service created it; by our own clock where the service has not said so yet."""
        return waiting.created_at or self._now() - timedelta(seconds=self._clock() - waiting.submitted_at)

    def _history_helped(self, *, seen: int) -> None:
        self._history_failures = 0 if seen else self._history_failures + 1
        self._set_history_aside()

    def _history_failed(self, some: list[Waiting], error: ServiceError | TimeoutError) -> None:
        self._history_failures += _HISTORY_FAILURES if isinstance(error, Terminal) else 1
        now = self._clock()
        for waiting in some:
            retry_after = error.retry_after if isinstance(error, Transient) else None
            waiting.look_again(now, now + after_failure(1, waiting.shortest, retry_after, waiting.patience))
        self._set_history_aside()

    def _set_history_aside(self) -> None:
        """Ask a history that keeps failing, or shows none of ours, no more for a while: single looks do its
        work.
        """
        if self._history_failures >= _HISTORY_FAILURES:
            self._history_failures = 0
            self._history_useless_until = self._clock() + _HISTORY_PAUSE_SECONDS


def _stopped(prediction_id: str) -> Stopped:
    return Stopped(
        f"The run is ending while prediction {prediction_id} goes on at the service; run the same command "
        "again to collect it."
    )


async def _first_of(future: asyncio.Future[Any], event: asyncio.Event | None) -> None:
    """Return when the future is done or the event is set; neither is cancelled."""
    if event is None:
        await asyncio.wait({future})
        return
    signal = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({future, signal}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        signal.cancel()
