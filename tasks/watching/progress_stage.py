"""How far one stage of a run is over all briefs, and how long it usually takes. Times are seconds."""

import math
from dataclasses import dataclass, field

from tasks.record import Outcome

COLUMNS = ("made", "cached", "in flight", "waiting", "failed", "held")
# So many stages of a run say more about it than what earlier runs took.
_ENOUGH = 5
_MEDIAN, _MOST = 50, 90


@dataclass
class StageProgress:
    """How far one stage is over all briefs.

    ``usual`` is how many seconds it takes where that is known: within the first, one of two has ended; within the
    second, nine of ten.
    """

    total: int
    usual: tuple[float, float] | None = None
    made: int = 0
    cached: int = 0
    failed: int = 0  # skipped ones too: they will not be made in this run either
    held: int = 0
    started: dict[str, float] = field(default_factory=dict)  # by brief: at work, not sent yet
    in_flight: dict[str, float] = field(default_factory=dict)  # by brief: with the service
    took: list[float] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.made + self.cached

    @property
    def unfinished(self) -> int:
        return max(0, self.total - self.done - self.failed - self.held)

    @property
    def waiting(self) -> int:
        return max(0, self.unfinished - len(self.in_flight))

    @property
    def typical(self) -> tuple[float, float] | None:
        """Seconds from sending to the end, like ``usual``: of this run, once it has seen enough of them."""
        if len(self.took) < _ENOUGH and self.usual is not None:
            return self.usual
        ordered = sorted(self.took)
        return (_percentile(ordered, _MEDIAN), _percentile(ordered, _MOST)) if ordered else None

    def counts(self) -> tuple[int, ...]:
        """Count by COLUMNS."""
        return (self.made, self.cached, len(self.in_flight), self.waiting, self.failed, self.held)


@dataclass(frozen=True)
class EndedStage:
    brief: str
    stage: str
    outcome: Outcome
    charged: int
    seconds: float | None


def _percentile(ordered: list[float], percent: int) -> float:
    """The smallest value that at least ``percent`` of all do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
