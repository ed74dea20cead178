"""How long a plan will take: the account's limits played through with what the ledger has learnt of each step.

Nothing is measured here and nothing waits. The same plan, limits and ledger always give the same answer.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blocks.ledger import StepSeconds
from blocks.limits import WINDOW_SECONDS
from tasks.models import REQUESTS, Stage
from tasks.planning.plan import Plan, PlannedStage

# A flow works on so many briefs at once: that bounds what is in flight, because above some 10,000 events at once a
# Prefect server drops them.
BRIEFS_AT_ONCE = 600
# One game says how long it takes with one run of luck; many say how long in one of two, and in nine of ten.
_STEPS_PLAYED = 30_000
_FEWEST_GAMES, _MOST_GAMES = 5, 100

# Where the ledger has learnt nothing: times seen with other hosts of the same models, in seconds. Most clips of 5 s
# take 210 s, and one in ten up to 15 minutes.
PUBLISHED_PICTURE_SECONDS = (45.0, 50.0, 55.0, 60.0, 66.0)
PUBLISHED_CLIP_SECONDS = (*(210.0,) * 9, 900.0)
PUBLISHED_CLIP_LASTS = 5.0


@dataclass(frozen=True)
class Limits:
    max_concurrent: int
    images_per_minute: int
    videos_per_minute: int


@dataclass(frozen=True)
class ModelTimes:
    """What a plan's stages of one model are expected to take; ``learnt`` is empty where nothing is known yet."""

    model: str
    stages: int
    learnt: tuple[StepSeconds, ...]

    def document(self) -> dict[str, Any]:
        steps: dict[str, Any] = {}
        for name in ("upload", "submit", "inference", "detect", "download"):
            seconds = sorted(getattr(sample, name) for sample in self.learnt)
            if seconds:
                steps[name] = {
                    "p50_s": round(percentile(seconds, 50), 3),
                    "p90_s": round(percentile(seconds, 90), 3),
                }
        return {"model": self.model, "stages": self.stages, "learnt_from": len(self.learnt), "steps": steps}


@dataclass(frozen=True)
class Duration:
    """Seconds from the first submit to the last download, in one of two runs and in nine of ten."""

    p50: float
    p90: float
    limits: Limits
    models: tuple[ModelTimes, ...]
    pace: float = 1.0  # what assumed seconds were multiplied by: the built-in simulator's clock

    @property
    def unknown(self) -> tuple[str, ...]:
        """The models of which nothing is learnt yet."""
        return tuple(times.model for times in self.models if not times.learnt)

    @property
    def assumption(self) -> str | None:
        if not self.unknown:
            return None
        paced = "" if self.pace == 1 else f", times the simulator's clock of {self.pace:g}"
        return (
            f"unknown yet for {', '.join(self.unknown)}: assumed is what other hosts of these models were seen to "
            f"take{paced}, {PUBLISHED_PICTURE_SECONDS[0]:.0f} to {PUBLISHED_PICTURE_SECONDS[-1]:.0f} s a picture and "
            f"{PUBLISHED_CLIP_SECONDS[0]:.0f} s a clip of {PUBLISHED_CLIP_LASTS:.0f} s, now and then "
            f"{PUBLISHED_CLIP_SECONDS[-1] / 60:.0f} minutes"
        )

    def document(self) -> dict[str, Any]:
        return {
            "p50_s": round(self.p50, 1),
            "p90_s": round(self.p90, 1),
            "learnt": not self.unknown,
            "assumption": self.assumption,
            "limits": {
                "max_concurrent": self.limits.max_concurrent,
                "images_per_minute": self.limits.images_per_minute,
                "videos_per_minute": self.limits.videos_per_minute,
            },
            "models": [times.document() for times in self.models],
        }


