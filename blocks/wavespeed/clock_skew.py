"""How far the service's clock may be from ours, learnt from the ``Date`` header of its answers."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

# Where nothing is known yet: clocks that nobody sets are minutes off, rarely more.
_UNKNOWN_SECONDS = 300.0
_REMEMBERED = 32


@dataclass(frozen=True)
class ClockSkew:
    """``low <= service_time - local_time <= high``, in seconds; very wide until an answer was seen."""

    low: float = -_UNKNOWN_SECONDS
    high: float = _UNKNOWN_SECONDS
    known: bool = False

    @property
    def likely(self) -> float:
        """Zero where the clocks may agree, since most clocks are set; else the middle of the interval."""
        return 0.0 if self.low <= 0 <= self.high else (self.low + self.high) / 2

    def seen_from(self, now: datetime, *, asked: datetime, told: datetime) -> "ClockSkew":
        """The service's clock less another machine's, such as the ledger's, which said ``now``.

        ``asked`` and ``told`` are this machine's moments just before and just after that one was asked.
        """
        return ClockSkew(
            low=self.low + (asked - now).total_seconds(),
            high=self.high + (told - now).total_seconds(),
            known=self.known,
        )


class SkewObserver:
    """Keeps what the last answers allow."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)

    def learn(self, date: datetime, *, sent: datetime, received: datetime) -> None:
        """``date`` is the header's moment; ``sent`` and ``received`` are local times around the exchange.

        The header was written between the two and names a whole second; servers refresh it once a second and
        may round it, so the true moment is up to one second before it and two seconds after it.
        """
        if received < sent:  # our own clock was set meanwhile: this exchange says nothing
            return
        low = (date - received).total_seconds() - 1
        high = (date - sent).total_seconds() + 2
        self._seen.append((low, high))

    def interval(self) -> ClockSkew:
        """Return what all remembered answers allow; where they contradict each other, what any of them
        does.
        """
        if not self._seen:
            return ClockSkew()
        low, high = max(low for low, _ in self._seen), min(high for _, high in self._seen)
        if low > high:
            low, high = min(low for low, _ in self._seen), max(high for _, high in self._seen)
        return ClockSkew(low=low, high=high, known=True)
