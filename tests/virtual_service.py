"""A service in virtual time, with a watch that waits for its predictions."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from blocks.errors import NotFound
from blocks.limits import Kind
from blocks.wavespeed import ClockSkew, Prediction
from tasks.paying.waiting import PredictionWatch, Watched

EPOCH = datetime(2026, 11, 6, 8, 0, tzinfo=UTC)
FOREVER = 1e9


def now() -> datetime:
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


def clock() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Running:
    id: str
    model: str
    created: float
    ends: float
    queued: float = 0.0
    status: str = "completed"


class Service:
    """A service in virtual time. ``trouble`` may raise instead of an answer, by the call's name."""

    def __init__(
        self,
        *,
        round_trip: float = 0.05,
        trouble: Callable[[str], None] = lambda _: None,
        history_item: Callable[[Prediction], Prediction | None] = lambda item: item,
        result_item: Callable[[Prediction], Prediction] = lambda item: item,
        skew: float = 0.0,
    ) -> None:
        self.running: dict[str, Running] = {}
        self.round_trip = round_trip
        self.trouble = trouble
        self.history_item = history_item
        self.result_item = result_item
        self.skew = skew
        self.calls: Counter[str] = Counter()
        self.looks: list[tuple[str, float, str]] = []

    @property
    def clock(self) -> ClockSkew:
        return ClockSkew(self.skew - 1, self.skew + 1, known=True)

    def start(self, number: int, seconds: float, model: str = "m/edit", **more: Any) -> Running:
        running = Running(f"{number:032x}", model, clock(), clock() + seconds, **more)
        self.running[running.id] = running
        return running

    def _shown(self, running: Running) -> Prediction:
        ended = clock() >= running.ends
        outputs = ("https://cdn.example/1.png",) if ended and running.status == "completed" else ()
        return Prediction(
            id=running.id,
            model=running.model,
            status=running.status if ended else "processing",
            outputs=outputs,
            has_nsfw_contents=(False,) * len(outputs),
            created_at=EPOCH + timedelta(seconds=running.created + self.skew),
            inference_seconds=running.ends - running.created - running.queued if ended else None,
            code=1403 if ended and running.status == "failed" else 0,
        )

    async def result(self, prediction_id: str) -> Prediction:
        self.calls["result"] += 1
        self.looks.append(("result", clock(), prediction_id))
        await asyncio.sleep(self.round_trip / 2)
        self.trouble("result")
        if prediction_id not in self.running:
            raise NotFound("no such prediction")
        shown = self.result_item(self._shown(self.running[prediction_id]))
        await asyncio.sleep(self.round_trip / 2)
        return shown

    async def history(
        self,
        *,
        page: int = 1,
        page_size: int = 100,
        model: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> list[Prediction]:
        self.calls["history"] += 1
        self.looks.append(("history", clock(), ""))
        await asyncio.sleep(self.round_trip / 2)
        self.trouble("history")
        found = [self._shown(item) for item in self.running.values() if model in (None, item.model)]
        found = [
            item
            for item in found
            if item.created_at is not None
            and (created_after is None or item.created_at >= created_after)
            and (created_before is None or item.created_at <= created_before)
        ]
        found.sort(key=lambda item: item.created_at or EPOCH, reverse=True)
        items = [self.history_item(item) for item in found[(page - 1) * page_size : page * page_size]]
        await asyncio.sleep(self.round_trip / 2)
        return [item for item in items if item is not None]


def watch_of(
    service: Service,
    *,
    poll: float = 2.0,
    usual: tuple[float, float] | None = None,
    note: Callable[[str], None] = lambda _: None,
    patience_seconds: float = 900,
) -> PredictionWatch:
    return PredictionWatch(
        service,
        poll_seconds=poll,
        expected_seconds=lambda _: usual,
        patience_seconds=patience_seconds,
        clock=clock,
        sleep=asyncio.sleep,
        now=now,
        note=note,
    )


async def wait(
    watch: PredictionWatch,
    running: Running,
    *,
    kind: Kind = "image",
    deadline: float = FOREVER,
    stop: asyncio.Event | None = None,
    created_known: bool = True,
    skew: float = 0.0,
) -> tuple[Watched, float]:
    """Return the end as watched, and when it was known."""
    watched = await watch.wait(
        running.id,
        running.model,
        kind=kind,
        submitted_at_monotonic=running.created,
        deadline_seconds=deadline,
        stop=stop,
        created_at=EPOCH + timedelta(seconds=running.created + skew) if created_known else None,
    )
    return watched, clock()