def expected_duration(
    plan: Plan, learn: Callable[[str], Sequence[StepSeconds]], limits: Limits, *, pace: float = 1.0
) -> Duration:
    """``learn`` gives what the ledger knows of a model. ``pace`` multiplies assumed seconds, never learnt ones."""
    counts: dict[str, int] = {}
    for stage in plan.to_generate:
        counts[stage.model] = counts.get(stage.model, 0) + 1
    learnt = {model: tuple(learn(model)) for model in counts}
    times = tuple(
        ModelTimes(request.model_id, counts[request.model_id], learnt[request.model_id])
        for request in REQUESTS.values()
        if request.model_id in counts
    )
    if not counts:
        return Duration(0.0, 0.0, limits, times, pace)
    games = min(max(_STEPS_PLAYED // len(plan.to_generate), _FEWEST_GAMES), _MOST_GAMES)
    ends = sorted(
        _Game(plan, learnt, limits, pace=pace, luck=random.Random(game)).play()  # noqa: S311 - luck, no secret; seeded
        for game in range(games)
    )
    return Duration(percentile(ends, 50), percentile(ends, 90), limits, times, pace)


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that at least ``percent`` of all do not exceed."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


class _Game:
    """One run of the plan with made-up luck: a queue of moments at which something happens."""

    def __init__(
        self,
        plan: Plan,
        learnt: Mapping[str, Sequence[StepSeconds]],
        limits: Limits,
        *,
        pace: float,
        luck: random.Random,
    ) -> None:
        self._learnt = learnt
        self._pace = pace
        self._luck = luck
        self._free = limits.max_concurrent
        self._queue: deque[PlannedStage] = deque()
        self._started: dict[str, deque[float]] = {
            "image": deque(maxlen=limits.images_per_minute),
            "video": deque(maxlen=limits.videos_per_minute),
        }
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._entries = 0
        self._ended: set[tuple[str, Stage]] = set()
        self._waiting: dict[tuple[str, Stage], list[str]] = {}
        self._end = 0.0
        chains: dict[str, list[PlannedStage]] = {}
        for stage in plan.stages:
            if stage.action == "generate" or stage.equal_to is not None:
                chains.setdefault(stage.brief, []).append(stage)
        self._chains = {brief: iter(stages) for brief, stages in chains.items()}
        self._briefs: Iterator[str] = iter(chains)

    def play(self) -> float:
        """Seconds until everything is there."""
        for _ in range(BRIEFS_AT_ONCE):
            self._next_brief(0.0)
        while self._agenda:
            now, _, happen = heapq.heappop(self._agenda)
            happen(now)
        return self._end

    def _at(self, moment: float, happen: Callable[[float], None]) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (moment, self._entries, happen))

    def _next_brief(self, now: float) -> None:
        brief = next(self._briefs, None)
        if brief is not None:
            self._at(now, lambda at: self._go_on(brief, at))

    def _go_on(self, brief: str, now: float) -> None:
        for stage in self._chains[brief]:
            if stage.action != "generate":
                assert stage.equal_to is not None  # the chains have no other stages
                first = stage.equal_to, stage.stage
                if first in self._ended:
                    continue
                self._waiting.setdefault(first, []).append(brief)
                return
            if self._free:
                self._begin(stage, now)
            else:
                self._queue.append(stage)
            return
        self._next_brief(now)

    def _begin(self, stage: PlannedStage, now: float) -> None:
        self._free -= 1
        sample = self._sample(stage)
        if stage.collected:  # made long ago: only fetched
            self._at(now, lambda at: self._give_back(stage, sample, at))
            return
        self._at(now + sample.upload, lambda at: self._submit(stage, sample, at))

    def _submit(self, stage: PlannedStage, sample: StepSeconds, now: float) -> None:
        started = self._started["video" if stage.stage is Stage.VIDEO else "image"]
        # First come, first served: nobody starts before the one who asked first.
        begin = max(now, started[-1]) if started else now
        if len(started) == started.maxlen:
            begin = max(begin, started[0] + WINDOW_SECONDS)
        started.append(begin)
        seconds = sample.submit + sample.inference + sample.detect
        self._at(begin + seconds, lambda at: self._give_back(stage, sample, at))

    def _give_back(self, stage: PlannedStage, sample: StepSeconds, now: float) -> None:
        self._free += 1
        if self._queue:
            self._begin(self._queue.popleft(), now)
        self._at(now + sample.download, lambda at: self._finish(stage, at))

    def _finish(self, stage: PlannedStage, now: float) -> None:
        self._end = max(self._end, now)
        place = stage.brief, stage.stage
        self._ended.add(place)
        for brief in (stage.brief, *self._waiting.pop(place, ())):
            self._go_on(brief, now)

    def _sample(self, stage: PlannedStage) -> StepSeconds:
        if learnt := self._learnt[stage.model]:
            return self._luck.choice(learnt)
        if stage.stage is Stage.VIDEO:
            seconds = self._luck.choice(PUBLISHED_CLIP_SECONDS) * float(stage.quantity) / PUBLISHED_CLIP_LASTS
        else:
            seconds = self._luck.choice(PUBLISHED_PICTURE_SECONDS)
        return StepSeconds(upload=0.0, submit=0.0, inference=seconds * self._pace, detect=0.0, download=0.0)
