"""How long the run took from its first stage to its last, against the shortest that it could have taken.

The bound takes the service's pace as it was in this run, and asks what no order of work could have undercut:
a brief's stages follow each other, and the account's limits hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tasks.page.texts import brief_seconds
from tasks.record import Outcome, RunRecord, StageRecord

_MINUTE = 60.0


@dataclass(frozen=True)
class Makespan:
    """Seconds. ``why`` says in one line what the bound comes from."""

    seconds: float
    bound: float
    why: str

    @property
    def ratio(self) -> float:
        return self.seconds / self.bound


@dataclass(frozen=True)
class Worked:
    """A stage that the service worked on in this run, in seconds from the first one's start."""

    stage: StageRecord
    begin: float
    sent: float  # what was waited for before: equal work, the limits, the budget
    ended: float  # at the service
    end: float


def worked(record: RunRecord) -> list[Worked]:
    """In the order in which they began. What was there already took no time worth a bar.

    What failed or was interrupted there used the account's limits like the rest; what was never sent did not.
    """
    made = [
        (stage, stage.started_at, stage.ended_at)
        for stage in record.stages
        if (stage.finished or _was_there(stage)) and stage.started_at and stage.ended_at
    ]
    if not made:
        return []
    first = min(started for _, started, _ in made)
    found = [_worked(stage, started, ended, first) for stage, started, ended in made]
    return sorted(found, key=lambda item: (item.begin, item.end))


def _was_there(stage: StageRecord) -> bool:
    steps = stage.latency
    return stage.outcome in {Outcome.FAILED, Outcome.HELD} and (steps.attempts > 0 or steps.polls > 0)


def _worked(stage: StageRecord, started: datetime, ended: datetime, first: datetime) -> Worked:
    begin, end = (started - first).total_seconds(), (ended - first).total_seconds()
    sent = min(begin + (stage.latency.queue_s or 0.0) + (stage.latency.upload_s or 0.0), end)
    done = max(sent, end - (stage.latency.download_s or 0.0))
    return Worked(stage, begin, sent, done, end)


def makespan(record: RunRecord) -> Makespan | None:
    """None where the service did nothing."""
    stages = worked(record)
    if not stages:
        return None
    seconds = max(item.end for item in stages) - min(item.begin for item in stages)
    bound, why = max(_bounds(record, [item.stage for item in stages]))
    return Makespan(seconds, bound, why) if 0 < bound <= seconds else None


def _bounds(record: RunRecord, stages: list[StageRecord]) -> Iterator[tuple[float, str]]:
    chains: dict[str, float] = {}
    for stage in stages:
        chains[stage.brief] = chains.get(stage.brief, 0.0) + _needed(stage)
    brief, longest = max(chains.items(), key=lambda chain: chain[1])
    yield (
        longest,
        (
            f"the stages of {brief} follow each other, and the service and the transfers alone took "
            f"{brief_seconds(longest)}"
        ),
    )
    limits = record.limits
    if limits is None:
        return
    held = sum(_held(stage) for stage in stages)
    yield (
        held / limits.max_concurrent,
        f"the service worked {brief_seconds(held)} in all, at most {limits.max_concurrent:,} at a time",
    )
    for unit, most, what in (
        ("image", limits.images_per_minute, "picture requests"),
        ("second", limits.videos_per_minute, "clip requests"),
    ):
        members = [stage for stage in stages if stage.unit == unit]
        if members:
            minutes = (len(members) - 1) // most
            yield (
                minutes * _MINUTE + min(map(_needed, members)),
                f"{len(members):,} {what}, at most {most:,} begun in any minute",
            )


def _held(stage: StageRecord) -> float:
    """How long it held one of the account's places."""
    steps = stage.latency
    return min((steps.submit_s or 0.0) + (steps.inference_s or 0.0), _total(stage))


def _needed(stage: StageRecord) -> float:
    """What it could not have done without; a resumed one had begun before this run."""
    steps = stage.latency
    apart = (steps.upload_s, steps.submit_s, steps.inference_s, steps.download_s)
    return min(sum(seconds or 0.0 for seconds in apart), _total(stage))


def _total(stage: StageRecord) -> float:
    total = stage.latency.total_s
    return float("inf") if total is None else total
