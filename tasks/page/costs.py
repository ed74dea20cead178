"""What the run cost, seen from four sides, and what of it came to nothing. Millionths of a dollar."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tasks.accounting.tables import STAGES
from tasks.page.causes import Cause, cause_of
from tasks.record import Outcome, RunRecord, StageRecord


@dataclass(frozen=True)
class CostLine:
    """``charged`` is after refunds, as in the tables."""

    name: str
    stages: int
    estimated: int
    charged: int
    saved: int
    refunded: int

    @property
    def difference(self) -> int:
        return self.charged - self.estimated


@dataclass(frozen=True)
class Waste:
    """Attempts that ended without a picture or clip; ``lost`` is what of them was charged and not given back."""

    cause: Cause
    attempts: int
    charged: int
    refunded: int

    @property
    def lost(self) -> int:
        return self.charged - self.refunded


def line(name: str, stages: Iterable[StageRecord]) -> CostLine:
    members = tuple(stages)
    return CostLine(
        name,
        len(members),
        sum(stage.estimated for stage in members),
        sum(stage.charged for stage in members),
        sum(stage.saved for stage in members),
        sum(stage.refunded for stage in members),
    )


def by_stage(record: RunRecord) -> list[CostLine]:
    return _grouped(record.stages, lambda stage: stage.stage, STAGES)


def by_model(record: RunRecord) -> list[CostLine]:
    return _grouped(record.stages, lambda stage: stage.model, sorted({s.model for s in record.stages}))


def by_outcome(record: RunRecord) -> list[CostLine]:
    return _grouped(record.stages, lambda stage: str(stage.outcome), [str(outcome) for outcome in Outcome])


def by_brief(record: RunRecord) -> list[CostLine]:
    """The dearest first; what costs the same in the campaign's order."""
    lines = [line(brief.brief, brief.stages) for brief in record.briefs]
    return sorted(lines, key=lambda item: -item.charged)


def wasted(record: RunRecord) -> list[Waste]:
    """By cause, the dearest first."""
    sums: dict[Cause, list[int]] = {}
    for stage in record.stages:
        for cause, charged, refunded in _failures(stage):
            total = sums.setdefault(cause, [0, 0, 0])
            for place, amount in enumerate((1, charged, refunded)):
                total[place] += amount
    found = [Waste(cause, *amounts) for cause, amounts in sums.items()]
    return sorted(found, key=lambda waste: (-waste.lost, -waste.attempts, waste.cause.name))


def _failures(stage: StageRecord) -> Iterable[tuple[Cause, int, int]]:
    failed = [attempt for attempt in stage.attempts if attempt.state == "failed"]
    for attempt in failed:
        yield cause_of(attempt.error_code, attempt.error), attempt.charged, attempt.refunded
    if stage.outcome is Outcome.FAILED and not failed:
        # Nothing was sent, or the record is of a version that did not keep attempts.
        yield cause_of(None, stage.error), stage.charged + stage.refunded, stage.refunded


def _grouped(
    stages: Sequence[StageRecord], key: Callable[[StageRecord], str], names: Iterable[str]
) -> list[CostLine]:
    groups: dict[str, list[StageRecord]] = {name: [] for name in names}
    for stage in stages:
        groups[key(stage)].append(stage)
    return [line(name, members) for name, members in groups.items() if members]
