"""How far a run is, as the flow tells it; ``tasks.watching.progress`` shows it.

Amounts are millionths of a dollar, times seconds. All methods may be called from any thread.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from blocks.money import dollars_text
from tasks.exports import duration_text, visible
from tasks.record import Outcome
from tasks.watching.progress_stage import COLUMNS, EndedStage, StageProgress
from tasks.watching.progress_words import range_text

# What a minute costs is said of the last one, and not before there is something to say it of.
RATE_SECONDS, RATE_FROM_SECONDS = 60.0, 10.0


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
        self._spent_at: deque[tuple[float, int]] = deque()
        self._to_cost: dict[tuple[str, str], int] = {}
        self._reserved: dict[tuple[str, str], int] = {}
        self._accepted: set[tuple[str, str]] = set()  # the service has it, and its cost is not known
        self._finished = False
        self.requests = 0
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
        usual_seconds: Mapping[str, tuple[float, float]] | None = None,
        costs: Mapping[tuple[str, str], int] | None = None,
        at_once: int = 1,
    ) -> None:
        """Open the view.

        ``usual_seconds`` is by stage: within the first, one of two has ended, within the second, nine of ten.
        ``costs`` is what the plan expects of each brief's stage; ``at_once`` how many the account runs together.
        """
        usual = usual_seconds or {}
        with self.lock:
            self._began = self.clock()
            self.stages = {name: StageProgress(n, usual.get(name)) for name, n in total_by_stage.items()}
            self.planned, self.cap, self.campaign = planned, cap, visible(campaign)
            self.simulated, self._at_once = simulated, max(1, at_once)
            self._to_cost = dict(costs or {})
            self._spent_at = deque([(self._began, self.spent_so_far)])
        self.opened()

    def stage_started(self, brief: str, stage: str) -> None:
        with self.lock:
            self.stages[stage].started[brief] = self.clock()

    def stage_reserved(self, brief: str, stage: str, amount: int) -> None:
        """Note what the ledger holds for it, at worst, until the bill is known."""
        with self.lock:
            self._reserved[brief, stage] = amount
            self._accepted.discard((brief, stage))

    def stage_submitted(self, brief: str, stage: str, *, found: bool = False) -> None:
        """Note that the service has it: accepted just now, or ``found`` there from an earlier run."""
        with self.lock:
            self.requests += not found
            self._accepted.add((brief, stage))
            self.stages[stage].in_flight.setdefault(brief, self.clock())

    def stage_in_doubt(self, brief: str, stage: str) -> None:
        """Note that its request has had no answer: it may have been accepted, and be billed."""
        with self.lock:
            self._accepted.add((brief, stage))

    def stage_settled(self, brief: str, stage: str) -> None:
        """Note that its cost is known, and nothing is held for it any more."""
        with self.lock:
            self._reserved.pop((brief, stage), None)
            self._accepted.discard((brief, stage))

    def stage_ended(self, brief: str, stage: str, outcome: Outcome, charged: int) -> None:
        """Note how a stage ended; also one that never started, such as a cached or a skipped one."""
        with self.lock:
            progress = self.stages[stage]
            started = progress.started.pop(brief, None)
            began = progress.in_flight.pop(brief, started)
            seconds = None if began is None else self.clock() - began
            # What an interrupted run leaves behind at the service goes on there, and will be billed.
            if outcome not in {Outcome.HELD, Outcome.FAILED} or (brief, stage) not in self._accepted:
                self._reserved.pop((brief, stage), None)
                self._to_cost.pop((brief, stage), None)
            if outcome is Outcome.CACHED:
                progress.cached += 1
            elif outcome in {Outcome.GENERATED, Outcome.RESUMED}:
                progress.made += 1
            elif outcome is Outcome.HELD:
                progress.held += 1
            else:
                progress.failed += 1
            # Only work that this run saw from beginning to end tells how long such work takes.
            if outcome is Outcome.GENERATED and seconds is not None:
                progress.took.append(seconds)
            self._charged += charged
            self._note_spent()
        self.stage_line(EndedStage(visible(brief), stage, outcome, charged, seconds))

    def spent(self, amount: int) -> None:
        """Say what the run has spent in all so far, as the ledger has it; from then on that is shown."""
        with self.lock:
            self._spent = amount
            self._note_spent()

    def _note_spent(self) -> None:
        now = self.clock()
        self._spent_at.append((now, self.spent_so_far))
        # The newest that lies before the last minute stays: it says what had been spent when that began.
        while len(self._spent_at) > 1 and self._spent_at[1][0] <= now - RATE_SECONDS:
            self._spent_at.popleft()

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

    @property
    def at_risk(self) -> int:
        """What is reserved and not settled yet: the most that work under way can still cost.

        That is also what goes on at the service when the run has stopped.
        """
        with self.lock:
            return sum(self._reserved.values())

    @property
    def projected(self) -> int:
        """What the run will have cost in the end, where the rest goes as planned. It never passes the cap."""
        with self.lock:
            total = self.spent_so_far + sum(self._to_cost.values())
            return total if self.cap is None else max(self.spent_so_far, min(total, self.cap))

    def spent_a_minute(self) -> int | None:
        """What the last minute cost; None in a run's first seconds."""
        with self.lock:
            seconds = min(RATE_SECONDS, self.elapsed)
            if seconds < RATE_FROM_SECONDS:
                return None
            since = self.clock() - RATE_SECONDS
            before = [amount for moment, amount in self._spent_at if moment <= since] or [
                self._spent_at[0][1]
            ]
            return round((self.spent_so_far - before[-1]) * 60 / seconds)

    def share_done(self) -> float:
        """How much of all stages has ended, from 0 to 1."""
        with self.lock:
            return 1 - self.unfinished / self.total if self.total else 1.0

    def time_left(self) -> tuple[float, float] | None:
        """Estimate the seconds left, in one of two runs and in nine of ten; None where a stage was never timed.

        Two bounds, of which the later holds: the work that is left, spread over what may run at once, and the
        longest chain of stages that a brief may still have before it.
        """
        with self.lock:
            now = self.clock()
            likely = [0.0, 0.0]
            late = [0.0, 0.0]
            for stage in self.stages.values():
                if not stage.unfinished:
                    continue
                if stage.typical is None:
                    return None
                for typical, sums in zip(stage.typical, (likely, late), strict=True):
                    # What has passed its usual time may end at any moment.
                    rests = [max(0.0, typical - (now - began)) for began in stage.in_flight.values()]
                    sums[0] += (sum(rests) + stage.waiting * typical) / self._at_once
                    sums[1] += typical if stage.waiting else max(rests, default=0.0)
            return max(likely), max(late)

    def title(self) -> str:
        return f"{self.campaign} (simulated)" if self.simulated else self.campaign

    def money(self) -> str:
        cap = "no cap" if self.cap is None else f"cap ${dollars_text(self.cap)}"
        spent = f"{'simulated ' if self.simulated else ''}spent ${dollars_text(self.spent_so_far)}"
        risk = f", ${dollars_text(self.at_risk)} at risk" if self.at_risk else ""
        return f"{spent} of ${dollars_text(self.planned)} planned{risk}, {cap}"

    def left_text(self) -> str | None:
        """Say how long it will still take; None where nothing is left to do."""
        if self._finished or not self.unfinished:
            return None
        left = self.time_left()
        return "not known" if left is None else range_text(*left)

    def times(self) -> str:
        elapsed = f"{duration_text(self.elapsed)} elapsed"
        left = self.left_text()
        if left is None:
            return elapsed
        return f"{elapsed}, " + ("time left not known" if left == "not known" else f"{left} left")

    def summary(self) -> str:
        """Say in one line of plain text where the run is."""
        with self.lock:
            parts = []
            for name, stage in self.stages.items():
                counts = zip(COLUMNS[1:], stage.counts()[1:], strict=True)
                rest = "".join(f", {count} {what}" for what, count in counts if count)
                parts.append(f"{name} {stage.done}/{stage.total}{rest}")
            return "; ".join([*parts, self.money(), self.times()])
