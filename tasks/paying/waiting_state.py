"""One prediction under watch: what the looks at it have shown, and when the next one is due."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from blocks.errors import AccountRefused, CampaignError, ServiceError, Terminal, Transient
from blocks.wavespeed import Prediction
from tasks.paying.waiting_schedule import (
    after_failure,
    detection_delay,
    next_interval,
    patience_with_empty,
)

# A history may show a state that is old: after so long, or half the prediction's age, it is asked itself.
_HISTORY_ALONE_SECONDS = 60.0
# A prediction may not be readable at once everywhere, so "no such prediction" has to be said more than once.
_REFUSED_LOOKS = 5
# Completed without outputs may be a moment between two writes of the service: that is looked at more than once, too,
# however short the time is for which it is looked at.
_EMPTY_LOOKS = 3


class DeadlinePassed(CampaignError):
    """The prediction still runs; its attempt stays resumable."""

    def __init__(self, prediction_id: str, seconds: float) -> None:
        super().__init__(
            f"Prediction {prediction_id} had not ended after {seconds:g} s. It goes on at the service: run "
            "the same command again to collect it free of charge."
        )
        self.prediction_id = prediction_id


@dataclass(frozen=True)
class Watched:
    """How a wait ended. ``polls`` are the looks at it; ``detect_seconds`` run from its end to our knowing
    it.
    """

    prediction: Prediction
    polls: int
    detected_at: datetime
    detect_seconds: float


@dataclass(frozen=True)
class Look:
    """One look's moments: begun and ended by the monotonic clock, ended by the wall clock.

    ``skew`` is how far the service's clock is ahead of ours, in seconds.
    """

    started: float
    ended: float
    ended_at: datetime
    skew: float = 0.0


@dataclass(eq=False)
class Waiting:
    """Moments are of the monotonic clock, durations in seconds. ``ended`` receives the result, or the
    error.
    """

    id: str
    model: str
    submitted_at: float
    deadline_seconds: float
    shortest: float
    usual: tuple[float, float] | None
    created_at: datetime | None
    next_look: float
    seen_running_at: float
    ended: asyncio.Future[Watched]
    # The longest wait between two looks that the service may ask for.
    patience: float = 900.0
    in_history_look: bool = False
    single_look: asyncio.Task[None] | None = None
    polls: int = 0
    failures: int = 0
    refusals: int = 0
    empty_looks: int = 0
    empty_since: float | None = None
    history_alone_since: float | None = None

    @property
    def idle(self) -> bool:
        """Whether no look at it is under way."""
        return not self.in_history_look and (self.single_look is None or self.single_look.done())

    @property
    def deadline_at(self) -> float:
        return self.submitted_at + self.deadline_seconds

    def end_with(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)

    def saw(self, prediction: Prediction, look: Look) -> None:
        """Take what the prediction itself says."""
        self.failures = self.refusals = 0
        self.history_alone_since = None
        if prediction.without_outputs and not self._empty_for_good(look):
            # It has ended, so no deadline is for it.
            self.next_look = look.ended + after_failure(self.empty_looks, self.shortest, None)
            return
        if prediction.ended:
            self._end(prediction, look)
            return
        self._still_running(prediction, look)

    def saw_in_history(self, prediction: Prediction, look: Look) -> bool:
        """Take what the history says of it. True where that is too little: the prediction itself has to be
        asked.
        """
        self.failures = self.refusals = 0
        if prediction.ended:
            if _tells_everything(prediction):
                self._end(prediction, look)
                return False
            # One that was seen without outputs has its own time at which it is asked for them again.
            return self.empty_since is None or look.ended >= self.next_look
        self._still_running(prediction, look)
        if self.history_alone_since is None:
            self.history_alone_since = look.started
        age = look.started - self.submitted_at
        return look.started - self.history_alone_since >= max(_HISTORY_ALONE_SECONDS, age / 2)

    def _empty_for_good(self, look: Look) -> bool:
        """Whether one that has completed went on without outputs for as long as they are waited for."""
        self.empty_looks += 1
        if self.empty_since is None:
            self.empty_since = look.started
        patience = patience_with_empty(self.shortest, self.deadline_seconds)
        return self.empty_looks >= _EMPTY_LOOKS and look.ended - self.empty_since >= patience

    def failed(self, error: ServiceError, now: float) -> None:
        """Take a look that brought no state. Only a refusing account, or a refusal said again and again,
        ends it.
        """
        if isinstance(error, AccountRefused):
            self.end_with(error)
            return
        if isinstance(error, Terminal):
            self.refusals += 1
            if self.refusals >= _REFUSED_LOOKS:
                self.end_with(error)
            # Past the deadline too: one passing word would else be the last one of every later run.
            self.next_look = now + after_failure(self.refusals, self.shortest, None)
            return
        self.failures += 1
        retry_after = error.retry_after if isinstance(error, Transient) else None
        self.look_again(now, now + after_failure(self.failures, self.shortest, retry_after, self.patience))

    def _still_running(self, prediction: Prediction, look: Look) -> None:
        self.created_at = self.created_at or prediction.created_at
        self.seen_running_at = max(self.seen_running_at, look.started)
        interval = next_interval(look.started - self.submitted_at, self.shortest, self.usual)
        self.look_again(look.ended, max(look.started + interval, look.ended))

    def look_again(self, now: float, at: float) -> None:
        """Set the next look, or end the wait where the deadline has passed."""
        if now >= self.deadline_at:
            self.end_with(DeadlinePassed(self.id, self.deadline_seconds))
        self.next_look = min(at, max(self.deadline_at, now))

    def _end(self, prediction: Prediction, look: Look) -> None:
        if self.ended.done():
            return
        began_at = self.submitted_at
        if prediction.created_at is not None:
            age = (look.ended_at - prediction.created_at).total_seconds() + look.skew
            began_at = look.ended - age
        delay = detection_delay(
            look.ended,
            seen_running_at=self.seen_running_at,
            began_at=began_at,
            inference=prediction.inference_seconds,
        )
        self.ended.set_result(Watched(prediction, self.polls, look.ended_at, delay))


def _tells_everything(prediction: Prediction) -> bool:
    """Whether a history's item of an ended prediction needs no second question."""
    if prediction.completed:
        flagged_or_not = len(prediction.has_nsfw_contents) == len(prediction.outputs)
        return bool(prediction.outputs) and flagged_or_not and prediction.inference_seconds is not None
    return bool(prediction.code or prediction.error)
