"""The seconds of one stage, step by step, across every try of it in this run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from tasks.record import Latency

Step = Literal["queue_s", "upload_s", "submit_s", "inference_s", "detect_s", "download_s"]


class Stopwatch:
    def __init__(self) -> None:
        self.started_at = datetime.now(UTC)
        self.polls = 0
        self.attempts = 0
        self.ended_at: datetime | None = None  # while the stage is at work
        self._started = time.monotonic()
        self._ended: float | None = None
        self._seconds: dict[Step, float] = {}

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Adds the time spent inside to the step, whether it succeeds or not."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.add(step, time.monotonic() - began)

    def add(self, step: Step, seconds: float) -> None:
        self._seconds[step] = self._seconds.get(step, 0.0) + seconds

    def seconds(self, step: Step) -> float | None:
        return self._seconds.get(step)

    def stop(self) -> None:
        """The stage has ended: what is asked later, when the run is written down, is told as of now."""
        self._ended, self.ended_at = time.monotonic(), datetime.now(UTC)

    def latency(self) -> Latency:
        ended = time.monotonic() if self._ended is None else self._ended
        return Latency(
            **self._seconds,
            total_s=ended - self._started,
            polls=self.polls,
            attempts=self.attempts,
        )
