"""How far a run is, as the flow tells it; ``tasks.progress`` shows it.

Amounts are millionths of a dollar, times seconds. All methods may be called from any thread.
"""

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from blocks.money import dollars_text
from tasks.exports import duration_text, visible
from tasks.record import Outcome

COLUMNS = ("done", "in flight", "waiting", "failed", "held")
_DONE = {Outcome.GENERATED, Outcome.CACHED, Outcome.RESUMED}


@dataclass
class StageProgress:
    """How far one stage is over all briefs. ``usual`` is how many seconds it takes, where that is known."""

    total: int
    usual: float | None = None
    done: int = 0
    failed: int = 0  # skipped ones too: they will not be made in this run either
    held: int = 0
    started: dict[str, float] = field(default_factory=dict)  # by brief: at work, not sent yet
    in_flight: dict[str, float] = field(default_factory=dict)  # by brief: with the service
    took: list[float] = field(default_factory=list)

    @property
    def unfinished(self) -> int:
        return max(0, self.total - self.done - self.failed - self.held)

    @property
    def waiting(self) -> int:
        return max(0, self.unfinished - len(self.in_flight))

    @property
    def typical(self) -> float | None:
        """Seconds from sending to the end: the median of this run's, else what was learnt before."""
        return statistics.median(self.took) if self.took else self.usual

    def counts(self) -> tuple[int, ...]:
        """Count by COLUMNS."""
        return (self.done, len(self.in_flight), self.waiting, self.failed, self.held)


@dataclass(frozen=True)
class EndedStage:
    brief: str
    stage: str
    outcome: Outcome
    charged: int
    seconds: float | None


class RunProgress:
    """The calls by which the flow tells how far it is. This class keeps count; its children show it.

    What they show is drawn outside the lock: a terminal library draws from a thread of its own, under a lock
    of its own, and two locks taken in both orders would stop the run.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self._began = clock()
        self._at_once = 1
        self._charged = 0
        self._spent: int | None = None
        self._finished = False
        self.stages: dict[str, StageProgress] = {}
        self.campaign = "campaign"
        self.simulated = False
        self.planned = 0
        self.cap: int | None = None

    def start(
        self,
        total_by_stage: Mapping[str, int],
        planned: int,
        cap: int | None,
        *,
        campaign: str = "campaign",
        simulated: bool = False,
        usual_seconds: Mapping[str, float] | None = None,
        at_once: int = 1,
    ) -> None:
        """Open the view. ``usual_seconds`` is by stage; ``at_once`` how many the account runs together."""
        usual = usual_seconds or {}
        with self.lock:
            self._began = self.clock()
            self.stages = {name: StageProgress(n, usual.get(name)) for name, n in total_by_stage.items()}
            self.planned, self.cap, self.campaign = planned, cap, visible(campaign)
            self.simulated, self._at_once = simulated, max(1, at_once)
        self.opened()

    def stage_started(self, brief: str, stage: str) -> None:
        with self.lock:
            self.stages[stage].started[brief] = self.clock()

    def stage_submitted(self, brief: str, stage: str) -> None:
        """Note that the service has it: accepted just now, or found there from an earlier run."""
        with self.lock:
            self.stages[stage].in_flight.setdefault(brief, self.clock())

    def stage_ended(self, brief: str, stage: str, outcome: Outcome, charged: int) -> None:
        """Note how a stage ended; also one that never started, such as a cached or a skipped one."""
        with self.lock:
            progress = self.stages[stage]
            started = progress.started.pop(brief, None)
            began = progress.in_flight.pop(brief, started)
            seconds = None if began is None else self.clock() - began
            if outcome in _DONE:
                progress.done += 1
            elif outcome is Outcome.HELD:
                progress.held += 1
            else:
                progress.failed += 1
            # Only work that this run saw from beginning to end tells how long such work takes.
            if outcome is Outcome.GENERATED and seconds is not None:
                progress.took.append(seconds)
            self._charged += charged
        self.stage_line(EndedStage(visible(brief), stage, outcome, charged, seconds))

    def spent(self, amount: int) -> None:
        """Say what the run has spent in all so far, as the ledger has it; from then on that is shown."""
        with self.lock:
            self._spent = amount

    def note(self, text: str) -> None:
        """Show a line that stays."""
        self.line(visible(text))

    def finish(self, text: str = "") -> None:
        """Close the view, with a last line where one is given. Calling it again does nothing."""
        with self.lock:
            if self._finished:
                return
            self._finished = True
        self.closed(visible(text))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def opened(self) -> None:
        """Show that the run begins."""

    def stage_line(self, ended: EndedStage) -> None:
        """Show that a stage ended."""

    def line(self, text: str) -> None:
        """Show one line of text."""

    def closed(self, text: str) -> None:
        """Show how the run ended."""

    @property
    def elapsed(self) -> float:
        return self.clock() - self._began

    @property
    def total(self) -> int:
        return sum(stage.total for stage in self.stages.values())

    @property
    def unfinished(self) -> int:
        return sum(stage.unfinished for stage in self.stages.values())

    @property
    def spent_so_far(self) -> int:
        return self._charged if self._spent is None else self._spent

    def time_left(self) -> float | None:
        """Estimate the seconds left; None where a stage that is yet to come has never been timed.

        Two bounds, of which the later holds: the work that is left, spread over what may run at once, and the
        longest chain of stages that a brief may still have before it.
        """
        with self.lock:
            now, work, chain = self.clock(), 0.0, 0.0
            for stage in self.stages.values():
                if not stage.unfinished:
                    continue
                typical = stage.typical
                if typical is None:
                    return None
                # What has passed its usual time may end at any moment.
                rests = [max(0.0, typical - (now - began)) for began in stage.in_flight.values()]
                work += sum(rests) + stage.waiting * typical
                chain += typical if stage.waiting else max(rests, default=0.0)
            return max(chain, work / self._at_once)

    def title(self) -> str:
        return f"{self.campaign} (simulated)" if self.simulated else self.campaign

    def money(self) -> str:
        cap = "no cap" if self.cap is None else f"cap ${dollars_text(self.cap)}"
        spent = f"{'simulated ' if self.simulated else ''}spent ${dollars_text(self.spent_so_far)}"
        return f"{spent} of ${dollars_text(self.planned)} planned, {cap}"

    def times(self) -> str:
        elapsed = f"{duration_text(self.elapsed)} elapsed"
        if self._finished or not self.unfinished:
            return elapsed
        left = self.time_left()
        return f"{elapsed}, " + (
            "time left not known yet" if left is None else f"about {duration_text(left)} left"
        )

    def summary(self) -> str:
        """Say in one line of plain text where the run is."""
        with self.lock:
            parts = []
            for name, stage in self.stages.items():
                counts = zip(COLUMNS[1:], stage.counts()[1:], strict=True)
                rest = "".join(f", {count} {what}" for what, count in counts if count)
                parts.append(f"{name} {stage.done}/{stage.total}{rest}")
            return "; ".join([*parts, self.money(), self.times()])
