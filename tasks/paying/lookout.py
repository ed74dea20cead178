"""What this process has seen, look by look, of attempts whose answers were lost."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from blocks.ledger import AttemptRow
from tasks.paying.silence import Wait, Watched

_Request = tuple[int, datetime | None]  # an attempt, and when its newest request was written down


@dataclass
class Lookout:
    """By this process's monotonic clock, which stands still with the machine and which nobody sets."""

    # Whether the history was ever seen to show a prediction that had not ended.
    shows_unended: bool = False
    _first: dict[_Request, float] = field(default_factory=dict)
    _looks: dict[_Request, int] = field(default_factory=dict)
    _waits: dict[int, Wait] = field(default_factory=dict)

    def with_this_look(self, attempts: Iterable[AttemptRow], now: float) -> dict[int, Watched]:
        """How long each has been watched, should the look that began at ``now`` show nothing of it either."""
        return {
            one.id: Watched(
                looks=self._looks.get(_request(one), 0) + 1,
                seconds=now - self._first.get(_request(one), now),
            )
            for one in attempts
        }

    def looked(self, attempts: Iterable[AttemptRow], waits: Iterable[Wait], now: float) -> None:
        """Take what the look that began at ``now`` left open."""
        attempts = list(attempts)
        for attempt in attempts:
            self._waits.pop(attempt.id, None)
        self._waits |= {wait.attempt_id: wait for wait in waits}
        for attempt in attempts:
            request, wait = _request(attempt), self._waits.get(attempt.id)
            if wait is not None and wait.silent:
                self._first.setdefault(request, now)
                self._looks[request] = self._looks.get(request, 0) + 1
            else:
                self._first.pop(request, None)
                self._looks.pop(request, None)

    def wait_of(self, attempt: AttemptRow) -> Wait | None:
        """What the attempt waited for at the last look; None before the first one."""
        return self._waits.get(attempt.id)


def _request(attempt: AttemptRow) -> _Request:
    return attempt.id, attempt.intent_at
